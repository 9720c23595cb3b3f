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
    format!("partitions/{whole}")
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

/// How many partitions there were when the pipeline began with the first of them. If that is now, it is as many as `among`
/// says, unless the pipeline `may_begin` nowhere; then it is `None`.
async fn count(records: &dyn Records, table: &Table, among: &Among, may_begin: bool) -> Result<Option<u32>> {
    let (shelf, name) = (table.shelf(), name(&among.whole));
    let mut known = records.record(&shelf, &name).await?;
    loop {
        match known {
            Some(record) => return decode(&record.bytes, &name).map(Some),
            None if !may_begin => return Ok(None),
            None => {}
        }
        match records.put_record(&shelf, &name, encode(among.count), None).await? {
            RecordOutcome::Written(_) => return Ok(Some(among.count)),
            RecordOutcome::Refused(current) => known = current,
        }
    }
}

/// Where to begin in a partition, if that is not settled: at `start`, or where it says for one that was added.
pub(super) async fn beginning<'a>(
    records: &dyn Records,
    table: &Table,
    standing: &Standing,
    start: &'a Start,
    among: Option<&'a Among>,
) -> Result<&'a Start> {
    let has_begun = standing.record.has_begun();
    // A table from before this was written down has it from now on.
    let Some(among) = among.filter(|among| !has_begun || among.place == 0) else { return Ok(start) };
    let may_begin = has_begun || !matches!(start, Start::Nowhere(_));
    let count = count(records, table, among, may_begin).await?;
    Ok(if count.is_some_and(|count| among.place >= count) { &among.if_added } else { start })
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

    fn among(place: u32, count: u32) -> Among {
        Among { whole: "topic".into(), place, count, if_added: Start::Beginning }
    }

    /// Where a worker begins that knows of `count` partitions, and of no record of this one.
    async fn begins(store: &dyn Records, table: &Table, start: &Start, place: u32, count: u32) -> Start {
        let among = among(place, count);
        beginning(store, table, &Standing::default(), start, Some(&among)).await.unwrap().clone()
    }

    #[tokio::test]
    async fn what_was_added_since_a_pipeline_began_is_read_from_its_first_message_on_by_whoever_has_it_first() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        assert_eq!(begins(&store, &table, &after(9), 1, 2).await, after(9));
        // One that was begun later, and has never seen fewer.
        assert_eq!(begins(&store, &table, &after(9), 0, 4).await, after(9));
        assert_eq!(begins(&store, &table, &after(9), 2, 4).await, Start::Beginning);
        assert_eq!(begins(&store, &table, &after(9), 3, 4).await, Start::Beginning);
        // A pipeline that begins only now means all of these.
        assert_eq!(begins(&store, &Table::new("later", 1), &after(9), 3, 4).await, after(9));
    }

    #[tokio::test]
    async fn of_two_that_begin_at_the_same_time_the_first_says_how_many_there_were() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let start = after(9);
        let both = tokio::join!(begins(&store, &table, &start, 0, 2), begins(&store, &table, &start, 2, 3));
        assert_eq!(both, (after(9), Start::Beginning));
    }

    #[tokio::test]
    async fn a_pipeline_that_may_begin_nowhere_has_not_begun() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let nowhere = Start::Nowhere("say where".into());
        assert_eq!(begins(&store, &table, &nowhere, 1, 2).await, nowhere);
        assert_eq!(begins(&store, &table, &after(9), 3, 4).await, after(9));
        assert_eq!(begins(&store, &table, &nowhere, 4, 5).await, Start::Beginning);
    }

    #[tokio::test]
    async fn what_is_settled_stays_so_and_a_table_from_before_learns_how_many_there_are() {
        let (store, table, partition) = (MemoryStore::new(), Table::new("t", 1), PartitionId::new("p"));
        let record = PartitionRecord { begun: true, ..PartitionRecord::default() };
        let settled = record.raise(&store, &table, &partition, Standing::default()).await.unwrap();
        let at = |place| {
            let among = among(place, 8);
            let (store, table) = (&store, &table);
            async move { beginning(store, table, &settled, &after(9), Some(&among)).await.unwrap().clone() }
        };
        assert_eq!(at(7).await, after(9));
        assert_eq!(store.record(&table.shelf(), "partitions/topic").await.unwrap(), None, "it costs no look");
        assert_eq!(at(0).await, after(9));
        assert_eq!(begins(&store, &table, &after(9), 8, 9).await, Start::Beginning);
    }

    #[tokio::test]
    async fn a_damaged_record_is_an_error_that_names_it() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        for damaged in [vec![], vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 0], encode(7)[..8].to_vec()] {
            let shelf = table.shelf();
            let version = store.record(&shelf, "partitions/topic").await.unwrap().map(|record| record.version);
            store.put_record(&shelf, "partitions/topic", damaged, version).await.unwrap();
            let (nothing, among) = (Standing::default(), among(0, 8));
            let error = beginning(&store, &table, &nothing, &after(9), Some(&among)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains("`partitions/topic`"), "{error}");
        }
    }
}
