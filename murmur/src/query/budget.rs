use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Histogram;

use super::Limits;
use super::limits::Of;
use super::sealed;
use super::tally::Tally;
use crate::Result;
use crate::store::{Item, TileId};

/// Work after which others have their turn: some 100 to 200 microseconds of it.
const TURN: usize = 1_024;

/// The work of looking through a range of tiles, beside its items; that of a tile by its name is one, and so is that of each
/// small item, each time that it is handed on.
pub(super) const RANGE: usize = 4;

/// Bytes of an item that are as much work to fold as a small one: sketches are decoded, and numbers are added.
const PUT_BYTES: usize = 256;
const NUMBERS: usize = 16;

/// The work of folding these items.
pub(super) fn folding(items: &[(TileId, Item)]) -> usize {
    let bytes = |item: &Item| item.values.iter().map(|(_, value)| value.len()).sum::<usize>();
    items.iter().map(|(_, item)| 1 + item.numbers.len() / NUMBERS + bytes(item) / PUT_BYTES).sum()
}

/// What a request may read, and has read.
pub(super) struct Budget {
    spent: AtomicUsize,
    lookups: AtomicUsize,
    bytes: AtomicUsize,
    /// Since others had their turn.
    at_once: AtomicUsize,
    of: Of,
    limits: Limits,
    /// Where it is measured in the end.
    measured: Histogram,
    /// Where it is told what was read, of a request that is to be explained.
    pub(super) tally: Option<Tally>,
}

impl Budget {
    pub(super) fn new(of: Of, limits: Limits, tally: Option<Tally>, measured: Histogram) -> Self {
        let [spent, lookups, bytes, at_once] = [0; 4].map(AtomicUsize::new);
        Self { spent, lookups, bytes, at_once, of, limits, measured, tally }
    }

    /// These items more were read.
    pub(super) fn spend<'a>(&self, found: impl IntoIterator<Item = &'a (TileId, Item)>) -> Result<()> {
        let size = |(id, item): &(TileId, Item)| size_of_val(id) + size_of_val(item) + sealed::bytes(item);
        let (items, bytes) = found.into_iter().fold((0, 0), |(items, bytes), found| (items + 1, bytes + size(found)));
        let add = |to: &AtomicUsize, more| to.fetch_add(more, Ordering::Relaxed) + more;
        self.check(add(&self.spent, items))?;
        self.limits.check_bytes(add(&self.bytes, bytes), self.of)
    }

    /// So many tiles more, and ranges of tiles, are looked for.
    pub(super) fn look(&self, lookups: usize) -> Result<()> {
        let made = self.lookups.fetch_add(lookups, Ordering::Relaxed) + lookups;
        self.limits.check_lookups(made, self.of)
    }

    /// So much was done; whoever goes on behind it [rests](Self::rest).
    pub(super) fn work(&self, work: usize) {
        self.at_once.fetch_add(work, Ordering::Relaxed);
    }

    /// Where much was done, let others have their turn, and the deadline cut in: a store that has everything at hand makes
    /// nobody wait. Within calls that run at the same time it is the turn of the next of
    /// them first.
    pub(super) async fn rest(&self) {
        if self.at_once.load(Ordering::Relaxed) >= TURN {
            self.at_once.store(0, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    /// Both.
    pub(super) async fn pace(&self, work: usize) {
        self.work(work);
        self.rest().await;
    }

    /// Refuse so many items.
    pub(super) fn check(&self, items: usize) -> Result<()> {
        self.limits.check_items(items, self.of)
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
