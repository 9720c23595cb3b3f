use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::config::DynamoConfig;
use super::connect::{Clients, connect};
use super::limiter::Limiter;
use super::meter::Meter;
use crate::Result;
use crate::engine::failpoint::{self, Point};
use crate::source::Shelf;
use crate::store::{Consistency, Ensured, Item, Outcome, Store, Table, TileId, Writes};
use crate::time::{Level, TimeRange, Timestamp};

/// The store on DynamoDB. Clones share its connections and what it has learned about how much the tables take.
///
/// Its futures need a Tokio runtime; everything but the connections and the renewal of credentials happens on the task
/// that awaits them. A connection is
/// driven by the runtime that opened it, so threads with runtimes of their own open a store each.
#[derive(Clone)]
pub struct DynamoStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) clients: Clients,
    pub(super) limiter: Limiter,
    pub(super) meter: Meter,
    prefix: String,
    /// Region or endpoint, for messages.
    pub(super) place: String,
}

/// The table of what is known of sources, after the prefix.
const SOURCES: &str = "murmur_sources";

impl DynamoStore {
    /// The store that a configuration describes. Nothing is sent yet but what the environment's credentials need.
    ///
    /// Errors: [`Configuration`](crate::ErrorKind::Configuration) without a region.
    pub async fn open(config: &DynamoConfig) -> Result<Self> {
        let clients = connect(config).await?;
        let place = clients.place.clone();
        let limiter = Limiter::new(config.in_flight);
        Ok(Self(Arc::new(Inner { clients, limiter, meter: Meter::new(), prefix: config.prefix.clone(), place })))
    }
}

impl fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoStore").field("place", &self.0.place).field("prefix", &self.0.prefix).finish()
    }
}

impl Inner {
    pub(super) fn table_name(&self, table: &Table) -> String {
        format!("{}{}", self.prefix, table.as_str())
    }

    pub(super) fn shelf_name(&self, shelf: &Shelf) -> String {
        match shelf {
            Shelf::Table(name) => format!("{}{name}", self.prefix),
            Shelf::Sources => format!("{}{SOURCES}", self.prefix),
        }
    }
}

impl Store for DynamoStore {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        async move {
            let name = self.0.table_name(table);
            let name = name.as_str();
            let mut waiting = writes.iter().enumerate();
            let (mut sent, mut outcomes) = (FuturesUnordered::new(), Vec::with_capacity(writes.len()));
            loop {
                while sent.len() < self.0.limiter.most()
                    && let Some((at, write)) = waiting.next()
                {
                    sent.push(async move { (at, self.0.write_one(name, write).await) });
                }
                match sent.next().await {
                    Some(outcome) => {
                        outcomes.push(outcome);
                        failpoint::reach(Point::MidFlush);
                    }
                    None => break,
                }
            }
            outcomes.sort_unstable_by_key(|(at, _)| *at);
            outcomes.into_iter().map(|(_, outcome)| outcome).collect()
        }
        .boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        async move { self.0.tiles(&self.0.table_name(table), ids, consistency).await }.boxed()
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
        async move { self.0.stretch(&self.0.table_name(table), (key, level, starts), limit, consistency).await }.boxed()
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        async move { self.0.scan_page(&self.0.table_name(table), after, limit).await }.boxed()
    }

    /// Nothing: the table's time to live removes them.
    fn remove_expired<'a>(&'a self, _: &'a Table, _: Timestamp, _: usize) -> BoxFuture<'a, Result<usize>> {
        async { Ok(0) }.boxed()
    }

    fn ensure<'a>(&'a self, shelf: &'a Shelf, tags: &'a [(String, String)]) -> BoxFuture<'a, Result<Ensured>> {
        async move { self.0.ensure_table(&self.0.shelf_name(shelf), tags).await }.boxed()
    }
}
