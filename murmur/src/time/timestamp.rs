use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Span;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
///
/// In JSON it is read from an RFC 3339 string (`"2026-05-16T12:00:00.25Z"`) or from an integer of **milliseconds**
/// since 1970; it is written as an RFC 3339 string. Finer digits than microseconds are cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The earliest instant that can be written in RFC 3339: year 1.
    pub const MIN: Self = Self(-62_135_596_800 * MICROS);
    /// The last instant that can be written in RFC 3339 and in `google.protobuf.Timestamp`: the end of year 9999.
    pub const MAX: Self = Self(253_402_300_799 * MICROS + (MICROS - 1));

    /// From microseconds since 1970, brought into [`MIN`](Self::MIN)`..=`[`MAX`](Self::MAX).
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// From microseconds since 1970; `None` outside [`MIN`](Self::MIN)`..=`[`MAX`](Self::MAX).
    pub const fn exactly(micros: i64) -> Option<Self> {
        if Self::from_micros(micros).0 == micros { Some(Self(micros)) } else { None }
    }

    /// From milliseconds since 1970, brought into the range of the type.
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// From whole seconds since 1970, brought into the range of the type.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS))
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, floored.
    pub const fn floor_seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Nanoseconds within the second of [`floor_seconds`](Self::floor_seconds), `0..1_000_000_000`.
    pub const fn subsec_nanos(self) -> i32 {
        (self.0.rem_euclid(MICROS) * 1_000) as i32
    }

    /// This instant plus `span`, saturating at [`MAX`](Self::MAX).
    pub const fn saturating_add(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(span.as_micros()))
    }

    /// This instant minus `span`, saturating at [`MIN`](Self::MIN).
    pub const fn saturating_sub(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(span.as_micros()))
    }

    /// How far `self` is after `earlier`; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Span {
        if self.0 <= earlier.0 { Span::ZERO } else { Span::from_micros((self.0 - earlier.0) as u64) }
    }
}

/// [`Timestamp::MAX`] in jiff's calendar. Its instants end a day before the year 9999 does, so that every one of them
/// has a local time in every zone; its calendar does not.
const LAST: DateTime = DateTime::constant(9999, 12, 31, 23, 59, 59, 999_999_000);

/// Microseconds since 1970 of a time of UTC that is too late for jiff's instants.
fn last_day(text: &str) -> Option<i64> {
    let local: DateTime = text.strip_suffix(['Z', 'z'])?.parse().ok()?;
    let nanos = local.duration_since(LAST).as_nanos();
    Some(Timestamp::MAX.0 + nanos.div_euclid(1_000) as i64)
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let micros = match text.parse::<jiff::Timestamp>() {
            Ok(parsed) => parsed.as_nanosecond().div_euclid(1_000) as i64,
            Err(error) => last_day(text)
                .ok_or_else(|| format!("`{text}` is not an RFC 3339 time such as 2026-05-16T12:00:00Z: {error}"))?,
        };
        Self::exactly(micros).ok_or_else(|| format!("`{text}` is outside the years 1 to 9999"))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            // jiff keeps its instants a day away from the end of the year 9999, but not its calendar.
            Err(_) => write!(f, "{}Z", LAST.saturating_sub(SignedDuration::from_micros(Self::MAX.0 - self.0))),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or milliseconds since 1970")
            }

            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Timestamp, E> {
                millis.checked_mul(1_000).and_then(Timestamp::exactly).ok_or_else(|| {
                    E::custom(format!("{millis} ms since 1970 is outside the years 1 to 9999; are these other units?"))
                })
            }

            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Timestamp, E> {
                self.visit_i64(i64::try_from(millis).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
