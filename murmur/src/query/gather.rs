//! From a plan to the fold of each key: all their items, in as few calls of the store as it takes.
//!
//! What is to be read is the same for all keys of a request, so it is read for all of them at the same time: what has a
//! name in one call, and a range of tiles in a call for each key. Where slots turn out not to be rolled, the levels below
//! are read in their place, again for all keys at once. So a request waits for the store as often as there are levels
//! that are not rolled, and once more; only ranges of many tiles are read a page after the other.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use smallvec::SmallVec;

use super::budget::Budget;
use super::coalesce::{Found, Items, Read};
use super::cover::{Settled, cover};
use super::fold::{Fold, Folded};
use super::plan::Step;
use super::points::Points;
use super::progress::Seen;
use super::sealed::Sealed;
use super::{Plan, Reader};
use crate::aggregate::{Form, Monoid};
use crate::pipeline::Pipeline;
use crate::store::{Consistency, TileId};
use crate::time::{Level, Tile, Tiling, TimeRange, Timestamp};
use crate::{Error, Result};

/// Items that one call of the store may bring; bounds the memory of a request.
const PAGE: usize = 1_024;

/// Calls of one request that run at the same time.
const CALLS_AT_ONCE: usize = 32;

/// Tiles of the finest level up to which nothing is gained by the levels above.
const FEW: u64 = 4;

/// Single tiles of a step that are asked for one by one, all in one call; more are asked for as a range.
const SINGLES: usize = 4;

/// How a request reads.
pub(super) struct Gather<'a> {
    pub(super) budget: &'a Budget,
    pub(super) consistency: Consistency,
    /// The levels above the finest one that may be used.
    pub(super) parents: &'a [Level],
    /// Where tiles are kept that cannot change any more; `None` for who does not go by them.
    pub(super) sealed: Option<Sealed<'a>>,
}

impl<'a> Gather<'a> {
    /// The levels that those below `level` are made of, when it is one that rolling writes.
    fn below(&self, level: Level) -> Option<&'a [Level]> {
        let at = self.parents.iter().position(|parent| *parent == level)?;
        Some(&self.parents[..at])
    }

    /// A tile that need not be read, if it is one that rolling writes.
    fn kept<P: Pipeline>(&self, step: &Step, id: &TileId) -> Option<Found> {
        let sealed = self.sealed.filter(|_| self.below(step.level).is_some())?;
        let found = sealed.find(&P::tiling(), id, step.slots)?;
        if let Some(tally) = &self.budget.tally {
            tally.kept(step.level);
        }
        Some(found)
    }

    /// Keep what was read of a single tile, if it is one that rolling writes: others have no slots that are rolled.
    fn keep<P: Pipeline>(&self, found: &Found) {
        if let Some(sealed) = &self.sealed {
            sealed.keep(&P::tiling(), found);
        }
    }
}

/// A part of the fold of a key.
enum Part {
    /// To be read.
    Wanted(Step),
    /// Tiles that hold all that there is of their time, each with its parts.
    Tiles(Step, SmallVec<[Found; 1]>),
    /// Slots of a tile that hold the folds of their children.
    Rolled(Found, Range<u16>),
    /// The first page of a range.
    Page(Step, Found),
}

impl Part {
    /// Whether there is more behind what was read.
    fn goes_on(&self) -> bool {
        matches!(self, Self::Page(_, page) if complete(page, PAGE).1.is_some())
    }

    /// Fold what was read.
    fn fold<A: Monoid>(&self, fold: &mut Fold<A>) -> Result<()> {
        match self {
            Self::Tiles(step, tiles) => tiles.iter().try_for_each(|tile| fold.take(step, tile)),
            Self::Rolled(tile, slots) => tile.iter().try_for_each(|(id, item)| fold.take_rolled(id, slots, item)),
            Self::Page(step, page) => fold.take(step, page),
            // All that was wanted has been read.
            Self::Wanted(_) => Ok(()),
        }
    }
}

/// The fold of a key, in order. All time is one part.
type Parts = SmallVec<[Part; 1]>;

/// Slots that are not rolled, of a key.
type Missing = (Arc<str>, Level, TimeRange);

