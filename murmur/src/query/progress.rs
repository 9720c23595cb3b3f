use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::cover::Settled;
use super::tally::Tally;
use super::{AsOf, PartitionProgress};
use crate::Result;
use crate::engine::PartitionRecord;
use crate::source::{PartitionId, Record, Shelf};
use crate::store::{Consistency, Store, Table, spent};
use crate::time::Timestamp;

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
    reading: tokio::sync::Mutex<()>,
}

impl Progress {
    pub(super) fn new(store: Arc<dyn Store>, table: &Table) -> Self {
        Self { store, shelf: table.shelf(), known: Mutex::new(None), reading: tokio::sync::Mutex::new(()) }
    }

    /// What is known now; a strong caller has it read again.
    pub(super) async fn as_of(
        &self,
        now: Timestamp,
        consistency: Consistency,
        tally: Option<&Tally>,
    ) -> Result<(AsOf, Settled)> {
        let Known { partitions, settled } = match self.recent() {
            Some(known) if consistency == Consistency::Eventual => known,
            _ => self.refresh(consistency, tally).await?,
        };
        let watermark = partitions.iter().map(|p| p.watermark).min().flatten();
        let newest = partitions.iter().filter_map(|p| p.watermark).max();
        Ok((AsOf { watermark, freshness: newest.map(|newest| now.since(newest)), partitions }, settled))
    }

    fn recent(&self) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, known)| known.clone())
    }

    async fn refresh(&self, consistency: Consistency, tally: Option<&Tally>) -> Result<Known> {
        let _one_at_a_time = self.reading.lock().await;
        if consistency == Consistency::Eventual
            && let Some(known) = self.recent()
        {
            return Ok(known);
        }
        let at = Instant::now();
        let (records, spent) = spent::count(self.store.records(&self.shelf, PartitionRecord::PREFIX)).await;
        let records = records?;
        if let Some(tally) = tally {
            let bytes = records.iter().map(|(name, record)| (name.len() + record.bytes.len()) as u64).sum();
            tally.records(records.len(), bytes, spent);
        }
        let records = records.iter().map(|(name, record)| partition(name, record)).collect::<Result<Vec<_>>>()?;
        let settled = Settled::of(records.iter().map(|(_, record)| record));
        let partitions = records.into_iter().map(|(partition, record)| PartitionProgress {
            partition,
            watermark: record.watermark,
            offset: record.commit,
        });
        let known = Known { partitions: partitions.collect(), settled };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, known.clone()));
        Ok(known)
    }
}

/// What a reading of the records said.
#[derive(Clone)]
struct Known {
    partitions: Arc<[PartitionProgress]>,
    settled: Settled,
}

/// A partition and its record.
fn partition(name: &str, record: &Record) -> Result<(PartitionId, PartitionRecord)> {
    let record = PartitionRecord::decode(&record.bytes).map_err(|e| e.while_doing(format!("record `{name}`")))?;
    Ok((PartitionId::new(name.strip_prefix(PartitionRecord::PREFIX).unwrap_or(name)), record))
}
