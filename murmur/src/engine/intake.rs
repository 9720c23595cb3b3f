//! Taking in a batch: from payloads to what is staged and refused.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::flush::read_all;
use super::fold::{At, Broken, Fate, Staged};
use super::lane::Lane;
use super::panicked::guarded;
use super::partition::{Ledger, Owned};
use super::unreadable::Unreadable;
use super::worker::Worker;
use crate::event::{BesideField, Event, Place};
use crate::source::{Batch, Envelope, Letter, LetterClass, Offset, PartitionId};
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// How far ahead of the clock an event may be and still say how far the stream is.
///
/// One event from a broken clock would otherwise make every later answer claim to be complete up to its time. It is
/// counted all the same, where it says it belongs.
const AHEAD: Span = Span::from_seconds(3_600);

/// Why a payload is not counted, and where.
struct Refused {
    pipelines: Vec<&'static str>,
    at: Option<Timestamp>,
    reason: Unreadable,
    class: LetterClass,
}

/// Where a payload stands.
struct Spot {
    /// Its partition, by its place among the owned ones.
    at: usize,
    offset: Offset,
    /// By the partition's [`Ruler`](crate::source::Ruler), where identities are kept.
    position: Option<u64>,
}

impl<E: Event> Worker<E> {
    /// Fold a batch.
    pub(super) async fn take(&mut self, batch: Batch) -> Result<()> {
        let Some(partition) = &batch.partition else { return Ok(()) };
        let Some(at) = self.owned.iter().position(|owned| owned.id == *partition) else { return Ok(()) };
        let now = self.clock.now();
        let mut letters = Vec::new();
        for (n, payload) in batch.payloads.iter().enumerate() {
            let offset = payload.offset;
            let position = self.owned[at].memory.as_mut().map(|memory| memory.step(offset));
            let is_old = n < batch.lead || self.owned[at].read.is_some_and(|read| offset <= read);
            if is_old && position.is_none() {
                continue;
            }
            let bytes = &batch.buffer[payload.bytes.clone()];
            let event = match &payload.broken {
                Some(reason) => Err(Unreadable::plain(&**reason)),
                None => self.read(bytes, &batch.envelope(n)),
            };
            if is_old {
                self.remember(event.ok().as_ref(), at, position);
                continue;
            }
            self.progress.read += 1;
            self.progress.read_again += u64::from(Some(offset) <= self.owned[at].met);
            self.lanes.iter_mut().for_each(|lane| lane.since_flush += 1);
            if !batch.traces.is_empty() {
                self.link(&batch, n, at, offset);
            }
            let refused = self.stage(event, Spot { at, offset, position }, now);
            let newest = refused.first().map(|refused| self.locate(partition, offset, &refused.reason));
            self.breaker.note(newest);
            if refused.is_empty() {
                self.progress.applied += 1;
            } else {
                self.tally(&refused);
            }
            letters.extend(refused.into_iter().filter_map(|refused| self.letter(&batch, n, refused)));
            self.owned[at].read = Some(offset);
            if self.lanes.iter().any(|lane| lane.fold.is_heavy()) {
                if !self.settle(&batch, &mut letters).await? {
                    return Ok(());
                }
                self.add_letters(&mut letters);
                self.flush_what_is_due(true).await?;
                if self.owned.get(at).is_none_or(|owned| owned.id != *partition) {
                    // A conflict: the rest is void.
                    return Ok(());
                }
            }
        }
        if !letters.is_empty() || !self.letters.waiting.is_empty() {
            self.breaker.check()?;
        }
        if !self.settle(&batch, &mut letters).await? {
            return Ok(());
        }
        self.add_letters(&mut letters);
        if let Some(reached) = batch.reached {
            self.owned[at].read = self.owned[at].read.max(Some(reached));
        }
        self.progress.tombstones += batch.tombstones;
        self.owned[at].lag = batch.lag;
        if !batch.payloads.is_empty() || batch.reached.is_some() {
            self.owned[at].delivered = Instant::now();
        }
        self.owned[at].stamped = batch.stamped.or(self.owned[at].stamped);
        self.source.recycle(batch);
        Ok(())
    }

