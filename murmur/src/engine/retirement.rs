//! Partitions that rolling does not wait for.
//!
//! A tile is rolled once all partitions have passed it (`frontier.rs`). One that had events and gets no more passes nothing,
//! so an operator may retire it. Which of its events are late still follows from its log alone, and should it be read
//! again, each of them goes into the same tile as ever. But such a tile may have been rolled without it. So its owners mark
//! the slots above as [unrolled](crate::store::Item::is_unrolled), at all levels, before the commit passes an event: reads
//! and rollers go below such a slot from then on.
//!
//! ```text
//! roller   see that the partition is retired              then read the tile, and roll it
//! owner    write the tile, mark the slots above it        then raise the commit, if the record is still as it was
//! ```
//!
//! A roller that read the tile before an event was in it had seen the retirement before. The commit of that event comes
//! later, so its condition fails, unless the owner knew of the retirement as he took the partition, and then he has marked.
//! Whoever finds out by that condition goes back to the commit as after a conflict, meets the same events again, and marks
//! what he finds written as well as what he writes. Marks stay for good, so a roller may be as slow as it likes. An event
//! that is written and not committed was promised to nobody; its mark is made by whoever reads it next.
//!
//! A partition that is recalled is waited for again at once, and its owners go on to mark. They need not any more once it
//! has passed the frontier: rollers raise that before they look at the records, so all that was rolled without it closes by
//! what stands there after the recall, and what comes for that is late. That it was retired stays in its record for good: there
//! are marks in the table, so no program may read it that does not know of them, and nobody keeps what was rolled there
//! (`query/life.rs`).

use super::frontier::Frontier;
use super::record::{PartitionRecord, Standing};
use crate::source::{PartitionId, RecordOutcome, Records};
use crate::store::Table;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Whether rolling waits for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Retirement {
    /// It does, and always has.
    #[default]
    Active,
    /// It does again, and is past all that was rolled without it.
    Returned,
    /// It does again. What was rolled before may lack events of it.
    Recalled,
    /// It does not.
    Retired,
}

impl Retirement {
    /// Whether owners have to mark what was rolled above the tiles that they write.
    pub(super) fn needs_marks(self) -> bool {
        matches!(self, Self::Recalled | Self::Retired)
    }

    /// Whether something may have been rolled without it, and have marks by now.
    pub(crate) fn is_or_was(self) -> bool {
        self != Self::Active
    }
}

