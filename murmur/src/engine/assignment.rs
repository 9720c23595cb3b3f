//! Which partitions are ours: taken, begun, given up, lost, and begun again.

use std::time::Duration;

use tokio::sync::watch;

use super::dedup::Memory;
use super::frontier::Frontier;
use super::letters::Letters;
use super::partition::Owned;
use super::publish::reached;
use super::record::PartitionRecord;
use super::worker::{Lane, Worker, commits_of};
use crate::event::Event;
use crate::source::{Asks, Assignment, PartitionId, Start};
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// A partition that is to be read from its commit.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) id: PartitionId,
    /// Where the source says to begin, for pipelines that have no record of it.
    start: Start,
    /// The newest event time that was known to be durable when it was left.
    pub(super) reached: Option<Timestamp>,
}

/// For how long a step may take before it is worth asking the source whether it wants partitions back: asking is not
/// free.
pub(super) const LISTEN: Duration = Duration::from_secs(3);

impl<E: Event> Worker<E> {
    /// All that are ours.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &PartitionId> {
        self.owned.iter().map(|owned| &owned.id).chain(self.waiting.iter().map(|waiting| &waiting.id))
    }

    pub(super) fn assign(&mut self, assignments: Vec<Assignment>) -> Result<()> {
        for Assignment { partition, start } in assignments {
            if self.partitions().any(|own| *own == partition) {
                continue;
            }
            if self.owned.len() + self.waiting.len() >= usize::from(u16::MAX) {
                return Err(Error::new(ErrorKind::ResourceExhausted, "one worker can own 65,535 partitions at most"));
            }
            self.waiting.push(Waiting { id: partition, start, reached: None });
        }
        Ok(())
    }

    /// Begin with what waits for it. As long as the store does not let us, whatever the source has to say about
    /// partitions comes first, and so does a request to stop: there is nothing to lose.
    pub(super) async fn begin(&mut self, stop: &mut watch::Receiver<bool>) -> Result<()> {
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
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    }

    pub(super) async fn start_all(&mut self) -> Result<()> {
        while let Some(waiting) = self.waiting.first() {
            let owned = self.start(waiting.clone()).await?;
            self.waiting.remove(0);
            self.owned.push(owned);
        }
        Ok(())
    }

    /// Begin to read a partition where the records say, or where the source says for pipelines that have none.
    pub(super) async fn start(&mut self, Waiting { id, start, .. }: Waiting) -> Result<Owned> {
        let mut records = Vec::with_capacity(self.lanes.len());
        for Lane { fold, .. } in &self.lanes {
            let (store, table, patience) = (&*self.store, fold.table(), &self.patience);
            let standing = patience.retry(|| PartitionRecord::take_over(store, table, &id)).await?;
            let standing = patience.retry(|| Frontier::settle(store, table, &id, standing)).await?;
            let begun = patience.retry(|| PartitionRecord::begin(store, table, &id, standing, &start)).await;
            records.push(begun.map_err(|error| error.while_doing(format!("pipeline `{}`", fold.pipeline())))?);
        }
        let mut owned = Owned::new(id, start, records);
        self.dead_letters.rewind(&owned.id, &commits_of(&self.lanes, &owned)).await?;
        let within = self.lanes.iter().map(|lane| lane.fold.within());
        match within.clone().max().flatten() {
            None => self.source.seek(&owned.id, owned.commit()).await?,
            Some(horizon) => {
                owned.memory = Memory::new(self.source.ruler(), within);
                self.source.seek_before(&owned.id, owned.commit(), horizon).await?;
            }
        }
        Ok(owned)
    }

    /// Give partitions up. Others wait for them, and a store that we cannot reach may well be there for them: what does
    /// not become durable within the budget is theirs to read again.
    pub(super) async fn revoke(&mut self, partitions: &[PartitionId]) -> Result<()> {
        match tokio::time::timeout(self.options.revoke_budget.to_std(), self.flush()).await {
            Ok(flushed) => {
                flushed?;
            }
            Err(_) => self.drop_for_others(),
        }
        super::failpoint::reach("in_revoke");
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
    pub(super) fn drop_for_others(&mut self) {
        tracing::warn!(
            budget = %self.options.revoke_budget,
            "partitions are wanted back, and the store did not take what was read of them in time; it is dropped, and \
             read again by whoever has them next"
        );
        self.rewind();
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
        self.flight = None;
        self.lanes.iter_mut().for_each(|lane| lane.fold.clear());
    }

    /// Drop everything unflushed; all partitions will be read again from their commits.
    pub(super) fn rewind(&mut self) {
        self.forget();
        self.letters = Letters::default();
        self.breaker.release();
        self.progress.letters_since = None;
        self.waiting.extend(self.owned.drain(..).map(|owned| {
            let reached = reached(&owned);
            Waiting { id: owned.id, start: owned.start, reached }
        }));
    }
}