    /// Where a payload stands, and why it is bad, for an error.
    fn locate(&self, partition: &PartitionId, offset: Offset, reason: &Unreadable) -> String {
        let place = self.source.place(partition, offset);
        let place = place.unwrap_or_else(|| format!("offset {offset} of `{partition}`"));
        format!("{place}: {reason}")
    }

    /// The letter of a batch's payload.
    fn letter(&self, batch: &Batch, n: usize, Refused { pipelines, at, reason, class }: Refused) -> Option<Letter> {
        let (partition, payload) = (batch.partition.clone()?, batch.payloads.get(n)?);
        Some(Letter {
            offset: payload.offset,
            pipelines,
            place: self.source.place(&partition, payload.offset),
            reason: reason.into_full(),
            class,
            at,
            payload: batch.buffer[payload.bytes.clone()].to_vec(),
            metadata: batch.metadata(n),
            partition,
        })
    }

    /// From a payload and what stands beside it to an event.
    fn read(&self, bytes: &[u8], envelope: &Envelope<'_>) -> std::result::Result<E, Unreadable> {
        let read = guarded("what reads it", || {
            let mut event = (self.decode)(bytes)?;
            if !E::BESIDE.is_empty() {
                event.fill(envelope).map_err(|why| {
                    let outline = format!("not a `{}`, by what stands beside the payload", E::NAME);
                    Unreadable::new(format!("not a `{}`: {why}", E::NAME), outline)
                })?;
            }
            Ok(event)
        });
        let outline = || format!("not a `{}`: what reads it panicked", E::NAME);
        read.unwrap_or_else(|panic| Err(Unreadable::new(format!("not a `{}`: {panic}", E::NAME), outline())))
    }

    /// An event that counts no more, of which a later one may be a repetition.
    fn remember(&mut self, event: Option<&E>, at: usize, position: Option<u64>) {
        let Some((memory, position)) = self.owned[at].memory.as_mut().zip(position) else { return };
        for (Lane { fold, .. }, seen) in self.lanes.iter_mut().zip(&mut memory.seen) {
            if let (Some(event), Some(seen)) = (&event, seen) {
                fold.meet(event, seen, position);
            }
        }
    }

    /// Stage an event in every pipeline that lacks it; which ones refuse it.
    fn stage(&mut self, event: std::result::Result<E, Unreadable>, place: Spot, now: Timestamp) -> Vec<Refused> {
        let Spot { at, offset, position } = place;
        let event = match event {
            Ok(event) => event,
            Err(reason) => return self.refuse_everywhere(at, offset, reason),
        };
        let time = event.time();
        self.note_time(at, time, now);
        let mut refused = Vec::new();
        let Owned { ledgers, memory, .. } = &mut self.owned[at];
        for (n, (Lane { fold, tally, .. }, ledger)) in self.lanes.iter_mut().zip(ledgers).enumerate() {
            let seen = memory.as_mut().and_then(|memory| memory.seen[n].as_mut()).zip(position);
            if ledger.has(offset) {
                if let Some((seen, position)) = seen {
                    fold.meet(&event, seen, position);
                }
                self.progress.already_applied += 1;
                tally.already_applied += 1;
                continue;
            }
            // Whatever becomes of the event: the front follows from the log alone.
            let front = ledger.front;
            ledger.front = front.max(time);
            let catching_up = ledger.catching_up(offset);
            let needs_marks = ledger.standing.record.needs_marks();
            let place = At { partition: at as u16, offset, catching_up, front, needs_marks };
            match fold.stage(&event, place, now, seen) {
                Ok(Fate::Repeated) => {
                    self.progress.repeated += 1;
                    tally.repeated += 1;
                }
                Ok(Fate::Staged(Staged { filtered, expired, late })) => {
                    self.progress.expired += expired;
                    self.progress.late += late;
                    tally.filtered += u64::from(filtered);
                    tally.expired += expired;
                    tally.late += late;
                }
                Err(refusal) => {
                    let outline = format!("`{}` does not take it", fold.pipeline());
                    let reason = Unreadable::new(refusal.0, outline);
                    let class = LetterClass::Refused;
                    refused.push(Refused { pipelines: vec![fold.pipeline()], at: time, reason, class });
                }
            }
        }
        refused
    }

