//! Slots that are not rolled: nobody has asked for them yet, or nothing is there.
//!
//! Nobody writes down that nothing is there, and of a quiet key most of time is such a gap. So the finest level is looked at
//! first, all over the gap and for a few items only. Where there are no more, that is all. Where there are, the levels in
//! between are read, one below the other, and what they have, leaves gaps in turn.
//!
//! The look costs about what the levels between would cost if nothing were rolled there either. So a key that has much, none
//! of it rolled, costs at most twice of what it would without a look; and where everything is rolled, nothing is looked for.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

use super::coalesce::Found;
use super::gather::{Part, Parts};
use super::plan::Step;
use crate::time::{Level, Tiling, TimeRange, Timestamp};

/// Items up to which a stretch is quiet, and one more: as many units as there are levels between at most, for values of a
/// unit each.
pub(super) const LOOK: usize = 8;

/// Slots beside each other that are not rolled, of several levels.
pub(super) struct Gap(SmallVec<[Piece; 1]>);

/// Slots beside each other that are not rolled, of one level.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) level: Level,
    pub(super) slots: TimeRange,
    /// Whether some of them can be: those that are [unrolled](crate::store::Item::is_unrolled) stay so.
    pub(super) can_be_rolled: bool,
}

impl Gap {
    /// Add slots behind all others; where they lie beside the last ones, to their gap.
    pub(super) fn push(parts: &mut Parts, piece: Piece) {
        match parts.last_mut() {
            Some(Part::Gap(gap)) if gap.slots().end == piece.slots.start => gap.0.push(piece),
            _ => parts.push(Part::Gap(Self(smallvec![piece]))),
        }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.0.iter()
    }

    fn slots(&self) -> TimeRange {
        let side = |piece: Option<&Piece>, of: fn(TimeRange) -> Timestamp| piece.map(|piece| of(piece.slots));
        let start = side(self.0.first(), |slots| slots.start).unwrap_or(Timestamp::MIN);
        TimeRange::new(start, side(self.0.last(), |slots| slots.end).unwrap_or(start))
    }

    /// All of it, at the finest level.
    pub(super) fn finest(&self, tiling: &Tiling) -> Step {
        let (level, slots) = (tiling.finest(), self.slots());
        let tiles = TimeRange::new(tiling.tile_of(level, slots.start).start, slots.end);
        Step { level, tiles, slots }
    }
}

/// The slots of a step of a level that rolling writes: those that are rolled, of the tiles that were found, and the others as
/// gaps.
pub(super) fn split(
    tiling: &Tiling,
    step: &Step,
    tiles: impl IntoIterator<Item = Found>,
    out: &mut Parts,
    mut missing: impl FnMut(&mut Parts, Piece),
) {
    let mut gap: Option<Piece> = None;
    let mut fill = |gap: &mut Option<Piece>, out: &mut Parts| {
        if let Some(gap) = gap.take() {
            missing(out, gap);
        }
    };
    let widen = |gap: &mut Option<Piece>, slots: TimeRange, can_be_rolled: bool| {
        let start = gap.map_or(slots.start, |gap| gap.slots.start);
        let can_be_rolled = can_be_rolled || gap.is_some_and(|gap| gap.can_be_rolled);
        *gap = Some(Piece { level: step.level, slots: TimeRange::new(start, slots.end), can_be_rolled });
    };
    let mut at = step.slots.start;
    for found in tiles {
        let Some((id, item)) = found.first() else { continue };
        let (tile, start) = (id.tile, id.tile.start.max(step.slots.start));
        let end = tiling.tile_range(tile).end.min(step.slots.end);
        if at < start {
            widen(&mut gap, TimeRange::new(at, start), true);
        }
        at = start;
        let all = tiling.slots_between(tile, at, end);
        if !all.is_empty() && item.are_rolled(&all) {
            fill(&mut gap, out);
            out.push(Part::Rolled(found, all));
            at = end;
            continue;
        }
        let mut run: Option<Range<u16>> = None;
        while at < end {
            let slot = tiling.slot_in(tile, at);
            let next = tiling.slot_range(tile, slot).end;
            if item.is_rolled(slot) {
                fill(&mut gap, out);
                run = Some(run.map_or(slot.0, |run| run.start)..slot.0 + 1);
            } else {
                out.extend(run.take().map(|run| Part::Rolled(found.clone(), run)));
                widen(&mut gap, TimeRange::new(at, next), !item.is_unrolled(slot));
            }
            at = next;
        }
        out.extend(run.take().map(|run| Part::Rolled(found.clone(), run)));
    }
    if at < step.slots.end {
        widen(&mut gap, TimeRange::new(at, step.slots.end), true);
    }
    fill(&mut gap, out);
}
