//! Many tables in one.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Consistency, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A part of each table of a store, as tables of its own: its keys and its records have names that begin with its own. A table
/// of a database takes long to make, and thousands of them are a burden.
pub(super) struct Apart {
    inner: Arc<dyn Store>,
    name: String,
}

impl Apart {
    /// The part of this number.
    pub(super) fn new(inner: Arc<dyn Store>, number: u64) -> Self {
        Self { inner, name: format!("{number}/") }
    }

    fn key(&self, key: &str) -> Arc<str> {
        format!("{}{key}", self.name).into()
    }

    fn id(&self, id: &TileId) -> TileId {
        TileId { key: self.key(&id.key), ..id.clone() }
    }

    fn write_of(&self, write: &Write) -> Write {
        let mut write = write.clone();
        match &mut write {
            Write::Add { id, .. } | Write::Put { id, .. } | Write::Roll { id, .. } => *id = self.id(id),
        }
        write
    }
}

/// Where it would see what others have.
fn refused() -> Error {
    Error::new(ErrorKind::InvalidArgument, "a part of a table is neither scanned nor cleared by itself")
}

impl Store for Apart {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        let writes: Vec<Write> = writes.iter().map(|write| self.write_of(write)).collect();
        Box::pin(async move { self.inner.write(table, writes.into()).await })
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        let ids: Vec<TileId> = ids.iter().map(|id| self.id(id)).collect();
        Box::pin(async move { self.inner.get(table, &ids, consistency).await })
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
        let own = self.key(key);
        Box::pin(async move {
            let mut found = self.inner.range(table, &own, level, starts, limit, consistency).await?;
            for (id, _) in &mut found {
                id.key = key.into();
            }
            Ok(found)
        })
    }

    fn scan<'a>(&'a self, _: &'a Table, _: Option<&'a TileId>, _: usize) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        Box::pin(async { Err(refused()) })
    }

    fn remove_expired<'a>(&'a self, _: &'a Table, _: Timestamp, _: usize) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async { Err(refused()) })
    }
}

impl Records for Apart {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move { self.inner.record(shelf, &self.key(name)).await })
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        Box::pin(async move { self.inner.put_record(shelf, &self.key(name), bytes, expected).await })
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        Box::pin(async move {
            let mut found = self.inner.records(shelf, &self.key(prefix)).await?;
            for (name, _) in &mut found {
                name.drain(..self.name.len());
            }
            Ok(found)
        })
    }
}
