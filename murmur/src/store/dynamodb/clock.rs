use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::engine::system_time;

/// Signatures that are so much off are still taken; AWS takes five minutes.
const TAKEN: Duration = Duration::from_secs(240);

/// The server's clock, as far as it is known: signatures are checked by that one.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Milliseconds that it is ahead of this machine's.
    ahead: AtomicI64,
}

impl Clock {
    pub(super) fn now(&self) -> SystemTime {
        shift(system_time(), self.ahead.load(Ordering::Relaxed))
    }

    /// Go by the server's clock from now on, if it shows so much else than `signed` that a signature of then is not
    /// taken. Whether it does.
    pub(super) fn correct(&self, signed: SystemTime, server: SystemTime) -> bool {
        if millis_ahead(server, signed).unsigned_abs() <= millis(TAKEN) as u64 {
            return false;
        }
        let ahead = millis_ahead(server, system_time());
        let before = self.ahead.swap(ahead, Ordering::Relaxed);
        // Of all the requests that were under way, one says it.
        if ahead.abs_diff(before) > millis(TAKEN) as u64 {
            tracing::warn!(
                seconds_ahead = ahead / 1000,
                "signing by the store's clock: it differs from this machine's"
            );
        }
        true
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn millis_ahead(server: SystemTime, ours: SystemTime) -> i64 {
    server.duration_since(ours).map_or_else(|behind| -millis(behind.duration()), millis)
}

fn shift(time: SystemTime, millis: i64) -> SystemTime {
    let by = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { time.checked_sub(by) } else { time.checked_add(by) }.unwrap_or(time)
}
