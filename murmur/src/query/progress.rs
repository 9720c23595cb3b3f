use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::coalesce::{After, Order, Turn};
use super::cover::Settled;
use super::held::{Held, Watch};
use super::life::{Lives, Look, Named, Seal};
use super::tally::Tally;
use super::{AsOf, PartitionProgress};
use crate::engine::{Frontier, PartitionRecord};
use crate::source::{PartitionId, Record, Shelf};
use crate::store::{Consistency, Store, Table, spent};
use crate::time::{TimeRange, Timestamp};
use crate::wire::{WireField, types};
use crate::{Error, ErrorKind, Result};

/// How long a reading of the partition records is good for. An older one is still true: it says less than there is.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How far the workers of a table are, by their partition records.
///
/// A commit in a record says that everything up to it is durable, so an answer whose tiles are read after the record
/// contains at least that.
pub(super) struct Progress {
    store: Arc<dyn Store>,
    shelf: Shelf,
    known: Mutex<Option<(Instant, Known)>>,
    reading: tokio::sync::Mutex<Lives>,
    /// Where anything is rolled.
    watch: Option<Watch>,
    order: Order,
}

/// What a request knows before it reads tiles.
pub(super) struct Seen {
    pub(super) as_of: AsOf,
    /// Bytes of its partitions in a reply.
    pub(super) partition_bytes: usize,
    /// What its reads must not pass by, for that to be true.
    pub(super) after: After,
    pub(super) settled: Settled,
    /// What was rolled for good.
    pub(super) seal: Seal,
    /// What holds rolling up.
    held: Option<Arc<Held>>,
}

impl Seen {
    /// An error of reading these slots, with what may be behind it.
    pub(super) fn explain(&self, error: Error, slots: TimeRange) -> Error {
        match &self.held {
            Some(held) if error.kind() == ErrorKind::ResourceExhausted && held.concerns(slots) => error.adding(held),
            _ => error,
        }
    }
}

impl Progress {
    pub(super) fn new(store: Arc<dyn Store>, table: &Table, watch: Option<Watch>, order: Order) -> Self {
        let (known, reading) = (Mutex::new(None), tokio::sync::Mutex::default());
        Self { store, shelf: table.shelf(), known, reading, watch, order }
    }

    /// What is known now; a strong caller has it read again.
    pub(super) async fn as_of(&self, now: Timestamp, consistency: Consistency, tally: Option<&Tally>) -> Result<Seen> {
        let Known { partitions, partition_bytes, read, settled, seal, held } = match self.recent() {
            Some(known) if consistency == Consistency::Eventual => known,
            _ => self.refresh(consistency, tally).await?,
        };
        let watermark = partitions.iter().map(|p| p.watermark).min().flatten();
        let newest = partitions.iter().filter_map(|p| p.watermark).max();
        let as_of = AsOf { watermark, freshness: newest.map(|newest| now.since(newest)), partitions };
        let after = match consistency {
            Consistency::Strong => After::Everything,
            Consistency::Eventual => After::Look(read),
        };
        Ok(Seen { as_of, partition_bytes, after, settled, seal, held })
    }

    /// How far every partition is that has a record and is not retired; `None` while one has not begun, or when there is
    /// none.
    pub(super) async fn reached_by_all(&self) -> Result<Option<Timestamp>> {
        let (_, records) = self.read(None).await?;
        Ok(PartitionRecord::reached_by_all(records.iter().map(|(.., record)| record)))
    }

    /// Look what holds rolling up, which is measured, and said where it lasts.
    pub(super) async fn look_what_holds(&self) -> Result<()> {
        if let Some(watch) = &self.watch {
            watch.note(&self.read(None).await?.1);
        }
        Ok(())
    }

    fn recent(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, known)| known.clone())
    }

    async fn refresh(&self, consistency: Consistency, tally: Option<&Tally>) -> Result<Known> {
        let mut lives = self.reading.lock().await;
        if consistency == Consistency::Eventual
            && let Some(known) = self.recent()
        {
            return Ok(known);
        }
        let at = Instant::now();
        let (frontier, records) = self.read(tally).await.inspect_err(|_| lives.fail())?;
        let read = self.order.next();
        let settled = Settled::of(records.iter().map(|(.., record)| record), frontier);
        let partitions = records.iter().map(|(name, _, record)| PartitionProgress {
            partition: PartitionId::new(PartitionRecord::partition(name)),
            watermark: record.watermark,
            offset: record.commit,
        });
        let partitions: Arc<[_]> = partitions.collect();
        let messages = partitions.iter().map(types::PartitionProgress::from).collect::<Vec<_>>();
        let partition_bytes = messages.field_len(3);
        let held = self.watch.as_ref().and_then(|watch| watch.note(&records));
        let seal = lives.look(Look { began: at, frontier, records });
        let known = Known { partitions, partition_bytes, read, settled, seal, held };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, known.clone()));
        Ok(known)
    }

    /// How far tiles may have been rolled, and the records of all partitions.
    async fn read(&self, tally: Option<&Tally>) -> Result<(Option<Timestamp>, Vec<Named>)> {
        // All that there are, so that it is one request.
        let (records, spent) = spent::count(self.store.records(&self.shelf, "")).await;
        let records = records?;
        if let Some(tally) = tally {
            let bytes = records.iter().map(|(name, record)| (name.len() + record.bytes.len()) as u64).sum();
            tally.records(records.len(), bytes, spent);
        }
        let frontier = Frontier::among(&records);
        let partitions = records.into_iter().filter(|(name, _)| name.starts_with(PartitionRecord::PREFIX));
        Ok((frontier, partitions.map(|(name, record)| named(name, &record)).collect::<Result<_>>()?))
    }
}

/// What a reading of the records said.
#[derive(Clone)]
struct Known {
    partitions: Arc<[PartitionProgress]>,
    partition_bytes: usize,
    /// When they had been read.
    read: Turn,
    settled: Settled,
    seal: Seal,
    held: Option<Arc<Held>>,
}

fn named(name: String, record: &Record) -> Result<Named> {
    match PartitionRecord::decode(&record.bytes) {
        Ok(read) => Ok((name, record.version, read)),
        Err(error) => Err(error.while_doing(format!("record `{name}`"))),
    }
}
