//! What a worker rolls by itself, and what keeps it from that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::flush::Patience;
use super::super::ownership::Ownership;
use super::super::retirement::retire;
use super::faulty::Faulty;
use super::*;
use crate::query::tests::hooked::{Death, Hook, Hooked};
use crate::store::Write;
use crate::time::{Level, Slot, Tile};

/// Counts words by the minute: a tile is an hour, and one of the level above a day.
struct Minutes;

impl Pipeline for Minutes {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec =
        spec("minutes", Window::Sliding { span: Span::from_seconds(30 * 86_400), slot: Span::from_seconds(60) });

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        Words::apply(event, out);
    }
}

/// Two days with `busy` in each hour and `quiet` three times a day, and two hours of the next.
fn two_days() -> Box<List> {
    let event = |word: &str, hour: u32| &*format!("{word}@{}", hour * 3_600).leak();
    let hours = (0..50).flat_map(|hour| {
        let quiet = hour % 8 == 0;
        [Some(event("busy", hour)), quiet.then(|| event("quiet", hour))].into_iter().flatten()
    });
    List::new(&hours.collect::<Vec<_>>())
}

/// Each event is a write of its own.
fn options() -> Options {
    Options { flush_interval: Span::ZERO, ..Options::default() }
}

/// What happens to rolls; how many there were.
struct Rolls {
    count: AtomicUsize,
    /// Whether reading what is to be rolled takes for ever.
    hangs: bool,
    fails: fn(usize) -> Option<ErrorKind>,
    hanging: watch::Sender<bool>,
}

impl Rolls {
    fn new(hangs: bool, fails: fn(usize) -> Option<ErrorKind>) -> Arc<Self> {
        Arc::new(Self { count: AtomicUsize::new(0), hangs, fails, hanging: watch::Sender::new(false) })
    }

    fn over(self: &Arc<Self>, store: &Arc<MemoryStore>) -> Arc<Hooked<Self>> {
        Arc::new(Hooked { inner: store.clone(), hook: self.clone() })
    }
}

