//! What a server is started on, to be asked in several ways: a store of page views, what is true of it, and a folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use murmur_tests::process::{self, Server, example};
use tempfile::TempDir;

use crate::page_views::Stream;

/// A store, what it counts, and room for files.
pub(crate) struct Place {
    stream: Stream,
    pub(crate) store: String,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let stream = Stream::generate(2_000, 20, 6);
        let store = stream.store("state");
        stream.count_into(&store);
        Self { store: process::store(&store), stream, folder: TempDir::new().unwrap() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Write a file, and give its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.file(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A server of the store, with these arguments too.
    pub(crate) fn serve(&self, more: &[&str]) -> Server {
        let arguments = ["serve", "--store", &self.store];
        Server::start(example("page-traffic"), &[&arguments, more].concat())
    }

    /// A query for a page at this URL, with these arguments too.
    pub(crate) fn query(&self, url: &str, more: &[&str]) -> Command {
        let arguments = ["query", "page_traffic", "/home", "--at", url, "-o", "json"];
        process::command(example("page-traffic"), &[&arguments, more].concat())
    }

    /// How often that page was seen.
    pub(crate) fn views(&self) -> u64 {
        self.stream.views.whole_truth()["/home"].views
    }

    /// Whether a query was answered, with what is true of that page.
    pub(crate) fn assert_right(&self, answer: &Output) {
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let row: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
        self.stream.views.whole_truth()["/home"].compare(&row["value"]).unwrap();
    }
}
