use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::breaker::{Breaker, DeadLetterLimit};
use super::clock::{Clock, SystemClock};
use super::decode::Decode;
use super::flush::{Backoff, Flushed, read_all, retry, write_all};
use super::fold::{At, Fold, FoldTable};
use super::partition::Owned;
use super::progress::{PartitionStatus, Progress, Summary};
use super::record::PartitionRecord;
use crate::event::Event;
use crate::pipeline::Pipeline;
use crate::source::{Assignment, Batch, DeadLetters, Letter, Metadata, Offset, PartitionId, Poll, Source, Start};
use crate::store::Store;
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// How a worker goes about it.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Options {
    /// The generation of the pipelines' state.
    pub generation: u32,
    /// Longest time between two flushes.
    pub flush_interval: Span,
    /// Number of tiles with something to write at which a flush does not wait for the interval.
    pub flush_tiles: usize,
    /// Bytes of unflushed state at which a flush does not wait for the interval.
    pub flush_bytes: usize,
    /// How long the last flush may take after a request to stop.
    pub drain_budget: Span,
    /// How many of the last payloads may be dead letters before the worker stops.
    pub dead_letter_limit: DeadLetterLimit,
    /// Seed of the pauses after a conflict.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            generation: 1,
            flush_interval: Span::from_seconds(1),
            flush_tiles: 200_000,
            flush_bytes: 256 << 20,
            drain_budget: Span::from_seconds(25),
            dead_letter_limit: DeadLetterLimit::default(),
            seed: std::hash::BuildHasher::hash_one(&hashbrown::DefaultHashBuilder::default(), 0),
        }
    }
}

/// Builds a [`Worker`].
#[must_use]
pub struct WorkerBuilder<E> {
    worker: Worker<E>,
}

/// Reads a source and keeps the tiles of one or more pipelines, each event exactly once.
pub struct Worker<E> {
    store: Arc<dyn Store>,
    source: Box<dyn Source>,
    decode: Decode<E>,
    dead_letters: Box<dyn DeadLetters>,
    clock: Arc<dyn Clock>,
    options: Options,
    folds: Vec<Box<dyn Fold<E>>>,
    owned: Vec<Owned>,
    letters: Vec<Letter>,
    breaker: Breaker,
    progress: Progress,
    watch: watch::Sender<Progress>,
    /// Payloads read since the last flush: how far the next horizon is raised.
    since_flush: u64,
    seed: u64,
}

impl<E: Event> Worker<E> {
    /// Begin with what every worker needs.
    pub fn builder(
        store: Arc<dyn Store>,
        source: Box<dyn Source>,
        decode: Decode<E>,
        dead_letters: Box<dyn DeadLetters>,
    ) -> WorkerBuilder<E> {
        let worker = Self {
            store,
            source,
            decode,
            dead_letters,
            clock: Arc::new(SystemClock),
            options: Options::default(),
            folds: Vec::new(),
            owned: Vec::new(),
            letters: Vec::new(),
            breaker: Breaker::new(DeadLetterLimit::default()),
            progress: Progress::default(),
            watch: watch::Sender::new(Progress::default()),
            since_flush: 0,
            seed: 0,
        };
        WorkerBuilder { worker }
    }

