//! Which tiles of which levels cover an interval.

use super::plan::Step;
use crate::engine::PartitionRecord;
use crate::time::{Level, Tiling, TimeRange, Timestamp};

/// How far the tiles of a table are settled, as the records of its partitions say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Settled {
    /// What all partitions have reached of which anything was flushed: tiles that closed by then are finished, and may
    /// have been rolled. A partition that nothing was flushed of begins where a roller needs it to, and one that is retired
    /// is not waited for.
    pub(super) by_all: Option<Timestamp>,
    /// What some partition has reached: tiles that closed by then may have twins of what came late.
    pub(super) by_some: Option<Timestamp>,
}

impl Settled {
    /// From the records of all partitions, and how far tiles may have been rolled: what was rolled without a partition that
    /// was retired stands, also when it is recalled, or all are retired, since slots that lack events of it are marked.
    pub(super) fn of<'a>(
        records: impl Iterator<Item = &'a PartitionRecord> + Clone,
        frontier: Option<Timestamp>,
    ) -> Self {
        let holding = records.clone().filter(|record| !record.is_movable() && record.holds_rolling());
        let reached = |record: &PartitionRecord| match record.needs_marks() {
            true => record.reached().max(frontier),
            false => record.reached(),
        };
        let by_all = holding.map(reached).min().unwrap_or(frontier);
        Self { by_all, by_some: records.filter_map(PartitionRecord::reached).max() }
    }

    /// The part of these slots that lies in finished tiles.
    pub(super) fn finished(self, tiling: &Tiling, slots: TimeRange) -> TimeRange {
        let end = self.by_all.map_or(slots.start, |reached| tiling.closed_by(reached));
        TimeRange::new(slots.start, end.min(slots.end).max(slots.start))
    }

    /// The step over what came late for these slots; `None` when nothing can have.
    pub(super) fn late(self, tiling: &Tiling, slots: TimeRange) -> Option<Step> {
        let (first, _) = tiling.locate(slots.start);
        let closes = tiling.closes(first)?;
        let tiles = TimeRange::new(first.start, slots.end);
        (self.by_some >= Some(closes)).then_some(Step { level: Level::Late, tiles, slots })
    }
}

/// Steps that cover these slots, in the order of time, no slot twice: the inner part by `parents`, finer ones first, where
/// the tiles below are finished, and both sides by the levels below them.
pub(super) fn cover(tiling: &Tiling, parents: &[Level], slots: TimeRange, settled: Settled) -> Vec<Step> {
    let finished = settled.finished(tiling, slots);
    let mut steps = Vec::new();
    inner(tiling, parents, finished, &mut steps);
    push(tiling, tiling.finest(), TimeRange::new(finished.end, slots.end), &mut steps);
    steps
}

fn inner(tiling: &Tiling, parents: &[Level], slots: TimeRange, out: &mut Vec<Step>) {
    let Some((&coarsest, finer)) = parents.split_last() else {
        return push(tiling, tiling.finest(), slots, out);
    };
    let units = TimeRange::new(tiling.ceil_unit(coarsest, slots.start), tiling.floor_unit(coarsest, slots.end));
    if units.is_empty() {
        return inner(tiling, finer, slots, out);
    }
    inner(tiling, finer, TimeRange::new(slots.start, units.start), out);
    push(tiling, coarsest, units, out);
    inner(tiling, finer, TimeRange::new(units.end, slots.end), out);
}

