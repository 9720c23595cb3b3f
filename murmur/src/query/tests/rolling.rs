//! What is rolled, and what holds it up.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use super::hooked::{Hook, Hooked};
use super::*;
use crate::engine::{Frontier, PartitionRecord, retire};
use crate::query::{Ask, Limits};
use crate::store::Consistency;
use crate::time::TimeRange;

type Counted = Test<MonthOfHours, Count>;

fn hour(n: i64) -> Timestamp {
    Timestamp::from_seconds(n * 3_600)
}

/// One event in each of these hours, of partition 0.
async fn filled(store: &MemoryStore, hours: impl Iterator<Item = i64>) {
    let events: Vec<_> = hours.map(|n| Happening { id: "a".into(), at: hour(n), partition: 0, what: 'x' }).collect();
    Filler::<Counted>::new(store, 1).take(&events).await;
}

/// Roll all that there may be; how many hours were.
async fn roll(store: &Arc<MemoryStore>) -> u64 {
    let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24))));
    reader.roll(&Id::new("a"), TimeRange::new(hour(0), hour(24 * 365))).await.unwrap()
}

/// The reader rolls beside; nothing here waits for anything outside.
async fn meanwhile() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

async fn record(store: &MemoryStore, partition: &str) -> PartitionRecord {
    PartitionRecord::load(store, &Table::new("test", 1), &PartitionId::new(partition)).await.unwrap().record
}

#[tokio::test]
async fn a_roll_takes_what_is_finished_of_its_range() {
    let store = Arc::new(MemoryStore::new());
    filled(&store, 0..20 * 24).await;
    // The last day is not over.
    assert_eq!(roll(&store).await, 19);
    assert_eq!(
        record(&store, "p0").await.reached(),
        Some(hour(20 * 24 - 1)),
        "what was asked for beyond moves nothing"
    );
}

#[tokio::test]
async fn nothing_is_rolled_before_anything_is_flushed() {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::new("test", 1));
    let quiet = PartitionId::new("p1");
    Frontier::settle(&*store, &table, &quiet, Default::default()).await.unwrap();
    assert_eq!(roll(&store).await, 0);
    assert_eq!(record(&store, "p1").await.reached(), Some(Timestamp::MIN));
}

#[tokio::test]
async fn a_partition_without_events_does_not_hold_rolling_up() {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::new("test", 1));
    Frontier::settle(&*store, &table, &PartitionId::new("p1"), Default::default()).await.unwrap();
    filled(&store, 0..20 * 24).await;
    let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))).rolling();
    let most = TimeRange::new(hour(1), hour(19 * 24));
    let answer = reader.range(&Id::new("a"), most, Consistency::Strong).await.unwrap();
    assert_eq!(answer.value, (19 * 24 - 1) * u64::from(b'x'));
    meanwhile().await;
    // From here on what comes of that partition for these days is late, and counted as that.
    assert_eq!(record(&store, "p1").await.reached(), Some(hour(19 * 24 + 1)));
}

/// Counts calls that read tiles.
#[derive(Default)]
struct Reads(AtomicUsize);

