use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redb::{Key, ReadOnlyTable, ReadableDatabase, TableDefinition, TableError, Value};

use super::config::EmbeddedConfig;
use super::failure::{Failure, guarded};
use super::folder::Folder;
use super::format::{self, Names, PartitionNames, ShelfName};
use super::rows::Rows;
use super::writer::{Expiry, Job, RecordWrite, Request, TileWrites, Writer};
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Consistency, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// The durable store in one folder. Clones share it; the folder is free again when the last of them is gone.
///
/// Needs no runtime: its futures can be awaited on any executor.
#[derive(Clone)]
pub struct EmbeddedStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    folder: Arc<Folder>,
    /// `None` only while the store closes.
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Open the folder, and make it when it is not there.
    ///
    /// Errors: [`Conflict`](ErrorKind::Conflict) when it is open already, [`Corrupt`](ErrorKind::Corrupt) when what
    /// is in it is not a store of this version, [`Io`](ErrorKind::Io).
    pub fn open(config: &EmbeddedConfig) -> Result<Self> {
        let folder = Arc::new(Folder::open(config)?);
        let (sender, receiver) = channel();
        let writer = Writer::new(folder.clone());
        let writer = thread::Builder::new().name("murmur-store".to_owned()).spawn(move || writer.run(receiver))?;
        Ok(Self(Arc::new(Inner { folder, jobs: Some(sender), writer: Some(writer) })))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // The thread ends once its channel does; a panic of it was reported when it happened.
            drop(writer.join());
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EmbeddedStore").field(&self.0.folder.path).finish()
    }
}

impl Inner {
    /// Hand a request to the writer, and wait until what came of it is on disk.
    async fn ask<A, B>(&self, ask: A, job: fn(Request<A, B>) -> Job) -> Result<B> {
        let (request, answer) = Request::new(ask);
        if let Some(jobs) = &self.jobs {
            // Where the writer is gone, the request is dropped, and with it the sender of the answer.
            drop(jobs.send(job(request)));
        }
        answer.await.unwrap_or_else(|_| {
            let context = format!("the writer of the store in `{}` has died; see the log", self.folder.path.display());
            Err(Error::new(ErrorKind::Internal, context))
        })
    }

    /// Read from a table of the database; `None` when nothing was ever written to it.
    fn read<K: Key, V: Value, T>(
        &self,
        table: TableDefinition<'_, K, V>,
        read: impl FnOnce(ReadOnlyTable<K, V>) -> Result<T, Failure>,
    ) -> Result<Option<T>> {
        let answer = || match self.folder.database.begin_read()?.open_table(table) {
            Ok(table) => read(table).map(Some),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        };
        guarded(&self.folder.path, answer)
    }

    /// The items between two rows, in order.
    fn items(&self, table: &Table, rows: (Bound<&[u8]>, Bound<&[u8]>), limit: usize) -> Result<Vec<(TileId, Item)>> {
        let found = self.read(Names::of(table).tiles(), |tiles| {
            let mut names = PartitionNames::default();
            let mut items = Vec::new();
            for entry in tiles.range::<&[u8]>(rows)?.take(limit) {
                let (row, bytes) = entry?;
                let id = format::decode_row(row.value())?;
                let item = format::decode_item(&id, bytes.value(), &mut names)?;
                items.push((id, item));
            }
            Ok(items)
        })?;
        Ok(found.unwrap_or_default())
    }
}

impl Store for EmbeddedStore {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        async move {
            let rows = Rows::of(writes.iter().map(Write::id));
            let ask = TileWrites { table: table.clone(), rows, writes: writes.clone() };
            match self.0.ask(ask, Job::Tiles).await {
                Ok(outcomes) => outcomes,
                Err(error) => writes.iter().map(|_| Err(error.again())).collect(),
            }
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
            let found = self.0.read(Names::of(table).tiles(), |tiles| {
                let mut names = PartitionNames::default();
                let item = |id: &TileId| match tiles.get(format::encode_row(id).as_slice())? {
                    Some(bytes) => Ok(Some(format::decode_item(id, bytes.value(), &mut names)?)),
                    None => Ok(None),
                };
                ids.iter().map(item).collect()
            })?;
            Ok(found.unwrap_or_else(|| vec![None; ids.len()]))
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
            let from = format::encode_bound(key, level, starts.start);
            let to = format::encode_bound(key, level, starts.end);
            self.0.items(table, (Bound::Included(&from), Bound::Excluded(&to)), limit)
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
            let row = after.map(format::encode_row);
            let from = row.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            self.0.items(table, (from, Bound::Unbounded), limit)
        }
        .boxed()
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        self.0.ask(Expiry { table: table.clone(), now, limit }, Job::Expire).boxed()
    }
}

impl Records for EmbeddedStore {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        async move {
            let found = self.0.read(ShelfName::of(shelf).records(), |records| match records.get(name)? {
                Some(bytes) => Ok(Some(format::decode_record(name, bytes.value())?)),
                None => Ok(None),
            })?;
            Ok(found.flatten())
        }
        .boxed()
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        self.0.ask(RecordWrite { shelf: shelf.clone(), name: name.to_owned(), bytes, expected }, Job::Record).boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        async move {
            let found = self.0.read(ShelfName::of(shelf).records(), |records| {
                let mut found = Vec::new();
                for entry in records.range(prefix..)? {
                    let (name, bytes) = entry?;
                    let name = name.value();
                    if !name.starts_with(prefix) {
                        break;
                    }
                    found.push((name.to_owned(), format::decode_record(name, bytes.value())?));
                }
                Ok(found)
            })?;
            Ok(found.unwrap_or_default())
        }
        .boxed()
    }
}
