//! Making durable what was read: when flushes begin, what they take along, and what becomes of them.
//!
//! Each pipeline has one flush under way at most, beside the folding and what the one before may have left behind. A table
//! that takes nothing holds up its own pipeline alone, until so much of it waits that nothing more may be read; what the
//! others have by then becomes durable.

use std::time::Duration;

use tokio::time::Instant;

use super::failpoint::{self, Point};
use super::flight::{Durable, Reached, Sent, Shipment};
use super::flush::Flushed;
use super::lane::Lane;
use super::letters::LETTER_BYTES;
use super::partition::{Ledger, Owned};
use super::record::PartitionRecord;
use super::worker::Worker;
use crate::Result;
use crate::event::Event;
use crate::source::Offset;

/// How long other flushes are waited for when one has failed for good.
const OTHERS: Duration = Duration::from_secs(2);

impl<E: Event> Worker<E> {
    /// Begin the flushes whose time has come, of pipelines that have none under way. A pipeline that is full waits for the
    /// end of its own: memory is bounded. `reads_on` says that the source has just delivered something, so that more of
    /// what waits may come.
    pub(super) async fn flush_what_is_due(&mut self, mut reads_on: bool) -> Result<()> {
        // Those that were judged go at once, as the next ones wait for a verdict of their own.
        let mut judged = self.breaker.has_judged();
        if judged {
            self.breaker.check()?;
            self.release();
            if !self.letters.spilled {
                // Before anything is flushed, as the next ones would wait together with them.
                self.sync_letters().await?;
            }
        }
        let holds = self.holds();
        if self.letters.bytes >= LETTER_BYTES.min(self.options.flush_bytes) {
            if holds { self.letters.spill() } else { self.sync_letters().await? }
        }
        // However full: a window is not long.
        if holds {
            self.breaker.say_that_letters_wait();
            return Ok(());
        }
        loop {
            if self.land().await? == Flushed::Conflict {
                return Ok(());
            }
            let due = self.due(reads_on, judged);
            if self.begin_flushes(&due).await? == Flushed::Conflict {
                return Ok(());
            }
            let waits = |(at, lane): (usize, &Lane<E>)| !self.may_begin(at) && lane.is_full(&self.options);
            if !self.lanes.iter().enumerate().any(waits) {
                return Ok(());
            }
            // Nothing is read meanwhile, and what the others have read becomes durable.
            (reads_on, judged) = (false, false);
            self.publish();
            let next = self.next_due();
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.flights.wait() => {}
                () = due => {}
            }
        }
    }

    /// The pipelines whose next flush should not wait, by their places.
    fn due(&mut self, reads_on: bool, judged: bool) -> Vec<usize> {
        let now = Instant::now();
        let may_begin: Vec<bool> = (0..self.lanes.len()).map(|at| self.may_begin(at)).collect();
        let Self { lanes, owned, options, .. } = self;
        // Since anything came, not since now: where this worker itself was held up, by its store, all have waited for it.
        let newest = owned.iter().map(|owned| owned.delivered).max().unwrap_or(now);
        let waiting = |within: Duration| -> u64 {
            if reads_on { owned.iter().map(|owned| owned.waiting(newest, within)).sum() } else { 0 }
        };
        let lanes = lanes.iter_mut().enumerate().filter(|(at, _)| may_begin[*at]);
        let due = lanes.filter_map(|(at, lane)| {
            let is_due = lane.may_flush(now, waiting) || judged || lane.is_full(options);
            is_due.then_some(at)
        });
        due.collect()
    }

    /// Whether a flush of this pipeline may begin: nothing is in its way, and nothing has to be durable before that is behind.
    /// Only a flush that takes everything lets the commits go on, and dead letters be forgotten.
    fn may_begin(&self, lane: usize) -> bool {
        let Lane { fold, .. } = &self.lanes[lane];
        let has_to_commit =
            self.flights.is_far_behind(lane) || fold.holds_back() && self.lanes[lane].has_to_commit(&self.options);
        self.is_free(lane) && !has_to_commit
    }

    /// Whether no flush is in the way of one of this pipeline: its own, or, where letters were spilled, any: to read again
    /// drops those that are under way, so they would be begun anew each time. It is read on meanwhile.
    fn is_free(&self, lane: usize) -> bool {
        if self.letters.spilled { self.flights.is_empty() } else { !self.flights.has(lane) }
    }

    /// When the next pipeline may flush that has something to write.
    fn next_due(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().enumerate().filter(|(at, _)| self.may_begin(*at) && self.has_news(*at));
        lanes.map(|(_, lane)| lane.pace.due()).min()
    }

    /// Whether anything was read that is not durable in this pipeline, and can be made so now.
    fn has_news(&self, lane: usize) -> bool {
        let Lane { fold, .. } = &self.lanes[lane];
        if fold.holds_back() {
            return fold.dirty() > 0 || !self.letters.waiting.is_empty();
        }
        self.owned.iter().any(|owned| owned.read > owned.ledgers[lane].commit)
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
        // Twice: what was under way, or was behind, is not all that was read.
        for _ in 0..2 {
            let idle: Vec<usize> = (0..self.lanes.len()).filter(|at| self.is_free(*at)).collect();
            if self.begin_flushes(&idle).await? == Flushed::Conflict || self.land_all().await? == Flushed::Conflict {
                return Ok(Flushed::Conflict);
            }
        }
        Ok(Flushed::Durable)
    }

    /// Send what these pipelines have folded on its way; nothing is in the way of them.
    async fn begin_flushes(&mut self, chosen: &[usize]) -> Result<Flushed> {
        if self.holds() || chosen.is_empty() {
            return Ok(Flushed::Durable);
        }
        if self.letters.spilled {
            // Their bytes are in the source.
            self.breaker.trust(self.lanes.iter().map(|lane| lane.since_flush).max().unwrap_or(0));
            self.rewind();
            return Ok(Flushed::Conflict);
        }
        for &at in chosen {
            self.lanes[at].pace.begin();
            if self.has_news(at) {
                self.sync_letters().await?;
                let shipment = self.shipment(at);
                self.flights.begin(self.store.clone(), shipment, self.patience.clone());
            } else if !self.lanes[at].fold.holds_back() {
                // What was read was read again for another pipeline: it says nothing of how far this one will come.
                self.lanes[at].since_flush = 0;
            }
        }
        Ok(Flushed::Durable)
    }

    /// What a pipeline has folded since its last flush, but for tiles that are behind.
    fn shipment(&mut self, at: usize) -> Shipment {
        let Lane { fold, since_flush, letters, links, .. } = &mut self.lanes[at];
        let commits = !fold.holds_back();
        if commits {
            *letters = 0;
        }
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
        let (table, links, backoff) = (fold.table().clone(), std::mem::take(links), self.patience.backoff());
        Shipment { lane: at, table, writes, reached, commits, links, backoff }
    }

    /// Wait for all flushes that are under way, and commit what they made durable.
    async fn land_all(&mut self) -> Result<Flushed> {
        while !self.flights.is_empty() {
            self.flights.wait().await;
            if self.land().await? == Flushed::Conflict {
                return Ok(Flushed::Conflict);
            }
        }
        Ok(Flushed::Durable)
    }

    /// Commit what the flushes that have ended made durable.
    pub(super) async fn land(&mut self) -> Result<Flushed> {
        while let Some(ended) = self.flights.take_ended() {
            let landed = match ended {
                Ok(sent) => self.take_note(sent).await?,
                Err(error) => {
                    // A write that was sent is not left alone because another one failed; but one that nobody takes is.
                    let others = async {
                        while !self.flights.is_empty() {
                            self.flights.wait().await;
                            drop(self.flights.take_ended());
                        }
                    };
                    self.failure = Some(error);
                    // What is left of them is what a crash leaves.
                    let _ = tokio::time::timeout(OTHERS, others).await;
                    return self.failure.take().map_or(Ok(Flushed::Durable), Err);
                }
            };
            if landed == Flushed::Conflict {
                return Ok(Flushed::Conflict);
            }
        }
        Ok(Flushed::Durable)
    }

    async fn take_note(&mut self, sent: Sent) -> Result<Flushed> {
        let Sent { lane, flushed, writes, resent, ambiguous, reached, left, was_behind } = sent;
        self.progress.resent += resent;
        self.progress.ambiguous += ambiguous;
        match flushed {
            Flushed::Durable => {}
            Flushed::Conflict => {
                self.give_way().await;
                return Ok(Flushed::Conflict);
            }
            Flushed::Closed => {
                self.rewind();
                return Ok(Flushed::Conflict);
            }
        }
        let fold = &mut self.lanes[lane].fold;
        if was_behind {
            fold.let_go();
        }
        if let Some(left) = left {
            fold.hold_back(&left.writes, &self.owned);
            self.flights.leave_behind(self.store.clone(), left, self.patience.clone());
        }
        self.progress.writes += writes;
        self.progress.flushes += u64::from(!was_behind);
        let before: Vec<Option<Offset>> = self.owned.iter().map(Owned::commit).collect();
        for Durable { partition, commit, standing } in reached {
            if let Some(owned) = self.owned.iter_mut().find(|owned| owned.id == partition) {
                let ledger = &mut owned.ledgers[lane];
                ledger.commit = ledger.commit.max(commit);
                // What was behind may have said more meanwhile.
                if standing.version() >= ledger.standing.version() {
                    ledger.standing = standing;
                }
            }
        }
        self.rolling.reached(&self.owned);
        let moved = self.owned.iter().zip(before).filter(|(owned, before)| owned.commit() > *before);
        let moved: Vec<&Owned> = moved.map(|(owned, _)| owned).collect();
        for owned in &moved {
            self.dead_letters.passed(&owned.id, &commits_of(&self.lanes, owned)).await;
        }
        let commits: Vec<_> = moved.into_iter().filter_map(|owned| Some((owned.id.clone(), owned.commit()?))).collect();
        failpoint::reach(Point::BeforeCommit);
        match self.source.commit(&commits).await {
            // The store has the positions, and whoever starts goes by them.
            Err(error) if error.is_retryable() => tracing::warn!(%error, "the source did not take the commit"),
            done => done?,
        }
        Ok(Flushed::Durable)
    }

    /// Someone else writes these partitions: drop everything and start again from the commits.
    async fn give_way(&mut self) {
        self.progress.rewinds += 1;
        let rewinds = self.progress.rewinds;
        if rewinds == 1 {
            tracing::info!("another owner writes these partitions; reading again from the commit");
        } else {
            tracing::warn!(
                rewinds,
                "another owner writes these partitions, not for the first time; reading again from the commit. If it goes \
                 on, a program of another group keeps the same tables: everything is counted once, and written twice"
            );
        }
        // Two owners that run into each other must not do so in step for ever.
        let pause = Duration::from_millis(self.patience.random() % 500);
        self.flights.beside(tokio::time::sleep(pause)).await;
        self.rewind();
    }
}

/// How far each pipeline has a partition durable.
pub(super) fn commits_of<E>(lanes: &[Lane<E>], owned: &Owned) -> Vec<(&'static str, Option<Offset>)> {
    lanes.iter().map(|lane| lane.fold.pipeline()).zip(owned.ledgers.iter().map(|ledger| ledger.commit)).collect()
}
