use std::sync::Arc;

use bytes::Bytes;

use crate::Result;
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId, Shelf};
use crate::store::{Applied, Consistency, Item, Outcome, Store, Table, TileId, Write};
use crate::time::{Level, Slot, Tile, TimeRange, Timestamp};

/// The store under test, and short words to talk to it.
pub(super) struct Subject {
    pub(super) store: Arc<dyn Store>,
    pub(super) table: Table,
    pub(super) shelf: Shelf,
}

impl Subject {
    pub(super) async fn new(store: Arc<dyn Store>) -> Self {
        Self::of(store, Table::new("conformance", 1)).await
    }

    pub(super) async fn of(store: Arc<dyn Store>, table: Table) -> Self {
        let shelf = table.shelf();
        must(store.ensure(&shelf, &[]).await);
        Self { store, shelf, table }
    }

    pub(super) async fn write(&self, write: Write) -> Result<Outcome> {
        let mut outcomes = self.write_all(&[write]).await;
        outcomes.remove(0)
    }

    pub(super) async fn write_all(&self, writes: &[Write]) -> Vec<Result<Outcome>> {
        let outcomes = self.store.write(&self.table, writes.to_vec().into()).await;
        assert_eq!(outcomes.len(), writes.len(), "one result for each write");
        outcomes
    }

    pub(super) async fn applied(&self, write: Write) {
        let id = write.id().clone();
        assert_eq!(must(self.write(write).await), Outcome::Applied, "{id}");
    }

    pub(super) async fn get(&self, id: &TileId) -> Option<Item> {
        let mut items = self.get_all(std::slice::from_ref(id)).await;
        items.remove(0)
    }

    pub(super) async fn get_all(&self, ids: &[TileId]) -> Vec<Option<Item>> {
        let items = must(self.store.get(&self.table, ids, Consistency::Strong).await);
        assert_eq!(items.len(), ids.len(), "one answer for each id");
        items
    }

    pub(super) async fn range(&self, key: &str, level: Level, starts: TimeRange, limit: usize) -> Vec<(TileId, Item)> {
        must(self.store.range(&self.table, key, level, starts, limit, Consistency::Strong).await)
    }

    /// All items, read in pages of `page`.
    pub(super) async fn scan(&self, page: usize) -> Vec<(TileId, Item)> {
        let mut all: Vec<(TileId, Item)> = Vec::new();
        loop {
            let after = all.last().map(|(id, _)| id);
            let next = must(self.store.scan(&self.table, after, page).await);
            assert!(next.len() <= page, "a page of at most {page} items has {}", next.len());
            if next.is_empty() {
                return all;
            }
            all.extend(next);
        }
    }
}

/// The value; a store that answers with an error where it must not has failed.
pub(super) fn must<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the store must not fail here: {error}"),
    }
}

pub(super) fn hour(key: &str, hours: i64) -> TileId {
    let start = Timestamp::from_seconds(hours * 3600);
    TileId { key: key.into(), tile: Tile { level: Level::Hour, start }, part: None }
}

pub(super) fn part(id: TileId, partition: &str) -> TileId {
    TileId { part: Some(PartitionId::new(partition)), ..id }
}

pub(super) fn place(slot: u16, field: u32, part: u8) -> (Slot, Column) {
    (Slot(slot), Column { field, part })
}

pub(super) fn applied(partition: &str, first: u64, last: u64) -> Applied {
    let partition = PartitionId::new(partition);
    Applied { partition, first: Offset::from_u64(first), last: Offset::from_u64(last) }
}

/// An addition to one number.
pub(super) fn add(id: &TileId, amount: i128, applied: &[Applied]) -> Write {
    let numbers = vec![(place(0, 1, 0), Number::Int(amount))];
    Write::Add { id: id.clone(), numbers, applied: applied.to_vec(), expires: None }
}

/// A fold of one slot.
pub(super) fn put(id: &TileId, value: &'static [u8], last: u64) -> Write {
    let values = vec![(Slot(0), Bytes::from_static(value))];
    Write::Put { id: id.clone(), values, first: Offset::from_u64(last), last: Offset::from_u64(last), expires: None }
}

/// The item that a single [`add`] leaves.
pub(super) fn counter(amount: i128, offsets: &[(&str, u64)]) -> Item {
    Item { numbers: vec![(place(0, 1, 0), Number::Int(amount))], offsets: vector(offsets), ..Item::default() }
}

/// The item that a single [`put`] leaves.
pub(super) fn fold(value: &'static [u8], partition: &str, last: u64) -> Item {
    let values = vec![(Slot(0), Bytes::from_static(value))];
    Item { values, offsets: vector(&[(partition, last)]), ..Item::default() }
}

fn vector(offsets: &[(&str, u64)]) -> Vec<(PartitionId, Offset)> {
    offsets.iter().map(|(partition, offset)| (PartitionId::new(*partition), Offset::from_u64(*offset))).collect()
}
