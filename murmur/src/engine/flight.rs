//! A flush on its way to the store, while folding goes on.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::assignment::AT_ONCE;
use super::flush::{Flushed, Patience, Written, write_all};
use super::links::Links;
use super::meter::flush;
use super::record::{PartitionRecord, Standing};
use crate::Result;
use crate::source::{Offset, PartitionId};
use crate::store::{Store, Table, Write};

/// What one pipeline sends.
pub(super) struct Shipment {
    /// Which pipeline, by its place in the worker.
    pub(super) lane: usize,
    pub(super) table: Table,
    pub(super) writes: Vec<Write>,
    /// What the records will say once the writes are durable; in each, the commit is where the partition was read to.
    pub(super) reached: Vec<Reached>,
}

/// How far a partition was read, to be said in its record.
pub(super) struct Reached {
    pub(super) partition: PartitionId,
    pub(super) record: PartitionRecord,
    /// What the record says so far.
    pub(super) standing: Standing,
}

/// What became of a flush.
pub(super) struct Sent {
    pub(super) flushed: Flushed,
    pub(super) writes: u64,
    /// Requests that were sent again.
    pub(super) resent: u64,
    /// Those of them of which nobody knew whether they had been carried out.
    pub(super) ambiguous: u64,
    /// What is durable now; nothing after a conflict, or when tiles were closed.
    pub(super) reached: Vec<Durable>,
}

/// Everything of a partition up to the commit is durable in a pipeline.
pub(super) struct Durable {
    pub(super) lane: usize,
    pub(super) partition: PartitionId,
    pub(super) commit: Option<Offset>,
    /// What the record says now; other owners may have raised it further.
    pub(super) standing: Standing,
}

/// A flush under way. There is at most one, so that no tile has two writes in flight. Dropping it leaves every write
/// where a crash would have left it.
pub(super) struct Flight {
    sending: BoxFuture<'static, Result<Sent>>,
    ended: Option<Result<Sent>>,
}

impl Flight {
    pub(super) fn start(store: Arc<dyn Store>, shipments: Vec<Shipment>, links: Links, patience: Patience) -> Self {
        let tiles = shipments.iter().map(|shipment| shipment.writes.len()).sum();
        Self { sending: flush(tiles, links, send(store, shipments, patience)).boxed(), ended: None }
    }

    /// Carry on with the flush while `other` is waited for.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        std::future::poll_fn(|context| {
            if self.ended.is_none()
                && let Poll::Ready(sent) = self.sending.poll_unpin(context)
            {
                self.ended = Some(sent);
            }
            other.as_mut().poll(context)
        })
        .await
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Wait for the end.
    pub(super) async fn end(self) -> Result<Sent> {
        match self.ended {
            Some(sent) => sent,
            None => self.sending.await,
        }
    }
}

/// Write everything, then say in the records that it is durable.
async fn send(store: Arc<dyn Store>, shipments: Vec<Shipment>, patience: Patience) -> Result<Sent> {
    let patience = &patience;
    let mut sent = Sent { flushed: Flushed::Durable, writes: 0, resent: 0, ambiguous: 0, reached: Vec::new() };
    let mut to_say = Vec::new();
    super::failpoint::reach("before_store_write");
    let written = shipments.into_iter().map(|Shipment { lane, table, writes, reached }| {
        sent.writes += writes.len() as u64;
        to_say.extend(reached.into_iter().map(|reached| (lane, table.clone(), reached)));
        let store = &*store;
        async move { write_all(store, &table, writes, patience).await }
    });
    // Each of them to its end: a write that was sent is not left alone because another one failed.
    for written in join_all(written.collect::<Vec<_>>()).await {
        let Written { flushed, resent, ambiguous } = written?;
        sent.resent += resent;
        sent.ambiguous += ambiguous;
        sent.flushed = sent.flushed.and(flushed);
    }
    super::failpoint::reach("after_store_write");
    if sent.flushed == Flushed::Durable {
        let store = &*store;
        let said = to_say.into_iter().map(|(lane, table, Reached { partition, record, standing })| async move {
            let commit = record.commit;
            let raised = patience.retry(|| record.raise(store, &table, &partition, standing)).await?;
            let is_durable = !raised.was_retired_since(&standing);
            Ok::<_, crate::Error>(is_durable.then_some(Durable { lane, partition, commit, standing: raised }))
        });
        let said: Vec<_> = said.collect();
        let reached: Vec<Option<Durable>> = stream::iter(said).buffered(AT_ONCE).try_collect().await?;
        match reached.into_iter().collect() {
            Some(reached) => sent.reached = reached,
            // A partition was retired meanwhile: its events have to be met again.
            None => sent.flushed = Flushed::Conflict,
        }
    }
    Ok(sent)
}