/// Have rolling not wait for a partition any more. It may be read or not, and by whomever.
///
/// Errors: [`NotFound`](ErrorKind::NotFound) when nobody has ever read it for this table.
pub async fn retire(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<PartitionRecord> {
    let mut standing = known(records, table, partition).await?;
    while standing.record.retirement != Retirement::Retired {
        standing = change(records, table, partition, standing, Retirement::Retired).await?;
    }
    Ok(standing.record)
}

/// Have rolling wait for a partition again. `None` when its owners write as if it had never been retired; until it has passed the
/// instant that is returned, it is [`Recalled`](Retirement::Recalled), and this is to be called again after that.
///
/// Errors: as of [`retire`].
pub async fn recall(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<Option<Timestamp>> {
    let mut standing = known(records, table, partition).await?;
    while standing.record.retirement == Retirement::Retired {
        standing = change(records, table, partition, standing, Retirement::Recalled).await?;
    }
    while standing.record.retirement == Retirement::Recalled {
        // Read anew behind each record: in between, somebody may have retired and recalled it, and have had more rolled.
        // Where nothing was ever rolled there is nothing to pass.
        let frontier = Frontier::load(records, table).await?;
        if standing.record.reached() < frontier {
            return Ok(frontier);
        }
        standing = change(records, table, partition, standing, Retirement::Returned).await?;
    }
    // Somebody has retired it again meanwhile.
    match standing.record.retirement {
        Retirement::Active | Retirement::Returned => Ok(None),
        _ => Err(Error::new(ErrorKind::Conflict, format!("partition `{partition}` was retired again meanwhile"))),
    }
}

async fn known(records: &dyn Records, table: &Table, partition: &PartitionId) -> Result<Standing> {
    let standing = PartitionRecord::load(records, table, partition).await?;
    if standing.is_there() {
        return Ok(standing);
    }
    let context = format!("nobody has read a partition `{partition}` for `{}`", table.as_str());
    Err(Error::new(ErrorKind::NotFound, context))
}

/// Say it in the record, unless somebody else has written that since: then what stands there now.
async fn change(
    records: &dyn Records,
    table: &Table,
    partition: &PartitionId,
    standing: Standing,
    retirement: Retirement,
) -> Result<Standing> {
    let record = PartitionRecord { retirement, ..standing.record };
    let name = PartitionRecord::name(partition);
    match records.put_record(&table.shelf(), &name, record.encode(), standing.version()).await? {
        RecordOutcome::Written(version) => Ok(Standing::written(record, version)),
        RecordOutcome::Refused(current) => Standing::of(current),
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

    fn read_to(seconds: i64) -> PartitionRecord {
        let commit = Some(Offset::from_u64(seconds as u64));
        PartitionRecord { commit, horizon: commit, front: Some(at(seconds)), ..PartitionRecord::default() }
    }

    async fn raise(store: &MemoryStore, table: &Table, partition: &PartitionId, seconds: i64) -> Standing {
        let standing = PartitionRecord::load(store, table, partition).await.unwrap();
        let standing = Frontier::settle(store, table, partition, standing).await.unwrap();
        read_to(seconds).raise(store, table, partition, standing).await.unwrap()
    }

    #[tokio::test]
    async fn rolling_waits_for_all_partitions_but_those_that_are_retired() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let [gone, there] = ["gone", "there"].map(PartitionId::new);
        raise(&store, &table, &gone, 5).await;
        raise(&store, &table, &there, 100).await;
        assert!(!Frontier::passes(&store, &table, at(50)).await.unwrap());
        assert_eq!(retire(&store, &table, &gone).await.unwrap().front, Some(at(5)), "the rest of it stands");
        assert!(Frontier::passes(&store, &table, at(50)).await.unwrap());
        retire(&store, &table, &there).await.unwrap();
        assert!(!Frontier::passes(&store, &table, at(50)).await.unwrap(), "somebody has to have come that far");
        let error = retire(&store, &table, &PartitionId::new("never")).await.unwrap_err();
        assert_eq!(
            (error.kind(), store.records(&table.shelf(), "partition/never").await.unwrap().len()),
            (ErrorKind::NotFound, 0)
        );
    }

    #[tokio::test]
    async fn an_owner_that_did_not_know_raises_nothing() {
        let (store, table, partition) = (MemoryStore::new(), Table::new("t", 1), PartitionId::new("p"));
        let before = raise(&store, &table, &partition, 5).await;
        retire(&store, &table, &partition).await.unwrap();
        let after = read_to(9).raise(&store, &table, &partition, before).await.unwrap();
        assert_eq!((after.record.commit, after.record.retirement), (read_to(5).commit, Retirement::Retired));
        // Whoever knows may.
        let after = read_to(9).raise(&store, &table, &partition, after).await.unwrap();
        assert_eq!((after.record.commit, after.record.retirement), (read_to(9).commit, Retirement::Retired));
    }

    #[tokio::test]
    async fn a_partition_that_is_recalled_is_waited_for_at_once_and_marks_until_it_has_passed_what_was_rolled() {
        let (store, table) = (MemoryStore::new(), Table::new("t", 1));
        let [p, other] = ["p", "other"].map(PartitionId::new);
        raise(&store, &table, &p, 5).await;
        raise(&store, &table, &other, 100).await;
        retire(&store, &table, &p).await.unwrap();
        assert!(Frontier::passes(&store, &table, at(50)).await.unwrap());
        assert_eq!(recall(&store, &table, &p).await.unwrap(), Some(at(50)));
        assert!(!Frontier::passes(&store, &table, at(50)).await.unwrap());
        let standing = PartitionRecord::load(&store, &table, &p).await.unwrap();
        assert!(standing.record.retirement.needs_marks());
        raise(&store, &table, &p, 60).await;
        assert_eq!(recall(&store, &table, &p).await.unwrap(), None);
        assert_eq!(recall(&store, &table, &p).await.unwrap(), None);
        let standing = PartitionRecord::load(&store, &table, &p).await.unwrap();
        let returned = PartitionRecord { retirement: Retirement::Returned, ..read_to(60) };
        assert_eq!(standing.record, PartitionRecord { floor: standing.record.floor, ..returned });
        assert!(!standing.record.needs_marks());
    }
}
