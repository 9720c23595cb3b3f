//! Flushes on their way to the store, while folding goes on.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
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
    /// Whose spans it is linked to.
    pub(super) links: Links,
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
    /// Whose it was.
    pub(super) lane: usize,
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
    pub(super) partition: PartitionId,
    pub(super) commit: Option<Offset>,
    /// What the record says now; other owners may have raised it further.
    pub(super) standing: Standing,
}

/// The flushes that are under way: of each pipeline one at most, so that no tile has two writes in flight, and one whose
/// table takes nothing keeps no other waiting. Dropping them leaves every write where a crash would have left it.
#[derive(Default)]
pub(super) struct Flights(Vec<Flight>);

struct Flight {
    lane: usize,
    sending: BoxFuture<'static, Result<Sent>>,
    ended: Option<Result<Sent>>,
}

impl Flights {
    /// One more, of a pipeline that has none.
    pub(super) fn begin(&mut self, store: Arc<dyn Store>, mut shipment: Shipment, patience: Patience) {
        let (lane, tiles, links) = (shipment.lane, shipment.writes.len(), std::mem::take(&mut shipment.links));
        let sending = flush(tiles, links, send(store, shipment, patience)).boxed();
        self.0.push(Flight { lane, sending, ended: None });
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of this pipeline is under way.
    pub(super) fn has(&self, lane: usize) -> bool {
        self.0.iter().any(|flight| flight.lane == lane)
    }

    /// Carry on with them while `other` is waited for.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        std::future::poll_fn(|context| {
            self.carry_on(context);
            other.as_mut().poll(context)
        })
        .await
    }

    /// Until one of them has ended, or none is there.
    pub(super) async fn wait(&mut self) {
        std::future::poll_fn(|context| {
            self.carry_on(context);
            let is_over = self.0.is_empty() || self.0.iter().any(|flight| flight.ended.is_some());
            if is_over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What became of one that has ended.
    pub(super) fn take_ended(&mut self) -> Option<Result<Sent>> {
        let at = self.0.iter().position(|flight| flight.ended.is_some())?;
        self.0.remove(at).ended
    }

    fn carry_on(&mut self, context: &mut Context<'_>) {
        for flight in self.0.iter_mut().filter(|flight| flight.ended.is_none()) {
            if let Poll::Ready(sent) = flight.sending.poll_unpin(context) {
                flight.ended = Some(sent);
            }
        }
    }
}

/// Write everything, then say in the records that it is durable.
async fn send(store: Arc<dyn Store>, shipment: Shipment, patience: Patience) -> Result<Sent> {
    let Shipment { lane, table, writes, mut reached, .. } = shipment;
    let (store, table, patience) = (&*store, &table, &patience);
    let tiles = writes.len() as u64;
    let mut sent =
        Sent { lane, flushed: Flushed::Conflict, writes: tiles, resent: 0, ambiguous: 0, reached: Vec::new() };
    if !raise_horizons(store, table, &mut reached, patience).await? {
        return Ok(sent);
    }
    super::failpoint::reach("before_store_write");
    let Written { flushed, resent, ambiguous } = write_all(store, table, writes, patience).await?;
    (sent.flushed, sent.resent, sent.ambiguous) = (flushed, resent, ambiguous);
    super::failpoint::reach("after_store_write");
    if sent.flushed == Flushed::Durable {
        let said = reached.into_iter().map(|Reached { partition, record, standing }| async move {
            let commit = record.commit;
            let raised = patience.retry(|| record.raise(store, table, &partition, standing)).await?;
            let is_durable = !raised.was_retired_since(&standing);
            Ok::<_, crate::Error>(is_durable.then_some(Durable { partition, commit, standing: raised }))
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

/// Before a flush may be sent, the records say so. Not when the floor of a front was raised meanwhile: then events were taken
/// for ones in time that are late. Nor when a partition was retired.
async fn raise_horizons(
    store: &dyn Store,
    table: &Table,
    reached: &mut [Reached],
    patience: &Patience,
) -> Result<bool> {
    let behind = reached.iter_mut().filter(|of| of.record.commit > of.standing.record.horizon);
    let raised = behind.map(|Reached { partition, record, standing }| async move {
        let horizon = PartitionRecord { horizon: record.commit, ..PartitionRecord::default() };
        let before = *standing;
        *standing = patience.retry(|| horizon.raise(store, table, partition, before)).await?;
        let is_late = standing.record.floor != before.record.floor;
        Ok::<_, crate::Error>(!is_late && !standing.was_retired_since(&before))
    });
    let raised: Vec<_> = raised.collect();
    stream::iter(raised).buffered(AT_ONCE).try_all(std::future::ready).await
}
