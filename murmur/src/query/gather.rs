//! From a plan to the fold of a key: its items, in as few calls of the store as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::coalesce::{Found, Read};
use super::cover::{Settled, cover};
use super::fold::{Fold, Folded};
use super::plan::Step;
use super::points::Points;
use super::reader::KEYS_AT_ONCE;
use super::{Limits, Plan, Reader};
use crate::Result;
use crate::aggregate::{Form, Monoid};
use crate::pipeline::Pipeline;
use crate::store::{Consistency, Item, TileId};
use crate::time::{Level, Tile, Tiling, TimeRange, Timestamp};

/// Items that one call of the store may bring; bounds the memory of a request.
const PAGE: usize = 1_024;

/// Tiles of the finest level up to which nothing is gained by the levels above.
const FEW: u64 = 4;

/// Single tiles of a step that are asked for one by one, all in one call; more are asked for as a range.
const SINGLES: usize = 4;

/// What a request may read, and has read, for so many keys.
pub(super) struct Budget {
    spent: AtomicUsize,
    keys: usize,
    limits: Limits,
}

impl Budget {
    pub(super) fn new(keys: usize, limits: Limits) -> Self {
        Self { spent: AtomicUsize::new(0), keys, limits }
    }

    fn spend(&self, items: usize) -> Result<()> {
        let spent = self.spent.fetch_add(items, Ordering::Relaxed) + items;
        self.limits.check_items(spent, self.keys)
    }
}

/// How the items of one key are read.
pub(super) struct Gather<'a> {
    pub(super) key: &'a Arc<str>,
    pub(super) budget: &'a Budget,
    pub(super) consistency: Consistency,
    /// The levels above the finest one that may be used.
    pub(super) parents: &'a [Level],
}

/// What the first call brought for a step.
enum First {
    /// Each of its tiles.
    Tiles(Vec<Found>),
    /// A page.
    Page(Found),
}

impl<P: Pipeline> Reader<P> {
    /// The fold of each key, in their order.
    pub(super) async fn folds(
        &self,
        keys: &[Arc<str>],
        plan: &Plan,
        settled: Settled,
        consistency: Consistency,
    ) -> Result<Vec<Folded<P::Aggregate>>> {
        let budget = Budget::new(keys.len(), self.inner.limits);
        let parents = P::tiling().parents();
        if let [step] = steps(&P::tiling(), plan, parents, settled)[..]
            && let Some(reads) = single_tiles::<P>(keys, &step)
        {
            let found = self.inner.coalesce.many(reads, consistency).await?;
            let folds = found.iter().map(|items| {
                let mut fold = Fold::new(P::tiling(), None);
                budget.spend(items.len())?;
                fold.take(&step, items)?;
                Ok(fold.finish())
            });
            return folds.collect();
        }
        let folds = keys.iter().map(|key| {
            let gather = Gather { key, budget: &budget, consistency, parents };
            async move { self.fold(&gather, plan, settled, None).await }
        });
        // Collected first: a stream over a borrowing iterator has a future that no thread may carry on.
        stream::iter(folds.collect::<Vec<_>>()).buffered(KEYS_AT_ONCE).try_collect().await
    }

    /// The fold of one key.
    pub(super) async fn fold(
        &self,
        gather: &Gather<'_>,
        plan: &Plan,
        settled: Settled,
        points: Option<Points>,
    ) -> Result<Folded<P::Aggregate>> {
        let tiling = P::tiling();
        let fit = |level: &&Level| points.as_ref().is_none_or(|points| points.fit(&tiling, **level));
        let parents: Vec<Level> = gather.parents.iter().filter(fit).copied().collect();
        let gather = Gather { parents: &parents, ..*gather };
        let mut fold = Fold::new(tiling, points);
        self.gather(&gather, &steps(&tiling, plan, &parents, settled), &mut fold).await?;
        Ok(fold.finish())
    }

