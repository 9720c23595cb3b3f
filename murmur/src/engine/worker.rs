use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::assignment::{LISTEN, Waiting};
use super::breaker::Breaker;
use super::clock::Clock;
use super::decode::Decoder;
use super::drain::overdue;
use super::flight::Flights;
use super::flush::{Backoff, Flushed, Patience};
use super::lane::Lane;
use super::letters::Letters;
use super::meter::Meter;
use super::options::Options;
use super::partition::Owned;
use super::progress::{Contact, Progress, Summary};
use super::publish::{KnownEnds, look_ahead};
use super::rolling::Rolling;
use crate::event::Event;
use crate::source::{Asks, DeadLetters, Poll, Source};
use crate::store::Store;
use crate::{Error, Result};

/// What came of what the source said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Done,
    /// Partitions are wanted back: what the source has to say comes before anything that waits for the store.
    Called,
    /// There is nothing more to come.
    Ended,
}

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
    pub(super) flights: Flights,
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
    /// Why it ends, while it waits for what is under way all the same.
    pub(super) failure: Option<Error>,
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
    /// Errors leave the state right: what was not committed will be read again. [`Foreign`](crate::ErrorKind::Foreign) when a
    /// table belongs to another pipeline, or to a definition that this one cannot go on with;
    /// [`Configuration`](crate::ErrorKind::Configuration) when the source does not have what events need beside their payloads.
    pub async fn run(mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        let summary = self.work_until_the_end(shutdown.clone()).await?;
        Ok(self.let_go_and_finish(summary, shutdown).await)
    }

    /// [`run`](Self::run) up to its end, or its failure. The source is still held when this returns, and to let it go may
    /// take long.
    pub(crate) async fn work_until_the_end(&mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        let ages = self.meter.grow_older(self.progress(), self.clock.clone());
        let look = self.source.ends();
        self.can_tell_ends = look.is_some();
        let looks = look_ahead(look, self.ends.clone(), self.watch.clone());
        let overdue = overdue(shutdown.clone(), self.options.drain_budget, self.progress());
        let worker = self.options.worker;
        let rolling = self.rolling.clone();
        tokio::select! {
            biased;
            ended = self.work(shutdown) => ended,
            never = ages => match never {},
            never = looks => match never {},
            never = rolling.go() => match never {},
            never = rolling.look(worker) => match never {},
            // What it knows says more than that it is late.
            error = overdue => Err(self.failure.take().unwrap_or(error)),
        }
    }

    /// Let go of the source and of all that was read, and after a run to the end of it roll what can be rolled, unless asked
    /// to stop.
    pub(crate) async fn let_go_and_finish(self, mut summary: Summary, mut asked: watch::Receiver<bool>) -> Summary {
        let (rolling, watch) = (self.rolling.clone(), self.watch.clone());
        drop(self);
        if summary.ended {
            tokio::select! {
                biased;
                _ = asked.wait_for(|stop| *stop) => {}
                () = rolling.finish() => {}
            }
            summary.progress.rolled = rolling.rolled();
            watch.send_modify(|progress| progress.rolled = rolling.rolled());
        }
        summary
    }

    async fn work(&mut self, shutdown: watch::Receiver<bool>) -> Result<Summary> {
        #[cfg(feature = "failpoints")]
        super::failpoint::check()?;
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
        let mut turn = Turn::Done;
        loop {
            if stop() {
                return self.drain(turn, backoff).await;
            }
            if turn != Turn::Called {
                let asked = async {
                    // A sender that is gone asks too.
                    let _ = asked.wait_for(|stop| *stop).await;
                };
                self.begin(asked).await?;
                if stop() {
                    continue;
                }
            }
            turn = self.turn(&mut backoff).await?;
            if turn == Turn::Ended {
                return Ok(self.summary(true));
            }
        }
    }

    /// Do what the source says next.
    pub(super) async fn turn(&mut self, backoff: &mut Backoff) -> Result<Turn> {
        let polled = self.poll().await;
        self.progress.contact = match &polled {
            Ok(Poll::Assigned(_)) => Contact::Made,
            _ => self.progress.contact.after(polled.is_ok() && self.source.answers()),
        };
        let mut turn = Turn::Done;
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
                tokio::select! {
                    biased;
                    ended = self.go_on(polled, backoff) => if ended? {
                        return Ok(Turn::Ended);
                    },
                    () = overdue => {
                        self.drop_for_others()?;
                        turn = Turn::Called;
                    }
                }
            }
        }
        self.publish();
        Ok(turn)
    }

    /// Do what follows from a poll that says nothing about partitions; whether that was the end.
    async fn go_on(&mut self, polled: Result<Poll>, backoff: &mut Backoff) -> Result<bool> {
        if self.land().await? == Flushed::Conflict && polled.is_ok() {
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
            self.flights.beside(backoff.pause()).await;
        } else {
            *backoff = self.patience.backoff().said_at_once();
        }
        Ok(false)
    }

    /// What the source says next, while flushes are on their way.
    async fn poll(&mut self) -> Result<Poll> {
        if !self.flights.is_empty() {
            // A source that always has something would leave no time to those who carry them.
            tokio::task::yield_now().await;
        }
        self.flights.beside(self.source.poll()).await
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

    pub(super) fn summary(&mut self, ended: bool) -> Summary {
        self.publish();
        Summary { progress: self.progress.clone(), ended }
    }
}
