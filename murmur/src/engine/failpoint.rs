//! Places where a worker can be made to die, for tests of what is left behind.
//!
//! `MURMUR_FAIL_POINT=before_commit:3` aborts the process when it comes to the point `before_commit` for the third time.
//! Without the feature `failpoints` a point is nothing at all.
//!
//! | point | where |
//! |---|---|
//! | `before_store_write` | a flush is made up, and nothing of it is sent |
//! | `mid_flush` | one write of a flush is done (DynamoDB); others are under way or not sent |
//! | `before_closing` | a tile was found to be full, and nothing says so |
//! | `after_closing` | the tile says that it is closed, and no letter of its events is stored |
//! | `after_store_write` | all writes of a flush are done, and no record says so |
//! | `before_commit` | the records say so, and the source does not know |
//! | `after_dead_letters` | letters are stored, and nothing of the flush they belong to is sent |
//! | `in_revoke` | partitions are to be given away: flushed, and not yet released |

/// Come to a point.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) const fn reach(_: &str) {}

/// Come to a point.
#[cfg(feature = "failpoints")]
pub(crate) fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("MURMUR_FAIL_POINT").ok()?;
        let (name, times) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(times.parse().unwrap_or(1))))
    });
    if let Some((name, times)) = chosen
        && name == point
        && times.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
