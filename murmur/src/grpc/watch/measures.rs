use metrics::{Counter, Gauge};

use crate::metrics::catalogue::{WATCH_LOOKS, WATCH_SKIPPED, WATCH_STREAMS, WATCHED_KEYS};

/// What is measured of those who watch a pipeline.
pub(super) struct Measures {
    streams: Gauge,
    keys: Gauge,
    pub(super) looks: Counter,
    pub(super) skipped: Counter,
}

impl Measures {
    pub(super) fn of(pipeline: &'static str) -> Self {
        Self {
            streams: WATCH_STREAMS.gauge([pipeline]),
            keys: WATCHED_KEYS.gauge([pipeline]),
            looks: WATCH_LOOKS.counter([pipeline]),
            skipped: WATCH_SKIPPED.counter([pipeline]),
        }
    }

    /// A stream of so many keys has begun.
    pub(super) fn begin(&self, keys: usize) {
        self.streams.increment(1.0);
        self.keys.increment(keys as f64);
    }

    /// A stream of so many keys has ended.
    pub(super) fn end(&self, keys: usize) {
        self.streams.decrement(1.0);
        self.keys.decrement(keys as f64);
    }
}
