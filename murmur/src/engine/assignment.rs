//! Which partitions are ours: taken, begun, given up, lost, and begun again.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::age::Age;
use super::dedup::Memory;
use super::failpoint::{self, Point};
use super::flight::Flights;
use super::flush::Patience;
use super::flushing::commits_of;
use super::frontier::Frontier;
use super::growth;
use super::lane::Lane;
use super::letters::Letters;
use super::links::Links;
use super::partition::Owned;
use super::publish::reached;
use super::record::{PartitionRecord, Standing};
use super::worker::Worker;
use crate::event::Event;
use crate::source::{Among, Asks, Assignment, Offset, PartitionId, Start};
use crate::store::Store;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// A partition that is to be read from its commit.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) id: PartitionId,
    /// Where the source says to begin, for pipelines that have no record of it.
    start: Start,
    /// Where others may be added beside it.
    among: Option<Among>,
    /// The newest event time that was known to be durable when it was left.
    pub(super) reached: Option<Timestamp>,
    /// It was read up to here when it was left, beyond what was durable.
    pub(super) met: Option<Offset>,
    /// Of what was read and is not durable, per pipeline.
    pub(super) ages: Vec<Age>,
    /// What was known of its records when it was left, per pipeline; none before it was begun.
    standings: Vec<Standing>,
}

/// For how long a step may take before it is worth asking the source whether it wants partitions back: asking is not
/// free.
pub(super) const LISTEN: Duration = Duration::from_secs(3);

/// Partitions whose records are read or written at a time: enough that a thousand of them take as long as a few dozen
/// round trips, and few enough for the connections that a store keeps open.
pub(super) const AT_ONCE: usize = 32;