impl<P: Pipeline> Reader<P> {
    /// The fold of each key, in their order.
    pub(super) async fn folds(
        &self,
        keys: &[Arc<str>],
        plan: &Plan,
        seen: &Seen,
        points: Option<&Points>,
        consistency: Consistency,
        budget: &Budget,
    ) -> Result<Vec<Folded<P::Aggregate>>> {
        let tiling = P::tiling();
        let fit = |level: &&Level| points.is_none_or(|points| points.fit(&tiling, **level));
        let parents: Vec<Level> = tiling.parents().iter().filter(fit).copied().collect();
        let keeping = self.how.keeps.as_ref().filter(|_| consistency == Consistency::Eventual);
        let sealed = keeping.map(|keeping| keeping.sealed(seen.seal, self.now()));
        let how = Gather { budget, consistency, parents: &parents, sealed };
        let mut folds: Vec<_> = keys.iter().map(|_| Fold::new(&self.inner.table, tiling, points.cloned())).collect();
        let steps = steps(&tiling, plan, &parents, seen.settled);
        self.gather(&how, keys, &steps, &mut folds).await.map_err(|error| seen.explain(error, plan.cut))?;
        Ok(folds.into_iter().map(Fold::finish).collect())
    }

    /// Fold what these steps cover, in their order, for each key.
    pub(super) async fn gather(
        &self,
        how: &Gather<'_>,
        keys: &[Arc<str>],
        steps: &[Step],
        folds: &mut [Fold<P::Aggregate>],
    ) -> Result<()> {
        let wanted = || steps.iter().copied().map(Part::Wanted).collect::<Parts>();
        let mut parts: Vec<Parts> = keys.iter().map(|_| wanted()).collect();
        let mut missing = Vec::new();
        while self.read(how, keys, &mut parts, &mut missing).await? {}
        // Collected first: a stream over a borrowing iterator has a future that no thread may carry on.
        let mut waiting = Vec::new();
        for ((key, parts), fold) in keys.iter().zip(parts).zip(folds) {
            match parts.iter().any(Part::goes_on) {
                true => waiting.push(self.take(how, key, parts, fold)),
                false => parts.iter().try_for_each(|part| part.fold(fold))?,
            }
        }
        let pages = at_once(waiting).await?;
        how.budget.wait(pages.into_iter().max().unwrap_or(0));
        // The lower levels come first: those above are made of them.
        for (key, level, slots) in missing.iter().rev() {
            self.offer(key, *level, *slots);
        }
        Ok(())
    }

    /// Read all that is wanted, of all keys, at the same time. Whether there was anything.
    async fn read(
        &self,
        how: &Gather<'_>,
        keys: &[Arc<str>],
        parts: &mut [Parts],
        missing: &mut Vec<Missing>,
    ) -> Result<bool> {
        // Of single tiles those that are kept, and in the places of the others what is to be read.
        let (mut kept, mut singles, mut pages) = (Vec::new(), Vec::new(), Vec::new());
        for (key, parts) in keys.iter().zip(parts.iter()) {
            for part in parts {
                let Part::Wanted(step) = part else { continue };
                match names::<P>(how, step) {
                    Some(tiles) => {
                        for tile in tiles {
                            let id = TileId { key: key.clone(), tile, part: None };
                            let found = how.kept::<P>(step, &id);
                            if found.is_none() {
                                singles.push(Read::Tile(id));
                            }
                            kept.push(found);
                        }
                    }
                    None => {
                        let (key, level, starts) = (key.clone(), step.level, step.tiles);
                        pages.push(Read::Tiles { key, level, starts, limit: PAGE });
                    }
                }
            }
        }
        if kept.is_empty() && pages.is_empty() {
            return Ok(false);
        }
        // They count as well: what a request may ask for does not depend on what others have.
        how.budget.spend(kept.iter().flatten().map(|found| found.len()).sum())?;
        how.budget.wait(u64::from(!singles.is_empty() || !pages.is_empty()));
        let singles = singles.chunks(PAGE).map(<[Read]>::to_vec).map(|reads| async {
            let found = self.inner.coalesce.many(reads, how.consistency, how.budget.tally.as_ref()).await?;
            how.budget.spend(found.iter().map(|items| items.len()).sum())?;
            Ok::<_, Error>(found)
        });
        let pages = pages.into_iter().map(|read| async {
            let page = self.inner.coalesce.one(read, how.consistency, how.budget.tally.as_ref()).await?;
            how.budget.spend(complete(&page, PAGE).0)?;
            Ok::<_, Error>(page)
        });
        let (singles, pages) = try_join(at_once(singles.collect()), at_once(pages.collect())).await?;
        let (mut read, mut pages) = (singles.into_iter().flatten(), pages.into_iter());
        let mut singles =
            kept.into_iter().map_while(|kept| kept.or_else(|| read.next().inspect(|found| how.keep::<P>(found))));
        for (key, parts) in keys.iter().zip(parts) {
            for part in std::mem::take(parts) {
                let Part::Wanted(step) = part else {
                    parts.push(part);
                    continue;
                };
                match (names::<P>(how, &step), how.below(step.level)) {
                    (Some(tiles), Some(below)) => {
                        let tiles = tiles.zip(singles.by_ref());
                        let slots = |gap| self.missing(how, key, &step, below, gap, missing);
                        split(&P::tiling(), &step, tiles, parts, slots);
                    }
                    (Some(tiles), None) => {
                        parts.push(Part::Tiles(step, tiles.zip(singles.by_ref()).map(|(_, found)| found).collect()));
                    }
                    (None, _) => parts.extend(pages.next().map(|page| Part::Page(step, page))),
                }
            }
        }
        Ok(true)
    }

