//! The suite must be able to fail.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{random, run};
use crate::Result;
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Applied, Consistency, Item, MemoryStore, Outcome, Store, Table, TileId, Write, Writes};
use crate::time::{Level, TimeRange, Timestamp};

/// What a store may get wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Takes any conflict for success.
    HidesRefusals,
    /// Compares with the last offset of a delta instead of its first.
    ComparesLast,
    /// Keeps the first partition of a delta only.
    OnePartition,
    /// Answers with the end of a range as well.
    ClosedRange,
    /// Loses when an item expires.
    ForgetsExpiry,
    /// Loses which slots are rolled.
    ForgetsRolls,
    /// Adds the numbers of a rolled slot to those that stand there.
    AddsRolls,
    /// Sets records whatever their version.
    BlindRecords,
}

struct Defective(MemoryStore, Defect);

impl Defective {
    fn change(&self, write: &Write) -> Write {
        let mut write = write.clone();
        match (&mut write, self.1) {
            (Write::Add { applied, .. }, Defect::OnePartition) => applied.truncate(1),
            (Write::Add { applied, .. }, Defect::ComparesLast) => {
                applied.iter_mut().for_each(|Applied { first, last, .. }| *first = *last);
            }
            (
                Write::Add { expires, .. } | Write::Put { expires, .. } | Write::Roll { expires, .. },
                Defect::ForgetsExpiry,
            ) => *expires = None,
            _ => {}
        }
        write
    }

    /// The numbers of a roll, added to those that stand there.
    async fn add_up(&self, table: &Table, write: &mut Write) -> Result<()> {
        let Write::Roll { id, numbers, .. } = write else { return Ok(()) };
        let stands = self.0.get(table, std::slice::from_ref(id), Consistency::Strong).await?.remove(0);
        for ((slot, column), number) in numbers {
            let before = stands.as_ref().and_then(|item| item.number(*slot, *column));
            *number = before.and_then(|before| before.checked_add(*number)).unwrap_or(*number);
        }
        Ok(())
    }

    fn show(&self, item: &mut Item) {
        if self.1 == Defect::ForgetsRolls {
            item.rolled.clear();
        }
    }
}

impl Store for Defective {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        async move {
            let mut writes: Vec<Write> = writes.iter().map(|write| self.change(write)).collect();
            if self.1 == Defect::AddsRolls {
                for write in &mut writes {
                    if let Err(error) = self.add_up(table, write).await {
                        return writes.iter().map(|_| Err(error.again())).collect();
                    }
                }
            }
            let mut outcomes = self.0.write(table, writes.into()).await;
            if self.1 == Defect::HidesRefusals {
                outcomes.iter_mut().flatten().for_each(|outcome| *outcome = Outcome::Applied);
            }
            outcomes
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        async move {
            let mut items = self.0.get(table, ids, consistency).await?;
            items.iter_mut().flatten().for_each(|item| self.show(item));
            Ok(items)
        }
        .boxed()
    }

    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        mut starts: TimeRange,
        limit: usize,
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        if self.1 == Defect::ClosedRange {
            starts.end = Timestamp::from_micros(starts.end.as_micros() + 1);
        }
        self.0.range(table, key, level, starts, limit, consistency)
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move {
            let mut items = self.0.scan(table, after, limit).await?;
            items.iter_mut().for_each(|(_, item)| self.show(item));
            Ok(items)
        }
        .boxed()
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        self.0.remove_expired(table, now, limit)
    }
}

impl Records for Defective {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        self.0.record(shelf, name)
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        mut expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        async move {
            if self.1 == Defect::BlindRecords {
                expected = self.0.record(shelf, name).await?.map(|record| record.version);
            }
            self.0.put_record(shelf, name, bytes, expected).await
        }
        .boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        self.0.records(shelf, prefix)
    }
}

#[tokio::test]
async fn every_defect_is_caught() {
    use Defect::*;
    for defect in
        [HidesRefusals, ComparesLast, OnePartition, ClosedRange, ForgetsExpiry, ForgetsRolls, AddsRolls, BlindRecords]
    {
        let make = async || Arc::new(Defective(MemoryStore::new(), defect)) as _;
        assert!(AssertUnwindSafe(run(make)).catch_unwind().await.is_err(), "the suite must catch {defect:?}");
        // The random sequences write no records.
        if !matches!(defect, BlindRecords) {
            let sequences = AssertUnwindSafe(random(make, 0..50)).catch_unwind().await;
            assert!(sequences.is_err(), "the random sequences must catch {defect:?}");
        }
    }
}
