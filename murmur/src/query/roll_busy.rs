//! Rolling for a worker, of a key that it wrote often: as much as costs little beside what was written.

use std::sync::Arc;

use super::Reader;
use super::roll::{Trigger, ended};
use crate::Result;
use crate::aggregate::{Form, Monoid};
use crate::engine::{UNIT, Worth};
use crate::pipeline::Pipeline;
use crate::store::{Consistency, TileId};
use crate::time::{Level, Span, Tile, Tiling, TimeRange};

/// Bytes of a stored number with its name.
const NUMBER: u64 = 12;

impl<P: Pipeline> Reader<P> {
    /// Whether all partitions have passed this stretch, so that nothing in it changes any more.
    ///
    /// Those count too of which nothing was flushed yet, and which a read would have begin where it rolls: somebody may be
    /// reading days of them just now, and all of that would be late.
    pub(crate) async fn is_finished(&self, stretch: TimeRange) -> Result<bool> {
        let tiling = P::tiling();
        let (last, _) = tiling.locate(stretch.end.saturating_sub(Span::from_micros(1)));
        let Some(closes) = tiling.closes(last) else { return Ok(false) };
        Ok(self.inner.progress.reached_by_all().await? >= Some(closes))
    }

    /// Look what holds rolling up, for the metrics and the log.
    pub(crate) async fn look_what_holds(&self) -> Result<()> {
        self.inner.progress.look_what_holds().await
    }

    /// Roll what of a key ends in a stretch, level by level, as long as it costs little beside what was written of it there;
    /// how many slots that were. What others have rolled is left as it is.
    pub(crate) async fn roll_busy(&self, key: &Arc<str>, stretch: TimeRange, worth: Worth) -> Result<u64> {
        let tiling = P::tiling();
        let (mut left, mut rolled) = (worth.units, 0);
        for (at, &level) in tiling.parents().iter().enumerate() {
            // Those that end in the stretch; they may have begun before.
            let floor = |instant| tiling.floor_unit(level, instant);
            let slots = TimeRange::new(floor(stretch.start), floor(stretch.end));
            let units = units::<P>(level, slots, stretch, worth);
            if slots.is_empty() || units > left {
                continue;
            }
            if let Some(below) = at.checked_sub(1).map(|below| tiling.parents()[below])
                && !self
                    .are_rolled(key, below, TimeRange::new(slots.start, tiling.floor_unit(below, stretch.start)))
                    .await?
            {
                // Nobody asked for what came before, and it may be much to read. Nothing above is to be had without it.
                break;
            }
            let Some(slots) = self.not_rolled(key, level, slots).await? else {
                ended::<P>(Trigger::Write, "known");
                continue;
            };
            left -= units;
            rolled += self.roll_level(key, level, slots, Trigger::Write).await?.unwrap_or_default();
        }
        Ok(rolled)
    }

    async fn are_rolled(&self, key: &Arc<str>, level: Level, slots: TimeRange) -> Result<bool> {
        Ok(slots.is_empty() || self.not_rolled(key, level, slots).await?.is_none())
    }

    /// From the first slot that nobody has rolled to the last one. What is unrolled would stay so.
    async fn not_rolled(&self, key: &Arc<str>, level: Level, slots: TimeRange) -> Result<Option<TimeRange>> {
        let tiling = P::tiling();
        let ids: Vec<_> =
            tiles(&tiling, level, slots).map(|tile| TileId { key: key.clone(), tile, part: None }).collect();
        // One that is missed costs a write, and changes nothing.
        let items = self.inner.store.get(&self.inner.table, &ids, Consistency::Eventual).await?;
        let mut missing: Option<TimeRange> = None;
        for (TileId { tile, .. }, item) in ids.iter().zip(items) {
            let (mut at, end) = (tile.start.max(slots.start), tiling.tile_range(*tile).end.min(slots.end));
            while at < end {
                let slot = tiling.slot_in(*tile, at);
                let range = tiling.slot_range(*tile, slot);
                if !item.as_ref().is_some_and(|item| item.is_rolled(slot) || item.is_unrolled(slot)) {
                    missing = Some(TimeRange::new(missing.map_or(range.start, |missing| missing.start), range.end));
                }
                at = range.end;
            }
        }
        Ok(missing)
    }
}

fn tiles(tiling: &Tiling, level: Level, slots: TimeRange) -> impl Iterator<Item = Tile> + use<> {
    let tiling = *tiling;
    let first = (!slots.is_empty()).then(|| tiling.tile_of(level, slots.start));
    std::iter::successors(first, move |tile| {
        let next = tiling.tile_range(*tile).end;
        (next < slots.end).then(|| tiling.tile_of(level, next))
    })
}

/// Write units that rolling slots of a level takes, or somewhat more.
fn units<P: Pipeline>(level: Level, slots: TimeRange, stretch: TimeRange, worth: Worth) -> u64 {
    let tiling = P::tiling();
    let length = |range: TimeRange| (range.end.since(range.start).as_micros() as u64).max(1);
    let unit = tiling.unit_length(level).map_or(1, |unit| unit.as_micros().max(1) as u64);
    tiles(&tiling, level, slots).fold(0, |units: u64, tile| {
        // A write costs what the whole item does.
        let tile = length(tiling.tile_range(tile));
        let places = (tile / unit).max(1);
        let bytes = match P::Aggregate::FORM {
            Form::Add => places.saturating_mul(P::Aggregate::MAX_BYTES.div_ceil(16) as u64).saturating_mul(NUMBER),
            // Nor is a fold larger than all that was folded. What that was before this stretch is guessed.
            Form::Put => {
                let most = places.saturating_mul(P::Aggregate::MAX_BYTES as u64);
                most.min(worth.bytes.saturating_mul(tile.div_ceil(length(stretch))))
            }
        };
        units.saturating_add(1 + bytes / UNIT)
    })
}