impl Hook for Rolls {
    fn before_read<'a>(&'a self, ids: &'a [TileId]) -> BoxFuture<'a, Result<()>> {
        let is_roll = ids.iter().any(|id| id.tile.level == Level::Day);
        Box::pin(async move {
            if self.hangs && is_roll {
                self.hanging.send_replace(true);
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn writing(&self, writes: &[Write]) -> Option<Death> {
        let is_roll = writes.iter().any(|write| matches!(write, Write::Roll { .. }));
        let fails = is_roll.then(|| (self.fails)(self.count.fetch_add(1, Ordering::SeqCst)));
        fails.flatten().map(Death::Never)
    }
}

/// How many hours of a day are rolled.
async fn rolled(store: &MemoryStore, word: &str, day: i64) -> usize {
    let tile = Tile { level: Level::Day, start: Timestamp::from_seconds(day * 86_400) };
    let id = TileId { key: format!("={word}").into(), tile, part: None };
    let item = store.get(&Table::new("minutes", 1), &[id], Consistency::Strong).await.unwrap().remove(0);
    item.map_or(0, |item| (0..24).filter(|slot| item.is_rolled(Slot(*slot))).count())
}

#[tokio::test(start_paused = true)]
async fn a_worker_rolls_finished_days_of_the_keys_that_it_wrote_often() {
    let store = Arc::new(MemoryStore::new());
    let worker = worker_of(&store, two_days(), &Letters::default()).options(options());
    let summary = to_the_end(worker.pipeline::<Minutes>().pipeline::<Words>()).await;
    // Of each day its hours, and the day itself in its month.
    assert_eq!(summary.progress.rolled, 2 * (24 + 1));
    assert_eq!([rolled(&store, "busy", 0).await, rolled(&store, "busy", 1).await], [24, 24]);
    assert_eq!(rolled(&store, "busy", 2).await, 0, "it is not over");
    assert_eq!(rolled(&store, "quiet", 0).await, 0, "it would cost as much as what was written");
}

#[tokio::test(start_paused = true)]
async fn a_worker_rolls_while_it_reads_on() {
    let store = Arc::new(MemoryStore::new());
    let mut source = two_days();
    source.idles = true;
    let worker = worker_of(&store, source, &Letters::default()).options(options()).pipeline::<Minutes>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.rolled == 2 * (24 + 1)).await.unwrap();
    stop.send_replace(true);
    assert!(!running.await.unwrap().unwrap().ended);
}

#[tokio::test(start_paused = true)]
async fn a_worker_can_leave_rolling_to_others() {
    let store = Arc::new(MemoryStore::new());
    let options = Options { roll_every: None, ..options() };
    let worker = worker_of(&store, two_days(), &Letters::default()).options(options);
    assert_eq!(to_the_end(worker.pipeline::<Minutes>()).await.progress.rolled, 0);
    assert_eq!(rolled(&store, "busy", 0).await, 0);
}

/// What the record says of a partition of which so many hours were read.
fn read(hour: i64) -> PartitionRecord {
    let commit = Some(Offset::from_u64(1));
    let front = Some(Timestamp::from_seconds(hour * 3_600));
    PartitionRecord { commit, horizon: commit, front, ..PartitionRecord::default() }
}

/// Somebody else has read an hour of another partition.
async fn another_partition(store: &MemoryStore) -> (Table, PartitionId, Standing) {
    let (table, other) = (Table::new("minutes", 1), PartitionId::new("other"));
    Ownership::of::<Minutes>(1).claim(store, &table, &Patience::new(1)).await.unwrap();
    let standing = Frontier::settle(store, &table, &other, Standing::default()).await.unwrap();
    let standing = read(1).raise(store, &table, &other, standing).await.unwrap();
    (table, other, standing)
}

#[tokio::test(start_paused = true)]
async fn a_day_is_not_rolled_before_the_partitions_of_others_have_passed_it() {
    let store = Arc::new(MemoryStore::new());
    let (table, other, standing) = another_partition(&store).await;
    let mut source = two_days();
    source.idles = true;
    let worker = worker_of(&store, source, &Letters::default()).options(options()).pipeline::<Minutes>().build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.applied == 57).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!((progress.borrow().rolled, rolled(&store, "busy", 0).await), (0, 0));
    // It goes on by itself once they have.
    read(25).raise(&*store, &table, &other, standing).await.unwrap();
    progress.wait_for(|progress| progress.rolled == 24 + 1).await.unwrap();
    assert_eq!([rolled(&store, "busy", 0).await, rolled(&store, "busy", 1).await], [24, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_retired_is_not_waited_for() {
    let store = Arc::new(MemoryStore::new());
    let (table, other, _) = another_partition(&store).await;
    retire(&*store, &table, &other).await.unwrap();
    let worker = worker_of(&store, two_days(), &Letters::default()).options(options());
    assert_eq!(to_the_end(worker.pipeline::<Minutes>()).await.progress.rolled, 2 * (24 + 1));
}

#[tokio::test(start_paused = true)]
async fn an_owner_of_a_retired_partition_marks_what_was_rolled_and_one_that_did_not_know_reads_again() {
    // Before it is written, and while that is under way.
    for flush_interval in [60, 0] {
        retired_after_it_was_read(Span::from_seconds(flush_interval)).await;
    }
}

async fn retired_after_it_was_read(flush_interval: Span) {
    let store = Arc::new(MemoryStore::new());
    let slow = Faulty::slow(&store, Duration::from_secs(10));
    let (table, own) = (Table::new("minutes", 1), partition());
    // In the second hour of the second day: slot 1 of its day, and of its month.
    let mut source = List::new(&["busy@90000"]);
    source.idles = true;
    let options = Options { flush_interval, ..options() };
    let worker = worker_of(&slow, source, &Letters::default()).options(options).pipeline::<Minutes>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.applied == 1).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    retire(&*store, &table, &own).await.unwrap();
    progress.wait_for(|progress| progress.flushes == 1).await.unwrap();
    assert_eq!(progress.borrow().rewinds, 1);
    stop.send_replace(true);
    running.await.unwrap().unwrap();
    for (level, start, slot) in [(Level::Day, 86_400, 1), (Level::Month, 0, 1)] {
        let tile = Tile { level, start: Timestamp::from_seconds(start) };
        let id = TileId { key: "=busy".into(), tile, part: None };
        let item = store.get(&table, &[id], Consistency::Strong).await.unwrap().remove(0);
        assert!(
            item.is_some_and(|item| item.is_unrolled(Slot(slot)) && !item.is_unrolled(Slot(slot + 1))),
            "{level:?}"
        );
    }
}

#[cfg(feature = "metrics")]
#[test]
fn what_holds_rolling_up_is_measured_by_a_worker() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            another_partition(&store).await;
            let mut source = two_days();
            source.idles = true;
            let worker = worker_of(&store, source, &Letters::default()).options(options()).pipeline::<Minutes>();
            let worker = worker.build();
            let mut progress = worker.progress();
            let (_stop, stopped) = watch::channel(false);
            tokio::spawn(worker.run(stopped));
            progress
                .wait_for(|progress| progress.applied == 57 && progress.uncommitted_since().is_none())
                .await
                .unwrap();
            // It looks once a minute, by the clock of this runtime.
            tokio::time::sleep(Duration::from_secs(61)).await;
        });
    });
    let page = recorder.handle().render();
    let line = format!("murmur_roll_held_seconds{{pipeline=\"minutes\"}} {}", (49 - 1) * 3_600);
    assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
}

