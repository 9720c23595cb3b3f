//! What must stand in the tables: the fold of all that was sent, and whether it does.

mod truth;
mod verdict;

use std::collections::BTreeSet;

use murmur::Result;
use murmur::engine::{Clock, Decode, SystemClock};
use murmur::pipeline::Pipeline;
use murmur::source::{Offset, PartitionId, Ruler};
use murmur::store::{Item, Store, TileId};
use murmur::time::Timestamp;

pub(crate) use truth::{Closures, Difference, Kept, Truth, closures, compare, read, scan};
pub use verdict::Verdict;

/// The name of a partition here.
pub(crate) fn partition(number: i32) -> PartitionId {
    PartitionId::new(number.to_string())
}

/// The number of a partition: of `k:<topic>:<number>`, as workers store it, and of its name here.
pub(crate) fn number(partition: &PartitionId) -> i32 {
    partition.as_str().rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The name here of a partition as workers store it.
pub(crate) fn renamed(stored: &PartitionId) -> PartitionId {
    partition(number(stored))
}

/// How what stands in these items differs from what must; `weigh` as for [`compare`].
pub(crate) fn difference<P: Pipeline>(
    items: &[(TileId, Item)],
    right: &Truth<P>,
    weigh: impl Fn(&P::Aggregate) -> Option<u64>,
) -> Difference {
    match read::<P>(items, renamed) {
        Ok(found) => compare::<P>(&right.kept, &found, weigh),
        Err(error) => Difference { other: 1, first: Some(error), ..Difference::default() },
    }
}

/// Knows all that was sent to a pipeline, and what its table must hold therefore.
///
/// It folds the log event by event, with the definition of the pipeline and without the engine: no batches, no flushes, no
/// positions. So it says whether workers have counted each event once, whatever was done to them meanwhile.
/// [`faults`](crate::faults) shows one with workers that are killed.
///
/// A log has one topic, or one input of files, and the table is of the first generation.
pub struct Oracle<P: Pipeline> {
    decode: Decode<P::Event>,
    ruler: Ruler,
    /// What has expired by then is not looked at.
    now: Timestamp,
    weigh: fn(&P::Aggregate) -> Option<u64>,
    log: Vec<(PartitionId, Offset, Vec<u8>)>,
}

impl<P: Pipeline> Oracle<P> {
    /// Of a log in which there is nothing yet; what has expired by now is left out. The ruler, by which `dedup` measures, is
    /// that of the source: [`Ruler::Offsets`] for Kafka, [`Ruler::Payloads`] for files.
    pub fn new(decode: Decode<P::Event>, ruler: Ruler) -> Self {
        Self { decode, ruler, now: SystemClock.now(), weigh: |_| None, log: Vec::new() }
    }

    /// Say how many events are in a value, where its aggregate can tell: then a verdict says how many are missing, or too
    /// many. Without it what differs is [`Corrupt`](Verdict::Corrupt).
    #[must_use]
    pub fn weigh(mut self, weigh: fn(&P::Aggregate) -> Option<u64>) -> Self {
        self.weigh = weigh;
        self
    }

    /// The next message of a partition, whatever is in it.
    ///
    /// A partition of Kafka has its own number, and [`Offset::from_u64`]; a file in one segment is the partition 1, and its
    /// line `n`, from 1 on, `Offset::from_pair(1, n)`.
    pub fn take(&mut self, partition_number: i32, offset: Offset, payload: &[u8]) {
        self.log.push((partition(partition_number), offset, payload.to_vec()));
    }

    /// Whether the table holds what it must, once workers have read all that was [taken](Self::take):
    /// [`Exact`](Verdict::Exact), [`Over`](Verdict::Over), [`Under`](Verdict::Under) or [`Corrupt`](Verdict::Corrupt).
    ///
    /// Values of Form B are compared by their bytes, floats of Form A in their first nine digits. Errors are those of the
    /// store.
    pub async fn judge(&self, store: &dyn Store) -> Result<Verdict> {
        let (items, right) = self.read(store).await?;
        Ok(difference(&items, &right, self.weigh).verdict())
    }

    /// The messages that cannot be counted, by partition and offset: each has to be a dead letter. Those are among them for
    /// which a tile has no more room, as the table says.
    pub async fn refused(&self, store: &dyn Store) -> Result<BTreeSet<(i32, Offset)>> {
        let (_, right) = self.read(store).await?;
        Ok(right.refused.iter().map(|(partition, offset)| (number(partition), *offset)).collect())
    }

    /// What stands there, and what must, where tiles are closed as they say.
    async fn read(&self, store: &dyn Store) -> Result<(Vec<(TileId, Item)>, Truth<P>)> {
        let items = scan::<P>(store).await?;
        let mut right = Truth::new(self.decode, self.ruler, self.now, closures(&items, renamed));
        for (partition, offset, payload) in &self.log {
            right.take(partition, *offset, payload);
        }
        Ok((items, right))
    }
}
