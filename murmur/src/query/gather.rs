//! From a plan to the fold of each key: all their items, in as few calls of the store as it takes.
//!
//! What is to be read is the same for all keys of a request, so it is read for all of them at the same time: what has a
//! name in one call, and a range of tiles in a call for each key. Where slots turn out not to be rolled, what is below them
//! is read in their place (see `gap.rs`), again for all keys at once. So a request waits for the store once, once more where
//! slots are not rolled, and where there is much in them as often as there are levels below; only ranges of many tiles are
//! read a page after the other.

use std::ops::Range;
use std::sync::Arc;

use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt};
use smallvec::SmallVec;

use super::budget::{Budget, RANGE, folding};
use super::coalesce::{After, Found, Read};
use super::cover::{Settled, cover};
use super::fold::{Fold, Folded};
use super::gap::{Gap, LOOK, Piece, split};
use super::plan::Step;
use super::points::Points;
use super::progress::Seen;
use super::reads::{Gather, PAGE, Reading, Reads, complete};
use super::{Plan, Reader};
use crate::aggregate::Monoid;
use crate::pipeline::Pipeline;
use crate::store::{Item, TileId};
use crate::time::{Level, Tiling, TimeRange, Timestamp};
use crate::{Error, Result};

/// Calls of one request that run at the same time.
const CALLS_AT_ONCE: usize = 32;

/// Tiles of the finest level up to which nothing is gained by the levels above.
const FEW: u64 = 4;

/// A part of the fold of a key.
pub(super) enum Part {
    /// To be read.
    Wanted(Wanted),
    /// Slots that are not rolled, in whose place something is to be read.
    Gap(Gap),
    /// Tiles that hold all that there is of their time, each with its parts.
    Tiles(Step, SmallVec<[Found; 1]>),
    /// Slots of a tile that hold the folds of their children.
    Rolled(Found, Range<u16>),
    /// The first page of a range.
    Page(Step, Found),
}

/// Tiles that are to be read.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) step: Step,
    /// Whether there is much below them, and nothing is rolled that it was looked for in.
    pub(super) is_busy: bool,
}

impl Wanted {
    /// As far as it was read, and what is left from `next` on.
    fn cut(self, next: Option<Timestamp>) -> (Self, Option<Self>) {
        let Some(next) = next else { return (self, None) };
        let (mut here, mut rest) = (self, self);
        (here.step.tiles.end, here.step.slots.end) = (next, next);
        (rest.step.tiles.start, rest.step.slots.start) = (next, next);
        (here, Some(rest))
    }
}

impl Part {
    /// Whether there is more behind what was read.
    fn goes_on(&self) -> bool {
        matches!(self, Self::Page(_, page) if complete(page, PAGE).1.is_some())
    }

    /// Fold what was read, with turns for others between.
    async fn fold<A: Monoid>(&self, fold: &mut Fold<A>, budget: &Budget) -> Result<()> {
        match self {
            Self::Tiles(step, tiles) => {
                for tile in tiles {
                    take(step, tile, fold, budget).await?;
                }
            }
            Self::Rolled(tile, slots) => {
                tile.iter().try_for_each(|(id, item)| fold.take_rolled(id, slots, item))?;
                budget.pace(folding(tile)).await;
            }
            Self::Page(step, page) => take(step, page, fold, budget).await?,
            // All that was wanted has been read.
            Self::Wanted(_) | Self::Gap(_) => {}
        }
        Ok(())
    }
}

/// Fold the items of a step, each tile with all its parts, with turns for others between.
async fn take<A: Monoid>(step: &Step, mut items: &[(TileId, Item)], fold: &mut Fold<A>, budget: &Budget) -> Result<()> {
    while let Some((first, _)) = items.first() {
        let (tile, rest) = items.split_at(items.iter().take_while(|(id, _)| id.tile == first.tile).count());
        fold.take(step, tile)?;
        budget.pace(folding(tile)).await;
        items = rest;
    }
    Ok(())
}

