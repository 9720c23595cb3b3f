use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use murmur::source::{Asks, Assignment, Batch, Offset, PartitionId, Payload, Poll, Ruler, Source, Start};

use murmur::{Error, ErrorKind, Result};
use tokio::sync::watch;

use super::defect::Defect;
use super::letters::Letters;
use crate::pipelines::{FILTERED, decode};

/// One entry of a partition's log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) offset: Offset,
    pub(super) payload: Vec<u8>,
}

/// The log and its broker, which outlive all workers.
#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) partitions: Vec<(PartitionId, Vec<Entry>)>,
    /// What workers have committed, for whoever looks at it; `None` for sources without commits.
    pub(super) commits: Option<Vec<Option<Offset>>>,
    pub(super) letters: Letters,
}

impl Broker {
    /// A broker that keeps commits numbers its messages, and another source need not.
    pub(super) fn ruler(&self) -> Ruler {
        if self.commits.is_some() { Ruler::Offsets } else { Ruler::Payloads }
    }

    /// Whether an event that no pipeline wants lies between the commit and this offset, for `filtered-holds-commit`.
    fn is_held_up(&self, at: usize, offset: Offset) -> bool {
        let commit = self.commits.as_ref().and_then(|commits| commits[at]);
        let log = self.partitions[at].1.iter();
        let mut between = log.filter(|entry| Some(entry.offset) > commit && entry.offset <= offset);
        between.any(|entry| decode(&entry.payload).is_ok_and(|tick| tick.amount == FILTERED))
    }
}

pub(super) type Shared<T> = Arc<Mutex<T>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader of some partitions.
pub(super) struct LogSource {
    pub(super) broker: Shared<Broker>,
    pub(super) rng: Shared<fastrand::Rng>,
    /// The partitions it reads, by their place in the broker.
    pub(super) mine: Vec<usize>,
    /// Where each continues; `None` until the engine has called seek.
    pub(super) next: Vec<Option<usize>>,
    /// Which of them the group has given it.
    pub(super) held: Vec<bool>,
    /// Say so at the end of the log instead of waiting for more.
    pub(super) bounded: bool,
    pub(super) defect: Option<Defect>,
    /// Whether its worker was asked to stop.
    pub(super) stopped: watch::Receiver<bool>,
    /// Set when the end was said, for `end-without-flush`.
    pub(super) at_end: Arc<AtomicBool>,
}

impl LogSource {
    fn place_of(&self, partition: &PartitionId) -> Option<usize> {
        let broker = lock(&self.broker);
        self.mine.iter().position(|at| broker.partitions[*at].0 == *partition)
    }

    /// What it does not hold; `None` when that is nothing.
    fn assign(&mut self) -> Option<Poll> {
        let broker = lock(&self.broker);
        let given = self.mine.iter().zip(&self.held).filter(|(_, held)| !**held);
        let assignments: Vec<Assignment> = given
            .map(|(at, _)| Assignment {
                partition: broker.partitions[*at].0.clone(),
                start: Start::Beginning,
                among: None,
            })
            .collect();
        self.held.fill(true);
        (!assignments.is_empty()).then_some(Poll::Assigned(assignments))
    }

    /// Now and then the group takes a partition away, after asking or without, and gives it back later.
    fn regroup(&mut self) -> Option<Poll> {
        let (dice, at) = {
            let mut rng = lock(&self.rng);
            (rng.u32(..60), rng.usize(..self.mine.len()))
        };
        let partition = lock(&self.broker).partitions[self.mine[at]].0.clone();
        match dice {
            0 if self.held[at] => {
                self.let_go(at);
                Some(Poll::Lost(vec![partition]))
            }
            1 if self.held[at] => Some(Poll::Revoked(vec![partition])),
            2..8 => self.assign(),
            _ => None,
        }
    }

    fn let_go(&mut self, at: usize) {
        self.held[at] = false;
        self.next[at] = None;
    }

    fn deliver(&mut self) -> Option<Poll> {
        let mut broker = lock(&self.broker);
        let mut rng = lock(&self.rng);
        let first = rng.usize(..self.mine.len());
        for turn in 0..self.mine.len() {
            let at = (first + turn) % self.mine.len();
            let (id, log) = &broker.partitions[self.mine[at]];
            let Some(next) = self.next[at].filter(|next| *next < log.len()) else { continue };
            let end = (next + rng.usize(1..=8)).min(log.len());
            let mut batch = Batch { partition: Some(id.clone()), ..Batch::default() };
            for entry in &log[next..end] {
                let start = batch.buffer.len();
                batch.buffer.extend_from_slice(&entry.payload);
                batch.payloads.push(Payload { offset: entry.offset, bytes: start..batch.buffer.len(), broken: None });
            }
            batch.lag = Some((log.len() - end) as u64);
            let last = log[end - 1].offset;
            self.next[at] = Some(end);
            if self.defect == Some(Defect::CommitAtMaximum)
                && let Some(commits) = &mut broker.commits
            {
                commits[self.mine[at]] = commits[self.mine[at]].max(Some(last));
            }
            return Some(Poll::Batch(batch));
        }
        None
    }
}