    /// How far it is, as it goes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.watch.subscribe()
    }

    /// Work until the source ends or `shutdown` becomes true (or its sender is gone), then flush, commit and stop.
    ///
    /// Errors leave the state right: what was not committed will be read again.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        let stop = || *shutdown.borrow() || shutdown.has_changed().is_err();
        let mut due = Instant::now() + self.options.flush_interval.to_std();
        let mut backoff = Backoff::new();
        loop {
            if stop() {
                return self.drain().await;
            }
            match self.source.poll().await {
                Ok(Poll::Batch(batch)) => self.take(batch).await?,
                Ok(Poll::Assigned(assignments)) => self.assign(assignments).await?,
                Ok(Poll::Revoked(partitions)) => self.revoke(&partitions).await?,
                Ok(Poll::Lost(partitions)) => self.lose(&partitions).await?,
                Ok(Poll::Idle) => {}
                Ok(Poll::End) => {
                    // A conflict sends the source back to the commit; then this was not the end.
                    if self.flush().await? == Flushed::Durable {
                        return Ok(self.summary(true));
                    }
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "reading the source failed; trying again");
                    backoff.pause().await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            backoff = Backoff::new();
            let full = self.folds.iter().any(|fold| {
                fold.dirty() >= self.options.flush_tiles
                    || (fold.dirty() > 0 && fold.bytes() >= self.options.flush_bytes)
            });
            if full || Instant::now() >= due {
                self.flush().await?;
                due = Instant::now() + self.options.flush_interval.to_std();
            }
            self.publish();
        }
    }

    /// SIGTERM: what was read becomes durable and committed, inside the budget or not at all.
    async fn drain(mut self) -> Result<Summary> {
        let budget = self.options.drain_budget.to_std();
        let flushed = tokio::time::timeout(budget, async {
            let flushed = self.flush().await?;
            let partitions: Vec<PartitionId> = self.owned.iter().map(|owned| owned.id.clone()).collect();
            self.source.release(&partitions).await?;
            Ok::<_, Error>(flushed)
        });
        match flushed.await {
            Ok(flushed) => flushed?,
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::DeadlineExceeded,
                    format!(
                        "the last flush did not finish within the drain budget of {}; nothing was committed that is \
                         not durable, and what is missing will be read again",
                        self.options.drain_budget
                    ),
                ));
            }
        };
        Ok(self.summary(false))
    }

    fn summary(&mut self, ended: bool) -> Summary {
        self.publish();
        Summary { progress: self.progress.clone(), ended }
    }

    async fn assign(&mut self, assignments: Vec<Assignment>) -> Result<()> {
        for Assignment { partition, start } in assignments {
            if self.owned.iter().any(|owned| owned.id == partition) {
                continue;
            }
            if self.owned.len() >= usize::from(u16::MAX) {
                return Err(Error::new(ErrorKind::ResourceExhausted, "one worker can own 65,535 partitions at most"));
            }
            let source_commit = match start {
                Start::Stored => None,
                Start::Committed(commit) => commit,
            };
            let at = self.owned.len();
            self.owned.push(Owned::new(partition, source_commit, Vec::new()));
            self.start(at).await?;
        }
        Ok(())
    }

    /// Begin to read a partition from its commit.
    async fn start(&mut self, at: usize) -> Result<()> {
        let Owned { id, source_commit, .. } = &self.owned[at];
        let (id, source_commit) = (id.clone(), *source_commit);
        let mut records = Vec::with_capacity(self.folds.len());
        for fold in &self.folds {
            records.push(retry(|| PartitionRecord::load(&*self.store, fold.table(), &id)).await?);
        }
        let owned = Owned::new(id, source_commit, records);
        self.dead_letters.rewind(&owned.id, owned.commit).await?;
        self.source.seek(&owned.id, owned.commit).await?;
        self.owned[at] = owned;
        Ok(())
    }

    async fn revoke(&mut self, partitions: &[PartitionId]) -> Result<()> {
        self.flush().await?;
        self.source.release(partitions).await?;
        self.disown(partitions).await
    }

    async fn lose(&mut self, partitions: &[PartitionId]) -> Result<()> {
        // Deltas of several partitions lie in one tile; without the lost ones they cannot be written any more.
        self.disown(partitions).await?;
        self.rewind().await
    }

    async fn disown(&mut self, partitions: &[PartitionId]) -> Result<()> {
        let uncommitted = self.owned.iter().any(Owned::has_uncommitted);
        self.owned.retain(|owned| !partitions.contains(&owned.id));
        // Entries know partitions by their place in `owned`, which has moved.
        if uncommitted {
            return self.rewind().await;
        }
        self.folds.iter_mut().for_each(|fold| fold.clear());
        Ok(())
    }

    /// Drop everything unflushed and read all partitions again from their commits.
    async fn rewind(&mut self) -> Result<()> {
        self.folds.iter_mut().for_each(|fold| fold.clear());
        self.letters.clear();
        self.since_flush = 0;
        for at in 0..self.owned.len() {
            self.start(at).await?;
        }
        Ok(())
    }

    /// Fold a batch.
    async fn take(&mut self, batch: Batch) -> Result<()> {
        let Some(partition) = &batch.partition else { return Ok(()) };
        let Some(at) = self.owned.iter().position(|owned| owned.id == *partition) else { return Ok(()) };
        let now = self.clock.now();
        for (n, payload) in batch.payloads.iter().enumerate() {
            if self.owned[at].read.is_some_and(|read| payload.offset <= read) {
                continue;
            }
            self.progress.read += 1;
            self.since_flush += 1;
            let bytes = &batch.buffer[payload.bytes.clone()];
            let refused = match &payload.broken {
                Some(reason) => Some((None, reason.to_string())),
                None => self.stage(bytes, at, payload.offset, now),
            };
            self.breaker.note(refused.is_some());
            match refused {
                None => self.progress.applied += 1,
                Some((time, reason)) => self.refuse(partition, payload.offset, time, reason, bytes, batch.metadata(n)),
            }
            self.owned[at].read = Some(payload.offset);
        }
        if let Some(reached) = batch.reached {
            self.owned[at].read = self.owned[at].read.max(Some(reached));
        }
        self.owned[at].lag = batch.lag;
        self.source.recycle(batch);
        if let Some(newest) = self.letters.last() {
            self.breaker.check(&newest.reason)?;
        }
        self.settle().await
    }

    /// Decode one payload and stage it in every pipeline; why not, when it could not be.
    fn stage(
        &mut self,
        bytes: &[u8],
        at: usize,
        offset: Offset,
        now: Timestamp,
    ) -> Option<(Option<Timestamp>, String)> {
        let event = match (self.decode)(bytes) {
            Ok(event) => event,
            Err(reason) => return Some((None, reason)),
        };
        let time = event.time();
        if time > self.owned[at].watermark {
            self.owned[at].watermark = time;
            self.progress.newest = self.progress.newest.max(time);
        }
        let mut refused = None;
        for (fold, ledger) in self.folds.iter_mut().zip(&self.owned[at].ledgers) {
            if ledger.durable.is_some_and(|durable| offset <= durable) {
                self.progress.already_applied += 1;
                continue;
            }
            let place = At { partition: at as u16, offset, catching_up: ledger.catching_up(offset) };
            match fold.stage(&event, place, now) {
                Ok(expired) => self.progress.expired += expired,
                Err(refusal) => {
                    refused.get_or_insert_with(|| (time, format!("pipeline `{}`: {}", fold.pipeline(), refusal.0)));
                }
            }
        }
        refused
    }

    fn refuse(
        &mut self,
        partition: &PartitionId,
        offset: Offset,
        at: Option<Timestamp>,
        reason: String,
        payload: &[u8],
        metadata: Metadata,
    ) {
        self.progress.dead += 1;
        self.letters.push(Letter {
            partition: partition.clone(),
            offset,
            place: self.source.place(partition, offset),
            reason,
            at,
            payload: payload.to_vec(),
            metadata,
        });
    }

    /// Fold the batch, after comparing with the store what an earlier owner may have written.
    async fn settle(&mut self) -> Result<()> {
        for fold in &mut self.folds {
            let wanted = fold.wanted(&self.owned);
            let items = read_all(&*self.store, fold.table(), &wanted).await?;
            self.progress.already_applied += fold.settle(items, &self.owned)?;
        }
        Ok(())
    }

    /// Make everything read so far durable and commit it. After a conflict nothing is committed, and the partitions
    /// are read again from their commits.
    async fn flush(&mut self) -> Result<Flushed> {
        if !self.owned.iter().any(Owned::has_uncommitted) {
            return Ok(Flushed::Durable);
        }
        self.raise_horizon().await?;
        self.sync_letters().await?;
        if self.write().await? == Flushed::Conflict {
            self.progress.rewinds += 1;
            tracing::info!("another owner writes these partitions; reading again from the commit");
            self.pause_after_conflict().await;
            self.rewind().await?;
            return Ok(Flushed::Conflict);
        }
        self.commit().await?;
        self.progress.flushes += 1;
        Ok(Flushed::Durable)
    }

    /// Before a flush may be sent, the record says so.
    async fn raise_horizon(&mut self) -> Result<()> {
        for owned in &mut self.owned {
            for (fold, ledger) in self.folds.iter().zip(&mut owned.ledgers) {
                if owned.read > ledger.record.horizon {
                    let record = PartitionRecord { horizon: owned.read, ..PartitionRecord::default() };
                    ledger.record = retry(|| record.raise(&*self.store, fold.table(), &owned.id)).await?;
                }
            }
        }
        Ok(())
    }

    async fn sync_letters(&mut self) -> Result<()> {
        if self.letters.is_empty() {
            return Ok(());
        }
        self.dead_letters.put(std::mem::take(&mut self.letters)).await?;
        self.dead_letters.sync().await
    }

    async fn write(&mut self) -> Result<Flushed> {
        for fold in &mut self.folds {
            let baseless = fold.baseless(&self.owned);
            if !baseless.is_empty() {
                let items = read_all(&*self.store, fold.table(), &baseless).await?;
                if fold.rebase(items)?.is_err() {
                    return Ok(Flushed::Conflict);
                }
            }
            let writes = fold.writes(&self.owned);
            let count = writes.len() as u64;
            if write_all(&*self.store, fold.table(), writes, &mut self.progress.resent).await? == Flushed::Conflict {
                return Ok(Flushed::Conflict);
            }
            self.progress.writes += count;
        }
        Ok(Flushed::Durable)
    }

    /// Everything read is durable: say so in the records, then to the source.
    async fn commit(&mut self) -> Result<()> {
        // Raised ahead of the next few flushes, so that they need no write of their own for it.
        let ahead = self.since_flush.saturating_mul(4) + 1_024;
        self.since_flush = 0;
        let mut commits = Vec::new();
        for owned in &mut self.owned {
            let Some(read) = owned.read.filter(|_| owned.has_uncommitted()) else { continue };
            let record =
                PartitionRecord { commit: Some(read), horizon: Some(read.ahead(ahead)), watermark: owned.watermark };
            for (fold, ledger) in self.folds.iter().zip(&mut owned.ledgers) {
                ledger.record = retry(|| record.raise(&*self.store, fold.table(), &owned.id)).await?;
            }
            owned.commit = Some(read);
            commits.push((owned.id.clone(), read));
        }
        self.source.commit(&commits).await
    }

    /// Two owners that run into each other must not do so in step for ever.
    async fn pause_after_conflict(&mut self) {
        // Xorshift (Marsaglia 2003) is enough for a pause.
        let mut x = self.seed | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed = x;
        tokio::time::sleep(Duration::from_millis(x % 500)).await;
    }

    fn publish(&mut self) {
        self.progress.partitions.clear();
        self.progress.lag = Some(0);
        for owned in &self.owned {
            self.progress.lag = self.progress.lag.zip(owned.lag).map(|(sum, lag)| sum + lag);
            self.progress.partitions.push(PartitionStatus {
                partition: owned.id.clone(),
                commit: owned.commit,
                read: owned.read,
                lag: owned.lag,
            });
        }
        self.watch.send_replace(self.progress.clone());
    }
}

impl<E: Event> WorkerBuilder<E> {
    /// How the worker goes about it.
    pub fn options(mut self, options: Options) -> Self {
        self.worker.options = options;
        self
    }

    /// The clock that decides what has expired.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.worker.clock = clock;
        self
    }

    /// Keep the tiles of this pipeline. All [`options`](Self::options) come before.
    pub fn pipeline<P: Pipeline<Event = E>>(mut self) -> Self {
        self.worker.folds.push(Box::new(FoldTable::<P>::new(self.worker.options.generation)));
        self
    }

    /// The worker.
    pub fn build(mut self) -> Worker<E> {
        self.worker.seed = self.worker.options.seed;
        self.worker.breaker = Breaker::new(self.worker.options.dead_letter_limit);
        self.worker
    }
}
