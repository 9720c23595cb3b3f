//! Partitions that are added to those that a pipeline began with.
//!
//! Where a pipeline begins in a partition is decided once, by its first owner. With `start=latest` that is the end of the
//! log, since what has been there so far is not for the pipeline. Of a partition that is added later everything is for it,
//! and its first owner may be a worker that was started after that, and has never seen fewer. So the first owner of any of
//! the partitions writes down with the table how many there were.

use super::record::Standing;
use crate::source::{Among, RecordOutcome, Records, Start};
use crate::store::Table;
use crate::{Error, ErrorKind, Result};

/// ```text
/// 1 byte   version = 1
/// 4 bytes  how many, little-endian
/// 4 bytes  crc32 of all before, little-endian
/// ```
const VERSION: u8 = 1;

fn name(whole: &str) -> String {
    format!("begun/{whole}")
}

fn encode(count: u32) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&count.to_le_bytes());
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn decode(bytes: &[u8], name: &str) -> Result<u32> {
    let read = || {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let (&VERSION, count) = body.split_first()? else { return None };
        let count = u32::from_le_bytes(count.try_into().ok()?);
        (crc32fast::hash(body) == u32::from_le_bytes(*sum)).then_some(count)
    };
    read().ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("record `{name}` is damaged, or of a newer version")))
}

/// How many partitions there were when the pipeline began with the first of them: as many as `among` says, if that is now.
async fn count(records: &dyn Records, table: &Table, among: &Among) -> Result<u32> {
    let (shelf, name) = (table.shelf(), name(&among.whole));
    let mut known = records.record(&shelf, &name).await?;
    loop {
        if let Some(record) = known {
            return decode(&record.bytes, &name);
        }
        match records.put_record(&shelf, &name, encode(among.count), None).await? {
            RecordOutcome::Written(_) => return Ok(among.count),
            RecordOutcome::Refused(current) => known = current,
        }
    }
}

/// Where to begin in a partition, if that is not settled.
pub(super) async fn start<'a>(
    records: &dyn Records,
    table: &Table,
    standing: &Standing,
    start: &'a Start,
    among: Option<&'a Among>,
) -> Result<&'a Start> {
    let Some(among) = among.filter(|_| !standing.record.has_begun()) else { return Ok(start) };
    let is_added = among.place >= count(records, table, among).await?;
    Ok(if is_added { &among.start } else { start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::PartitionRecord;
    use crate::source::{Offset, PartitionId};
    use crate::store::MemoryStore;

    fn after(offset: u64) -> Start {
        Start::After(Offset::from_u64(offset))
    }

    /// Where a worker begins that knows of `count` partitions.
    async fn begins(store: &MemoryStore, table: &Table, place: u32, count: u32) -> Start {
        let among = Among { whole: "topic".into(), place, count, start: Start::Beginning };
        let nothing = Standing::default();
        start(store, table, &nothing, &after(9), Some(&among)).await.unwrap().clone()
    }

    #[tokio::test]
    async fn what_was_added_since_a_pipeline_began_is_read_from_its_first_message_on_by_whoever_has_it_first() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        assert_eq!(begins(&store, &table, 1, 2).await, after(9));
        // One that was begun later, and has never seen fewer.
        assert_eq!(begins(&store, &table, 0, 4).await, after(9));
        assert_eq!(begins(&store, &table, 2, 4).await, Start::Beginning);
        assert_eq!(begins(&store, &table, 3, 4).await, Start::Beginning);
        // A pipeline that begins only now means all of these.
        assert_eq!(begins(&store, &Table::new("later", 1), 3, 4).await, after(9));
    }

    #[tokio::test]
    async fn of_two_that_begin_at_the_same_time_the_first_says_how_many_there_were() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let both = tokio::join!(begins(&store, &table, 0, 2), begins(&store, &table, 2, 3));
        assert_eq!(both, (after(9), Start::Beginning));
    }

    #[tokio::test]
    async fn what_is_settled_stays_so_and_costs_no_look() {
        let (store, table, partition) = (MemoryStore::new(), Table::new("t", 1), PartitionId::new("p"));
        let record = PartitionRecord { begun: true, ..PartitionRecord::default() };
        let standing = record.raise(&store, &table, &partition, Standing::default()).await.unwrap();
        let among = Among { whole: "topic".into(), place: 7, count: 8, start: Start::Beginning };
        assert_eq!(*start(&store, &table, &standing, &after(9), Some(&among)).await.unwrap(), after(9));
        assert_eq!(store.record(&table.shelf(), "begun/topic").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_damaged_record_is_an_error_that_names_it() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        for damaged in [vec![], vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 0], encode(7)[..8].to_vec()] {
            let shelf = table.shelf();
            let version = store.record(&shelf, "begun/topic").await.unwrap().map(|record| record.version);
            store.put_record(&shelf, "begun/topic", damaged, version).await.unwrap();
            let among = Among { whole: "topic".into(), place: 0, count: 8, start: Start::Beginning };
            let nothing = Standing::default();
            let error = start(&store, &table, &nothing, &after(9), Some(&among)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("`begun/topic`"), "{error}");
        }
    }
}
