//! Which tiles may be rolled: those that no event can change any more.
//!
//! An event is late when the front of its partition, the newest event time before it in the log, has passed the instant
//! at which its tile [closes](crate::time::Tiling::closes). Late events go to the tile's twin. So once all that lies before
//! the fronts of all partitions is durable, a closed tile is finished, and whoever folds it gets the same.
//!
//! What is left is a partition that nobody knows of yet, whose front begins low. It is settled without clocks, by two who
//! each say something first and look afterwards:
//!
//! ```text
//! roller   raise the frontier to where the tile closes     then look at the records of all partitions
//! owner    make the record of the new partition            then look at the frontier: it is the floor of the front
//! ```
//!
//! Either the roller finds a record without a floor, and leaves the tile alone, or the owner's floor is past the tile, and
//! what comes for it is late. The floor of a partition without any flush may be raised by a roller, since an owner says in
//! the record that it will flush before it does, and learns of the new floor by that.
//!
//! Partitions that an operator has retired are not waited for: see `retirement.rs`.

use super::record::{PartitionRecord, Standing};
use crate::source::{PartitionId, Record, RecordOutcome, Records};
use crate::store::Table;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// How far tiles may have been rolled, with the table: all that close at or before it.
#[derive(Debug)]
pub(crate) struct Frontier;

/// ```text
/// 1 byte   version = 1
/// 8 bytes  the instant in microseconds, little-endian
/// 4 bytes  crc32 of all before, little-endian
/// ```
const VERSION: u8 = 1;

impl Frontier {
    const NAME: &'static str = "rolled";

