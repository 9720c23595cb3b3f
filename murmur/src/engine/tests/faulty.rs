//! A store that hangs, is slow, and fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Item, Outcome, Write, Writes};
use crate::time::{Level, TimeRange};

/// Writes that fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Of this table.
    pub(super) table: &'static str,
    /// Of this key; of any, where there is none.
    pub(super) key: Option<&'static str>,
    /// Whether they are carried out all the same.
    pub(super) carried_out: bool,
    /// How they fail.
    pub(super) kind: ErrorKind,
    /// So often.
    pub(super) times: usize,
}

/// A memory store with faults.
pub(super) struct Faulty {
    inner: Arc<MemoryStore>,
    /// It does not answer while this is so.
    pub(super) hangs: watch::Sender<bool>,
    /// Requests that have no answer yet.
    pub(super) under_way: watch::Sender<usize>,
    takes: Duration,
    /// One of each table.
    faults: Mutex<Vec<Fault>>,
    /// Writes that it was sent, of tiles and of records.
    writes: AtomicUsize,
}

impl Faulty {
    pub(super) fn over(inner: &Arc<MemoryStore>) -> Arc<Self> {
        Self::slow(inner, Duration::ZERO)
    }

    /// Each call that writes tiles takes so long.
    pub(super) fn slow(inner: &Arc<MemoryStore>, takes: Duration) -> Arc<Self> {
        let (inner, hangs, under_way) = (inner.clone(), watch::Sender::new(false), watch::Sender::new(0));
        Arc::new(Self { inner, hangs, under_way, takes, faults: Mutex::default(), writes: AtomicUsize::new(0) })
    }

    /// From now on that table fails like this.
    pub(super) fn fail(&self, fault: Fault) {
        let mut faults = self.faults.lock().unwrap();
        faults.retain(|of| of.table != fault.table);
        faults.push(fault);
    }

    /// Writes that it was sent.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    async fn answers(&self) {
        self.under_way.send_modify(|requests| *requests += 1);
        self.hangs.subscribe().wait_for(|hangs| !hangs).await.unwrap();
        self.under_way.send_modify(|requests| *requests -= 1);
    }

    /// Whether and how this write fails.
    fn fails(&self, table: &Table, write: &Write) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let concerns = |fault: &&mut Fault| {
            let key = fault.key.map(|key| format!("={key}"));
            fault.times > 0 && *table == Table::new(fault.table, 1) && key.is_none_or(|key| *write.id().key == *key)
        };
        let fault = faults.iter_mut().find(concerns)?;
        fault.times -= 1;
        Some(*fault)
    }
}

impl Records for Faulty {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move {
            self.answers().await;
            self.inner.record(shelf, name).await
        })
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        Box::pin(async move {
            self.answers().await;
            self.writes.fetch_add(1, Ordering::SeqCst);
            self.inner.put_record(shelf, name, bytes, expected).await
        })
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        self.inner.records(shelf, prefix)
    }
}

impl Store for Faulty {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        Box::pin(async move {
            self.answers().await;
            tokio::time::sleep(self.takes).await;
            let mut outcomes = Vec::with_capacity(writes.len());
            for write in writes.iter() {
                self.writes.fetch_add(1, Ordering::SeqCst);
                let fault = self.fails(table, write);
                let done = match fault {
                    Some(Fault { carried_out: false, .. }) => None,
                    _ => self.inner.write(table, write.clone().into()).await.pop(),
                };
                outcomes.push(match fault {
                    Some(Fault { kind, .. }) => Err(Error::new(kind, "as asked")),
                    None => done.unwrap(),
                });
            }
            outcomes
        })
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        Box::pin(async move {
            self.answers().await;
            self.inner.get(table, ids, consistency).await
        })
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
}
