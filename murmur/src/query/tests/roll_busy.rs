//! What a worker rolls of what it wrote, by what that costs.

use super::*;
use crate::engine::Worth;
use crate::store::Consistency;
use crate::time::{Level, TimeRange};

/// Of which a tile is an hour, a day has 24, and a month has its days.
type Minutely = Test<MonthOfMinutes, Count>;
/// Of which each quarter of an hour is a tile.
type Quarterly = Test<MonthOfQuarters, Text<{ usize::MAX }>>;

const DAY: u64 = 86_400;

fn day(n: u64) -> TimeRange {
    let start = Timestamp::from_seconds((n * DAY) as i64);
    TimeRange::new(start, start.saturating_add(Span::from_seconds(DAY)))
}

/// An event every quarter of an hour of these days, of one key.
async fn filled<P>(days: std::ops::Range<u64>) -> (Arc<MemoryStore>, Reader<P>)
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    let store = Arc::new(MemoryStore::new());
    let at = |n: u64| Timestamp::from_seconds((n * DAY / 96) as i64);
    let events: Vec<_> = (days.start * 96..days.end * 96 + 8)
        .map(|n| Happening { id: "a".into(), at: at(n), partition: 0, what: 'x' })
        .collect();
    Filler::<P>::new(&*store, 1).take(&events).await;
    let reader = Reader::new(store.clone(), 1).clock(Arc::new(Standing(day(days.end).start)));
    (store, reader)
}

/// Roll a day of which so many units were written.
async fn roll<P: Pipeline>(reader: &Reader<P>, n: u64, units: u64) -> u64 {
    assert!(reader.is_finished(day(n)).await.unwrap());
    reader.roll_busy(&key_text("a"), day(n), Worth { units: units / 10, bytes: units }).await.unwrap()
}

/// Whether the slot of a level that ends with a day is rolled.
async fn is_rolled<P: Pipeline>(store: &MemoryStore, level: Level, n: u64) -> bool {
    let (tiling, last) = (P::tiling(), day(n).end.saturating_sub(Span::from_micros(1)));
    let tile = tiling.tile_of(level, last);
    let id = TileId { key: key_text("a"), tile, part: None };
    let item = store.get(&Table::new("test", 1), &[id], Consistency::Strong).await.unwrap().remove(0);
    item.is_some_and(|item| item.is_rolled(tiling.slot_in(tile, last)))
}

#[tokio::test]
async fn rolling_costs_a_tenth_of_what_was_written_at_most() {
    let (store, reader) = filled::<Minutely>(0..4).await;
    assert_eq!(roll(&reader, 0, 9).await, 0);
    assert_eq!(roll(&reader, 1, 19).await, 24, "a write for 24 hours");
    assert_eq!(roll(&reader, 2, 20).await, 24 + 1, "and one for the day, in its month");
    for (n, level, expected) in [
        (0, Level::Day, false),
        (1, Level::Day, true),
        (1, Level::Month, false),
        (2, Level::Day, true),
        (2, Level::Month, true),
    ] {
        assert_eq!(is_rolled::<Minutely>(&store, level, n).await, expected, "{level:?} of day {n}");
    }
}

#[tokio::test]
async fn a_level_that_is_too_dear_is_left_out_and_those_above_are_made_of_what_is_below_it() {
    let (store, reader) = filled::<Quarterly>(0..8).await;
    // 24 tiles of an hour are more than a tenth of 96, a day is not.
    for n in 0..8 {
        assert!(roll(&reader, n, 96).await > 0);
    }
    for (level, expected) in [
        (Level::Hour, false),
        (Level::Day, true),
        (Level::Days2, true),
        (Level::Days4, true),
        (Level::Days8, true),
        (Level::Days16, false),
    ] {
        assert_eq!(is_rolled::<Quarterly>(&store, level, 7).await, expected, "{level:?}");
    }
    let all = TimeRange::new(day(0).start, day(8).start);
    let answer = reader.explaining().range(&Id::new("a"), all, Consistency::Strong).await.unwrap();
    assert_eq!(answer.value.len(), 8 * 96);
    assert_eq!(answer.explanation.unwrap().items(), 1);
}

#[tokio::test]
async fn what_lies_before_and_was_not_rolled_is_not_read_for_it() {
    let (store, reader) = filled::<Quarterly>(0..8).await;
    for n in [1, 3, 6, 7] {
        assert!(roll(&reader, n, 96).await > 0);
    }
    assert!(!is_rolled::<Quarterly>(&store, Level::Days2, 1).await);
    assert!(is_rolled::<Quarterly>(&store, Level::Days2, 7).await);
    assert!(!is_rolled::<Quarterly>(&store, Level::Days4, 7).await);
}

#[tokio::test]
async fn what_somebody_has_rolled_is_left_as_it_is() {
    let (_, reader) = filled::<Minutely>(0..2).await;
    assert_eq!(roll(&reader, 0, 1_000).await, 25);
    assert_eq!(roll(&reader, 0, 1_000).await, 0);
    assert_eq!(reader.roll(&Id::new("a"), day(1)).await.unwrap(), 25);
    assert_eq!(roll(&reader, 1, 1_000).await, 0);
}

#[tokio::test]
async fn a_day_that_is_not_over_is_not_finished() {
    let (_, reader) = filled::<Minutely>(0..2).await;
    assert!(reader.is_finished(day(1)).await.unwrap());
    assert!(!reader.is_finished(day(2)).await.unwrap());
    assert_eq!(reader.roll_busy(&key_text("a"), day(2), Worth { units: 100, bytes: 0 }).await.unwrap(), 0);
}
