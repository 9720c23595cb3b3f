//! Places where a worker can be made to die, for tests of what is left behind.
//!
//! `MURMUR_FAIL_POINT=before_commit:3` aborts the process when it comes to the point `before_commit` for the third time;
//! without a number, for the first time. A worker does not start with a name or a number that is none.
//! Without the feature `failpoints` a point is nothing at all.

use std::fmt;

macro_rules! points {
    ($($(#[$about:meta])+ $point:ident = $name:literal,)+) => {
        /// A place where a worker may die.
        #[cfg_attr(not(feature = "failpoints"), allow(dead_code, reason = "what is not built comes to no point"))]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $($(#[$about])+ $point,)+
        }

        impl Point {
            /// All of them, in the order in which a flush comes to them.
            #[cfg(any(test, feature = "failpoints"))]
            const ALL: &[Self] = &[$(Self::$point),+];
        }

        impl fmt::Display for Point {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$point => $name,)+
                })
            }
        }
    };
}

points! {
    /// Letters are stored, and nothing of the flush they belong to is sent.
    AfterDeadLetters = "after_dead_letters",
    /// A flush is made up, and nothing of it is sent.
    BeforeStoreWrite = "before_store_write",
    /// One write of a flush is done (DynamoDB); others are under way or not sent.
    MidFlush = "mid_flush",
    /// A tile was found to be full, and nothing says so.
    BeforeClosing = "before_closing",
    /// The tile says that it is closed, and no letter of its events is stored.
    AfterClosing = "after_closing",
    /// All writes of a flush are done, and no record says so.
    AfterStoreWrite = "after_store_write",
    /// The records say so, and the source does not know.
    BeforeCommit = "before_commit",
    /// Partitions are to be given away: flushed, and not yet released.
    InRevoke = "in_revoke",
}

/// Come to a point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) const fn reach(_: Point) {}

#[cfg(feature = "failpoints")]
pub(crate) use chosen::{check, reach};

#[cfg(feature = "failpoints")]
mod chosen {
    use std::ffi::OsStr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Point;
    use crate::{Error, ErrorKind, Result};

    const VARIABLE: &str = "MURMUR_FAIL_POINT";

    /// Come to a point.
    pub(crate) fn reach(point: Point) {
        static CHOSEN: OnceLock<Option<(Point, AtomicU64)>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| {
            // A worker that has started has checked it.
            let (point, times) = asked().ok().flatten()?;
            Some((point, AtomicU64::new(times)))
        });
        if let Some((asked, times)) = chosen
            && *asked == point
            && times.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    /// Whether what is asked for can be done: otherwise a test would pass in which nothing ever dies.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration), with the points that there are.
    pub(crate) fn check() -> Result<()> {
        asked().map(drop)
    }

    fn asked() -> Result<Option<(Point, u64)>> {
        std::env::var_os(VARIABLE).map(|text| read(&text)).transpose()
    }

    /// `point` or `point:times`.
    pub(super) fn read(text: &OsStr) -> Result<(Point, u64)> {
        let text = text.to_string_lossy();
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        let point = Point::ALL.iter().find(|point| point.to_string() == name).copied();
        let times = times.parse().ok().filter(|times| *times > 0);
        point.zip(times).ok_or_else(|| {
            let points: Vec<String> = Point::ALL.iter().map(Point::to_string).collect();
            let what = match point {
                None => format!("there is no point `{name}`"),
                Some(_) => "the number behind the colon is none from 1 on".to_owned(),
            };
            let points = points.join(", ");
            let context = format!("`{VARIABLE}={text}`: {what}; write one of {points}, as in `before_commit:3`");
            Error::new(ErrorKind::Configuration, context)
        })
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::chosen::read;
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_point_is_asked_for_by_its_name_and_how_often_it_is_come_to() {
        for point in Point::ALL {
            assert_eq!(read(point.to_string().as_ref()).unwrap(), (*point, 1));
            assert_eq!(read(format!("{point}:3").as_ref()).unwrap(), (*point, 3));
        }
    }

    #[test]
    fn what_is_no_point_is_an_error_that_names_those_there_are() {
        for text in ["before_comit:3", "before_commit:", "before_commit:0", "before_commit:-1", "before_commit:x", ""] {
            let error = read(text.as_ref()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let error = error.to_string();
            assert!(error.contains(&format!("`MURMUR_FAIL_POINT={text}`")), "{error}");
            assert!(Point::ALL.iter().all(|point| error.contains(&point.to_string())), "{error}");
        }
    }
}