impl Hook for Reads {
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_stretch_without_anything_is_looked_at_once_to_be_rolled_and_not_by_each_read() {
    let store = Arc::new(MemoryStore::new());
    filled(&store, (0..24).chain(15 * 24..20 * 24)).await;
    let reads = Arc::new(Reads::default());
    let counted = Arc::new(Hooked { inner: store, hook: reads.clone() });
    let reader = Reader::<Counted>::new(counted, 1).clock(Arc::new(Standing(hour(20 * 24)))).rolling();
    let ask = async || {
        let empty = TimeRange::new(hour(2 * 24), hour(12 * 24));
        let answer = reader.range(&Id::new("a"), empty, Consistency::Strong).await.unwrap();
        assert_eq!(answer.presence, crate::query::Presence::Empty);
        meanwhile().await;
        reads.0.swap(0, Ordering::Relaxed)
    };
    let (first, second, third) = (ask().await, ask().await, ask().await);
    assert!(second < first, "{second} of {first}");
    assert_eq!(second, third);
}

/// Partition 1 has read an hour, and 0 twenty days, an event of `a` in each hour.
async fn held_up(store: &MemoryStore) {
    Filler::<Counted>::new(store, 1).take(&[Happening { id: "b".into(), at: hour(0), partition: 1, what: 'x' }]).await;
    filled(store, 0..20 * 24).await;
    let (table, p0) = (Table::new("test", 1), PartitionId::new("p0"));
    let standing = PartitionRecord::load(store, &table, &p0).await.unwrap();
    let seen = PartitionRecord { watermark: standing.record.front, ..PartitionRecord::default() };
    seen.raise(store, &table, &p0, standing).await.unwrap();
}

#[tokio::test]
async fn a_request_for_too_much_is_told_which_partition_holds_rolling_up() {
    let store = Arc::new(MemoryStore::new());
    held_up(&store).await;
    assert_eq!(roll(&store).await, 0);
    let ask = async |hours| {
        let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24))));
        let reader = reader.limits(Limits { items: 10, ..Limits::default() });
        let range = TimeRange::new(hour(0), hour(hours));
        reader.range(&Id::new("a"), range, Consistency::Strong).await.map(|answer| answer.value)
    };
    let error = ask(19 * 24).await.unwrap_err().to_string();
    assert!(error.contains("partition `p1`") && error.contains("`partition retire`"), "{error}");
    retire(&*store, &Table::new("test", 1), &PartitionId::new("p1")).await.unwrap();
    // It does not matter any more; nobody has rolled anything yet.
    let error = ask(19 * 24).await.unwrap_err().to_string();
    assert!(error.contains("10 stored items") && !error.contains("p1"), "{error}");
    assert_eq!(roll(&store).await, 19);
    assert_eq!(ask(19 * 24).await.unwrap(), 19 * 24 * u64::from(b'x'));
}

#[tokio::test]
async fn what_a_retired_partition_adds_to_a_day_that_was_rolled_is_seen_once_that_is_marked() {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::new("test", 1));
    held_up(&store).await;
    retire(&*store, &table, &PartitionId::new("p1")).await.unwrap();
    assert_eq!(roll(&store).await, 19);
    let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))).explaining();
    let ask = async || {
        let range = TimeRange::new(hour(0), hour(19 * 24));
        let answer = reader.range(&Id::new("a"), range, Consistency::Strong).await.unwrap();
        let unit = crate::time::Level::Month;
        let gaps = answer.explanation.unwrap().not_rolled.into_iter().filter(|(level, _)| *level == unit);
        (answer.value / u64::from(b'x'), gaps.map(|(_, gap)| gap).collect::<Vec<_>>())
    };
    assert_eq!(ask().await, (19 * 24, vec![]));
    let tiling = Counted::tiling();
    let (day, _) = tiling.locate(hour(3 * 24 + 5));
    let late = Happening { id: "a".into(), at: hour(3 * 24 + 5), partition: 1, what: 'x' };
    Filler::<Counted>::new(&*store, 1).write(&[(&late, day)]).await;
    assert_eq!(ask().await, (19 * 24, vec![]), "and it is not committed yet");
    let month = tiling.tile_of(crate::time::Level::Month, day.start);
    let id = TileId { key: key_text("a"), tile: month, part: None };
    let mark = Write::unroll(id, tiling.slot_in(month, day.start), None);
    assert!(matches!(store.write(&table, mark.into()).await[..], [Ok(Outcome::Applied)]));
    let marked = (19 * 24 + 1, vec![tiling.tile_range(day)]);
    assert_eq!(ask().await, marked);
    // Whoever rolls it again, who may have read it before, changes nothing about that.
    assert_eq!(roll(&store).await, 19);
    assert_eq!(ask().await, marked);
}

