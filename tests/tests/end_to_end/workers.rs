//! The whole way of an event, by the binary that a user has: from a topic of Kafka, by workers side by side, into a
//! store, through kills.

use std::net::TcpStream;
use std::time::Duration;

use murmur_tests::forward::Forward;
use murmur_tests::kafka::Cluster;
use murmur_tests::process::{self, Process, Server, example};
use murmur_tests::random::Random;
use murmur_tests::{http, oracle};
use serde_json::Value;

use crate::observed::until;
use crate::page_views::{Stream, answers, answers_of, dead_letters};
use crate::store_dynamodb;

const PARTITIONS: i32 = 4;

/// As short a session as the broker takes: a group waits for it, no more, when one of it was killed.
const IMPATIENT: &str = "&librdkafka.session.timeout.ms=6000&librdkafka.heartbeat.interval.ms=500";

/// The stream's lines, dealt to so many topics; the URL to read them by.
async fn topics(stream: &Stream, hint: &str, number: usize) -> String {
    let cluster = Cluster::from_environment();
    let lines = std::fs::read_to_string(&stream.file).unwrap();
    let mut topics = Vec::new();
    for nth in 0..number {
        let topic = cluster.topic(hint, PARTITIONS).await;
        cluster.send(&topic, PARTITIONS, lines.lines().skip(nth).step_by(number).map(str::to_owned));
        topics.push(topic);
    }
    format!("kafka://{}/{}?group={}", cluster.brokers, topics.join(","), Cluster::name("workers"))
}

#[tokio::test]
async fn workers_share_out_two_topics_and_count_each_event_once() {
    let stream = Stream::generate(20_000, 40, 11);
    let (source, folder) = (topics(&stream, "shared", 2).await, stream.store("state"));
    let store = process::store(&folder);
    let run = ["run", "--until-end", "--threads", "3", "--source", &source, "--store", &store, "-o", "json"];
    let summary = process::json(example("page-traffic"), &run);
    assert_eq!(summary["applied"], stream.views.views.len());
    assert_eq!(summary["dead"], stream.views.malformed.len());
    assert_eq!(summary["partitions"].as_array().map(Vec::len), Some(2 * PARTITIONS as usize), "{summary}");
    oracle::assert_pages(&answers(&folder), &stream.views.whole_truth());
    assert_eq!(dead_letters(&folder), malformed(&stream));

    let again = process::json(example("page-traffic"), &run);
    assert_eq!((&again["read"], &again["ended"]), (&Value::from(0), &Value::from(true)), "all of it was committed");
}

#[tokio::test]
async fn kills_between_kafka_and_dynamodb_leave_the_counts_right() {
    let stream = Stream::generate(4_000, 15, 12);
    let source = topics(&stream, "killed", 1).await + IMPATIENT;
    let store = format!("dynamodb://{}?endpoint={}", store_dynamodb::prefix(), store_dynamodb::endpoint());
    let letters = stream.store("letters").display().to_string();
    let run = |more: &[&'static str]| {
        let mut arguments = vec!["run", "--threads", "2", "--create-tables", "--flush-interval", "100ms"];
        arguments.extend_from_slice(more);
        let given = ["--source", &source, "--store", &store, "--dead-letters", &letters];
        arguments.into_iter().map(str::to_owned).chain(given.map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut random = Random::from_environment();
    for _ in 0..6 {
        let arguments = run(&[]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut worker = Process::start(example("page-traffic"), &arguments);
        // The moment of the kill.
        std::thread::sleep(Duration::from_millis(300) + random.shorter_than(Duration::from_millis(1_500)));
        worker.kill();
    }
    let arguments = run(&["--until-end", "-o", "json"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    process::json(example("page-traffic"), &arguments);
    oracle::assert_pages(&answers_of(&store), &stream.views.whole_truth());
}

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_twice_does_not_wait_for_its_last_flush() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("twice", 1).await;
    let endpoint = store_dynamodb::endpoint();
    let mut way = Forward::to(endpoint.split_once("://").unwrap().1);
    let source = format!("kafka://{}/{topic}?group={}", cluster.brokers, Cluster::name("twice"));
    let store = format!("dynamodb://{}?endpoint=http://{}&timeout=500ms", store_dynamodb::prefix(), way.address);
    let stream = Stream::generate(100, 10, 14);
    let letters = stream.store("letters").display().to_string();
    // By itself it would wait for an hour.
    let settings = ["--drain-budget", "1h", "--threads", "1"];
    let places = ["--source", &source, "--store", &store, "--dead-letters", &letters];
    let arguments = [&["run", "--create-tables"], &settings[..], &places[..]].concat();
    let worker = Server::start(example("page-traffic"), &arguments);
    let lines = std::fs::read_to_string(&stream.file).unwrap();
    let send = || cluster.send(&topic, 1, lines.lines().map(str::to_owned));
    let shows = |samples: &[&str]| {
        until("the metrics say it", || {
            let page = http::get(&worker.address, "/metrics").1;
            if samples.iter().all(|sample| page.contains(sample)) { Ok(()) } else { Err(page) }
        });
    };
    send();
    shows(&["murmur_events_received_total 100\n", "murmur_uncommitted_age_seconds{worker=\"0\"} 0\n"]);

    // What it reads from now on, of the same pages, it cannot write.
    way.close();
    send();
    shows(&["murmur_events_received_total 200\n"]);
    worker.terminate();
    until("it takes no more calls", || match TcpStream::connect(&worker.address) {
        Err(_) => Ok(()),
        Ok(_) => Err("it takes one".to_owned()),
    });
    assert_eq!(worker.stop().code(), Some(143), "by the second signal");
}

fn malformed(stream: &Stream) -> Vec<String> {
    let mut malformed = stream.views.malformed.clone();
    malformed.sort();
    malformed
}
