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

/// What this machine's clock shows, or would show if it were wrong: for tests of processes whose clocks differ, or are set
/// while they run.
///
/// `MURMUR_CLOCK_AHEAD` names a file that says by how many seconds; they may be negative. It is looked at every few
/// milliseconds.
#[cfg(feature = "failpoints")]
pub(crate) fn system_time() -> SystemTime {
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    static LOOKED_AT: OnceLock<()> = OnceLock::new();
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    // Between being emptied and being written a file says nothing.
    let look = |file: &Path| {
        let said = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        said.into_iter().for_each(|ahead| AHEAD.store(ahead, Ordering::Relaxed));
    };
    LOOKED_AT.get_or_init(|| {
        let Some(file) = std::env::var_os("MURMUR_CLOCK_AHEAD").map(PathBuf::from) else { return };
        look(&file);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(10));
                look(&file);
            }
        });
    });
    let ahead = AHEAD.load(Ordering::Relaxed);
    let (now, by) = (SystemTime::now(), Duration::from_secs(ahead.unsigned_abs()));
    if ahead < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
}
