//! What is rolled, and what holds it up.

use super::*;
use crate::engine::{Frontier, PartitionRecord};
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
    // The reader rolls beside; nothing here waits for anything outside.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    // From here on what comes of that partition for these days is late, and counted as that.
    assert_eq!(record(&store, "p1").await.reached(), Some(hour(19 * 24 + 1)));
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
        "murmur_rolls_total{pipeline=\"test\",outcome=\"failed\"} 1",
        "murmur_rolls_total{pipeline=\"test\",outcome=\"rolled\"} 1",
        "murmur_rolls_total{pipeline=\"test\",outcome=\"empty\"} 1",
        "murmur_rolled_slots_total{pipeline=\"test\"} 19",
        "murmur_roll_consumed_wcu_total{pipeline=\"test\"} 0",
    ] {
        assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
    }
    let bytes = page.lines().find_map(|line| line.strip_prefix("murmur_tile_cache_bytes ")).unwrap();
    assert!(bytes.parse::<f64>().unwrap() > 0.0, "{bytes}");
}
