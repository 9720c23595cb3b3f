//! The whole of a worker (files, fold, embedded store, dead letters) in a process of its own that gets killed.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::sync::watch;

use super::{Words, decode};
use crate::aggregate::Number;
use crate::engine::{Options, Worker};
use crate::source::FileDeadLetters;
use crate::source::jsonl::{self, JsonlConfig};
use crate::store::{EmbeddedConfig, EmbeddedStore, Store, Table};
use crate::time::Span;

const FOLDER: &str = "MURMUR_TEST_KILLED_WORKER";

/// What has to come out: how often each word, and which places are bad.
#[derive(Debug, Default, PartialEq)]
struct Oracle {
    words: BTreeMap<String, i128>,
    bad: BTreeMap<String, usize>,
}

impl Oracle {
    /// Write a file, or append to it, and count what is in it. `first` is the number of its first line.
    fn write(&mut self, folder: &Path, name: &str, seed: u64, first: u64, lines: u64) {
        let mut text = String::new();
        for n in first..first + lines {
            if (n + seed).is_multiple_of(97) {
                text.push_str("!\n");
                *self.bad.entry(format!("{name}:{n}")).or_default() += 1;
            } else {
                let word = format!("word {}", (n * 7 + seed * 13) % 101);
                text.push_str(&word);
                text.push('\n');
                *self.words.entry(format!("={word}")).or_default() += 1;
            }
        }
        let bytes = match name.rsplit_once('.') {
            Some((_, "gz")) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            Some((_, "zst")) => zstd::encode_all(text.as_bytes(), 1).unwrap(),
            _ => text.into_bytes(),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap();
        file.write_all(&bytes).unwrap();
    }
}

/// The process that gets killed. It says when it has moved on, which is about once a flush.
#[tokio::test]
#[ignore = "run as a child by `a_killed_worker_counts_every_line_once`"]
async fn killed_worker() {
    let folder = std::env::var(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let store = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder.join("store"))).unwrap());
    let url = format!("{}?follow=false&segments=2", folder.join("input").display());
    let source = jsonl::open(JsonlConfig::parse(&url).unwrap(), store.clone());
    let letters = Box::new(FileDeadLetters::open(folder.join("letters")).unwrap());
    // After each poll.
    let options = Options { flush_interval: Span::ZERO, ..Options::default() };
    let worker = Worker::builder(store, source, decode, letters).options(options).pipeline::<Words>().build();
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

fn worker(folder: &Path) -> Child {
    let name = format!("{}::killed_worker", module_path!().split_once("::").unwrap().1);
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &name, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What has come out.
async fn outcome(folder: &Path) -> Oracle {
    let mut outcome = Oracle::default();
    let store = EmbeddedStore::open(&EmbeddedConfig::new(folder.join("store"))).unwrap();
    for (id, item) in store.scan(&Table::new("words", 1), None, usize::MAX).await.unwrap() {
        let [(_, Number::Int(count))] = item.numbers[..] else { panic!("{item:?}") };
        outcome.words.insert(id.key.to_string(), count);
    }
    for file in fs::read_dir(folder.join("letters")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in fs::read_to_string(file).unwrap().lines() {
            let letter: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&letter["payload"], &letter["reason"]), (&"!".into(), &"an exclamation".into()));
            let place = letter["place"].as_str().unwrap();
            let (_, name) = place.split_once("/input/").unwrap();
            *outcome.bad.entry(name.to_owned()).or_default() += 1;
        }
    }
    outcome
}

#[tokio::test]
async fn a_killed_worker_counts_every_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, input) = (folder.path(), folder.path().join("input"));
    fs::create_dir(&input).unwrap();
    let mut oracle = Oracle::default();
    for n in 0..24 {
        let ending = ["jsonl", "jsonl.gz", "ndjson", "json.zst"][n as usize % 4];
        oracle.write(&input, &format!("{n:02}.{ending}"), n, 1, 300 + 10 * n);
    }
    let mut kills = 0;
    for round in 0.. {
        let mut child = worker(folder);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Killed after some flushes; what is under way then is killed in the middle.
        let flushes = lines.filter(|line| line.starts_with("flushed ")).take(2 + round % 3).count();
        if flushes < 2 + round % 3 {
            assert!(child.wait().unwrap().success(), "a worker that was not killed has ended well");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if round == 3 {
            oracle.write(&input, "new.jsonl", 5, 1, 400);
        }
        if round == 6 {
            oracle.write(&input, "23.json.zst.jsonl", 6, 1, 100);
        }
    }
    assert!(kills >= 8, "only {kills} kills before the end");
    assert_eq!(outcome(folder).await, oracle);

    // A run over the same input again changes nothing, and one over more counts only that.
    assert!(worker(folder).wait_with_output().unwrap().status.success());
    assert_eq!(outcome(folder).await, oracle);
    oracle.write(&input, "last.jsonl", 7, 1, 50);
    assert!(worker(folder).wait_with_output().unwrap().status.success());
    assert_eq!(outcome(folder).await, oracle);
}
