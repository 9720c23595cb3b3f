//! Tiles that are kept, and when they are read all the same. That answers are the same with and without is shown in
//! `against_naive.rs`.

use std::time::Duration;

use super::*;
use crate::query::{Explanation, TileCache};
use crate::store::Consistency::{self, Eventual, Strong};
use crate::time::{Level, TimeRange};

type Counted = Test<MonthOfHours, Count>;

const X: u64 = 'x' as u64;

fn hour(n: i64) -> Timestamp {
    Timestamp::from_seconds(n * 3_600)
}

fn event(hour_of: i64, partition: u8, what: char) -> Happening {
    Happening { id: "a".into(), at: hour(hour_of), partition, what }
}

/// Twenty days with an event in each hour.
async fn filled() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let events: Vec<_> = (0..20 * 24).map(|n| event(n, 0, 'x')).collect();
    Filler::<Counted>::new(&*store, 1).take(&events).await;
    store
}

fn reader(store: Arc<dyn Store>, cache: &TileCache) -> Reader<Counted> {
    Reader::new(store, 1).clock(Arc::new(Standing(hour(20 * 24)))).explaining().caching(cache)
}

async fn roll(reader: &Reader<Counted>, until: i64) {
    assert_ne!(reader.roll(&Id::new("a"), TimeRange::new(hour(0), hour(until))).await.unwrap(), 0);
}

/// The first fifteen days: their count, and what it took.
async fn ask(reader: &Reader<Counted>, consistency: Consistency) -> (u64, Explanation) {
    let range = TimeRange::new(hour(0), hour(15 * 24));
    let answer = reader.range(&Id::new("a"), range, consistency).await.unwrap();
    (answer.value, answer.explanation.unwrap())
}

/// Asked often enough that whatever is rolled is known to be so for good, and is kept.
async fn warm(reader: &Reader<Counted>) -> u64 {
    let mut value = 0;
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(2)).await;
        value = ask(reader, Eventual).await.0;
    }
    value
}

/// Of the month: reads, and tiles that were kept.
fn months(explanation: &Explanation) -> (u64, u64) {
    let reads = explanation.levels.iter().find(|reads| reads.level == Some(Level::Month)).unwrap();
    (reads.reads, reads.kept)
}

#[tokio::test(start_paused = true)]
async fn a_rolled_tile_is_read_once_and_by_strong_reads_each_time() {
    let reader = reader(filled().await, &TileCache::new(1 << 20));
    roll(&reader, 19 * 24).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    ask(&reader, Eventual).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    ask(&reader, Strong).await;
    let (value, first) = ask(&reader, Eventual).await;
    let (again, second) = ask(&reader, Eventual).await;
    assert_eq!((value, again), (15 * 24 * X, value));
    assert_eq!((months(&first), months(&second)), ((1, 0), (0, 1)));
    assert_eq!((first.read_units - second.read_units, second.round_trips), (0.5, 1), "what came late is asked for");
    assert_eq!(months(&ask(&reader, Strong).await.1), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_tile_in_which_slots_were_missing_is_read_until_they_are_there() {
    let store = filled().await;
    let reader = reader(store, &TileCache::new(1 << 20));
    roll(&reader, 10 * 24).await;
    for _ in 0..2 {
        warm(&reader).await;
        let (value, explanation) = ask(&reader, Eventual).await;
        assert_eq!((value, months(&explanation)), (15 * 24 * X, (1, 0)));
        assert_eq!(explanation.not_rolled, [(Level::Month, TimeRange::new(hour(10 * 24), hour(15 * 24)))]);
    }
    roll(&reader, 19 * 24).await;
    warm(&reader).await;
    assert_eq!(months(&ask(&reader, Eventual).await.1), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_for_a_kept_tile_is_counted() {
    let store = filled().await;
    let reader = reader(store.clone(), &TileCache::new(1 << 20));
    roll(&reader, 19 * 24).await;
    assert_eq!(warm(&reader).await, 15 * 24 * X);
    let late = Filler::<Counted>::new(&*store, 1).take(&[event(5, 1, 'z')]).await;
    assert_eq!(late, [true], "as its partition began where there were rolls");
    tokio::time::advance(Duration::from_secs(2)).await;
    let (value, explanation) = ask(&reader, Eventual).await;
    assert_eq!((value, months(&explanation)), (15 * 24 * X + u64::from('z'), (0, 1)));
}

/// Events of a partition that was not there before: one is late where there were rolls, and counted with the others where
/// there were none.
fn newcomer() -> [Happening; 2] {
    [event(5, 1, 'z'), event(20 * 24 - 1, 1, 'x')]
}

/// Put a table back that nobody had rolled, have the newcomer counted, and everything rolled again.
async fn put_back(store: &Arc<MemoryStore>, backup: &MemoryStore) {
    store.restore(backup);
    assert_eq!(Filler::<Counted>::new(&**store, 1).take(&newcomer()).await, [false, false]);
    roll(&Reader::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))), 19 * 24).await;
    tokio::time::advance(Duration::from_secs(2)).await;
}

const WHOLE: u64 = 15 * 24 * X + 'z' as u64;

#[tokio::test(start_paused = true)]
async fn a_table_that_was_put_back_and_counts_a_partition_anew_is_read_anew() {
    let store = filled().await;
    let backup = store.copy();
    let reader = reader(store.clone(), &TileCache::new(1 << 20));
    roll(&reader, 19 * 24).await;
    warm(&reader).await;
    assert_eq!(Filler::<Counted>::new(&*store, 1).take(&newcomer()).await, [true, false]);
    assert_eq!(warm(&reader).await, WHOLE);
    assert_eq!(months(&ask(&reader, Eventual).await.1), (0, 1));
    put_back(&store, &backup).await;
    let (value, explanation) = ask(&reader, Eventual).await;
    assert_eq!((value, months(&explanation)), (WHOLE, (1, 0)));
}

/// All that shows of it is where the newcomer begins.
#[tokio::test(start_paused = true)]
async fn a_table_that_was_put_back_and_has_a_new_partition_is_read_anew() {
    let store = filled().await;
    let backup = store.copy();
    let reader = reader(store.clone(), &TileCache::new(1 << 20));
    roll(&reader, 19 * 24).await;
    assert_eq!(warm(&reader).await, 15 * 24 * X);
    assert_eq!(months(&ask(&reader, Eventual).await.1), (0, 1));
    put_back(&store, &backup).await;
    let (value, explanation) = ask(&reader, Eventual).await;
    assert_eq!((value, months(&explanation)), (WHOLE, (1, 0)));
}

/// Rolls that the reader has read of before it knew of them are undone, and done again with other events.
#[tokio::test(start_paused = true)]
async fn what_was_rolled_after_the_last_look_is_not_kept() {
    let store = filled().await;
    let backup = store.copy();
    let reader = reader(store.clone(), &TileCache::new(1 << 20));
    ask(&reader, Strong).await;
    roll(&Reader::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))), 19 * 24).await;
    assert_eq!(ask(&reader, Eventual).await.0, 15 * 24 * X);
    put_back(&store, &backup).await;
    for _ in 0..3 {
        assert_eq!(ask(&reader, Eventual).await.0, WHOLE);
        tokio::time::advance(Duration::from_secs(2)).await;
    }
}

