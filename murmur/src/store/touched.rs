use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use futures_util::future::BoxFuture;

use super::{Consistency, Ensured, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{ErrorKind, Result};

/// Tells which keys are written through stores of this process, so that whoever watches a key need not wait for its next
/// look. Clones tell the same listeners.
///
/// The stores of the workers are wrapped by [`store`](Self::store), and the server is given it by
/// [`Watching::told_by`](crate::grpc::Watching::told_by).
#[derive(Clone, Default)]
pub struct Touched(Arc<RwLock<Listeners>>);

/// Who wants to know of which table.
type Listeners = HashMap<Table, Vec<Weak<dyn Listen>>>;

/// Wants to know which keys of a table are written.
pub(crate) trait Listen: Send + Sync {
    /// Whether there is anybody to tell.
    fn is_listening(&self) -> bool;

    /// These were written just now. Called between two writes of a worker, so it must not take long.
    fn touched(&self, keys: &BTreeSet<&str>);
}

impl fmt::Debug for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Touched")
    }
}

impl Touched {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store, telling of its writes once they are durable.
    pub fn store(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Telling { inner: store, touched: self.clone() })
    }

    /// Tell a listener of a table, as long as it lives.
    pub(crate) fn tell(&self, table: &Table, listener: Weak<dyn Listen>) {
        let mut listeners = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_table = listeners.entry(table.clone()).or_default();
        of_table.retain(|known| known.strong_count() > 0);
        of_table.push(listener);
    }

    fn wrote(&self, table: &Table, writes: &[Write], outcomes: &[Result<Outcome>]) {
        let listeners: Vec<Arc<dyn Listen>> = {
            let listeners = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let known = listeners.get(table).into_iter().flatten().filter_map(Weak::upgrade);
            known.filter(|listener| listener.is_listening()).collect()
        };
        if listeners.is_empty() {
            return;
        }
        let changed = writes.iter().zip(outcomes).filter(|(write, outcome)| {
            // A rolled tile holds what its children hold already.
            let counts = !matches!(write, Write::Roll { .. });
            let may_be_there = match outcome {
                Ok(outcome) => *outcome == Outcome::Applied,
                Err(error) => error.kind() == ErrorKind::Ambiguous,
            };
            counts && may_be_there
        });
        let keys: BTreeSet<&str> = changed.map(|(write, _)| &*write.id().key).collect();
        if !keys.is_empty() {
            listeners.iter().for_each(|listener| listener.touched(&keys));
        }
    }
}

/// A store that tells of its writes.
struct Telling {
    inner: Arc<dyn Store>,
    touched: Touched,
}

impl Store for Telling {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        Box::pin(async move {
            let outcomes = self.inner.write(table, writes.clone()).await;
            self.touched.wrote(table, &writes, &outcomes);
            outcomes
        })
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        self.inner.get(table, ids, consistency)
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
        self.inner.range(table, key, level, starts, limit, consistency)
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        self.inner.scan(table, after, limit)
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        self.inner.remove_expired(table, now, limit)
    }

    fn ensure<'a>(&'a self, shelf: &'a Shelf, tags: &'a [(String, String)]) -> BoxFuture<'a, Result<Ensured>> {
        self.inner.ensure(shelf, tags)
    }
}

impl Records for Telling {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        self.inner.record(shelf, name)
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        self.inner.put_record(shelf, name, bytes, expected)
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        self.inner.records(shelf, prefix)
    }
}
