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
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Err(before) => Timestamp::from_micros(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
        }
    }
}
