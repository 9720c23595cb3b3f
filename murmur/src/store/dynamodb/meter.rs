use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::ConsumedCapacity;
use metrics::{Counter, Histogram};

use crate::metrics::PLAIN;
use crate::metrics::catalogue::{ITEM_BYTES, STORE_READ_UNITS, STORE_WRITE_UNITS};
use crate::store::spent;

/// What requests cost, as the replies say.
pub(super) struct Meter {
    written: Units,
    read: Units,
    items: Histogram,
}

/// Read units come in halves, and counters count whole ones.
struct Units {
    counter: Counter,
    halves: AtomicU64,
}

impl Units {
    fn new(counter: Counter) -> Self {
        Self { counter, halves: AtomicU64::new(0) }
    }

    fn add(&self, units: Option<f64>) {
        let halves = (units.unwrap_or_default() * 2.0).round() as u64;
        let before = self.halves.fetch_add(halves, Ordering::Relaxed);
        self.counter.increment((before + halves) / 2 - before / 2);
    }
}

/// What a reply says that it cost.
pub(super) fn units(capacity: Option<&ConsumedCapacity>) -> Option<f64> {
    capacity.and_then(|capacity| capacity.capacity_units)
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            written: Units::new(STORE_WRITE_UNITS.counter(PLAIN)),
            read: Units::new(STORE_READ_UNITS.counter(PLAIN)),
            items: ITEM_BYTES.histogram(PLAIN),
        }
    }

    pub(super) fn wrote(&self, units: Option<f64>) {
        self.written.add(units);
        spent::written(units.unwrap_or_default());
    }

    pub(super) fn read(&self, capacity: Option<&ConsumedCapacity>) {
        let units = units(capacity);
        self.read.add(units);
        spent::read(units.unwrap_or_default());
    }

    /// An item of this size is put.
    pub(super) fn item(&self, bytes: usize) {
        self.items.record(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn halves_add_up() {
        let total = Arc::new(AtomicU64::new(0));
        let units = Units::new(Counter::from_arc(total.clone()));
        for capacity in [0.5, 0.5, 2.0, 0.5] {
            units.add(super::units(Some(&ConsumedCapacity::builder().capacity_units(capacity).build())));
        }
        units.add(None);
        assert_eq!(total.load(Ordering::Relaxed), 3, "3.5, of which the half waits for another");
    }
}
