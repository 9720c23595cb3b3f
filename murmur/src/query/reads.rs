//! How the tiles of a step are read: from the cache, by their names, or as a range.
//!
//! DynamoDB counts each tile that is asked for by its name as a unit of its own, also when it is not there, and of a range
//! what lies in it, all together. So a range never costs more units than the names of all its tiles, and next to nothing
//! where nothing is. But it is a call for each key, while the names of all keys go into one call of the store, which knows
//! best how to send them: the one for DynamoDB makes a hundred of them a request, and three or more of one key that lie close
//! together a range. So a few tiles are asked for by their names, and more of them as a range.
//!
//! A range ends where a tile is kept: what lies beyond is a run of its own.

use std::sync::Arc;
use std::vec::IntoIter;

use smallvec::{SmallVec, smallvec};

use super::budget::Budget;
use super::coalesce::{After, Found, Read};
use super::plan::Step;
use super::sealed::Sealed;
use crate::aggregate::{Form, Monoid};
use crate::pipeline::Pipeline;
use crate::store::{Item, TileId};
use crate::time::{Level, Span, Tile, Tiling, TimeRange, Timestamp};

/// Items that one call of the store may bring; bounds the memory of a request.
pub(super) const PAGE: usize = 1_024;

/// Single tiles beside each other that are asked for one by one; more are asked for as a range.
const SINGLES: usize = 4;

/// Tiles of a step that are looked for in the cache, the newest ones.
const KEPT: usize = 256;

/// How a request reads.
pub(super) struct Gather<'a> {
    pub(super) budget: &'a Budget,
    pub(super) after: After,
    /// The levels above the finest one that may be used.
    pub(super) parents: &'a [Level],
    /// Where tiles are kept that cannot change any more; `None` for who does not go by them.
    pub(super) sealed: Option<Sealed<'a>>,
}

impl<'a> Gather<'a> {
    /// The levels that those below `level` are made of, when it is one that rolling writes.
    pub(super) fn below(&self, level: Level) -> Option<&'a [Level]> {
        let at = self.parents.iter().position(|parent| *parent == level)?;
        Some(&self.parents[..at])
    }

    /// What to read of a step, where each of its tiles is one item: those of a level that rolling writes, and of the finest
    /// level a few of what the store adds. `None` for those that are read a page after the other.
    pub(super) fn asks<P: Pipeline>(&self, key: &Arc<str>, step: &Step) -> Option<Asks> {
        let tiling = P::tiling();
        if self.below(step.level).is_none() {
            let is_single = P::Aggregate::FORM == Form::Add && step.level == tiling.finest();
            let names = is_single.then(|| names(&tiling, step.level, step.tiles)).flatten()?;
            return Some(Asks { kept: SmallVec::new(), looked: step.tiles.end, runs: smallvec![Run::Names(names)] });
        }
        let (kept, looked) = self.kept::<P>(key, step);
        let missing = between(&tiling, step, &kept);
        if let Some(tally) = &self.budget.tally {
            kept.iter().for_each(|_| tally.kept(step.level));
        }
        let run = |tiles| names(&tiling, step.level, tiles).map_or(Run::Range(tiles), Run::Names);
        Some(Asks { kept, looked, runs: missing.into_iter().map(run).collect() })
    }

    /// The tiles of a step that need not be read, in the order of time, and where the first one starts that was looked for.
    fn kept<P: Pipeline>(&self, key: &Arc<str>, step: &Step) -> (SmallVec<[Found; 1]>, Timestamp) {
        let (tiling, mut looked) = (P::tiling(), step.tiles.end);
        let Some(sealed) = &self.sealed else { return (SmallVec::new(), looked) };
        let before = |at: Timestamp| tiling.tile_of(step.level, at.saturating_sub(Span::from_micros(1)));
        let newest = std::iter::successors(Some(before(step.tiles.end)), |tile| Some(before(tile.start)));
        let newest = newest.take_while(|tile| tile.start >= step.tiles.start).take(KEPT);
        let mut tiles = 0;
        let newest = newest.inspect(|tile| (looked, tiles) = (tile.start, tiles + 1));
        let id = |tile| TileId { key: key.clone(), tile, part: None };
        let mut kept: SmallVec<_> = newest.filter_map(|tile| sealed.find(&tiling, &id(tile), step.slots)).collect();
        kept.reverse();
        self.budget.work(tiles);
        (kept, looked)
    }

    /// Keep what was read of a tile of a level that rolling writes: others have no slots that are rolled.
    pub(super) fn keep<P: Pipeline>(&self, found: &Found) {
        if let Some(sealed) = &self.sealed {
            sealed.keep(&P::tiling(), found);
        }
    }
}

