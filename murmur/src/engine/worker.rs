use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::assignment::{AT_ONCE, LISTEN, Waiting};
use super::breaker::Breaker;
use super::clock::Clock;
use super::decode::Decoder;
use super::flight::{Durable, Flight, Reached, Sent, Shipment};
use super::flush::{Backoff, Flushed, Patience};
use super::lane::Lane;
use super::letters::{LETTER_BYTES, Letters};
use super::links::Links;
use super::meter::Meter;
use super::options::Options;
use super::partition::{Ledger, Owned};
use super::progress::{Contact, Progress, Summary};
use super::publish::{KnownEnds, look_ahead};
use super::record::PartitionRecord;
use super::rolling::Rolling;
use crate::event::Event;
use crate::source::{Asks, DeadLetters, Offset, PartitionId, Poll, Source};
use crate::store::Store;
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// Reads a source and keeps the tiles of one or more pipelines, each event exactly once.
pub struct Worker<E> {
    pub(super) store: Arc<dyn Store>,
    pub(super) source: Box<dyn Source>,
    pub(super) decode: Decoder<E>,
    pub(super) dead_letters: Box<dyn DeadLetters>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Options,
    pub(super) lanes: Vec<Lane<E>>,
    pub(super) owned: Vec<Owned>,
    /// Ours too, and not begun yet, or to be begun again: nothing is held of them.
    pub(super) waiting: Vec<Waiting>,
    pub(super) flight: Option<Flight>,
    pub(super) letters: Letters,
    pub(super) breaker: Breaker,
    pub(super) progress: Progress,
    pub(super) meter: Meter,
    pub(super) watch: watch::Sender<Progress>,
    /// Where partitions end, found beside the work.
    pub(super) ends: KnownEnds,
    /// Whether the source can say where they end.
    pub(super) can_tell_ends: bool,
    pub(super) patience: Patience,
    pub(super) rolling: Arc<Rolling>,
}