    /// Have the source deliver what the events need beside their payloads, or say that it cannot.
    pub(super) fn ask_for_beside(&mut self) -> Result<()> {
        if E::BESIDE.is_empty() || self.source.carry_beside() {
            return Ok(());
        }
        let Some(BesideField { name, place, .. }) = E::BESIDE.iter().find(|field| field.required) else {
            return Ok(());
        };
        let way = match place {
            Place::BrokerTime => "let it come from the payload",
            _ => "make the field an `Option`",
        };
        let context = format!(
            "`{}` takes its field `{name}` from {place}, and this source has payloads only; read from a topic of Kafka, \
             or {way}",
            E::NAME
        );
        Err(Error::new(ErrorKind::Configuration, context))
    }

    fn tally(&mut self, refused: &[Refused]) {
        for lane in &mut self.lanes {
            let name = lane.fold.pipeline();
            lane.tally.refused += u64::from(refused.iter().any(|refused| refused.pipelines.contains(&name)));
        }
    }

    /// No pipeline can count a payload that is no event. Those that had it durable have their letter.
    fn refuse_everywhere(&self, at: usize, offset: Offset, reason: Unreadable) -> Vec<Refused> {
        let lanes = self.lanes.iter().zip(&self.owned[at].ledgers);
        let pipelines: Vec<_> =
            lanes.filter(|(_, ledger)| !ledger.has(offset)).map(|(lane, _)| lane.fold.pipeline()).collect();
        let class = LetterClass::Undecodable;
        if pipelines.is_empty() { Vec::new() } else { vec![Refused { pipelines, at: None, reason, class }] }
    }

    /// How far the stream is by this event.
    fn note_time(&mut self, at: usize, time: Option<Timestamp>, now: Timestamp) {
        if time <= self.owned[at].watermark {
            return;
        }
        if time > Some(now.saturating_add(AHEAD)) {
            self.progress.ahead += 1;
            return;
        }
        self.owned[at].watermark = time;
        self.progress.newest = self.progress.newest.max(time);
    }

    /// Fold the batch, after comparing with the store what an earlier owner may have written. What tiles do not take is
    /// added to the letters. Not when an aggregate panicked: then all is read again from the commits.
    async fn settle(&mut self, batch: &Batch, letters: &mut Vec<Letter>) -> Result<bool> {
        let mut shut_out = Vec::new();
        let mut broken = None;
        for Lane { fold, tally, .. } in &mut self.lanes {
            let wanted = fold.wanted(&self.owned);
            let reading = read_all(&*self.store, fold.table(), &wanted, &self.patience);
            let items = if wanted.is_empty() { reading.await? } else { self.flights.beside(reading).await? };
            let settled = fold.settle(items, &self.owned)?;
            self.progress.already_applied += settled.already_applied;
            tally.already_applied += settled.already_applied;
            tally.refused += settled.shut_out.len() as u64;
            let pipeline = fold.pipeline();
            shut_out.extend(settled.shut_out.into_iter().map(|(offset, reason)| (offset, pipeline, reason)));
            if settled.broken.is_some() {
                broken = settled.broken.zip(Some(pipeline));
                break;
            }
        }
        if let Some((Broken { partition, offset }, pipeline)) = broken {
            tracing::warn!(
                %partition, %offset, pipeline,
                "an aggregate panicked at an event, which will be a dead letter; reading again from the commit"
            );
            self.rewind();
            return Ok(false);
        }
        // A full tile, or a sum near its end, says nothing about the source, so the breaker does not hear of it.
        let mut dead: BTreeSet<Offset> = letters.iter().map(|letter| letter.offset).collect();
        for (offset, pipeline, reason) in shut_out {
            let Ok(n) = batch.payloads.binary_search_by_key(&offset, |payload| payload.offset) else { continue };
            if dead.insert(offset) {
                self.progress.applied -= 1;
            }
            let bytes = &batch.buffer[batch.payloads[n].bytes.clone()];
            let at = self.read(bytes, &batch.envelope(n)).ok().and_then(|event| event.time());
            let refused = Refused { pipelines: vec![pipeline], at, reason: reason.into(), class: LetterClass::Full };
            letters.extend(self.letter(batch, n, refused));
        }
        letters.sort_by_key(|letter| letter.offset);
        Ok(true)
    }
}

impl Ledger {
    /// Whether the event at `offset` was durable when the partition was taken.
    pub(super) fn has(&self, offset: Offset) -> bool {
        self.durable.is_some_and(|durable| offset <= durable)
    }
}