    pub(super) fn encode(at: Timestamp) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&at.as_micros().to_le_bytes());
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Timestamp> {
        let read = || {
            let (body, sum) = bytes.split_last_chunk::<4>()?;
            let (&VERSION, at) = body.split_first()? else { return None };
            let at = i64::from_le_bytes(at.try_into().ok()?);
            (crc32fast::hash(body) == u32::from_le_bytes(*sum)).then(|| Timestamp::exactly(at)).flatten()
        };
        read().ok_or_else(|| {
            let context = format!("record `{}` is damaged, or of a newer version", Self::NAME);
            Error::new(ErrorKind::Corrupt, context)
        })
    }

    /// Where it is; `None` when nothing was ever rolled.
    pub(super) async fn load(records: &dyn Records, table: &Table) -> Result<Option<Timestamp>> {
        let record = records.record(&table.shelf(), Self::NAME).await?;
        record.map(|record| Self::decode(&record.bytes)).transpose()
    }

    /// Where it is, among all records of a table; `None` when nothing was ever rolled, or when that cannot be read.
    pub(crate) fn among(records: &[(String, Record)]) -> Option<Timestamp> {
        let (_, record) = records.iter().find(|(name, _)| name == Self::NAME)?;
        Self::decode(&record.bytes).ok()
    }

    /// Say that tiles which close at `to` may be rolled from now on.
    async fn raise(records: &dyn Records, table: &Table, to: Timestamp) -> Result<()> {
        let shelf = table.shelf();
        let mut standing = records.record(&shelf, Self::NAME).await?;
        loop {
            let version = match &standing {
                Some(record) if Self::decode(&record.bytes)? >= to => return Ok(()),
                Some(record) => Some(record.version),
                None => None,
            };
            match records.put_record(&shelf, Self::NAME, Self::encode(to), version).await? {
                RecordOutcome::Written(_) => return Ok(()),
                RecordOutcome::Refused(current) => standing = current,
            }
        }
    }

    /// Give a partition that is new to the table the floor of its front, before the first of its events is looked at.
    pub(crate) async fn settle(
        records: &dyn Records,
        table: &Table,
        partition: &PartitionId,
        mut standing: Standing,
    ) -> Result<Standing> {
        if standing.record.floor.is_some() {
            return Ok(standing);
        }
        standing = PartitionRecord::default().raise(records, table, partition, standing).await?;
        let floor = Self::load(records, table).await?.unwrap_or(Timestamp::MIN);
        while standing.record.floor.is_none() {
            standing = standing.with_floor(floor, records, table, partition).await?;
        }
        Ok(standing)
    }

    /// Whether tiles that close at `at` are finished, and may be folded and rolled from now on.
    pub(crate) async fn passes(records: &dyn Records, table: &Table, at: Timestamp) -> Result<bool> {
        Self::raise(records, table, at).await?;
        let all = records.records(&table.shelf(), PartitionRecord::PREFIX).await?;
        let mut has_come_that_far = false;
        for (name, record) in &all {
            let mut standing = Standing::of(Some(record.clone()))?;
            if !standing.record.holds_rolling() {
                continue;
            }
            if standing.record.is_movable() && standing.record.reached() < Some(at) {
                let partition = PartitionId::new(PartitionRecord::partition(name));
                standing = standing.with_floor(at, records, table, &partition).await?;
            }
            if standing.record.reached().is_none_or(|reached| reached < at) {
                return Ok(false);
            }
            has_come_that_far = true;
        }
        Ok(has_come_that_far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Offset;
    use crate::store::MemoryStore;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    async fn taken(store: &MemoryStore, table: &Table, partition: &PartitionId) -> Standing {
        let standing = PartitionRecord::load(store, table, partition).await.unwrap();
        Frontier::settle(store, table, partition, standing).await.unwrap()
    }

    #[tokio::test]
    async fn a_partition_that_comes_after_a_roll_begins_where_it_rolled() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let [old, new] = ["old", "new"].map(PartitionId::new);
        assert!(!Frontier::passes(&store, &table, at(5)).await.unwrap(), "nobody has read anything");
        let standing = taken(&store, &table, &old).await;
        assert_eq!(standing.record.reached(), Some(at(5)));
        let read = PartitionRecord { horizon: Some(Offset::ZERO), front: Some(at(20)), ..PartitionRecord::default() };
        read.raise(&store, &table, &old, standing).await.unwrap();
        assert!(Frontier::passes(&store, &table, at(20)).await.unwrap());
        assert!(!Frontier::passes(&store, &table, at(21)).await.unwrap(), "one of its events may come yet");
        assert_eq!(taken(&store, &table, &new).await.record.floor, Some(at(21)));
    }

    #[tokio::test]
    async fn a_partition_without_a_floor_holds_everything_up() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let partition = PartitionId::new("p");
        PartitionRecord::default().raise(&store, &table, &partition, Standing::default()).await.unwrap();
        assert!(!Frontier::passes(&store, &table, at(1)).await.unwrap());
    }

    #[tokio::test]
    async fn only_a_partition_without_a_flush_is_raised() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let partition = PartitionId::new("p");
        let standing = taken(&store, &table, &partition).await;
        assert!(Frontier::passes(&store, &table, at(9)).await.unwrap());
        // Whoever owned it meanwhile learns of it by saying that it will flush.
        let flush = PartitionRecord { horizon: Some(Offset::ZERO), ..PartitionRecord::default() };
        let learned = flush.raise(&store, &table, &partition, standing).await.unwrap();
        assert_eq!((standing.record.floor, learned.record.floor), (Some(Timestamp::MIN), Some(at(9))));
        assert!(!Frontier::passes(&store, &table, at(10)).await.unwrap());
        assert_eq!(taken(&store, &table, &partition).await.record.floor, Some(at(9)));
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let bytes = Frontier::encode(at(7));
        assert_eq!(Frontier::decode(&bytes).unwrap(), at(7));
        assert_eq!(Frontier::decode(&bytes[1..]).unwrap_err().kind(), ErrorKind::Corrupt);
        let mut late = [&[VERSION][..], &i64::MAX.to_le_bytes()].concat();
        late.extend(crc32fast::hash(&late).to_le_bytes());
        assert!(Frontier::decode(&late).is_err(), "an instant after the year 9999");
    }
}
