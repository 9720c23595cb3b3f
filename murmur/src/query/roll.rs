//! Rolling: finished tiles become slots of the level above.
//!
//! It makes reads cheaper, and nothing depends on it: what is not rolled is read from the level below. A finished tile
//! does not change any more (see `engine/frontier.rs`), so whoever rolls it writes the same; it can be done by several at
//! once, be given up half-way, and be repeated.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::Histogram;

use super::budget::Budget;
use super::coalesce::After;
use super::cover::{Settled, cover};
use super::fold::Fold;
use super::limits::Of;
use super::points::Points;
use super::reads::Gather;
use super::{Limits, Reader};
use crate::aggregate::{Form, Monoid, envelope, stored_numbers};
use crate::engine::Frontier;
use crate::metrics::catalogue::{ROLL_WRITE_UNITS, ROLLED_SLOTS, ROLLS};
use crate::pipeline::Pipeline;
use crate::store::{Consistency, TileId, Write, spent};
use crate::time::{Level, Span, TimeRange};
use crate::{Error, ErrorKind, Result};

/// Slots of one key and level to roll.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Job {
    key: Arc<str>,
    level: Level,
    slots: TimeRange,
}

/// What has had something rolled, as the label `trigger` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A read, or whoever asks for it.
    Read,
    /// A worker that wrote it.
    Write,
}

impl Trigger {
    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What reads have asked to be rolled.
#[derive(Debug, Default)]
pub(super) struct Rolls {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    known: HashSet<Job>,
    /// Stretches that have nothing in them, which nobody writes down: what is finished stays so, and reads pass there again.
    empty: HashSet<Job>,
    /// Whether somebody works on them.
    under_way: bool,
    /// This program may not write.
    denied: bool,
}

/// Jobs that wait at most: a read that finds more of them will ask again.
const MOST: usize = 256;

/// Stretches without anything that are remembered, some megabytes; when there are more, all are forgotten.
const EMPTY: usize = 1 << 16;

/// What became of a job that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// It waits, and nobody works on any.
    Alone,
    /// It waits, or had waited, or nothing is rolled here.
    Beside,
    /// There are too many.
    Crowded,
}

impl Rolls {
    fn with<T>(&self, work: impl FnOnce(&mut Waiting) -> T) -> T {
        // Nothing between lock and unlock can leave it half changed.
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Note a job.
    fn add(&self, job: Job) -> Noted {
        self.with(|waiting| {
            if waiting.denied || waiting.known.contains(&job) || waiting.empty.contains(&job) {
                return Noted::Beside;
            }
            if waiting.jobs.len() >= MOST {
                return Noted::Crowded;
            }
            waiting.known.insert(job.clone());
            waiting.jobs.push_back(job);
            if std::mem::replace(&mut waiting.under_way, true) { Noted::Beside } else { Noted::Alone }
        })
    }

    /// The next job, after the last one is done, and whether there was nothing in it.
    fn next(&self, done: Option<(Job, bool)>) -> Option<Job> {
        self.with(|waiting| {
            if let Some((done, is_empty)) = done {
                waiting.known.remove(&done);
                if is_empty {
                    if waiting.empty.len() >= EMPTY {
                        waiting.empty.clear();
                    }
                    waiting.empty.insert(done);
                }
            }
            let next = waiting.jobs.pop_front();
            waiting.under_way = next.is_some();
            next
        })
    }

    fn deny(&self) {
        self.with(|waiting| {
            waiting.denied = true;
            waiting.jobs.clear();
            waiting.known.clear();
        });
    }
}

impl<P: Pipeline> Reader<P> {
    /// Roll what of this key lies in `range` and is finished, level by level; how many slots that were.
    ///
    /// Errors are those of the store. There is no need to call this: a reader that is [`rolling`](Self::rolling) does it
    /// where reads gain by it.
    pub async fn roll(&self, key: &P::Key, range: TimeRange) -> Result<u64> {
        let (tiling, key) = (P::tiling(), super::reader::encode(key)?);
        let seen = self.inner.progress.as_of(self.now(), Consistency::Strong, None).await?;
        let range = seen.settled.finished(&tiling, range);
        let mut rolled = 0;
        for level in tiling.parents() {
            let slots = TimeRange::new(tiling.ceil_unit(*level, range.start), tiling.floor_unit(*level, range.end));
            if !slots.is_empty() {
                rolled += self.roll_level(&key, *level, slots, Trigger::Read).await?.unwrap_or_default();
            }
        }
        Ok(rolled)
    }

