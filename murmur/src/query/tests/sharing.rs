//! The keys of one request are read together.

use std::collections::HashSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::hooked::{Hook, Hooked};
use super::*;
use crate::store::Consistency::{Eventual, Strong};
use crate::time::TimeRange;

/// Notes each call that reads: the tiles that it names, none for a range.
#[derive(Default)]
struct Calls(Mutex<Vec<Vec<TileId>>>);

impl Hook for Calls {
    fn before_read<'a>(&'a self, tiles: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        self.0.lock().unwrap().push(tiles.to_vec());
        Box::pin(async { Ok(()) })
    }
}

impl Calls {
    /// The tiles of each call that named some, and how many calls were for ranges, since the last time.
    fn take(&self) -> (Vec<Vec<TileId>>, usize) {
        let calls = std::mem::take(&mut *self.0.lock().unwrap());
        let (named, ranges): (Vec<_>, Vec<_>) = calls.into_iter().partition(|tiles| !tiles.is_empty());
        (named, ranges.len())
    }
}

type Month = Test<MonthOfQuarters, Count>;

/// Some time after the last event, so that all of them lie in finished tiles.
fn now() -> Timestamp {
    "2026-05-14T12:00:00Z".parse().unwrap()
}

fn ids(count: usize) -> Vec<Id> {
    (0..count).map(|n| Id::new(format!("k{n}"))).collect()
}

/// Twelve keys with an event every seven hours, and what was read since.
async fn world() -> (Arc<Calls>, Reader<Month>) {
    let store = Arc::new(MemoryStore::new());
    let event = |n: u64| Happening {
        id: format!("k{}", n % 12),
        at: now().saturating_sub(Span::from_seconds(40 * 86_400 - n / 12 * 7 * 3_600)),
        partition: 0,
        what: '\u{1}',
    };
    let events: Vec<Happening> = (0..12 * 137).map(event).collect();
    Filler::<Month>::new(&*store, 1).take(&events).await;
    let calls = Arc::<Calls>::default();
    let hooked = Arc::new(Hooked { inner: store, hook: calls.clone() });
    (calls, Reader::new(hooked, 1).clock(Arc::new(Standing(now()))))
}

/// 25 days at edges of quarters of an hour.
fn range() -> TimeRange {
    let end = "2026-05-12T10:15:00Z".parse::<Timestamp>().unwrap();
    TimeRange::new(end.saturating_sub(Span::from_seconds(25 * 86_400)), end)
}

#[tokio::test]
async fn keys_whose_tiles_are_rolled_are_one_call() {
    let (calls, reader) = world().await;
    for key in ids(12) {
        reader.roll(&key, TimeRange::new(Timestamp::EPOCH, "2026-05-14T00:00:00Z".parse().unwrap())).await.unwrap();
    }
    let one = reader.range(&ids(1)[0], range(), Eventual).await.unwrap();
    calls.take();
    for (count, consistency) in [(1, Eventual), (12, Eventual), (12, Strong)] {
        let answers = reader.range_many(&ids(count), range(), consistency).await.unwrap();
        assert_eq!(answers[0].value, one.value);
        let (named, ranges) = calls.take();
        let sizes: Vec<usize> = named.iter().map(Vec::len).collect();
        assert_eq!(sizes, [6 * count], "six tiles of each key, all in one call");
        assert_eq!(ranges, count, "what came late is one range of each key");
    }
}

#[tokio::test]
async fn keys_whose_tiles_are_not_rolled_are_a_call_and_a_range_of_each_for_each_level_and_a_tile_is_named_once() {
    let (calls, reader) = world().await;
    let reads = async |keys: &[Id]| {
        let answers = reader.range_many(keys, range(), Eventual).await.unwrap();
        (answers.into_iter().map(|answer| answer.value).collect::<Vec<u64>>(), calls.take())
    };
    let (mut alone, mut ranges_alone) = (Vec::new(), 0);
    for key in ids(12) {
        let (values, (named, ranges)) = reads(&[key]).await;
        alone.extend(values);
        assert_eq!(named.len(), 1, "the tiles of the plan");
        assert_eq!(
            ranges, 6,
            "what came late, the hours on both sides, the look, the days of the months that are not rolled, and their hours"
        );
        ranges_alone += ranges;
    }
    let twice: Vec<Id> = [ids(12), ids(12)].concat();
    let (values, (named, ranges)) = reads(&twice).await;
    assert_eq!(values, [alone.clone(), alone].concat());
    assert_eq!((named.len(), ranges), (1, ranges_alone), "one call for all keys, and the ranges of each once");
    let tiles: Vec<&TileId> = named.iter().flatten().collect();
    assert_eq!(tiles.iter().collect::<HashSet<_>>().len(), tiles.len());
}

#[tokio::test]
async fn more_tiles_than_a_page_are_calls_of_a_page_each() {
    let (calls, reader) = world().await;
    reader.range_many(&ids(300), range(), Eventual).await.unwrap();
    let (named, _) = calls.take();
    assert!(named.iter().all(|tiles| tiles.len() <= 1_024) && named.len() > 1, "{}", named.len());
}