/// It may have been put back, and have caught up.
#[tokio::test(start_paused = true)]
async fn a_table_that_nobody_looked_at_for_a_minute_is_read_anew() {
    let reader = reader(filled().await, &TileCache::new(1 << 20));
    roll(&reader, 19 * 24).await;
    warm(&reader).await;
    for (seconds, kept) in [(0, 1), (59, 1), (60, 0), (2, 0), (0, 1)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(months(&ask(&reader, Eventual).await.1).1, kept, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn generations_and_readers_share_room_and_no_tiles() {
    let (store, cache) = (filled().await, TileCache::new(1 << 20));
    let first = reader(store.clone(), &cache);
    roll(&first, 19 * 24).await;
    assert_eq!(warm(&first).await, 15 * 24 * X);
    let second = Reader::<Counted>::new(store, 2).clock(Arc::new(Standing(hour(20 * 24)))).explaining().caching(&cache);
    assert_eq!(warm(&second).await, 0);
    assert_eq!(months(&ask(&first, Eventual).await.1), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_cache_takes_no_more_room_than_it_is_given() {
    let store = Arc::new(MemoryStore::new());
    let ids: Vec<Id> = (0..40).map(|n| Id::new(format!("key {n}"))).collect();
    let events =
        (0..20 * 24).flat_map(|n| ids.iter().map(move |key| Happening { id: key.id.clone(), ..event(n, 0, 'x') }));
    Filler::<Counted>::new(&*store, 1).take(&events.collect::<Vec<_>>()).await;
    let (little, enough) = (TileCache::new(4_096), TileCache::new(1 << 20));
    let [first, second] = [&little, &enough].map(|cache| reader(store.clone(), cache));
    for key in &ids {
        first.roll(key, TimeRange::new(hour(0), hour(19 * 24))).await.unwrap();
    }
    for reader in [first, second] {
        warm(&reader).await;
        for answer in reader.range_many(&ids, TimeRange::new(hour(0), hour(15 * 24)), Eventual).await.unwrap() {
            assert_eq!(answer.value, 15 * 24 * X);
        }
    }
    assert!((1..=4_096).contains(&little.bytes()), "{}", little.bytes());
    // Nineteen numbers of each key, and what says that they are rolled.
    assert!((40 * 19 * 16..40 * 2_048).contains(&enough.bytes()), "{}", enough.bytes());
}
