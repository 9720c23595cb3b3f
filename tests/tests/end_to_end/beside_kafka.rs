//! What stands beside the payloads of Kafka as fields of events, with a real broker and the real worker.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use murmur::engine::{Options, Worker, json};
use murmur::prelude::*;
use murmur::query::Reader;
use murmur::source::FileDeadLetters;
use murmur::source::kafka::{self, KafkaConfig};
use murmur::store::{Consistency, EmbeddedConfig, EmbeddedStore};
use murmur::time::TimeRange;
use murmur_tests::kafka::{Cluster, Sent};
use serde_json::{Value, json as object};
use tokio::sync::watch;

#[murmur::event]
#[derive(serde::Deserialize)]
struct Call {
    #[murmur(header = "tenant")]
    tenant: String,
    #[murmur(record_key)]
    caller: Option<String>,
    #[murmur(time, broker_time)]
    at: Timestamp,
    cost: u64,
}

#[murmur::aggregate]
struct Bill {
    calls: Count,
    cost: Sum<u64>,
    /// Milliseconds since 1970, so that a time which is not the record's would show.
    newest: Max<i64>,
    callers: Distinct,
}

/// What calls cost, by the tenant in their header and the time of their record.
#[murmur::pipeline(key = tenant, window = tumbling("1h", keep = "30d"))]
fn bills(call: &Call) -> Bill {
    let (caller, millis) = (call.caller.as_ref(), call.at.as_micros() / 1_000);
    Bill { calls: Count::one(), cost: Sum::of(call.cost), newest: Max::of(millis), callers: Distinct::of(caller) }
}

const HOUR: i64 = 3_600_000;
const PARTITIONS: i32 = 4;
const CALLS: usize = 40_000;
/// Where the child finds its store, and what it reads.
const FOLDER: &str = "MURMUR_TEST_BESIDE_FOLDER";
const SOURCE: &str = "MURMUR_TEST_BESIDE_SOURCE";

/// What has to come out: calls, cost and newest time of a tenant in an hour, and the payloads that cannot be counted.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    bills: BTreeMap<(String, i64), (u64, u64, i64)>,
    dead: BTreeSet<u64>,
}

/// Every 61st call has no tenant. Where there are several the last one counts.
fn call(n: usize, start: i64, truth: &mut Outcome) -> Sent {
    let (tenant, cost) = (format!("tenant {}", n % 7), n as u64);
    let at = start + (n as i64 * 7_919) % (5 * HOUR);
    let mut headers = vec![("other".to_owned(), Some("tenant".to_owned()))];
    if n.is_multiple_of(61) {
        truth.dead.insert(cost);
    } else {
        let bill = truth.bills.entry((tenant.clone(), at.div_euclid(HOUR))).or_insert((0, 0, at));
        *bill = (bill.0 + 1, bill.1 + cost, bill.2.max(at));
        if n.is_multiple_of(3) {
            headers.push(("tenant".to_owned(), Some("tenant 0".to_owned())));
        }
        headers.push(("tenant".to_owned(), Some(tenant)));
    }
    let payload = object!({ "cost": cost, "tenant": "not from here" }).to_string().into_bytes();
    let key = (!n.is_multiple_of(2)).then(|| format!("caller {}", n % 10));
    Sent { key, headers, payload, millis: Some(at), ..Sent::default() }
}

/// The process that gets killed. It says when it has moved on, which is about once a flush.
#[tokio::test]
#[ignore = "run as a child by `key_and_time_from_beside_the_payload_are_exact_through_kills`"]
async fn killed_worker() {
    let (folder, source) = (std::env::var(FOLDER).unwrap(), std::env::var(SOURCE).unwrap());
    let folder = Path::new(&folder);
    let store = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder.join("store"))).unwrap());
    let mut config = KafkaConfig::parse(&source).unwrap();
    config.until_end = true;
    let letters = Box::new(FileDeadLetters::open(folder.join("letters")).unwrap());
    let mut options = Options::default();
    // After each poll.
    options.flush_interval = Span::ZERO;
    let worker = Worker::builder(store, kafka::open(config).unwrap(), json::<Call>, letters).options(options);
    let worker = worker.pipeline::<Bills>().build();
    let mut progress = worker.progress();
    tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            let flushes = progress.borrow_and_update().flushes;
            std::io::stdout().write_all(format!("\nflushed {flushes}\n").as_bytes()).unwrap();
        }
    });
    let (_keep, shutdown) = watch::channel(false);
    assert!(worker.run(shutdown).await.unwrap().ended);
}

/// A worker in a group of its own: the store has the positions, and nobody waits for the member that was killed.
fn worker(folder: &Path, cluster: &Cluster, topic: &str) -> Child {
    let (group, small) = (Cluster::name("beside"), "librdkafka.max.partition.fetch.bytes=20000");
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "beside_kafka::killed_worker", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SOURCE, format!("kafka://{}/{topic}?group={group}&{small}", cluster.brokers))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn outcome(folder: &Path, start: i64) -> Outcome {
    let mut outcome = Outcome::default();
    let store = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder.join("store"))).unwrap());
    let reader = Reader::<Bills>::new(store, 1);
    for tenant in 0..7 {
        let tenant = format!("tenant {tenant}");
        for hour in start.div_euclid(HOUR)..=(start + 5 * HOUR).div_euclid(HOUR) {
            let range = TimeRange::new(Timestamp::from_millis(hour * HOUR), Timestamp::from_millis((hour + 1) * HOUR));
            let key = BillsKey { tenant: tenant.clone() };
            let answer = reader.range(&key, range, Consistency::Strong).await.unwrap();
            if answer.is_present() {
                let bill = answer.value;
                outcome.bills.insert((tenant.clone(), hour), (bill.calls, bill.cost, bill.newest.unwrap()));
                assert!((1.0..=5.0).contains(&bill.callers.value.round()), "{:?}", bill.callers);
            }
        }
    }
    for file in std::fs::read_dir(folder.join("letters")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let letter: Value = serde_json::from_str(line).unwrap();
            let reason = "not a `Call`: the header `tenant`, which its field `tenant` is read from, is not there";
            assert_eq!(letter["reason"], reason);
            assert_eq!(letter["headers"], object!([["other", "tenant"]]), "{line}");
            let payload: Value = serde_json::from_str(letter["payload"].as_str().unwrap()).unwrap();
            assert!(outcome.dead.insert(payload["cost"].as_u64().unwrap()), "twice: {line}");
        }
    }
    outcome
}

#[tokio::test]
async fn key_and_time_from_beside_the_payload_are_exact_through_kills() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("beside", PARTITIONS).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let (start, mut truth) = (now - 24 * HOUR, Outcome::default());
    for part in 0..100 {
        let calls = (part * CALLS / 100..(part + 1) * CALLS / 100).map(|n| call(n, start, &mut truth));
        cluster.send_all(&topic, PARTITIONS, calls);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for round in 0.. {
        let mut child = worker(folder.path(), &cluster, &topic);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Killed after some flushes; what is under way then is killed in the middle.
        let wanted = 8 + round % 5;
        if lines.filter(|line| line.starts_with("flushed ")).take(wanted).count() < wanted {
            assert!(child.wait().unwrap().success(), "a worker that was not killed has ended well");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    println!("{kills} kills");
    assert!(kills >= 5, "only {kills} kills before the end");
    assert_eq!(outcome(folder.path(), start).await, truth);
}