    /// What to read in place of slots that are not rolled.
    fn missing(
        &self,
        how: &Gather<'_>,
        key: &Arc<str>,
        step: &Step,
        below: &[Level],
        Gap { slots, can_be_rolled }: Gap,
        missing: &mut Vec<Missing>,
    ) -> Vec<Step> {
        if let Some(tally) = &how.budget.tally {
            tally.not_rolled(step.level, slots);
        }
        match below.is_empty() {
            // Whatever is rolled into them would be passed over.
            _ if !can_be_rolled => {}
            // At once: where there is too much to read for one request, the next one finds it rolled.
            true => self.offer(key, step.level, slots),
            false => missing.push((key.clone(), step.level, slots)),
        }
        cover(&P::tiling(), below, slots, Settled::ALL)
    }

    /// Fold the parts of a key, in their order, where there is more to read. How many pages that was.
    async fn take(&self, how: &Gather<'_>, key: &Arc<str>, parts: Parts, fold: &mut Fold<P::Aggregate>) -> Result<u64> {
        let mut pages = 0;
        for part in parts {
            match part {
                Part::Page(step, page) => pages += self.pages(how, key, &step, page, fold).await?,
                part => part.fold(fold)?,
            }
        }
        Ok(pages)
    }

    /// A page after the other. How many there were behind the first.
    async fn pages(
        &self,
        how: &Gather<'_>,
        key: &Arc<str>,
        step: &Step,
        first: Found,
        fold: &mut Fold<P::Aggregate>,
    ) -> Result<u64> {
        let (mut items, mut starts, mut limit, mut read) = (first, step.tiles, PAGE, 0);
        loop {
            let (whole, next) = complete(&items, limit);
            fold.take(step, &items[..whole])?;
            match next {
                None => return Ok(read),
                Some(_) if whole == 0 => {
                    how.budget.check(limit)?;
                    limit *= 2;
                }
                Some(next) => {
                    starts.start = next;
                    limit = PAGE;
                }
            }
            let page = Read::Tiles { key: key.clone(), level: step.level, starts, limit };
            items = self.inner.coalesce.one(page, how.consistency, how.budget.tally.as_ref()).await?;
            how.budget.spend(complete(&items, limit).0)?;
            read += 1;
        }
    }
}

/// What comes of all of these, in their order.
pub(super) async fn at_once<T>(mut calls: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    // The most frequent ones by far need no queue.
    match calls.pop() {
        None => Ok(Vec::new()),
        Some(only) if calls.is_empty() => Ok(vec![only.await?]),
        Some(last) => {
            calls.push(last);
            stream::iter(calls).buffered(CALLS_AT_ONCE).try_collect().await
        }
    }
}