    /// Fold what these steps cover, in their order. Their first pages are read at the same time.
    pub(super) async fn gather(
        &self,
        gather: &Gather<'_>,
        steps: &[Step],
        fold: &mut Fold<P::Aggregate>,
    ) -> Result<()> {
        for (step, first) in steps.iter().zip(self.firsts(gather, steps).await?) {
            match first {
                First::Page(page) => self.pages(gather, step, page, fold).await?,
                First::Tiles(tiles) => {
                    gather.budget.spend(tiles.iter().map(|tile| tile.len()).sum())?;
                    if gather.parents.contains(&step.level) {
                        self.rolled(gather, step, &tiles, fold).await?;
                    } else {
                        tiles.iter().try_for_each(|tile| fold.take(step, tile))?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn firsts(&self, gather: &Gather<'_>, steps: &[Step]) -> Result<Vec<First>> {
        let tiling = P::tiling();
        let (mut singles, mut pages, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let before = singles.len();
            if gather.parents.contains(&step.level) || is_few::<P>(&tiling, step) {
                let tiles = tiles(&tiling, step);
                singles.extend(tiles.map(|tile| Read::Tile(TileId { key: gather.key.clone(), tile, part: None })));
            } else {
                let read = Read::Tiles { key: gather.key.clone(), level: step.level, starts: step.tiles, limit: PAGE };
                pages.push(self.inner.coalesce.one(read, gather.consistency));
            }
            counts.push(singles.len() - before);
        }
        let singles = async {
            if singles.is_empty() {
                Ok(Vec::new())
            } else {
                self.inner.coalesce.many(singles, gather.consistency).await
            }
        };
        let (singles, pages) = try_join(singles, try_join_all(pages)).await?;
        let (mut singles, mut pages) = (singles.into_iter(), pages.into_iter());
        let firsts = counts.into_iter().map(|count| match count {
            // Every step has a tile.
            0 => pages.next().map(First::Page).unwrap_or_else(|| First::Tiles(Vec::new())),
            count => First::Tiles(singles.by_ref().take(count).collect()),
        });
        Ok(firsts.collect())
    }

    /// A page after the other.
    async fn pages(&self, gather: &Gather<'_>, step: &Step, first: Found, fold: &mut Fold<P::Aggregate>) -> Result<()> {
        let (mut items, mut starts, mut limit) = (first, step.tiles, PAGE);
        loop {
            // A full page may end within the parts of a tile: that tile belongs to the next page.
            let next = items.last().filter(|_| items.len() >= limit).map(|(id, _)| id.tile.start);
            let whole = next.map_or(items.len(), |next| items.partition_point(|(id, _)| id.tile.start < next));
            gather.budget.spend(whole)?;
            fold.take(step, &items[..whole])?;
            match next {
                None => return Ok(()),
                Some(_) if whole == 0 => {
                    gather.budget.limits.check_items(limit, gather.budget.keys)?;
                    limit *= 2;
                }
                Some(next) => {
                    starts.start = next;
                    limit = PAGE;
                }
            }
            let read = Read::Tiles { key: gather.key.clone(), level: step.level, starts, limit };
            items = self.inner.coalesce.one(read, gather.consistency).await?;
        }
    }

    /// The slots of a level that rolling writes; what is not rolled yet is taken from the levels below.
    async fn rolled(
        &self,
        gather: &Gather<'_>,
        step: &Step,
        tiles: &[Found],
        fold: &mut Fold<P::Aggregate>,
    ) -> Result<()> {
        let tiling = P::tiling();
        let items: Vec<&(TileId, Item)> = tiles.iter().flat_map(|found| found.iter()).collect();
        let mut missing: Option<TimeRange> = None;
        let mut at = step.slots.start;
        while at < step.slots.end {
            let tile = tiling.tile_of(step.level, at);
            let slot = tiling.slot_in(tile, at);
            let end = tiling.slot_range(tile, slot).end;
            let item = items.iter().find(|(id, item)| id.tile == tile && item.rolled.binary_search(&slot).is_ok());
            match item {
                Some((id, item)) => {
                    if let Some(missing) = missing.take() {
                        self.missing(gather, step.level, missing, fold).await?;
                    }
                    fold.take_rolled(id, slot, item)?;
                }
                None => missing = Some(TimeRange::new(missing.map_or(at, |missing| missing.start), end)),
            }
            at = end;
        }
        match missing {
            Some(missing) => self.missing(gather, step.level, missing, fold).await,
            None => Ok(()),
        }
    }

    /// What these slots of `level` would hold, from the levels below.
    fn missing<'a>(
        &'a self,
        gather: &'a Gather<'_>,
        level: Level,
        slots: TimeRange,
        fold: &'a mut Fold<P::Aggregate>,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let below = gather.parents.iter().position(|parent| *parent == level).unwrap_or_default();
            let below = Gather { parents: &gather.parents[..below], ..*gather };
            // The lowest level first: where there is too much to read for one request, the next one finds it rolled.
            if below.parents.is_empty() {
                self.offer(gather.key, level, slots);
            }
            self.gather(&below, &cover(&P::tiling(), below.parents, slots, Settled::ALL), fold).await?;
            if !below.parents.is_empty() {
                self.offer(gather.key, level, slots);
            }
            Ok(())
        }
        .boxed()
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

/// The tiles of a step, in order.
fn tiles(tiling: &Tiling, step: &Step) -> impl Iterator<Item = Tile> {
    let (tiling, level, end) = (*tiling, step.level, step.tiles.end);
    let next = move |tile: &Tile| Some(tiling.tile_of(level, tiling.tile_range(*tile).end));
    let inside = move |tile: &Tile| tile.start < end;
    std::iter::successors(Some(Tile { level, start: step.tiles.start }), next).take_while(inside)
}

/// Whether a step of the finest level is a few items whose names are known.
fn is_few<P: Pipeline>(tiling: &Tiling, step: &Step) -> bool {
    let known = P::Aggregate::FORM == Form::Add && step.level == tiling.finest() && step.level != Level::Forever;
    known && tiles(tiling, step).take(SINGLES + 1).count() <= SINGLES
}

/// One read per key, where a tile is one item and a step is one tile: the store takes them all in one call.
fn single_tiles<P: Pipeline>(keys: &[Arc<str>], step: &Step) -> Option<Vec<Read>> {
    if P::Aggregate::FORM != Form::Add {
        return None;
    }
    let tile = step.single(&P::tiling())?;
    Some(keys.iter().map(|key| Read::Tile(TileId { key: key.clone(), tile, part: None })).collect())
}

impl Settled {
    /// Everything is finished.
    pub(super) const ALL: Self = Self { by_all: Some(Timestamp::MAX), by_some: None };
}