impl<E: Event> Worker<E> {
    /// All that are ours.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &PartitionId> {
        self.owned.iter().map(|owned| &owned.id).chain(self.waiting.iter().map(|waiting| &waiting.id))
    }

    pub(super) fn assign(&mut self, assignments: Vec<Assignment>) -> Result<()> {
        for Assignment { partition, start, among } in assignments {
            if self.partitions().any(|own| *own == partition) {
                continue;
            }
            if self.owned.len() + self.waiting.len() >= usize::from(u16::MAX) {
                return Err(Error::new(ErrorKind::ResourceExhausted, "one worker can own 65,535 partitions at most"));
            }
            self.waiting.push(Waiting {
                id: partition,
                start,
                among,
                reached: None,
                met: None,
                ages: Vec::new(),
                standings: Vec::new(),
            });
        }
        Ok(())
    }

    /// Begin with what waits for it. As long as the store does not let us, whatever the source has to say about
    /// partitions comes first, and so does `other`: there is nothing to lose.
    pub(super) async fn begin(&mut self, other: impl Future<Output = ()>) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let asked = self.source.asks(Asks::Anything);
        let asked = async {
            tokio::time::sleep(LISTEN).await;
            asked.await;
        };
        tokio::select! {
            biased;
            begun = self.start_all() => begun,
            () = asked => Ok(()),
            () = other => Ok(()),
        }
    }

    /// Begin to read all that wait, in their order. Their records are taken [`AT_ONCE`] at a time, since each takes several
    /// round trips to the store; what one is told does not depend on another. Those that were begun stay so when this is
    /// dropped.
    async fn start_all(&mut self) -> Result<()> {
        let Self { store, lanes, patience, waiting, owned, dead_letters, source, .. } = self;
        let (store, lanes, patience) = (&**store, &**lanes, &*patience);
        let taken: Vec<_> = waiting.iter().cloned().map(|of| take_records(store, lanes, patience, of)).collect();
        let mut taken = stream::iter(taken).buffered(AT_ONCE);
        while let Some(taken) = taken.next().await {
            let (Waiting { id, start, among, met, ages, .. }, records) = taken?;
            let mut begun = Owned { met, among, ..Owned::new(id, start, records) };
            if !ages.is_empty() {
                begun.ages = ages;
            }
            dead_letters.rewind(&begun.id, &commits_of(lanes, &begun)).await?;
            let within = lanes.iter().map(|lane| lane.fold.within());
            match within.clone().max().flatten() {
                None => source.seek(&begun.id, begun.commit()).await?,
                Some(horizon) => {
                    begun.memory = Memory::new(source.ruler(), within);
                    source.seek_before(&begun.id, begun.commit(), horizon).await?;
                }
            }
            waiting.remove(0);
            owned.push(begun);
        }
        Ok(())
    }

    /// Give partitions up. Others wait for them, and a store that we cannot reach may well be there for them: what does
    /// not become durable within the budget is theirs to read again.
    pub(super) async fn revoke(&mut self, partitions: &[PartitionId]) -> Result<()> {
        match tokio::time::timeout(self.options.revoke_budget.to_std(), self.flush()).await {
            Ok(flushed) => {
                flushed?;
            }
            Err(_) => self.drop_for_others()?,
        }
        failpoint::reach(Point::InRevoke);
        self.source.release(partitions).await?;
        let uncommitted = self.owned.iter().any(Owned::has_uncommitted);
        self.leave(partitions);
        // Entries know partitions by their place in `owned`, which has moved.
        if uncommitted {
            self.rewind()
        } else {
            self.forget()
        }
        Ok(())
    }

    /// What is unflushed stands in the way of partitions that are wanted elsewhere. Deltas of several partitions lie in
    /// one tile, so all of it goes; what stays ours is read again.
    ///
    /// Errors: what has failed by then, and only waited for the other flushes.
    pub(super) fn drop_for_others(&mut self) -> Result<()> {
        tracing::warn!(
            budget = %self.options.revoke_budget,
            "partitions are wanted back, and the store did not take what was read of them in time; it is dropped, and \
             read again by whoever has them next"
        );
        self.rewind();
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn lose(&mut self, partitions: &[PartitionId]) {
        // Deltas of several partitions lie in one tile; without the lost ones they cannot be written any more.
        self.leave(partitions);
        self.rewind();
    }

    pub(super) fn leave(&mut self, partitions: &[PartitionId]) {
        self.owned.retain(|owned| !partitions.contains(&owned.id));
        self.waiting.retain(|waiting| !partitions.contains(&waiting.id));
    }

    pub(super) fn forget(&mut self) {
        self.flights = Flights::default();
        for lane in &mut self.lanes {
            lane.fold.clear();
            lane.links = Links::default();
        }
    }

    /// Drop everything unflushed; all partitions will be read again from their commits.
    pub(super) fn rewind(&mut self) {
        self.forget();
        self.letters = Letters::default();
        self.breaker.release();
        self.progress.letters_since = None;
        let now = self.clock.now();
        self.waiting.extend(self.owned.drain(..).map(|mut owned| {
            owned.note_ages(now);
            let (reached, met) = (reached(&owned), owned.met());
            let standings = owned.ledgers.iter().map(|ledger| ledger.standing).collect();
            Waiting { id: owned.id, start: owned.start, among: owned.among, reached, met, ages: owned.ages, standings }
        }));
    }
}

/// Read the records of a partition as its owner, and settle where they do not say where reading begins.
async fn take_records<E>(
    store: &dyn Store,
    lanes: &[Lane<E>],
    patience: &Patience,
    waiting: Waiting,
) -> Result<(Waiting, Vec<Standing>)> {
    let id = &waiting.id;
    let mut records = Vec::with_capacity(lanes.len());
    for (at, Lane { fold, .. }) in lanes.iter().enumerate() {
        let table = fold.table();
        let taking = async {
            let standing = patience.retry(|| PartitionRecord::take_over(store, table, id)).await?;
            if let Some(before) = waiting.standings.get(at) {
                standing.must_follow(before, table, id)?;
            }
            let standing = patience.retry(|| Frontier::settle(store, table, id, standing)).await?;
            let (start, among) = (&waiting.start, waiting.among.as_ref());
            let start = patience.retry(|| growth::beginning(store, table, &standing, start, among)).await?;
            patience.retry(|| PartitionRecord::begin(store, table, id, standing, start)).await
        };
        let taken = taking.await.map_err(|error: Error| {
            error.while_doing(format!("taking partition `{id}` for pipeline `{}`", fold.pipeline()))
        });
        records.push(taken?);
    }
    Ok((waiting, records))
}