/// What to read of a step.
pub(super) struct Asks {
    /// What need not be read.
    pub(super) kept: SmallVec<[Found; 1]>,
    /// From where on tiles were looked for among those that are kept.
    looked: Timestamp,
    /// All others, in the order of time.
    pub(super) runs: SmallVec<[Run; 1]>,
}

/// Tiles beside each other.
pub(super) enum Run {
    Names(SmallVec<[Tile; 1]>),
    /// Those that start within.
    Range(TimeRange),
}

impl Asks {
    /// What was found, in the order of time, and where the first range that did not end within a page goes on. What was read
    /// and will be looked for among what is kept, is shown to `keep`.
    pub(super) fn found(
        self,
        found: &mut Reading,
        keep: impl FnMut(&Found),
    ) -> (SmallVec<[Found; 1]>, Option<Timestamp>) {
        let start = |found: &Found| found.first().map(|(id, _)| id.tile.start);
        let (mut tiles, mut next) = (self.kept, None);
        let kept = tiles.len();
        for run in self.runs {
            match run {
                Run::Names(names) => tiles.extend(found.singles.by_ref().take(names.len())),
                Run::Range(_) => {
                    let Some(page) = found.pages.next().flatten() else { continue };
                    next = next.or(complete(&page, PAGE).1);
                    tiles.extend(page.each());
                }
            }
        }
        tiles[kept..].iter().filter(|found| start(found) >= Some(self.looked)).for_each(keep);
        tiles.retain(|found| start(found).is_some_and(|start| next.is_none_or(|next| start < next)));
        tiles.sort_by_key(start);
        (tiles, next)
    }
}

/// What to read of all steps, in their order.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) singles: Vec<Read>,
    /// Ranges, and how many items each may bring.
    pub(super) pages: Vec<(Read, usize)>,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        self.singles.len() + self.pages.len()
    }

    /// What to read of a step.
    pub(super) fn add(&mut self, key: &Arc<str>, step: &Step, asks: Option<&Asks>) {
        let Some(asks) = asks else { return self.range(key, step.level, step.tiles, PAGE) };
        for run in &asks.runs {
            match run {
                Run::Names(tiles) => {
                    let id = |&tile| TileId { key: key.clone(), tile, part: None };
                    self.singles.extend(tiles.iter().map(id).map(Read::Tile));
                }
                Run::Range(starts) => self.range(key, step.level, *starts, PAGE),
            }
        }
    }

    /// The tiles of a level that start within, at most so many items.
    pub(super) fn range(&mut self, key: &Arc<str>, level: Level, starts: TimeRange, limit: usize) {
        self.pages.push((Read::Tiles { key: key.clone(), level, starts, limit }, limit));
    }
}

/// What these reads have found, in their order.
pub(super) struct Reading {
    pub(super) singles: IntoIter<Found>,
    /// `None` for a look that found more than it was made for.
    pub(super) pages: IntoIter<Option<Found>>,
}

impl Reading {
    /// How much of it is left.
    pub(super) fn left(&self) -> usize {
        self.singles.len() + self.pages.len()
    }
}

/// How many items of a page are tiles with all their parts, and the tile that the next page begins with: a full page may
/// end within the parts of one.
pub(super) fn complete(items: &[(TileId, Item)], limit: usize) -> (usize, Option<Timestamp>) {
    let next = items.last().filter(|_| items.len() >= limit).map(|(id, _)| id.tile.start);
    (next.map_or(items.len(), |next| items.partition_point(|(id, _)| id.tile.start < next)), next)
}

/// Where tiles of a step lie between those that are kept.
fn between(tiling: &Tiling, step: &Step, kept: &[Found]) -> SmallVec<[TimeRange; 1]> {
    let (mut runs, mut at) = (SmallVec::new(), step.tiles.start);
    let kept = kept.iter().filter_map(|found| found.first()).map(|(id, _)| tiling.tile_range(id.tile));
    for tile in kept.chain([TimeRange::new(step.tiles.end, step.tiles.end)]) {
        if at < tile.start {
            runs.push(TimeRange::new(at, tile.start));
        }
        at = tile.end;
    }
    runs
}

/// The tiles that start within, when they are few.
fn names(tiling: &Tiling, level: Level, tiles: TimeRange) -> Option<SmallVec<[Tile; 1]>> {
    let mut names = SmallVec::new();
    let mut tile = Tile { level, start: tiles.start };
    loop {
        if names.len() == SINGLES {
            return None;
        }
        names.push(tile);
        // All time is one tile.
        let next = tiling.tile_range(tile).end;
        if next >= tiles.end {
            return Some(names);
        }
        tile = tiling.tile_of(level, next);
    }
}
