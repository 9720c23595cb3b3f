//! What a worker holds while its store stands still, as the system sees it.

use std::ops::Range;
use std::time::{Duration, Instant};

use murmur::aggregate::Number;
use murmur::engine::{Clock, SystemClock};
use murmur::store::{DynamoConfig, DynamoStore, Store, Table};
use murmur::time::Timestamp;
use murmur_testkit::faults::proxy::tcp::{Tcp, Toxics};
use murmur_tests::kafka::Cluster;
use murmur_tests::process::{Server, example};
use murmur_tests::{http, services};

use crate::observed::ready;

const PARTITIONS: i32 = 24;
/// Of these the worker knows that it has a store, and what it has to say there before it writes more.
const BEFORE: u64 = 1_000;
/// More than the tiles that a worker has room for.
const MESSAGES: u64 = 14_000;
/// Bytes of a message that nobody asks for; all of them are five times as much as the worker may hold.
const PADDING: usize = 12_000;
/// Characters of a key.
const KEY: usize = 900;
const MEMORY: usize = 32 << 20;

/// A visit of a page of its own, with much that nobody asks for.
fn visit(n: u64, at: Timestamp) -> String {
    let (page, padding) = (format!("{n:0>KEY$}"), "x".repeat(PADDING));
    format!(r#"{{"page":"{page}","who":{n},"at":"{at}","more":"{padding}"}}"#)
}

/// How many messages a worker has read.
fn read(worker: &Server) -> u64 {
    let (_, page) = http::get(&worker.address, "/metrics");
    let value = page.lines().find_map(|line| line.strip_prefix("murmur_events_received_total "));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_store_stands_still_stays_within_its_memory_and_goes_on_when_it_is_back() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("memory", PARTITIONS).await, Cluster::name("memory"));
    let way = Tcp::start(services::dynamodb().trim_start_matches("http://"), 1).await.unwrap();
    let prefix = format!("{topic}-");
    let letters = tempfile::tempdir().unwrap();
    let arguments = [
        "run",
        "--source",
        &format!("kafka://{}/{topic}?group={group}", cluster.brokers),
        "--store",
        &format!("dynamodb://{prefix}?endpoint=http://{}&timeout=2s", way.address),
        "--create-tables",
        "--threads=1",
        &format!("--memory={MEMORY}"),
        "--dead-letters",
        &letters.path().display().to_string(),
    ];
    let worker = Server::start(example("visits"), &arguments);
    ready(&worker, 200, r#""ready":true"#);
    let before = worker.most_memory();
    let now = SystemClock.now();
    let send = |numbers: Range<u64>| cluster.send(&topic, PARTITIONS, numbers.map(|n| visit(n, now)));
    let all_are_committed = async |count: u64| {
        let (committed, began) =
            (|| cluster.committed(&group, &topic, PARTITIONS).values().sum::<i64>(), Instant::now());
        while committed() < count as i64 {
            assert!(began.elapsed() < Duration::from_secs(180), "{} of {count} are committed", committed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    send(0..BEFORE);
    all_are_committed(BEFORE).await;

    way.set(Toxics { hold_replies: true, ..Toxics::default() });
    send(BEFORE..MESSAGES);
    // Until it reads no further: nothing for so long, with all there is to read.
    let (mut last, mut since) = (BEFORE, Instant::now());
    while last == BEFORE || since.elapsed() < Duration::from_secs(2) {
        let now = read(&worker);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let more = worker.most_memory() - before;
    println!("{last} of {MESSAGES} read, {} KiB more than {} KiB", more >> 10, before >> 10);
    assert!(last < MESSAGES, "it has read everything, though nothing could be written");

    way.set(Toxics::default());
    all_are_committed(MESSAGES).await;
    let more = worker.most_memory() - before;
    println!("{} KiB more when all was counted", more >> 10);
    assert!(more <= MEMORY as u64, "{more} bytes more than at its start");
    assert!(worker.stop().success());

    let endpoint = Some(services::dynamodb().to_owned());
    let store = DynamoStore::open(&DynamoConfig { prefix, endpoint, ..DynamoConfig::new() }).await.unwrap();
    let items = store.scan(&Table::new("by_minute", 1), None, usize::MAX).await.unwrap();
    assert_eq!(items.len() as u64, MESSAGES);
    let sum = items.iter().flat_map(|(_, item)| &item.numbers).map(|(_, number)| match number {
        Number::Int(number) => *number,
        other => panic!("{other:?}"),
    });
    // One for each, and its number.
    assert_eq!(sum.sum::<i128>(), (0..MESSAGES).map(|n| i128::from(n) + 1).sum::<i128>());
}
