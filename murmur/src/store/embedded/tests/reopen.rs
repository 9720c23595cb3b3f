use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::open;
use crate::Result;
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Consistency, EmbeddedStore, Item, Outcome, Store, Table, TileId, Writes, conformance};
use crate::time::{Level, TimeRange, Timestamp};

/// A store that is closed and opened again after every write. Reads meet what the write before them has left on disk.
struct Reopened {
    folder: PathBuf,
    store: Mutex<Option<EmbeddedStore>>,
}

impl Reopened {
    fn new(folder: PathBuf) -> Self {
        Self { store: Mutex::new(Some(open(&folder).unwrap())), folder }
    }

    fn store(&self) -> EmbeddedStore {
        self.store.lock().unwrap().clone().unwrap()
    }

    /// The calls of the test come one at a time on one thread; concurrent ones still hold a handle, and then the
    /// store stays open.
    fn reopen(&self, store: EmbeddedStore) {
        drop(store);
        let mut held = self.store.lock().unwrap();
        let only = held.take().unwrap();
        *held = Some(if Arc::strong_count(&only.0) > 1 {
            only
        } else {
            drop(only);
            open(&self.folder).unwrap()
        });
    }
}

impl Store for Reopened {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        async move {
            let store = self.store();
            let outcomes = store.write(table, writes).await;
            self.reopen(store);
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
        async move { self.store().get(table, ids, consistency).await }.boxed()
    }

    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        starts: TimeRange,
        limit: usize,
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move { self.store().range(table, key, level, starts, limit, consistency).await }.boxed()
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move { self.store().scan(table, after, limit).await }.boxed()
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        async move {
            let store = self.store();
            let removed = store.remove_expired(table, now, limit).await;
            self.reopen(store);
            removed
        }
        .boxed()
    }
}

impl Records for Reopened {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        async move { self.store().record(shelf, name).await }.boxed()
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        async move {
            let store = self.store();
            let outcome = store.put_record(shelf, name, bytes, expected).await;
            self.reopen(store);
            outcome
        }
        .boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        async move { self.store().records(shelf, prefix).await }.boxed()
    }
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_each_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let make = async || {
        count.set(count.get() + 1);
        Arc::new(Reopened::new(folder.path().join(count.get().to_string()))) as _
    };
    conformance::run(make).await;
    conformance::random(make, 100..105).await;
}