impl<E: Event> Worker<E> {
    /// How far it is, as it goes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.watch.subscribe()
    }

    /// Say how far it is there, instead of in a channel of its own.
    #[must_use]
    pub fn report_to(mut self, gauge: watch::Sender<Progress>) -> Self {
        self.watch = gauge;
        self
    }

    /// Work until the source ends or `shutdown` becomes true (or its sender is gone), then flush, commit and stop.
    ///
    /// Errors leave the state right: what was not committed will be read again. [`Foreign`](ErrorKind::Foreign) when a
    /// table belongs to another pipeline, or to a definition that this one cannot go on with;
    /// [`Configuration`](ErrorKind::Configuration) when the source does not have what events need beside their payloads.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        let ages = self.meter.grow_older(self.progress(), self.clock.clone());
        let look = self.source.ends();
        self.can_tell_ends = look.is_some();
        let looks = look_ahead(look, self.ends.clone(), self.watch.clone());
        let overdue = overdue(shutdown.clone(), self.options.drain_budget);
        let worker = self.options.worker;
        let (rolling, watch, mut asked) = (self.rolling.clone(), self.watch.clone(), shutdown.clone());
        let mut ended = tokio::select! {
            biased;
            ended = self.work(shutdown) => ended,
            never = ages => match never {},
            never = looks => match never {},
            never = rolling.go() => match never {},
            never = rolling.look(worker) => match never {},
            error = overdue => Err(error),
        };
        if let Ok(Summary { progress, ended: true }) = &mut ended {
            tokio::select! {
                biased;
                _ = asked.wait_for(|stop| *stop) => {}
                () = rolling.finish() => {}
            }
            progress.rolled = rolling.rolled();
            watch.send_modify(|progress| progress.rolled = rolling.rolled());
        }
        ended
    }

    async fn work(mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        self.ask_for_beside()?;
        self.ask_for_traces();
        let stop = || *shutdown.borrow() || shutdown.has_changed().is_err();
        let mut asked = shutdown.clone();
        tokio::select! {
            // In this order, so that a simulation with a seed runs the same way again.
            biased;
            claimed = self.claim() => claimed?,
            _ = asked.wait_for(|stop| *stop) => return Ok(self.summary(false)),
        }
        self.progress.contact = Contact::Awaited;
        self.watch.send_modify(|progress| progress.contact = Contact::Awaited);
        let mut backoff = self.patience.backoff().said_at_once();
        // What the source has to say comes before anything that waits for the store.
        let mut is_called = false;
        loop {
            if stop() {
                return self.drain().await;
            }
            if !std::mem::take(&mut is_called) {
                self.begin(&mut asked).await?;
                if stop() {
                    continue;
                }
            }
            let polled = self.poll().await;
            self.progress.contact = match &polled {
                Ok(Poll::Assigned(_)) => Contact::Made,
                _ => self.progress.contact.after(polled.is_ok() && self.source.answers()),
            };
            match polled {
                // Before anything else: the source has let go of them, so after a conflict there is nothing to go back to.
                Ok(Poll::Lost(partitions)) => self.lose(&partitions),
                Ok(Poll::Revoked(partitions)) => self.revoke(&partitions).await?,
                Ok(Poll::Assigned(assignments)) => self.assign(assignments)?,
                polled => {
                    let (asked, budget) = (self.source.asks(Asks::Back), self.options.revoke_budget);
                    let overdue = async {
                        tokio::time::sleep(LISTEN).await;
                        asked.await;
                        tokio::time::sleep(budget.to_std()).await;
                    };
                    let ended = tokio::select! {
                        biased;
                        ended = self.go_on(polled, &mut backoff) => ended?,
                        () = overdue => {
                            self.drop_for_others();
                            is_called = true;
                            false
                        }
                    };
                    if ended {
                        return Ok(self.summary(true));
                    }
                }
            }
            self.publish();
        }
    }

    /// Do what follows from a poll that says nothing about partitions; whether that was the end.
    async fn go_on(&mut self, polled: Result<Poll>, backoff: &mut Backoff) -> Result<bool> {
        if self.flight.as_ref().is_some_and(Flight::has_ended)
            && self.land().await? == Flushed::Conflict
            && polled.is_ok()
        {
            // What was polled is void: the source goes back to the commit.
            return Ok(false);
        }
        let (failed, reads_on) = (polled.is_err(), matches!(polled, Ok(Poll::Batch(_))));
        match polled {
            Ok(Poll::Batch(batch)) => self.take(batch).await?,
            // It will deliver what they were waiting for.
            Ok(Poll::Settle | Poll::End) if !self.waiting.is_empty() => {}
            // Whatever comes of it: a conflict sends the source back to the commit, and then it says it again.
            Ok(Poll::Settle) => {
                self.judge_at_the_end()?;
                self.flush().await?;
            }
            Ok(Poll::End) => {
                self.judge_at_the_end()?;
                // A conflict sends the source back to the commit; then this was not the end.
                if self.flush().await? == Flushed::Durable {
                    return Ok(true);
                }
            }
            Ok(Poll::Idle) => {
                let now = Instant::now();
                if self.holds() && self.breaker.may_go_at(now) && self.lanes.iter().any(|lane| lane.pace.is_over(now)) {
                    self.release();
                }
            }
            Ok(Poll::Assigned(_) | Poll::Revoked(_) | Poll::Lost(_)) => {}
            Err(error) if error.is_retryable() => {
                if backoff.is_to_be_said() {
                    tracing::warn!(%error, "reading the source failed; trying again");
                }
            }
            Err(error) => return Err(error),
        }
        // However long the source fails: what was read does not wait for what comes next, unless it comes.
        self.flush_what_is_due(reads_on).await?;
        if failed {
            self.publish();
            match &mut self.flight {
                None => backoff.pause().await,
                Some(flight) => flight.beside(backoff.pause()).await,
            }
        } else {
            *backoff = self.patience.backoff().said_at_once();
        }
        Ok(false)
    }

    /// What the source says next, while a flush is on its way.
    async fn poll(&mut self) -> Result<Poll> {
        match &mut self.flight {
            None => self.source.poll().await,
            Some(flight) => {
                // A source that always has something would leave no time to those who carry the flush.
                tokio::task::yield_now().await;
                flight.beside(self.source.poll()).await
            }
        }
    }

    /// One flush at a time, beside the folding. Whoever is full waits for its end: memory is bounded. `reads_on` says that
    /// the source has just delivered something, so that more of what waits may come.
    pub(super) async fn flush_what_is_due(&mut self, reads_on: bool) -> Result<()> {
        // Those that were judged go at once, as the next ones wait for a verdict of their own.
        let judged = self.breaker.has_judged();
        if judged {
            self.release();
        }
        let holds = self.holds();
        if self.letters.bytes >= LETTER_BYTES {
            if holds { self.letters.spill() } else { self.sync_letters().await? }
        }
        // However full: a window is not long.
        if holds {
            return Ok(());
        }
        let full = judged || self.lanes.iter().any(|lane| lane.is_full(&self.options));
        if full && self.land().await? == Flushed::Conflict {
            return Ok(());
        }
        if self.flight.is_some() {
            return Ok(());
        }
        let now = Instant::now();
        let Self { lanes, owned, options, .. } = self;
        // Since anything came, not since now: where this worker itself was held up, by its store, all have waited for it.
        let newest = owned.iter().map(|owned| owned.delivered).max().unwrap_or(now);
        let waiting = |within: Duration| -> u64 {
            if reads_on { owned.iter().map(|owned| owned.waiting(newest, within)).sum() } else { 0 }
        };
        let chosen = lanes.iter_mut().map(|lane| lane.may_flush(now, waiting) || judged || lane.is_full(options));
        let chosen: Vec<bool> = chosen.collect();
        if chosen.contains(&true) {
            self.start_flush(|at| chosen[at]).await?;
        }
        Ok(())
    }

    /// Make sure that the tables are these pipelines' own, before anything is read from or written to them; and that what
    /// cannot be counted has a place.
    async fn claim(&mut self) -> Result<()> {
        let mut tables = Vec::with_capacity(self.lanes.len());
        for Lane { fold, .. } in &self.lanes {
            tables.push(fold.ownership().claim(&*self.store, fold.table(), &self.patience).await?);
        }
        self.source.read_for(&tables);
        let mut backoff = self.patience.backoff();
        loop {
            match self.dead_letters.prepare().await {
                Err(error) if error.is_retryable() => {
                    if backoff.is_to_be_said() {
                        tracing::warn!(%error, "the place of the dead letters cannot be looked at; trying again");
                    }
                    backoff.pause().await;
                }
                done => return done,
            }
        }
    }

    /// SIGTERM: what was read becomes durable and committed, inside the budget or not at all.
    async fn drain(mut self) -> Result<Summary> {
        self.flush().await?;
        let partitions: Vec<PartitionId> = self.partitions().cloned().collect();
        self.source.release(&partitions).await?;
        Ok(self.summary(false))
    }

    fn summary(&mut self, ended: bool) -> Summary {
        self.publish();
        Summary { progress: self.progress.clone(), ended }
    }

    /// Make everything read so far durable and commit it. After a conflict, and when a tile was full, nothing is
    /// committed, and the partitions are read again from their commits.
    pub(super) async fn flush(&mut self) -> Result<Flushed> {
        if self.holds() {
            if self.breaker.is_over() {
                tracing::info!(
                    "most of what was read last cannot be counted; it is not committed, and will be read again"
                );
            } else {
                self.release();
            }
        }
        if self.land().await? == Flushed::Conflict || self.start_flush(|_| true).await? == Flushed::Conflict {
            return Ok(Flushed::Conflict);
        }
        self.land().await
    }

    /// Send what the chosen pipelines have folded on its way.
    async fn start_flush(&mut self, chosen: impl Fn(usize) -> bool) -> Result<Flushed> {
        if self.holds() {
            return Ok(Flushed::Durable);
        }
        if self.letters.spilled {
            // Their bytes are in the source.
            self.breaker.trust(self.lanes.iter().map(|lane| lane.since_flush).max().unwrap_or(0));
            self.rewind();
            return Ok(Flushed::Conflict);
        }
        let (mut shipments, mut links) = (Vec::new(), Links::default());
        let chosen: Vec<usize> = (0..self.lanes.len()).filter(|at| chosen(*at)).collect();
        for &at in &chosen {
            self.lanes[at].pace.begin();
            if !self.owned.iter().any(|owned| owned.read > owned.ledgers[at].commit) {
                continue;
            }
            if !self.raise_horizon(at).await? {
                return self.give_way().await;
            }
            self.sync_letters().await?;
            let Lane { fold, since_flush, letters, links: of_lane, .. } = &mut self.lanes[at];
            *letters = 0;
            links.add_all(std::mem::take(of_lane), self.options.links());
            // Raised ahead of the next few flushes, so that they need no write of their own for it.
            let events = std::mem::take(since_flush);
            let ahead = events.saturating_mul(4) + 1_024;
            let behind = self.owned.iter().filter(|owned| owned.read > owned.ledgers[at].commit);
            let reached = behind.map(|owned| {
                let horizon = owned.read.map(|read| read.ahead(ahead));
                let Ledger { standing, front, .. } = owned.ledgers[at];
                let (commit, watermark) = (owned.read, owned.watermark);
                let record = PartitionRecord { commit, horizon, watermark, front, ..PartitionRecord::default() };
                Reached { partition: owned.id.clone(), record, standing }
            });
            let reached = reached.collect();
            let mut writes = fold.writes(&self.owned);
            self.meter.combined(at, events, writes.len());
            self.rolling.note(at, &writes);
            writes.append(&mut fold.marks());
            shipments.push(Shipment { lane: at, table: fold.table().clone(), writes, reached });
        }
        if !shipments.is_empty() {
            self.flight = Some(Flight::start(self.store.clone(), shipments, links, self.patience.clone()));
        }
        Ok(Flushed::Durable)
    }

    /// Wait for the flush that is on its way, if there is one, and commit what it made durable.
    async fn land(&mut self) -> Result<Flushed> {
        let Some(flight) = self.flight.take() else { return Ok(Flushed::Durable) };
        let Sent { flushed, writes, resent, ambiguous, reached } = flight.end().await?;
        self.progress.resent += resent;
        self.progress.ambiguous += ambiguous;
        match flushed {
            Flushed::Durable => {}
            Flushed::Conflict => return self.give_way().await,
            Flushed::Closed => {
                self.rewind();
                return Ok(Flushed::Conflict);
            }
        }
        self.progress.writes += writes;
        self.progress.flushes += 1;
        let before: Vec<Option<Offset>> = self.owned.iter().map(Owned::commit).collect();
        for Durable { lane, partition, commit, standing } in reached {
            if let Some(owned) = self.owned.iter_mut().find(|owned| owned.id == partition) {
                let ledger = &mut owned.ledgers[lane];
                ledger.commit = ledger.commit.max(commit);
                ledger.standing = standing;
            }
        }
        self.rolling.reached(&self.owned);
        let moved = self.owned.iter().zip(before).filter(|(owned, before)| owned.commit() > *before);
        let moved: Vec<&Owned> = moved.map(|(owned, _)| owned).collect();
        for owned in &moved {
            self.dead_letters.passed(&owned.id, &commits_of(&self.lanes, owned)).await;
        }
        let commits: Vec<_> = moved.into_iter().filter_map(|owned| Some((owned.id.clone(), owned.commit()?))).collect();
        super::failpoint::reach("before_commit");
        match self.source.commit(&commits).await {
            // The store has the positions, and whoever starts goes by them.
            Err(error) if error.is_retryable() => tracing::warn!(%error, "the source did not take the commit"),
            done => done?,
        }
        Ok(Flushed::Durable)
    }

    /// Someone else writes these partitions: drop everything and start again from the commits.
    async fn give_way(&mut self) -> Result<Flushed> {
        self.progress.rewinds += 1;
        tracing::info!("another owner writes these partitions; reading again from the commit");
        self.pause_after_conflict().await;
        self.rewind();
        Ok(Flushed::Conflict)
    }

    /// Before a flush may be sent, the record says so. Not when the floor of a front was raised meanwhile: then events
    /// were taken for ones in time that are late. Nor when the partition was retired.
    async fn raise_horizon(&mut self, at: usize) -> Result<bool> {
        let (store, table, patience) = (&*self.store, self.lanes[at].fold.table(), &self.patience);
        let behind =
            self.owned.iter().enumerate().filter(|(_, owned)| owned.read > owned.ledgers[at].standing.record.horizon);
        let raised = behind.map(|(place, owned)| {
            let (id, standing) = (owned.id.clone(), owned.ledgers[at].standing);
            let record = PartitionRecord { horizon: owned.read, ..PartitionRecord::default() };
            async move { Ok::<_, Error>((place, patience.retry(|| record.raise(store, table, &id, standing)).await?)) }
        });
        let raised: Vec<_> = raised.collect();
        let mut raised = stream::iter(raised).buffered(AT_ONCE);
        while let Some((place, standing)) = raised.try_next().await? {
            let before = std::mem::replace(&mut self.owned[place].ledgers[at].standing, standing);
            if standing.record.floor != before.record.floor || standing.was_retired_since(&before) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Two owners that run into each other must not do so in step for ever.
    async fn pause_after_conflict(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.patience.random() % 500)).await;
    }
}

/// How far each pipeline has a partition durable.
pub(super) fn commits_of<E>(lanes: &[Lane<E>], owned: &Owned) -> Vec<(&'static str, Option<Offset>)> {
    lanes.iter().map(|lane| lane.fold.pipeline()).zip(owned.ledgers.iter().map(|ledger| ledger.commit)).collect()
}

/// Completes when the time after a request to stop is over, whatever the worker waits for by then: a flush, a store that
/// cannot be reached, the place of the dead letters.
async fn overdue(mut shutdown: watch::Receiver<bool>, budget: Span) -> Error {
    // A sender that is gone asks too.
    let _ = shutdown.wait_for(|stop| *stop).await;
    tokio::time::sleep(budget.to_std()).await;
    let context = format!(
        "the last flush did not finish within the drain budget of {budget}; nothing was committed that is not durable, \
         and what is missing will be read again"
    );
    Error::new(ErrorKind::DeadlineExceeded, context)
}
