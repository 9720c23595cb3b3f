//! Counting is exact, however the process ends.

use std::time::{Duration, Instant};

use murmur_tests::oracle;
use murmur_tests::process::{self, Process, example};
use murmur_tests::random::Random;
use serde_json::Value;

use crate::page_views::{Stream, answers, dead_letters};

const EVENTS: u64 = 60_000;
const PAGES: u64 = 300;

/// The kills that one test run must reach.
const KILLS: usize = 30;

/// Kills of one round at most.
const KILLS_PER_ROUND: usize = 10;

fn run_arguments(stream: &Stream, store: &std::path::Path) -> Vec<String> {
    let store = process::store(store);
    let source = stream.source();
    ["run", "--source", &source, "--store", &store, "--flush-interval", "20ms", "-o", "json"].map(str::to_owned).into()
}

fn assert_exact(stream: &Stream, store: &std::path::Path) {
    oracle::assert_pages(&answers(store), &stream.views.whole_truth());
    let mut malformed = stream.views.malformed.clone();
    malformed.sort();
    assert!(!malformed.is_empty(), "the stream has no malformed line");
    assert_eq!(dead_letters(store), malformed, "the dead letters are not the malformed lines");
}

#[test]
fn a_worker_killed_at_random_moments_counts_each_event_once() {
    let mut random = Random::from_environment();
    let stream = Stream::generate(EVENTS, PAGES, random.below(1 << 32));

    // Undisturbed, and how long that takes.
    let calm = stream.store("calm");
    let began = Instant::now();
    let summary = stream.count_into(&calm);
    let whole = began.elapsed();
    assert_eq!(summary["read"], EVENTS);
    assert_exact(&stream, &calm);

    let mut kills = 0;
    let mut round = 0;
    while kills < KILLS {
        round += 1;
        let store = stream.store(&format!("killed-{round}"));
        let mut arguments = run_arguments(&stream, &store);
        arguments.push("--until-end".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // After so many kills a round is let go to its end: a store that is killed as soon as it is open gets nowhere.
        let moment = (whole / 8).max(Duration::from_millis(40));
        kills += process::kill_until_it_ends(example("page-traffic"), &arguments, KILLS_PER_ROUND, || {
            random.shorter_than(moment)
        });
        assert_exact(&stream, &store);
    }
    println!("{kills} kills in {round} rounds");
}

#[test]
fn a_worker_that_is_asked_to_stop_loses_nothing_and_reads_nothing_again() {
    let mut random = Random::from_environment();
    let stream = Stream::generate(EVENTS, PAGES, random.below(1 << 32));
    let store = stream.store("stopped");
    let arguments = run_arguments(&stream, &store);
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let (mut read, mut midway) = (0, 0);
    for _ in 0..30 {
        let process = Process::start(example("page-traffic"), &arguments);
        std::thread::sleep(random.shorter_than(Duration::from_millis(600)));
        process.terminate();
        let (status, summary, errors) = process.wait();
        // The signal may come before the worker listens for it; then nothing was begun.
        if status.code().is_none() {
            continue;
        }
        assert!(status.success(), "SIGTERM ended the worker with {status}: {errors}");
        let now = counted_once(&summary);
        read += now;
        midway += u32::from(now > 0 && read < EVENTS);
        if midway == 4 || read >= EVENTS {
            break;
        }
    }
    assert!(midway > 0, "no worker was stopped in the middle");
    arguments.push("--until-end");
    read += counted_once(&process::success(example("page-traffic"), &arguments));
    assert_eq!(read, EVENTS, "events read by all runs together");
    assert_exact(&stream, &store);
}

/// Events that a run read; none of them for the second time.
fn counted_once(summary: &str) -> u64 {
    let summary: Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary["already_applied"], 0, "{summary}");
    assert_eq!(summary["rewinds"], 0, "{summary}");
    summary["read"].as_u64().unwrap()
}