    /// Ask for slots to be rolled that a read had to put together from the level below.
    pub(super) fn offer(&self, key: &Arc<str>, level: Level, slots: TimeRange) {
        if !self.how.is_rolling {
            return;
        }
        match self.inner.rolls.add(Job { key: key.clone(), level, slots }) {
            Noted::Alone => {}
            Noted::Beside => return,
            Noted::Crowded => return ended::<P>(Trigger::Read, "crowded"),
        }
        let reader = self.clone();
        // One after the other: reads come first, and a level is made of the one below.
        tokio::spawn(async move {
            let mut done = None;
            while let Some(job) = reader.inner.rolls.next(done.take()) {
                let rolled = reader.roll_level(&job.key, job.level, job.slots, Trigger::Read).await;
                let is_empty = matches!(rolled, Ok(Some(0)));
                match rolled {
                    Ok(slots) => tracing::debug!(level = ?job.level, slots, "rolled"),
                    Err(error) if error.kind() == ErrorKind::Denied => {
                        tracing::warn!(%error, "this program may not write, so it does not roll finished tiles");
                        reader.inner.rolls.deny();
                    }
                    Err(error) => tracing::debug!(%error, "rolling failed; a later read asks for it again"),
                }
                done = Some((job, is_empty));
            }
        });
    }

    /// Roll slots of one level: both sides are edges of its slots. How many were; `None` when they are not finished.
    pub(super) async fn roll_level(
        &self,
        key: &Arc<str>,
        level: Level,
        slots: TimeRange,
        trigger: Trigger,
    ) -> Result<Option<u64>> {
        let rolled = self.roll_finished(key, level, slots, trigger).await;
        let outcome = match &rolled {
            Ok(Some(0)) => "empty",
            Ok(Some(_)) => "rolled",
            Ok(None) => "early",
            Err(error) if error.kind() == ErrorKind::Denied => "denied",
            Err(_) => "failed",
        };
        ended::<P>(trigger, outcome);
        rolled
    }

    async fn roll_finished(
        &self,
        key: &Arc<str>,
        level: Level,
        slots: TimeRange,
        trigger: Trigger,
    ) -> Result<Option<u64>> {
        let (tiling, window) = (P::tiling(), &P::SPEC.window);
        let Some(unit) = tiling.unit_length(level) else { return Ok(None) };
        let (last, _) = tiling.locate(slots.end.saturating_sub(Span::from_micros(1)));
        let Some(closes) = tiling.closes(last) else { return Ok(None) };
        if !Frontier::passes(&*self.inner.store, &self.inner.table, closes).await? {
            return Ok(None);
        }
        let below = tiling.parents().iter().position(|parent| *parent == level).unwrap_or_default();
        // No request of anybody.
        let measured = Histogram::noop();
        let boundless = Limits { keys: 1, items: usize::MAX, lookups: usize::MAX, bytes: usize::MAX };
        let budget = Budget::new(Of::Keys(1), boundless, None, measured);
        let parents = &tiling.parents()[..below];
        let how = Gather { budget: &budget, after: After::Everything, parents, sealed: None };
        let (mut rolled, mut at) = (0, slots.start);
        while at < slots.end {
            let tile = tiling.tile_of(level, at);
            let part = TimeRange::new(at, tiling.tile_range(tile).end.min(slots.end));
            let count = part.end.since(at).as_micros() / unit.as_micros();
            let points = Points::Even { first: at, step: unit, cut: part, count: count as u64 };
            let mut fold = Fold::new(&self.inner.table, tiling, Some(points.clone()));
            let steps = cover(&tiling, how.parents, part, Settled::ALL);
            self.gather(&how, std::slice::from_ref(key), &steps, std::slice::from_mut(&mut fold)).await?;
            let folded = fold.finish().values;
            if folded.iter().all(Option::is_none) {
                // Nobody gains by it, and keys that do not exist must not cost writes.
                at = part.end;
                continue;
            }
            let starts = points.ranges().map(|range| range.start);
            let id = TileId { key: key.clone(), tile, part: None };
            let (mut numbers, mut values, mut filled) = (Vec::new(), Vec::new(), Vec::new());
            for (start, value) in starts.zip(folded) {
                let slot = tiling.slot_in(tile, start);
                filled.push(slot);
                let Some(value) = value else { continue };
                match P::Aggregate::FORM {
                    Form::Add => stored_numbers(&value, |column, number| numbers.push(((slot, column), number))),
                    Form::Put => values.push((slot, envelope::seal(&value).into())),
                }
            }
            let count = filled.len() as u64;
            let write = Write::Roll { id, slots: filled, numbers, values, expires: tiling.expiry(tile, window) };
            let (mut outcomes, spent) = spent::count(self.inner.store.write(&self.inner.table, [write].into())).await;
            let units = spent.map_or(0.0, |spent| spent.write_units);
            ROLL_WRITE_UNITS.counter([P::SPEC.name, trigger.label()]).increment(units.round() as u64);
            match outcomes.pop() {
                Some(outcome) => outcome?,
                None => return Err(Error::new(ErrorKind::Internal, "the store did not answer a write")),
            };
            ROLLED_SLOTS.counter([P::SPEC.name, trigger.label()]).increment(count);
            rolled += count;
            at = part.end;
        }
        Ok(Some(rolled))
    }
}

/// A stretch was asked to be rolled, and this became of it.
pub(super) fn ended<P: Pipeline>(trigger: Trigger, outcome: &'static str) {
    ROLLS.counter([P::SPEC.name, trigger.label(), outcome]).increment(1);
}
