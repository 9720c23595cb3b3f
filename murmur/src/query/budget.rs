use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Histogram;

use super::Limits;
use super::tally::Tally;
use crate::Result;

/// What a request may read, and has read, for so many keys.
pub(super) struct Budget {
    spent: AtomicUsize,
    keys: usize,
    limits: Limits,
    /// Where it is measured in the end.
    measured: Histogram,
    /// Where it is told what was read, of a request that is to be explained.
    pub(super) tally: Option<Tally>,
}

impl Budget {
    pub(super) fn new(keys: usize, limits: Limits, tally: Option<Tally>, measured: Histogram) -> Self {
        Self { spent: AtomicUsize::new(0), keys, limits, measured, tally }
    }

    /// So many items more were read.
    pub(super) fn spend(&self, items: usize) -> Result<()> {
        let spent = self.spent.fetch_add(items, Ordering::Relaxed) + items;
        self.check(spent)
    }

    /// Refuse so many items.
    pub(super) fn check(&self, items: usize) -> Result<()> {
        self.limits.check_items(items, self.keys)
    }

    /// The request waits for the store, so often one after the other.
    pub(super) fn wait(&self, times: u64) {
        if let Some(tally) = &self.tally {
            tally.wait(times);
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.measured.record(*self.spent.get_mut() as f64);
    }
}