/// The fold of a key, in order. All time is one part.
pub(super) type Parts = SmallVec<[Part; 1]>;

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
        budget: &Budget,
    ) -> Result<Vec<Folded<P::Aggregate>>> {
        let tiling = P::tiling();
        let fit = |level: &&Level| points.is_none_or(|points| points.fit(&tiling, **level));
        let parents: Vec<Level> = tiling.parents().iter().filter(fit).copied().collect();
        let keeping = self.how.keeps.as_ref().filter(|_| seen.after != After::Everything);
        let sealed = keeping.map(|keeping| keeping.sealed(seen.seal, self.now()));
        let how = Gather { budget, after: seen.after, parents: &parents, sealed };
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
        let wanted = || steps.iter().map(|&step| Part::Wanted(Wanted { step, is_busy: false })).collect::<Parts>();
        let mut parts: Vec<Parts> = keys.iter().map(|_| wanted()).collect();
        let mut missing = Vec::new();
        while self.read(how, keys, &mut parts, &mut missing).await? {}
        // Collected first: a stream over a borrowing iterator has a future that no thread may carry on.
        let mut waiting = Vec::new();
        for ((key, parts), fold) in keys.iter().zip(parts).zip(folds) {
            match parts.iter().any(Part::goes_on) {
                true => waiting.push(self.take(how, key, parts, fold)),
                false => {
                    for part in parts {
                        part.fold(fold, how.budget).await?;
                    }
                }
            }
        }
        let pages = at_once(waiting, how.budget).await?;
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
        let tiling = P::tiling();
        let (mut asked, mut reads) = (Vec::new(), Reads::default());
        for (key, parts) in keys.iter().zip(parts.iter()) {
            let before = reads.len();
            for part in parts {
                match part {
                    Part::Wanted(Wanted { step, .. }) => {
                        let asks = how.asks::<P>(key, step);
                        reads.add(key, step, asks.as_ref());
                        // They count as well: what a request may ask for does not depend on what others have.
                        let kept = asks.as_ref().map_or(&[][..], |asks| &asks.kept);
                        how.budget.look(kept.len())?;
                        how.budget.spend(kept.iter().flat_map(|found| found.iter()))?;
                        asked.push(asks);
                    }
                    Part::Gap(gap) => {
                        reads.range(key, tiling.finest(), gap.finest(&tiling).tiles, LOOK);
                        asked.push(None);
                    }
                    Part::Tiles(..) | Part::Rolled(..) | Part::Page(..) => {}
                }
            }
            how.budget.look(reads.len() - before)?;
            how.budget.pace(reads.len() - before).await;
        }
        if asked.is_empty() {
            return Ok(false);
        }
        how.budget.wait(u64::from(reads.len() > 0));
        let mut found = self.found(how, reads).await?;
        let mut asked = asked.into_iter();
        for (key, parts) in keys.iter().zip(parts) {
            let before = found.left();
            for part in std::mem::take(parts) {
                let wanted = match part {
                    Part::Wanted(wanted) => wanted,
                    Part::Gap(gap) => {
                        let (_, Some(page)) = (asked.next(), found.pages.next()) else { continue };
                        match page {
                            Some(page) => parts.push(Part::Page(gap.finest(&tiling), page)),
                            None => gap.pieces().for_each(|piece| self.descend(how, key, piece, parts, missing)),
                        }
                        continue;
                    }
                    part => {
                        parts.push(part);
                        continue;
                    }
                };
                let Some(asks) = asked.next().flatten() else {
                    parts.extend(found.pages.next().flatten().map(|page| Part::Page(wanted.step, page)));
                    continue;
                };
                let (tiles, next) = asks.found(&mut found, |tile| how.keep::<P>(tile));
                if how.below(wanted.step.level).is_none() {
                    parts.push(Part::Tiles(wanted.step, tiles));
                    continue;
                }
                let (here, rest) = wanted.cut(next);
                let gap = |parts: &mut _, piece| self.missing(how, key, &here, piece, parts, missing);
                split(&tiling, &here.step, tiles, parts, gap);
                parts.extend(rest.map(Part::Wanted));
            }
            self.close(how, key, parts);
            how.budget.pace(before - found.left()).await;
        }
        Ok(true)
    }

    /// Carry out reads: single tiles in one call for a page of them, ranges in one each.
    async fn found(&self, how: &Gather<'_>, reads: Reads) -> Result<Reading> {
        let singles = reads.singles.chunks(PAGE).map(<[Read]>::to_vec).map(|reads| async {
            let found = self.inner.coalesce.many(reads, how.after, how.budget.tally.as_ref()).await?;
            how.budget.spend(found.iter().flat_map(|found| found.iter()))?;
            how.budget.work(found.len());
            Ok::<_, Error>(found)
        });
        let pages = reads.pages.into_iter().map(|(read, limit)| async move {
            let page = self.inner.coalesce.one(read, how.after, how.budget.tally.as_ref()).await?;
            how.budget.work(RANGE + page.len());
            if limit == LOOK && page.len() >= LOOK {
                // They are read once more, and let go of until then: they are of many keys, and nobody counts their bytes.
                how.budget.look(page.len())?;
                return Ok(None);
            }
            how.budget.spend(&page[..complete(&page, limit).0])?;
            Ok::<_, Error>(Some(page))
        });
        let (singles, pages) =
            try_join(at_once(singles.collect(), how.budget), at_once(pages.collect(), how.budget)).await?;
        Ok(Reading { singles: singles.into_iter().flatten().collect::<Vec<_>>().into_iter(), pages: pages.into_iter() })
    }

    /// Slots of a step that are not rolled.
    fn missing(
        &self,
        how: &Gather<'_>,
        key: &Arc<str>,
        Wanted { step, is_busy }: &Wanted,
        piece: Piece,
        parts: &mut Parts,
        missing: &mut Vec<Missing>,
    ) {
        if let Some(tally) = &how.budget.tally {
            tally.not_rolled(step.level, piece.slots);
        }
        match *is_busy && piece.slots == step.slots {
            true => self.descend(how, key, &piece, parts, missing),
            false => Gap::push(parts, piece),
        }
    }

    /// Read the levels below, in place of slots that are not rolled.
    fn descend(&self, how: &Gather<'_>, key: &Arc<str>, piece: &Piece, parts: &mut Parts, missing: &mut Vec<Missing>) {
        let below = how.below(piece.level).unwrap_or_default();
        match below.is_empty() {
            // Whatever is rolled into them would be passed over.
            _ if !piece.can_be_rolled => {}
            // At once: where there is too much to read for one request, the next one finds it rolled.
            true => self.offer(key, piece.level, piece.slots),
            false => missing.push((key.clone(), piece.level, piece.slots)),
        }
        let steps = cover(&P::tiling(), below, piece.slots, Settled::ALL);
        parts.extend(steps.into_iter().map(|step| Part::Wanted(Wanted { step, is_busy: true })));
    }

    /// Gaps with nothing between them and the finest level need no look.
    fn close(&self, how: &Gather<'_>, key: &Arc<str>, parts: &mut Parts) {
        for part in parts {
            let Part::Gap(gap) = part else { continue };
            if gap.pieces().any(|piece| how.below(piece.level).is_some_and(|below| !below.is_empty())) {
                continue;
            }
            for piece in gap.pieces().filter(|piece| piece.can_be_rolled) {
                self.offer(key, piece.level, piece.slots);
            }
            *part = Part::Wanted(Wanted { step: gap.finest(&P::tiling()), is_busy: true });
        }
    }

    /// Fold the parts of a key, in their order, where there is more to read. How many pages that was.
    async fn take(&self, how: &Gather<'_>, key: &Arc<str>, parts: Parts, fold: &mut Fold<P::Aggregate>) -> Result<u64> {
        let mut pages = 0;
        for part in parts {
            match part {
                Part::Page(step, page) => pages += self.pages(how, key, &step, page, fold).await?,
                part => part.fold(fold, how.budget).await?,
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
            take(step, &items[..whole], fold, how.budget).await?;
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
            how.budget.look(1)?;
            let page = Read::Tiles { key: key.clone(), level: step.level, starts, limit };
            items = self.inner.coalesce.one(page, how.after, how.budget.tally.as_ref()).await?;
            how.budget.spend(&items[..complete(&items, limit).0])?;
            read += 1;
        }
    }
}

/// What comes of all of these, in their order.
pub(super) async fn at_once<T>(mut calls: Vec<impl Future<Output = Result<T>>>, budget: &Budget) -> Result<Vec<T>> {
    // The most frequent ones by far need no queue.
    match calls.pop() {
        None => Ok(Vec::new()),
        Some(only) if calls.is_empty() => {
            let only = only.await?;
            budget.rest().await;
            Ok(vec![only])
        }
        Some(last) => {
            calls.push(last);
            let mut done = Vec::with_capacity(calls.len());
            let mut calls = stream::iter(calls).buffered(CALLS_AT_ONCE);
            while let Some(call) = calls.next().await {
                done.push(call?);
                budget.rest().await;
            }
            Ok(done)
        }
    }
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

impl Settled {
    /// Everything is finished.
    pub(super) const ALL: Self = Self { by_all: Some(Timestamp::MAX), by_some: None };
}