fn push(tiling: &Tiling, level: Level, slots: TimeRange, out: &mut Vec<Step>) {
    if slots.is_empty() {
        return;
    }
    match out.last_mut() {
        Some(last) if last.level == level && last.slots.end == slots.start => {
            last.slots.end = slots.end;
            last.tiles.end = slots.end;
        }
        _ => {
            let tiles = TimeRange::new(tiling.tile_of(level, slots.start).start, slots.end);
            out.push(Step { level, tiles, slots });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Retirement;
    use crate::source::Offset;
    use crate::time::{Span, Window};

    fn tiling(slot: u64, packed: bool) -> Tiling {
        Tiling::new(&Window::Sliding { span: Span::from_seconds(90 * 86_400), slot: Span::from_seconds(slot) }, packed)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const ALL: Settled = Settled { by_all: Some(Timestamp::MAX), by_some: Some(Timestamp::MAX) };

    #[test]
    fn what_was_rolled_without_a_partition_is_read_also_when_it_is_waited_for_again() {
        let second = |seconds| Some(Timestamp::from_seconds(seconds));
        let record = |retirement, front| {
            let horizon = Some(Offset::from_u64(1));
            PartitionRecord {
                horizon,
                floor: second(0),
                front: second(front),
                retirement,
                ..PartitionRecord::default()
            }
        };
        let by_all = |gone, there| Settled::of([record(gone, 5), record(there, 100)].iter(), second(50)).by_all;
        use Retirement::{Active, Recalled, Retired, Returned};
        assert_eq!(by_all(Active, Active), second(5));
        assert_eq!(by_all(Retired, Active), second(100));
        assert_eq!(by_all(Recalled, Active), second(50));
        assert_eq!(by_all(Returned, Active), second(5));
        assert_eq!(by_all(Retired, Retired), second(50));
        assert_eq!(by_all(Recalled, Retired), second(50));
    }

    #[test]
    fn thirty_days_at_edges_of_minutes_are_a_few_items() {
        let tiling = tiling(60, true);
        let slots = TimeRange::new(at("2026-04-12T10:17:00Z"), at("2026-05-12T10:17:00Z"));
        let steps = cover(&tiling, tiling.parents(), slots, ALL);
        let levels: Vec<Level> = steps.iter().map(|step| step.level).collect();
        assert_eq!(levels, [Level::Hour, Level::Day, Level::Month, Level::Day, Level::Hour]);
        let items: usize = steps.iter().map(|step| tiles(&tiling, step)).sum();
        assert_eq!(items, 6, "two hours, two days, two months");
    }

    #[test]
    fn thirty_days_of_a_sketch_are_few_merges() {
        let tiling = tiling(3_600, false);
        let slots = TimeRange::new(at("2026-04-12T00:00:00Z"), at("2026-05-12T00:00:00Z"));
        let steps = cover(&tiling, tiling.parents(), slots, ALL);
        let items: usize = steps.iter().map(|step| tiles(&tiling, step)).sum();
        assert!(items <= 8, "{steps:?}");
    }

    #[test]
    fn what_is_not_finished_is_read_from_the_finest_tiles() {
        let tiling = tiling(60, true);
        let slots = TimeRange::new(at("2026-05-12T00:00:00Z"), at("2026-05-12T12:00:00Z"));
        let settled = Settled { by_all: Some(at("2026-05-12T09:30:00Z")), by_some: None };
        let steps = cover(&tiling, tiling.parents(), slots, settled);
        let shown: Vec<_> = steps.iter().map(|step| (step.level, step.slots.end)).collect();
        // 08:00 to 09:00 closes at 10:00.
        assert_eq!(shown, [(Level::Day, at("2026-05-12T08:00:00Z")), (Level::Hour, slots.end)]);
        assert_eq!(settled.late(&tiling, slots), None);
    }

    fn tiles(tiling: &Tiling, step: &Step) -> usize {
        let (mut at, mut count) = (step.tiles.start, 0);
        while at < step.tiles.end {
            at = tiling.tile_range(tiling.tile_of(step.level, at)).end;
            count += 1;
        }
        count
    }

    proptest! {
        #[test]
        fn steps_cover_everything_once_in_order(
            slot in prop::sample::select(vec![1u64, 60, 420, 3_600, 7_200, 86_400, 7 * 86_400]),
            packed: bool,
            start in -100_000_000i64..2_000_000_000,
            length in 0i64..90 * 86_400,
            reached in -200_000i64..90 * 86_400,
        ) {
            let tiling = tiling(slot, packed);
            let instant = Timestamp::from_seconds;
            let slots = TimeRange::new(tiling.floor_slot(instant(start)), tiling.ceil_slot(instant(start + length)));
            let settled = Settled { by_all: Some(instant(start + reached)), by_some: None };
            let steps = cover(&tiling, tiling.parents(), slots, settled);
            let mut at = slots.start;
            for step in &steps {
                prop_assert_eq!(step.slots.start, at);
                prop_assert!(step.slots.end > at);
                prop_assert_eq!(tiling.floor_unit(step.level, step.slots.start), step.slots.start);
                prop_assert_eq!(tiling.ceil_unit(step.level, step.slots.end), step.slots.end);
                if step.level != tiling.finest() {
                    prop_assert!(step.slots.end.saturating_add(Span::from_seconds(3_600)) <= instant(start + reached));
                }
                at = step.slots.end;
            }
            prop_assert_eq!(at, slots.end);
        }
    }
}
