use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::Timestamp;

/// Wall-clock time, by a trait so that a simulation can give its own. Sleeping goes through tokio's clock, which a
/// simulation pauses.
pub trait Clock: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        match system_time().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Err(before) => Timestamp::from_micros(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
        }
    }
}

/// What this machine's clock shows.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn system_time() -> SystemTime {
    SystemTime::now()
}

/// What this machine's clock shows, or would show if it were as wrong as `MURMUR_CLOCK_AHEAD` says, in seconds that may be
/// negative: for tests of processes whose clocks differ.
#[cfg(feature = "failpoints")]
pub(crate) fn system_time() -> SystemTime {
    use std::sync::OnceLock;
    use std::time::Duration;

    static AHEAD: OnceLock<i64> = OnceLock::new();
    let ahead = *AHEAD.get_or_init(|| {
        let text = std::env::var("MURMUR_CLOCK_AHEAD").unwrap_or_default();
        text.parse().unwrap_or(0)
    });
    let (now, by) = (SystemTime::now(), Duration::from_secs(ahead.unsigned_abs()));
    if ahead < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
}
