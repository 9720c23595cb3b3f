//! What an answer says about what it took.

use super::*;
use crate::query::{Edges, Explanation, LevelReads};
use crate::store::Consistency::{Eventual, Strong};
use crate::time::{Level, TimeRange};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event(id: &str, at: Timestamp) -> Happening {
    Happening { id: id.into(), at, partition: 0, what: 'x' }
}

/// What was read of a level: reads and items.
fn reads(explanation: &Explanation, level: Option<Level>) -> (u64, u64) {
    let of = explanation.levels.iter().find(|reads| reads.level == level);
    of.map_or((0, 0), |reads| (reads.reads, reads.items))
}

fn costs(explanation: &Explanation) -> (f64, u64, u64) {
    (explanation.read_units, explanation.requests, explanation.round_trips)
}

#[tokio::test]
async fn nothing_is_explained_unless_it_is_asked_for() {
    let now = at("2026-03-01T12:00:00Z");
    let reader = reader::<Test<Minutes, Count>>(&[event("a", now)], now).await;
    assert_eq!(reader.get(&Id::new("a"), Eventual).await.unwrap().explanation, None);
}

#[tokio::test]
async fn reads_are_counted_by_level_and_weighed_by_how_they_are_read() {
    let now = at("2026-03-01T12:00:00Z");
    let half_past = event("a", at("2026-03-01T11:30:00Z"));
    let reader = reader::<Test<Minutes, Count>>(&[half_past], now).await.explaining();
    let range = TimeRange::new(at("2026-03-01T11:00:00Z"), now);
    let explain = async |id: &str, consistency| {
        reader.range(&Id::new(id), range, consistency).await.unwrap().explanation.unwrap()
    };
    // The records of the partitions, of which there are none, and a tile.
    let first = explain("a", Eventual).await;
    assert_eq!((reads(&first, None), reads(&first, Some(Level::Hour))), ((1, 0), (1, 1)));
    assert_eq!((costs(&first), first.consumed_units), ((1.5, 2, 2), None), "records are read strongly");
    // They are good for a second.
    let second = explain("a", Eventual).await;
    assert_eq!((reads(&second, None), costs(&second)), ((0, 0), (0.5, 1, 1)));
    assert_eq!((first.items(), first.bytes()), (second.items(), second.bytes()));
    assert_eq!(costs(&explain("a", Strong).await), (2.0, 2, 2));
    // Whether nobody is known takes two looks more, one after the other.
    let nobody = explain("nobody", Eventual).await;
    assert_eq!((reads(&nobody, Some(Level::Hour)), reads(&nobody, Some(Level::Late))), ((2, 0), (1, 0)));
    assert_eq!(costs(&nobody), (1.5, 3, 3));
}

#[tokio::test]
async fn a_unit_is_four_kibibytes_begun() {
    let now = at("2026-03-01T12:00:00Z");
    let events: Vec<Happening> = (0..5_000).map(|_| event("a", now)).collect();
    let reader = reader::<Test<Minutes, Text<{ usize::MAX }>>>(&events, now).await.explaining();
    let strong = reader.get(&Id::new("a"), Strong).await.unwrap().explanation.unwrap();
    let slots = strong.levels.iter().find(|reads| reads.level == Some(Level::Slot)).unwrap();
    assert!(matches!(slots, LevelReads { items: 1, bytes: 5_001..5_200, .. }), "{slots:?}");
    assert_eq!(strong.read_units, 1.0 + 2.0, "the records, and two of the only item");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_rolled_is_said_until_it_is() {
    let now = at("2026-05-14T12:00:00Z");
    let store = Arc::new(MemoryStore::new());
    let events: Vec<Happening> =
        (0..720).map(|n| event("a", now.saturating_sub(Span::from_seconds((720 - n) * 3_600)))).collect();
    Filler::<Test<MonthOfHours, Count>>::new(&*store, 1).take(&events).await;
    let reader = Reader::<Test<MonthOfHours, Count>>::new(store, 1).clock(Arc::new(Standing(now))).explaining();
    let key = Id::new("a");
    let range = TimeRange::new(at("2026-04-20T06:00:00Z"), at("2026-05-10T18:00:00Z"));
    let before = reader.range(&key, range, Eventual).await.unwrap();
    let explanation = before.explanation.unwrap();
    let days = TimeRange::new(at("2026-04-21T00:00:00Z"), at("2026-05-10T00:00:00Z"));
    assert_eq!(explanation.not_rolled, [(Level::Month, days)]);
    // Both months in vain, and the two days at the sides, beside what came late; then the days in place of the months.
    assert_eq!(reads(&explanation, Some(Level::Month)), (2, 0));
    assert_eq!(explanation.items(), 21);
    assert_eq!(explanation.round_trips, 1 + 2);

    reader.roll(&key, TimeRange::new(Timestamp::EPOCH, now)).await.unwrap();
    let after = reader.range(&key, range, Eventual).await.unwrap();
    let explanation = after.explanation.unwrap();
    assert_eq!((after.value, &explanation.not_rolled), (before.value, &vec![]));
    assert_eq!((explanation.items(), explanation.round_trips, explanation.read_units), (4, 1, 2.5));

    // At whole days the two tiles at the sides are not needed.
    let sawtooth = reader.clone().edges(Edges::Sawtooth).range(&key, range, Eventual).await.unwrap();
    let explanation = sawtooth.explanation.unwrap();
    assert_eq!((explanation.items(), explanation.read_units), (2, 1.5));
    let interval = sawtooth.interval;
    assert_eq!((interval.start, interval.end), (Some(at("2026-04-20T00:00:00Z")), Some(at("2026-05-11T00:00:00Z"))));
    assert!(!interval.start_exact && !interval.end_exact);
    assert_eq!(sawtooth.value, 21 * 24 * u64::from(b'x'));
}

#[tokio::test]
async fn many_keys_are_explained_together_in_the_first_answer() {
    let now = at("2026-03-01T12:00:00Z");
    let events = ["a", "b"].map(|id| event(id, at("2026-03-01T11:59:30Z")));
    let reader = reader::<Test<Minutes, Count>>(&events, now).await.explaining();
    let keys = ["a", "b", "a"].map(Id::new);
    let answers = reader.window_many(&keys, Span::from_seconds(60), None, Strong).await.unwrap();
    let explanation = answers[0].explanation.as_ref().unwrap();
    assert_eq!(reads(explanation, Some(Level::Hour)).0, 2, "the hour of each key, once");
    assert!(answers[1].explanation.is_none() && answers[2].explanation.is_none());
    let series =
        reader.series(&keys[0], now.saturating_sub(Span::from_seconds(600)), None, None, Strong).await.unwrap();
    assert_eq!(reads(&series.explanation.unwrap(), Some(Level::Hour)).0, 1);
}