/// How many items of a page are tiles with all their parts, and the tile that the next page begins with: a full page may
/// end within the parts of one.
fn complete(items: &Items, limit: usize) -> (usize, Option<Timestamp>) {
    let next = items.last().filter(|_| items.len() >= limit).map(|(id, _)| id.tile.start);
    (next.map_or(items.len(), |next| items.partition_point(|(id, _)| id.tile.start < next)), next)
}

/// Slots beside each other that are not rolled.
#[derive(Clone, Copy)]
struct Gap {
    slots: TimeRange,
    /// Whether some of them can be: those that are [unrolled](crate::store::Item::is_unrolled) stay so.
    can_be_rolled: bool,
}

/// The slots of a step of a level that rolling writes: those that are rolled, and in place of the others what `missing`
/// says.
fn split(
    tiling: &Tiling,
    step: &Step,
    tiles: impl Iterator<Item = (Tile, Found)>,
    out: &mut Parts,
    mut missing: impl FnMut(Gap) -> Vec<Step>,
) {
    let mut gap: Option<Gap> = None;
    let mut fill = |gap: &mut Option<Gap>, out: &mut Parts| {
        out.extend(gap.take().map(&mut missing).into_iter().flatten().map(Part::Wanted));
    };
    for (tile, found) in tiles {
        let mut at = tile.start.max(step.slots.start);
        let end = tiling.tile_range(tile).end.min(step.slots.end);
        let all = tiling.slots_between(tile, at, end);
        if !all.is_empty() && found.first().is_some_and(|(_, item)| item.are_rolled(&all)) {
            fill(&mut gap, out);
            out.push(Part::Rolled(found, all));
            continue;
        }
        let mut run: Option<Range<u16>> = None;
        while at < end {
            let slot = tiling.slot_in(tile, at);
            let next = tiling.slot_range(tile, slot).end;
            let item = found.first().map(|(_, item)| item);
            if item.is_some_and(|item| item.is_rolled(slot)) {
                fill(&mut gap, out);
                run = Some(run.map_or(slot.0, |run| run.start)..slot.0 + 1);
            } else {
                out.extend(run.take().map(|run| Part::Rolled(found.clone(), run)));
                let slots = TimeRange::new(gap.map_or(at, |gap| gap.slots.start), next);
                let can_be_rolled = !item.is_some_and(|item| item.is_unrolled(slot));
                gap = Some(Gap { slots, can_be_rolled: can_be_rolled || gap.is_some_and(|gap| gap.can_be_rolled) });
            }
            at = next;
        }
        out.extend(run.take().map(|run| Part::Rolled(found.clone(), run)));
    }
    fill(&mut gap, out);
}

/// What to read for a plan.
fn steps(tiling: &Tiling, plan: &Plan, parents: &[Level], settled: Settled) -> Vec<Step> {
    let Some(finest) = plan.finest else { return Vec::new() };
    if plan.whole {
        return vec![finest];
    }
    let (first, _) = tiling.locate(plan.cut.start);
    let tile = tiling.tile_range(first);
    let many = plan.cut.end.since(plan.cut.start).as_micros() > FEW as i64 * tile.end.since(tile.start).as_micros();
    let mut steps = if many { cover(tiling, parents, plan.cut, settled) } else { vec![finest] };
    steps.extend(settled.late(tiling, plan.cut));
    steps
}

/// The tiles of a step, when each is one item whose name is known and they are few enough to be asked for by it: those
/// that rolling writes, and of the finest level a few of what the store adds.
fn names<P: Pipeline>(how: &Gather<'_>, step: &Step) -> Option<impl Iterator<Item = Tile> + use<P>> {
    let tiling = P::tiling();
    let (level, end) = (step.level, step.tiles.end);
    let first = Tile { level, start: step.tiles.start };
    let next = move |tile: &Tile| {
        // All time is one tile.
        let next = tiling.tile_range(*tile).end;
        (next < end).then(|| tiling.tile_of(level, next))
    };
    let tiles = std::iter::successors(Some(first), next);
    let is_few = || {
        P::Aggregate::FORM == Form::Add
            && level == tiling.finest()
            && tiles.clone().take(SINGLES + 1).count() <= SINGLES
    };
    (how.below(level).is_some() || is_few()).then_some(tiles)
}

impl Settled {
    /// Everything is finished.
    pub(super) const ALL: Self = Self { by_all: Some(Timestamp::MAX), by_some: None };
}