#[cfg(feature = "metrics")]
#[test]
fn what_became_of_rolls_and_what_was_kept_is_measured() {
    use super::falling::Falling;
    use super::hooked::Hooked;
    use crate::query::TileCache;

    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            filled(&store, 0..20 * 24).await;
            let clock = Arc::new(Standing(hour(20 * 24)));
            let all = TimeRange::new(hour(0), hour(24 * 365));
            let falls = Hooked { inner: store.clone(), hook: Arc::new(Falling::new(0, false)) };
            let falls = Reader::<Counted>::new(Arc::new(falls), 1).clock(clock.clone());
            falls.roll(&Id::new("a"), all).await.unwrap_err();
            assert_eq!(roll(&store).await, 19);
            let reader = Reader::<Counted>::new(store.clone(), 1).clock(clock).caching(&TileCache::new(1 << 20));
            assert_eq!(reader.roll(&Id::new("nobody"), all).await.unwrap(), 0);
            for _ in 0..2 {
                tokio::time::advance(std::time::Duration::from_secs(2)).await;
                for _ in 0..2 {
                    reader
                        .range(&Id::new("a"), TimeRange::new(hour(0), hour(15 * 24)), Consistency::Eventual)
                        .await
                        .unwrap();
                }
            }
        });
    });
    let page = recorder.handle().render();
    // The second look, at the first two of the questions, is the one from which on the month is kept.
    for line in [
        "murmur_tile_cache_misses_total{pipeline=\"test\"} 1",
        "murmur_tile_cache_hits_total{pipeline=\"test\"} 3",
        "murmur_rolls_total{pipeline=\"test\",trigger=\"read\",outcome=\"failed\"} 1",
        "murmur_rolls_total{pipeline=\"test\",trigger=\"read\",outcome=\"rolled\"} 1",
        "murmur_rolls_total{pipeline=\"test\",trigger=\"read\",outcome=\"empty\"} 1",
        "murmur_rolled_slots_total{pipeline=\"test\",trigger=\"read\"} 19",
        "murmur_roll_consumed_wcu_total{pipeline=\"test\",trigger=\"read\"} 0",
    ] {
        assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
    }
    let bytes = page.lines().find_map(|line| line.strip_prefix("murmur_tile_cache_bytes ")).unwrap();
    assert!(bytes.parse::<f64>().unwrap() > 0.0, "{bytes}");
}

/// What is measured while this runs, in time that stands.
#[cfg(feature = "metrics")]
fn measured(run: impl Future<Output = ()>) -> String {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    ::metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    recorder.handle().render()
}

#[cfg(feature = "metrics")]
#[test]
fn how_far_rolling_is_held_up_is_measured() {
    let page = measured(async {
        let store = Arc::new(MemoryStore::new());
        held_up(&store).await;
        let reader = Reader::<Counted>::new(store, 1).clock(Arc::new(Standing(hour(20 * 24))));
        reader.get(&Id::new("a"), Consistency::Eventual).await.unwrap();
    });
    let line = format!("murmur_roll_held_seconds{{pipeline=\"test\"}} {}", (20 * 24 - 1) * 3_600);
    assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
}

#[cfg(feature = "metrics")]
fn rolls(page: &str) -> Vec<&str> {
    let mut lines: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("murmur_rolls_total{pipeline=\"test\",trigger=")).collect();
    lines.sort_unstable();
    lines
}

