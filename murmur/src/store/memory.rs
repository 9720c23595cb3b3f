use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::condition::apply;
use super::{Consistency, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::time::{Level, Tile, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A store in memory: the reference for all others, for tests and for measurements without a disk.
///
/// Nothing survives the process. Every call happens at once, as a whole, when its future is first polled.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    tables: HashMap<Table, Tiles>,
    records: BTreeMap<(Shelf, String), Record>,
}

/// The items of a table.
///
/// They lie one behind the other, in no order, and are found by hash. A map with the items in it would take twice the room,
/// half of it empty, and three times as much whenever it grows.
#[derive(Debug, Clone, Default)]
struct Tiles {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    items: Vec<Entry>,
    /// The ids in order, but for those of the items from `unsorted` on: whoever only writes needs no order.
    sorted: BTreeSet<TileId>,
    unsorted: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    hash: u64,
    id: TileId,
    item: Item,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store with everything that is in this one now: a backup.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }

    /// Put everything back to what is in `backup`, as a store that is restored; no worker may run meanwhile.
    pub fn restore(&self, backup: &Self) {
        let state = backup.state().clone();
        *self.state() = state;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave half a change here: items change only after everything was checked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tiles {
    fn find(&self, hash: u64, id: &TileId) -> Option<u32> {
        let same = |at: &u32| self.items.get(*at as usize).is_some_and(|entry| entry.hash == hash && entry.id == *id);
        self.index.find(hash, same).copied()
    }

    fn get(&self, id: &TileId) -> Option<&Item> {
        let at = self.find(self.hasher.hash_one(id), id)?;
        self.items.get(at as usize).map(|entry| &entry.item)
    }

    fn write(&mut self, write: &Write) -> Result<Outcome> {
        let id = write.id();
        let hash = self.hasher.hash_one(id);
        if let Some(standing) = self.find(hash, id).and_then(|at| self.items.get_mut(at as usize)) {
            return apply(write, &mut standing.item);
        }
        let mut item = Item::default();
        let outcome = apply(write, &mut item)?;
        let at = u32::try_from(self.items.len())
            .map_err(|_| Error::new(ErrorKind::ResourceExhausted, "a table in memory has no room for more tiles"))?;
        self.items.push(Entry { hash, id: id.clone(), item });
        let items = &self.items;
        self.index.insert_unique(hash, at, |at| items[*at as usize].hash);
        Ok(outcome)
    }

    fn remove(&mut self, id: &TileId) {
        // The last item takes the place of the one that goes, so all of them have to be in order.
        self.order().remove(id);
        let Some(at) = self.find(self.hasher.hash_one(id), id) else { return };
        let last = self.items.len() as u32 - 1;
        for (place, becomes) in [(at, None), (last, Some(at))] {
            let hash = self.items[place as usize].hash;
            if let Ok(entry) = self.index.find_entry(hash, |known| *known == place) {
                match becomes {
                    Some(becomes) => *entry.into_mut() = becomes,
                    None => drop(entry.remove()),
                }
            }
        }
        self.items.swap_remove(at as usize);
        self.unsorted = self.items.len();
    }

    /// All ids in order.
    fn order(&mut self) -> &mut BTreeSet<TileId> {
        self.sorted.extend(self.items[self.unsorted..].iter().map(|entry| entry.id.clone()));
        self.unsorted = self.items.len();
        &mut self.sorted
    }

    /// At most so many items of a range, copied.
    fn range(&mut self, range: impl RangeBounds<TileId>, limit: usize) -> Vec<(TileId, Item)> {
        self.order();
        let ids = self.sorted.range(range).take(limit);
        ids.filter_map(|id| Some((id.clone(), self.get(id)?.clone()))).collect()
    }
}

impl State {
    fn put_record(&mut self, at: (Shelf, String), bytes: Vec<u8>, expected: Option<Version>) -> RecordOutcome {
        let present = self.records.get(&at);
        if present.map(|record| record.version) != expected {
            return RecordOutcome::Refused(present.cloned());
        }
        let version = Version(expected.map_or(0, |v| v.0) + 1);
        self.records.insert(at, Record { bytes, version });
        RecordOutcome::Written(version)
    }
}

impl Store for MemoryStore {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        async move {
            let mut state = self.state();
            let tiles = state.tables.entry_ref(table).or_default();
            writes.iter().map(|write| tiles.write(write)).collect()
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        _: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        async move {
            let state = self.state();
            let tiles = state.tables.get(table);
            Ok(ids.iter().map(|id| tiles.and_then(|tiles| tiles.get(id)).cloned()).collect())
        }
        .boxed()
    }

    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        starts: TimeRange,
        limit: usize,
        _: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move {
            if starts.is_empty() {
                return Ok(Vec::new());
            }
            let key: Arc<str> = key.into();
            // An id without a part sorts before all parts of its tile.
            let at = |start| TileId { key: key.clone(), tile: Tile { level, start }, part: None };
            let mut state = self.state();
            let Some(tiles) = state.tables.get_mut(table) else { return Ok(Vec::new()) };
            Ok(tiles.range(at(starts.start)..at(starts.end), limit))
        }
        .boxed()
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let mut state = self.state();
            let Some(tiles) = state.tables.get_mut(table) else { return Ok(Vec::new()) };
            Ok(tiles.range((from, Bound::Unbounded), limit))
        }
        .boxed()
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        async move {
            let mut state = self.state();
            let Some(tiles) = state.tables.get_mut(table) else { return Ok(0) };
            let expired = tiles.items.iter().filter(|entry| entry.item.expires.is_some_and(|at| at <= now));
            let gone: Vec<TileId> = expired.take(limit).map(|entry| entry.id.clone()).collect();
            gone.iter().for_each(|id| tiles.remove(id));
            Ok(gone.len())
        }
        .boxed()
    }
}

impl Records for MemoryStore {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        async move { Ok(self.state().records.get(&(shelf.clone(), name.to_owned())).cloned()) }.boxed()
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        async move { Ok(self.state().put_record((shelf.clone(), name.to_owned()), bytes, expected)) }.boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        async move {
            let state = self.state();
            let records = state.records.range((shelf.clone(), prefix.to_owned())..);
            let found = records.take_while(|((on, name), _)| on == shelf && name.starts_with(prefix));
            Ok(found.map(|((_, name), record)| (name.clone(), record.clone())).collect())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn keeps_the_promises_of_a_store() {
        conformance::run(async || Arc::new(MemoryStore::new()) as _).await;
    }

    #[tokio::test]
    async fn does_what_the_model_does() {
        conformance::random(async || Arc::new(MemoryStore::new()) as _, 0..500).await;
    }
}
