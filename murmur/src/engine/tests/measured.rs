//! Every metric of a worker and of its readers moves by what it is about.

use std::time::Duration;

use super::counts::Once;
use super::faulty::{Fault, Faulty};
use super::*;
use crate::metrics::OPS;
use crate::metrics::catalogue::*;
use crate::metrics::tests::{alerts, moved, page, promql};
use crate::query::Reader;

/// A list that says how much waits behind each payload, when it took it in, and that a tombstone stood beside it.
struct Told(Box<List>);

impl Source for Told {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            Ok(match self.0.poll().await? {
                Poll::Batch(batch) => {
                    let stamped = Some(Timestamp::from_seconds(NOON - 90));
                    Poll::Batch(Batch { lag: Some(7), stamped, tombstones: 1, ..batch })
                }
                other => other,
            })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.0.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.0.commit(commits)
    }
}

/// Events of every fate.
async fn events_of_every_fate() {
    let letters = Letters::default();
    let store = Faulty::over(&Arc::new(MemoryStore::new()));
    store.fail(Fault { table: "hours", key: None, carried_out: true, kind: ErrorKind::Ambiguous, times: 1 });
    // Expired, of a broken clock, which makes what follows late, left out, broken, and repeated.
    let payloads = ["a@700000", "a@99000000", "a@900000", "skip", "!", "a@900000"];
    let source = Box::new(Told(List::new(&payloads)));
    to_the_end(worker_of(&store, source, &letters).pipeline::<Hours>().pipeline::<Once>()).await;
    Reader::<Hours>::new(store, 1)
        .clock(Arc::new(Noon))
        .get(&WordKey { text: "a".into() }, Consistency::Strong)
        .await
        .unwrap();
}

async fn a_conflict() {
    let store = Arc::new(MemoryStore::new());
    written_by_someone_else(&store).await;
    let summary = to_the_end(worker(&store, &["a", "a"], &Letters::default()).pipeline::<Words>()).await;
    assert_eq!((summary.progress.rewinds, summary.progress.already_applied), (1, 1));
}

/// A store that is away, and a worker that goes on trying.
async fn something_that_is_not_committed() {
    let store = Faulty::over(&Arc::new(MemoryStore::new()));
    store.fail(Fault {
        table: "words",
        key: None,
        carried_out: false,
        kind: ErrorKind::Unavailable,
        times: usize::MAX,
    });
    let options = Options { worker: 1, ..Options::default() };
    let builder = worker_of(&store, List::new(&["a"]), &Letters::default()).options(options);
    let run = tokio::time::timeout(Duration::from_secs(60), to_the_end(builder.pipeline::<Words>()));
    run.await.unwrap_err();
}

/// Those that move by something else, in the tests of the metrics, of the store, of the service and its TLS, and of rolling.
const OTHERS: [&str; 22] = [
    BUILD_INFO.name,
    STORE_OVERDUE.name,
    ROLLS.name,
    ROLLED_SLOTS.name,
    ROLL_WRITE_UNITS.name,
    ROLL_HELD.name,
    TILE_CACHE_HITS.name,
    TILE_CACHE_MISSES.name,
    TILE_CACHE_BYTES.name,
    STORE_WRITE_UNITS.name,
    STORE_READ_UNITS.name,
    STORE_THROTTLED.name,
    ITEM_BYTES.name,
    QUERY_DURATION.name,
    TLS_HANDSHAKES.name,
    TLS_RELOADS.name,
    TLS_EXPIRY.name,
    WATCH_STREAMS.name,
    WATCHED_KEYS.name,
    WATCHED_BYTES.name,
    WATCH_LOOKS.name,
    WATCH_SKIPPED.name,
];

#[test]
fn every_metric_of_a_worker_and_its_readers_moves() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let moved = moved(|| {
        runtime.block_on(async {
            events_of_every_fate().await;
            a_conflict().await;
            something_that_is_not_committed().await;
        });
    });
    for metric in ALL.iter().filter(|metric| !OTHERS.contains(&metric.name)) {
        assert!(moved.get(metric.name).is_some_and(|value| *value > 0.0), "{} of {moved:#?}", metric.name);
    }
    assert_eq!((moved[SOURCE_LAG.name], moved[SOURCE_LAG_SECONDS.name]), (7.0, 90.0));
}

/// How many samples of this series a page has, of those that match; all are 0.
fn zeros(page: &str, series: &str, matchers: &str) -> usize {
    let of = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(series) && line.contains(matchers));
    of.inspect(|line| assert!(line.ends_with(" 0"), "{line}")).count()
}

#[test]
fn what_raises_an_alarm_when_it_happens_once_is_there_at_zero_before() {
    let letters = Letters::default();
    let page = page(|| {
        drop(worker(&Arc::new(MemoryStore::new()), &["!"], &letters).pipeline::<Words>().build());
    });
    let exprs: Vec<&str> = alerts::at_the_first().collect();
    assert!(exprs.len() >= 4, "{exprs:?}");
    for (series, matchers) in exprs.into_iter().flat_map(promql::growing) {
        // That of DynamoDB is there once its store is opened.
        let is_there = series.starts_with(ITEM_BYTES.name) || zeros(&page, series, matchers) > 0;
        assert!(is_there, "no {series}{{{matchers}}} in\n{page}");
    }
    // With every value that the label may have.
    let failed = format!("{}_count", STORE_REQUEST_DURATION.name);
    assert_eq!(zeros(&page, &failed, "outcome=\"failed\""), OPS.len());
    assert_eq!(zeros(&page, STORE_OVERDUE.name, ""), OPS.len() - 1, "those of writes are not counted");
}
