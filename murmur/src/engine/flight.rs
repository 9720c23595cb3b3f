//! Flushes on their way to the store, while folding goes on.
//!
//! A flush takes everything that its pipeline has folded, and its commits say how far that was read. When all but a few of
//! its tiles are durable and those few wait, as those of a key that is written too often do, it leaves them **behind**: they
//! go on by themselves, and the next flushes take what is folded but those tiles, whose further events stay in the table.
//!
//! ```text
//! flush 1   tiles a b c d            a b d are durable, c waits: left behind
//! flush 2   tiles a b d              says nothing: its events of c are in the table
//! behind    tile c                   durable: now the commits of flush 1 are said
//! flush 3   tiles a b c d            takes everything again, and its commits cover flush 2
//! ```
//!
//! So no tile has two writes in flight, each goes out in the order of its events, and no commit passes a tile that is
//! behind. What a crash leaves in between is what one in the midst of a flush leaves: some tiles further than others, none
//! less far than the commit, and a horizon that lies beyond all of them.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::assignment::AT_ONCE;
use super::failpoint::{self, Point};
use super::flush::{Backoff, Flushed, Patience, Written, write_all};
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
    /// Whether the records may say so: not where tiles are left out that are behind.
    pub(super) commits: bool,
    /// Whose spans it is linked to.
    pub(super) links: Links,
    /// How writes are repeated.
    pub(super) backoff: Backoff,
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
    /// What is durable now, and what the records say; nothing after a conflict, or when tiles were closed.
    pub(super) reached: Vec<Durable>,
    /// What is behind; nothing after a conflict, or when tiles were closed.
    pub(super) left: Option<Shipment>,
    /// Whether it was behind itself.
    pub(super) was_behind: bool,
}

/// Everything of a partition up to the commit is durable in a pipeline.
pub(super) struct Durable {
    pub(super) partition: PartitionId,
    /// `None` when that is not said.
    pub(super) commit: Option<Offset>,
    /// What the record says now; other owners may have raised it further.
    pub(super) standing: Standing,
}

/// The flushes that are under way: of each pipeline one at most, and what one before it has left behind. One whose table
/// takes nothing keeps no other waiting. Dropping them leaves every write where a crash would have left it.
#[derive(Default)]
pub(super) struct Flights(Vec<Flight>);

struct Flight {
    lane: usize,
    /// Since when it is behind a flush; `None`: it is one.
    behind: Option<Instant>,
    sending: BoxFuture<'static, Result<Sent>>,
    ended: Option<Result<Sent>>,
}

impl Flights {
    /// One more, of a pipeline that has none. What is behind is behind one flush, whose commits it holds up; so flushes
    /// beside it wait for all of their tiles.
    pub(super) fn begin(&mut self, store: Arc<dyn Store>, shipment: Shipment, patience: Patience) {
        let leaves = self.behind_since(shipment.lane).is_none();
        self.push(store, shipment, patience, None, leaves);
    }

    /// What a flush has left.
    pub(super) fn leave_behind(&mut self, store: Arc<dyn Store>, left: Shipment, patience: Patience) {
        self.push(store, left, patience, Some(Instant::now()), false);
    }

    fn push(
        &mut self,
        store: Arc<dyn Store>,
        mut shipment: Shipment,
        patience: Patience,
        behind: Option<Instant>,
        leaves: bool,
    ) {
        let (lane, tiles, links) = (shipment.lane, shipment.writes.len(), std::mem::take(&mut shipment.links));
        let sending = flush(tiles, links, send(store, shipment, patience, leaves)).boxed();
        self.0.push(Flight { lane, behind, sending, ended: None });
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a flush of this pipeline is under way.
    pub(super) fn has(&self, lane: usize) -> bool {
        self.0.iter().any(|flight| flight.lane == lane && flight.behind.is_none())
    }

    fn behind_since(&self, lane: usize) -> Option<Instant> {
        self.0.iter().find_map(|flight| flight.behind.filter(|_| flight.lane == lane))
    }

    /// Whether it has been behind for so long that nothing may be flushed beside it any more: what was read since then is
    /// not committed, and all of it would have to be read again after a crash.
    pub(super) fn is_far_behind(&self, lane: usize) -> bool {
        self.behind_since(lane).is_some_and(|since| since.elapsed() >= LONGEST_BEHIND)
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
        let Flight { behind, ended, .. } = self.0.remove(at);
        Some(ended?.map(|sent| Sent { was_behind: behind.is_some(), ..sent }))
    }

    fn carry_on(&mut self, context: &mut Context<'_>) {
        for flight in self.0.iter_mut().filter(|flight| flight.ended.is_none()) {
            if let Poll::Ready(sent) = flight.sending.poll_unpin(context) {
                flight.ended = Some(sent);
            }
        }
    }
}

/// For so long flushes go on beside what is behind.
const LONGEST_BEHIND: Duration = Duration::from_secs(30);

/// Write everything, then say in the records that it is durable. What is left behind is said by whoever writes that.
async fn send(store: Arc<dyn Store>, mut shipment: Shipment, patience: Patience, leaves: bool) -> Result<Sent> {
    let (store, lane, patience) = (&*store, shipment.lane, &patience);
    let writes = std::mem::take(&mut shipment.writes);
    let tiles = writes.len() as u64;
    let mut sent = Sent {
        lane,
        flushed: Flushed::Conflict,
        writes: tiles,
        resent: 0,
        ambiguous: 0,
        reached: Vec::new(),
        left: None,
        was_behind: false,
    };
    if !raise_horizons(store, &shipment.table, &mut shipment.reached, patience).await? {
        return Ok(sent);
    }
    failpoint::reach(Point::BeforeStoreWrite);
    let written = write_all(store, &shipment.table, writes, &mut shipment.backoff, leaves).await?;
    let Written { flushed, resent, ambiguous, left } = written;
    (sent.flushed, sent.resent, sent.ambiguous) = (flushed, resent, ambiguous);
    failpoint::reach(Point::AfterStoreWrite);
    if sent.flushed != Flushed::Durable {
        return Ok(sent);
    }
    if !left.is_empty() || !shipment.commits {
        let standings = shipment.reached.iter().map(|Reached { partition, standing, .. }| Durable {
            partition: partition.clone(),
            commit: None,
            standing: *standing,
        });
        sent.reached = standings.collect();
        sent.writes -= left.len() as u64;
        sent.left = (!left.is_empty()).then_some(Shipment { writes: left, ..shipment });
        return Ok(sent);
    }
    let table = &shipment.table;
    let said = shipment.reached.into_iter().map(|Reached { partition, record, standing }| async move {
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