#[tokio::test(start_paused = true)]
async fn what_the_store_cannot_take_now_is_rolled_later() {
    let store = Arc::new(MemoryStore::new());
    let rolls = Rolls::new(false, |n| (n < 5).then_some(ErrorKind::Unavailable));
    let worker = worker_of(&rolls.over(&store), two_days(), &Letters::default()).options(options());
    assert_eq!(to_the_end(worker.pipeline::<Minutes>()).await.progress.rolled, 2 * (24 + 1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_rolls_fail_counts_and_ends_as_any_other() {
    for (kind, tried) in [
        // Each of two days once.
        (ErrorKind::Denied, 2..=2),
        (ErrorKind::Oversize, 2..=2),
        // While it reads, and at the end.
        (ErrorKind::Unavailable, 10..=40),
    ] {
        let store = Arc::new(MemoryStore::new());
        let rolls = Rolls::new(
            false,
            match kind {
                ErrorKind::Denied => |_| Some(ErrorKind::Denied),
                ErrorKind::Oversize => |_| Some(ErrorKind::Oversize),
                _ => |_| Some(ErrorKind::Unavailable),
            },
        );
        let worker = worker_of(&rolls.over(&store), two_days(), &Letters::default()).options(options());
        let summary = to_the_end(worker.pipeline::<Minutes>()).await;
        assert_eq!((summary.ended, summary.progress.applied, summary.progress.rolled), (true, 57, 0));
        let count = rolls.count.load(Ordering::SeqCst);
        assert!(tried.contains(&count), "{kind:?}: {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_rolling() {
    for idles in [true, false] {
        let store = Arc::new(MemoryStore::new());
        let rolls = Rolls::new(true, |_| None);
        let mut source = two_days();
        source.idles = idles;
        let builder = worker_of(&rolls.over(&store), source, &Letters::default()).options(options());
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(builder.pipeline::<Minutes>().build().run(stopped));
        rolls.hanging.subscribe().wait_for(|hangs| *hangs).await.unwrap();
        stop.send_replace(true);
        let summary = running.await.unwrap().unwrap();
        assert!(summary.progress.partitions.iter().all(|status| status.commit == status.read));
    }
}

#[cfg(feature = "metrics")]
#[test]
fn what_became_of_what_a_worker_rolls_is_measured() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::new());
            let denied = Rolls::new(false, |n| (n == 0).then_some(ErrorKind::Denied));
            let worker = worker_of(&denied.over(&store), two_days(), &Letters::default()).options(options());
            to_the_end(worker.pipeline::<Minutes>()).await;
        });
    });
    let page = recorder.handle().render();
    for line in [
        "murmur_rolls_total{pipeline=\"minutes\",trigger=\"write\",outcome=\"denied\"} 1",
        "murmur_rolls_total{pipeline=\"minutes\",trigger=\"write\",outcome=\"rolled\"} 2",
        "murmur_rolled_slots_total{pipeline=\"minutes\",trigger=\"write\"} 25",
    ] {
        assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
    }
}
