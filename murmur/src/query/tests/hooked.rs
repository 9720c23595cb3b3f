//! A store with something happening around its calls.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Consistency, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{Error, ErrorKind};

/// What happens.
pub(crate) trait Hook: Send + Sync + 'static {
    /// Before each read of tiles, with those that are asked for by name. An error is what the reader gets.
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// After each of those, before its reader has what was found.
    fn after_read(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Before each read of the tiles of a key, where they are not asked for by name.
    fn before_range<'a>(&'a self, _: &'a str) -> BoxFuture<'a, crate::Result<()>> {
        self.before_read(&[])
    }

    /// After it, with what it found.
    fn after_range(&self, _: &mut [(TileId, Item)]) {}

    /// Around a call that writes.
    fn writing(&self, _: &[Write]) -> Option<Death> {
        None
    }
}

/// Whoever writes dies.
pub(crate) enum Death {
    /// Before the write arrives.
    Before,
    /// After it, without an answer.
    After,
    /// Nobody dies: the store does not carry it out, for this reason.
    Never(ErrorKind),
}

/// A store with a [`Hook`].
pub(crate) struct Hooked<H> {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) hook: Arc<H>,
}

impl<H: Hook> Store for Hooked<H> {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<crate::Result<Outcome>>> {
        Box::pin(async move {
            let dies = self.hook.writing(&writes);
            let dead = || writes.iter().map(|_| Err(Error::new(ErrorKind::Ambiguous, "nobody is left"))).collect();
            match dies {
                None => self.inner.write(table, writes.clone()).await,
                Some(Death::Before) => dead(),
                Some(Death::Never(kind)) => writes.iter().map(|_| Err(Error::new(kind, "as asked"))).collect(),
                Some(Death::After) => {
                    self.inner.write(table, writes.clone()).await;
                    dead()
                }
            }
        })
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, crate::Result<Vec<Option<Item>>>> {
        Box::pin(async move {
            self.hook.before_read(ids).await?;
            let found = self.inner.get(table, ids, consistency).await;
            self.hook.after_read().await;
            found
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
    ) -> BoxFuture<'a, crate::Result<Vec<(TileId, Item)>>> {
        Box::pin(async move {
            self.hook.before_range(key).await?;
            let mut found = self.inner.range(table, key, level, starts, limit, consistency).await?;
            self.hook.after_range(&mut found);
            Ok(found)
        })
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, crate::Result<Vec<(TileId, Item)>>> {
        Box::pin(async move {
            self.hook.before_read(&[]).await?;
            self.inner.scan(table, after, limit).await
        })
    }

    fn remove_expired<'a>(
        &'a self,
        table: &'a Table,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, crate::Result<usize>> {
        self.inner.remove_expired(table, now, limit)
    }
}

impl<H: Hook> Records for Hooked<H> {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, crate::Result<Option<Record>>> {
        self.inner.record(shelf, name)
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, crate::Result<RecordOutcome>> {
        self.inner.put_record(shelf, name, bytes, expected)
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, crate::Result<Vec<(String, Record)>>> {
        self.inner.records(shelf, prefix)
    }
}