/// The defect `commit-on-shutdown`.
impl Drop for LogSource {
    fn drop(&mut self) {
        if self.defect == Some(Defect::CommitOnShutdown) && *self.stopped.borrow() {
            let mut broker = lock(&self.broker);
            let Broker { partitions, commits: Some(commits), .. } = &mut *broker else { return };
            for (at, next) in self.mine.iter().zip(&self.next) {
                let last = next.and_then(|next| Some(partitions[*at].1.get(next.checked_sub(1)?)?.offset));
                commits[*at] = commits[*at].max(last);
            }
        }
    }
}

impl Source for LogSource {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            let pause = lock(&self.rng).u64(0..40);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let first = if self.held.contains(&true) { None } else { self.assign() };
            if let Some(news) = first.or_else(|| self.regroup()) {
                return Ok(news);
            }
            if self.defect == Some(Defect::EndTooEarly) && self.bounded && lock(&self.rng).f32() < 0.2 {
                return Ok(Poll::End);
            }
            Ok(match self.deliver() {
                Some(batch) => batch,
                None if self.bounded => self.assign().unwrap_or_else(|| {
                    self.at_end.store(true, Ordering::Relaxed);
                    Poll::End
                }),
                None => Poll::Idle,
            })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if let Some(at) = self.place_of(partition) {
                if !self.held[at] {
                    return Err(Error::new(ErrorKind::InvalidArgument, format!("`{partition}` is not assigned")));
                }
                let mut broker = lock(&self.broker);
                let Broker { partitions, commits, .. } = &mut *broker;
                let commit = commits.as_mut().map(|commits| &mut commits[self.mine[at]]);
                let trusted = commit.as_deref().copied().flatten();
                let trusted = trusted.filter(|_| self.defect.is_some_and(Defect::trusts_the_source));
                let after = after.max(trusted);
                let log = &partitions[self.mine[at]].1;
                self.next[at] = Some(log.partition_point(|entry| Some(entry.offset) <= after));
                // The store is right: a commit was lost, or moved back, or the store was restored.
                if let Some(commit) = commit {
                    *commit = after;
                }
            }
            Ok(())
        })
    }

    fn seek_before<'a>(
        &'a mut self,
        partition: &'a PartitionId,
        after: Option<Offset>,
        count: u64,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.seek(partition, after).await?;
            if self.defect == Some(Defect::IdentitiesForgotten) {
                return Ok(());
            }
            let ruler = self.ruler();
            if let Some(at) = self.place_of(partition) {
                let log = &lock(&self.broker).partitions[self.mine[at]].1;
                self.next[at] = Some(match (ruler, after.map(|after| after.words()[3])) {
                    (Ruler::Offsets, Some(after)) => {
                        log.partition_point(|entry| entry.offset.words()[3] < (after + 1).saturating_sub(count))
                    }
                    _ => 0,
                });
            }
            Ok(())
        })
    }

    fn release<'a>(&'a mut self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
        for partition in partitions {
            if let Some(at) = self.place_of(partition) {
                self.let_go(at);
            }
        }
        Box::pin(async { Ok(()) })
    }

    /// Whoever waits for long for the store may be told that partitions are wanted back, at any time.
    fn asks(&self, _: Asks) -> BoxFuture<'static, ()> {
        if self.bounded {
            return Box::pin(std::future::pending());
        }
        let pause = lock(&self.rng).u64(0..10_000);
        Box::pin(tokio::time::sleep(Duration::from_millis(pause)))
    }

    fn ruler(&self) -> Ruler {
        lock(&self.broker).ruler()
    }

    fn commit<'a>(&'a mut self, new: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut broker = lock(&self.broker);
            for (partition, offset) in new {
                let Some(at) = broker.partitions.iter().position(|(id, _)| id == partition) else { continue };
                if self.defect == Some(Defect::FilteredHoldsCommit) && broker.is_held_up(at, *offset) {
                    continue;
                }
                if let Some(commits) = &mut broker.commits {
                    // A late owner moves the commit back, as brokers let it.
                    commits[at] = Some(*offset);
                }
            }
            Ok(())
        })
    }
}
