//! Streams of page views and what the example makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use murmur_tests::oracle::Views;
use murmur_tests::process::{self, example};
use serde_json::Value;
use tempfile::TempDir;

/// A stream in a file, with room beside it.
pub(crate) struct Stream {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
    pub(crate) views: Views,
}

impl Stream {
    /// `events` page views of `keys` pages, from `seed`.
    pub(crate) fn generate(events: u64, keys: u64, seed: u64) -> Self {
        let [events, keys, seed] = [events, keys, seed].map(|number| number.to_string());
        let arguments = ["generate", "--events", &events, "--keys", &keys, "--seed", &seed];
        let stream = Self::of(&process::success(example("page-traffic"), &arguments));
        assert_eq!((stream.views.views.len() + stream.views.malformed.len()).to_string(), events);
        stream
    }

    /// The stream with these lines.
    pub(crate) fn of(lines: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("views.jsonl");
        fs::write(&file, lines).unwrap();
        let views = Views::read(lines);
        Self { folder, file, views }
    }

    pub(crate) fn source(&self) -> String {
        self.file.display().to_string()
    }

    /// A store that is not there yet.
    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Count the whole stream into a store; the worker's summary.
    pub(crate) fn count_into(&self, store: &Path) -> Value {
        let store = process::store(store);
        let arguments = ["run", "--until-end", "--source", &self.source(), "--store", &store, "-o", "json"];
        process::json(example("page-traffic"), &arguments)
    }
}

/// What a store says about every page, over everything that it keeps.
pub(crate) fn answers(store: &Path) -> Vec<(String, Value)> {
    answers_of(&process::store(store))
}

/// The same of a store at a URL.
pub(crate) fn answers_of(store: &str) -> Vec<(String, Value)> {
    let arguments = ["query", "page_traffic", "--top", "1000000", "--store", store, "-o", "json"];
    let rows = process::json(example("page-traffic"), &arguments);
    let row = |row: &Value| (row["key"]["page_id"].as_str().unwrap().to_owned(), row["value"].clone());
    rows.as_array().unwrap().iter().map(row).collect()
}

/// The payloads of the dead letters beside a store, in any order.
pub(crate) fn dead_letters(store: &Path) -> Vec<String> {
    let mut payloads = Vec::new();
    let mut folders = vec![store.join("dead-letters")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|end| end != "jsonl") {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                let letter: Value = serde_json::from_str(line).unwrap();
                assert!(!letter["reason"].as_str().unwrap().is_empty());
                payloads.push(letter["payload"].as_str().unwrap().to_owned());
            }
        }
    }
    payloads.sort();
    payloads
}