#[cfg(feature = "metrics")]
#[test]
fn who_may_not_write_tries_it_once_and_reads_on() {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::hooked::{Death, Hook, Hooked};
    use crate::ErrorKind;

    /// Nobody may roll.
    #[derive(Default)]
    struct Denying(AtomicU64);

    impl Hook for Denying {
        fn writing(&self, writes: &[Write]) -> Option<Death> {
            let rolls = writes.iter().filter(|write| matches!(write, Write::Roll { .. })).count();
            self.0.fetch_add(rolls as u64, Ordering::Relaxed);
            (rolls > 0).then_some(Death::Never(ErrorKind::Denied))
        }
    }

    let hook = Arc::new(Denying::default());
    let page = measured(async {
        let store = Arc::new(MemoryStore::new());
        filled(&store, 0..20 * 24).await;
        let store = Arc::new(Hooked { inner: store, hook: hook.clone() });
        let reader = Reader::<Counted>::new(store, 1).clock(Arc::new(Standing(hour(20 * 24)))).rolling();
        for days in [15, 16, 17] {
            let answer =
                reader.range(&Id::new("a"), TimeRange::new(hour(0), hour(days * 24)), Consistency::Eventual).await;
            assert_eq!(answer.unwrap().value, days as u64 * 24 * u64::from(b'x'));
            meanwhile().await;
        }
    });
    assert_eq!(hook.0.load(Ordering::Relaxed), 1);
    assert_eq!(rolls(&page), ["\"read\",outcome=\"denied\"} 1"]);
}

#[cfg(feature = "metrics")]
#[test]
fn what_a_new_partition_may_still_add_to_is_left_until_that_is_known() {
    let page = measured(async {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::new("test", 1));
        filled(&store, 0..20 * 24).await;
        let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))).rolling();
        let ask = async |from, to| {
            let answer = reader.range(&Id::new("a"), TimeRange::new(hour(from), hour(to)), Consistency::Eventual).await;
            assert_eq!(answer.unwrap().value, (to - from) as u64 * u64::from(b'x'));
            meanwhile().await;
        };
        // It knows the records from here on, for a second. A day is read as it is.
        ask(0, 24).await;
        let new = PartitionId::new("p1");
        let standing = PartitionRecord::default().raise(&*store, &table, &new, Default::default()).await.unwrap();
        ask(0, 15 * 24).await;
        // Its floor is behind what somebody has said that he would roll.
        let standing = Frontier::settle(&*store, &table, &new, standing).await.unwrap();
        assert_eq!(standing.record.reached(), Some(hour(15 * 24 + 1)));
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        ask(0, 15 * 24).await;
        ask(0, 15 * 24).await;
    });
    assert_eq!(rolls(&page), ["\"read\",outcome=\"early\"} 1", "\"read\",outcome=\"rolled\"} 1"]);
}

/// What comes of this when nobody else has a turn, who rolls neither. It waits for nothing outside.
#[cfg(feature = "metrics")]
fn undisturbed<T>(work: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};

    let mut work = std::pin::pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

#[cfg(feature = "metrics")]
#[test]
fn more_than_can_wait_is_rolled_when_it_is_asked_for_again() {
    let page = measured(async {
        let store = Arc::new(MemoryStore::new());
        let keys: Vec<_> = (0..300).map(|n| format!("{n:03}")).collect();
        let events: Vec<_> = (0..20 * 24)
            .map(|n| Happening { id: keys[n % 300].clone(), at: hour(n as i64), partition: 0, what: 'x' })
            .collect();
        Filler::<Counted>::new(&*store, 1).take(&events).await;
        let keys: Vec<_> = keys.into_iter().map(Id::new).collect();
        let reader = Reader::<Counted>::new(store.clone(), 1).clock(Arc::new(Standing(hour(20 * 24)))).rolling();
        let days = Ask::Range(TimeRange::new(hour(0), hour(19 * 24)));
        for _ in 0..3 {
            let answers = undisturbed(reader.ask_many(&keys, days, Consistency::Eventual)).unwrap();
            let sum: u64 = answers.iter().map(|answer| answer.value).sum();
            assert_eq!(sum, 19 * 24 * u64::from(b'x'));
            for _ in 0..300 {
                meanwhile().await;
            }
        }
    });
    assert_eq!(rolls(&page), ["\"read\",outcome=\"crowded\"} 44", "\"read\",outcome=\"rolled\"} 300"]);
}
