//! A user's own worker, killed under load and compared with what was sent. As it stands in the documentation of
//! `murmur_testkit::faults`, and only with what a user has too.

use std::collections::BTreeSet;
use std::time::Duration;

use murmur::engine::{Clock, SystemClock, json};
use murmur::source::{Offset, Ruler};
use murmur::store::{DynamoConfig, DynamoStore, EmbeddedConfig, EmbeddedStore};
use murmur::time::Span;
use murmur_testkit::faults::kafka::{self, Cluster};
use murmur_testkit::faults::proxy::dynamodb::{Dynamo, Troubles};
use murmur_testkit::faults::supervisor::Process;
use murmur_testkit::{Oracle, Verdict};
use murmur_tests::process::example;
use murmur_tests::random::Random;
use murmur_tests::services;

#[allow(unreachable_pub, reason = "it is public in the program")]
#[path = "../../examples/orders/order.rs"]
mod order;
use order::ShopTurnover;

const ORDERS: u64 = 4_000;
const KILLS: u64 = 4;
/// How long a machine may take for what takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of two hundred is no order.
fn line(n: u64) -> String {
    match n % 200 {
        7 => format!("{{\"shop\":{n}"),
        _ => {
            // Of the last day.
            let at = SystemClock.now().saturating_sub(Span::from_seconds(n % 86_400));
            format!(r#"{{"shop":"s{}","buyer":"b{}","cents":{},"at":"{at}"}}"#, n % 7, n % 91, n % 1_000)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_worker_that_is_killed_under_load_counts_each_order_once() {
    let cluster = Cluster(services::kafka().to_owned());
    let [topic, letters, group, prefix] = ["topic", "letters", "group", "tables"].map(|of| kafka::name(of) + "-");
    cluster.create(&topic, 2, &[]).await.unwrap_or_else(|failure| panic!("{failure}"));
    cluster.create(&letters, 1, &[]).await.unwrap_or_else(|failure| panic!("{failure}"));

    // Between the worker and its tables: one answer of twenty is lost, though what it would answer is done.
    let tables = Dynamo::start(services::dynamodb(), 1).await.unwrap();
    tables.set(Troubles { unanswered: 0.05, ..Troubles::default() });
    let brokers = &cluster.0;
    let arguments = [
        "run".to_owned(),
        format!("--source=kafka://{brokers}/{topic}?group={group}&instance=one"),
        format!("--store=dynamodb://{prefix}?endpoint=http://{}", tables.address),
        format!("--dead-letters=kafka://{brokers}/{letters}"),
        "--create-tables".to_owned(),
        "--flush-interval=50ms".to_owned(),
    ];
    let start = || Process::start(&example("orders"), &arguments, &[]).unwrap();

    // All that is sent is known, whatever comes of it.
    let mut oracle = Oracle::<ShopTurnover>::new(json, Ruler::Offsets).weigh(|turnover| Some(turnover.orders.get()));
    let sender = cluster.sender().unwrap_or_else(|failure| panic!("{failure}"));
    let commits = cluster.commits(&group, &topic, 2).unwrap_or_else(|failure| panic!("{failure}"));
    let committed = || commits.now().map_or(0, |offsets| offsets.values().sum::<i64>().cast_unsigned());

    let mut worker = start();
    let (mut sent, mut kills) = (0, 0);
    let deadline = std::time::Instant::now() + 4 * PATIENCE;
    while sent < ORDERS || committed() < ORDERS {
        assert!(std::time::Instant::now() < deadline, "{} of {sent}: {}", committed(), worker.errors());
        assert!(worker.ended().is_none(), "it ended by itself: {}", worker.errors());
        let more = sent..(sent + 50).min(ORDERS);
        sent = more.end;
        for n in more {
            let (partition, payload) = ((n % 2) as i32, line(n));
            sender.send(&topic, partition, payload.as_bytes()).unwrap_or_else(|failure| panic!("{failure}"));
            oracle.take(partition, Offset::from_u64(n / 2), payload.as_bytes());
        }
        sender.poll(Duration::from_millis(50));
        // In the middle of something: it has committed since it was started, and more is on its way.
        if kills < KILLS && sent < ORDERS && committed() > ORDERS / (KILLS + 2) * kills {
            worker.kill();
            worker = start();
            kills += 1;
        }
    }
    assert_eq!(kills, KILLS, "it had counted everything before it could be killed");
    worker.terminate();
    assert!(worker.wait(PATIENCE).is_some_and(|ended| ended.success()), "{}", worker.errors());

    let store = DynamoConfig::parse(&format!("dynamodb://{prefix}?endpoint={}", services::dynamodb())).unwrap();
    let store = DynamoStore::open(&store).await.unwrap();
    assert_eq!(oracle.judge(&store).await.unwrap(), Verdict::Exact);
    let bad = oracle.refused(&store).await.unwrap();
    let bad: BTreeSet<_> = bad.into_iter().map(|(partition, offset)| (partition, offset.words()[3])).collect();
    assert_eq!(bad.len(), 20);
    assert_eq!(cluster.letters(&letters).unwrap_or_else(|failure| panic!("{failure}")), bad);

    // And an oracle that knows of an order more finds that one missing.
    oracle.take(0, Offset::from_u64(ORDERS / 2), line(ORDERS).as_bytes());
    assert_eq!(oracle.judge(&store).await.unwrap(), Verdict::Under(1));
}

/// The same without any service: a file, and the embedded store.
#[tokio::test]
async fn a_users_worker_that_is_killed_over_a_file_counts_each_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("orders.jsonl"), folder.path().join("store"));
    let mut oracle = Oracle::<ShopTurnover>::new(json, Ruler::Payloads).weigh(|turnover| Some(turnover.orders.get()));
    let mut lines = String::new();
    for n in 0..60_000 {
        let line = line(n);
        oracle.take(1, Offset::from_pair(1, n + 1), line.as_bytes());
        lines.push_str(&line);
        lines.push('\n');
    }
    std::fs::write(&file, lines).unwrap();
    let arguments = [
        "run".to_owned(),
        format!("--source=file://{}?segments=1", file.display()),
        format!("--store=embedded://{}", store.display()),
        "--flush-interval=20ms".to_owned(),
        "--until-end".to_owned(),
    ];
    let mut random = Random::from_environment();
    for kills in 0.. {
        let mut worker = Process::start(&example("orders"), &arguments, &[]).unwrap();
        // First when it has just begun to write, and then by chance, until it is let go to its end.
        let longest = match kills {
            0 => {
                while !store.exists() && worker.ended().is_none() {
                    std::thread::yield_now();
                }
                Duration::ZERO
            }
            1..10 => random.shorter_than(Duration::from_millis(400)),
            _ => PATIENCE,
        };
        match worker.wait(longest) {
            Some(ended) => {
                assert!(ended.success(), "{}", worker.errors());
                assert!(kills > 0, "it was never killed");
                break;
            }
            None => worker.kill(),
        }
    }
    let store =
        EmbeddedStore::open(&EmbeddedConfig::parse(&format!("embedded://{}", store.display())).unwrap()).unwrap();
    assert_eq!(oracle.judge(&store).await.unwrap(), Verdict::Exact);
    assert_eq!(oracle.refused(&store).await.unwrap().len(), 300);
    oracle.take(1, Offset::from_pair(1, 60_001), line(60_000).as_bytes());
    assert_eq!(oracle.judge(&store).await.unwrap(), Verdict::Under(1));
}
