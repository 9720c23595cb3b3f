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
