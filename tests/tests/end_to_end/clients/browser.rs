//! A page in a real browser asks by the client in TypeScript, from another origin than the server's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use murmur_tests::process::{Process, command};
use murmur_tests::tools;
use serde_json::Value;

use super::assert_answers_of;
use super::away::{Port, assert_watch_goes_on};
use super::meters::Meters;
use super::typescript::{built, built_of_meters};
use crate::foreign_clients::Served;

/// The script of the page: the client, what it needs, and who asks by it, in one file as pages have it.
fn script(client: &Path) -> String {
    let bundler = tools::client_typescript().join(".bin/esbuild");
    let mut command = command(bundler, &["page.mjs", "--bundle", "--format=esm", "--log-level=warning"]);
    let output = command.current_dir(client).output().unwrap();
    // A warning is about the package as much as an error is.
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Where a page is from, for as long as the tests run. It takes what the page tells.
struct Site {
    origin: String,
    told: Receiver<String>,
}

impl Site {
    fn new() -> Self {
        Self::with(built())
    }

    /// With a page that asks by this client.
    fn with(client: &Path) -> Self {
        let script: Arc<str> = script(client).into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (telling, told) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A browser opens connections that it may need; each waits for itself.
                let (stream, script, telling) = (stream.unwrap(), script.clone(), telling.clone());
                std::thread::spawn(move || answer(&stream, &script, &telling));
            }
        });
        Self { origin, told }
    }

    /// What the page tells of a call of the server by a protocol.
    fn told(&self, url: &str, asked: &str, by: &str) -> Value {
        let mut page = self.open(url, asked, by);
        let told = page.told();
        page.close();
        told
    }

    /// The page in a browser.
    fn open(&self, url: &str, asked: &str, by: &str) -> Page<'_> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let page =
            format!("{}/?{}", self.origin, query.extend_pairs([("url", url), ("asked", asked), ("by", by)]).finish());
        let folder = tempfile::tempdir().unwrap();
        let profile = format!("--user-data-dir={}", folder.path().display());
        let browser = Process::start(tools::chromium(), &[FLAGS, &[&*profile, &*page]].concat());
        Page { site: self, browser, _profile: folder }
    }
}

/// A page that is open.
struct Page<'a> {
    site: &'a Site,
    browser: Process,
    _profile: tempfile::TempDir,
}

impl Page<'_> {
    /// In good order, so that nothing writes to its profile any more.
    fn close(self) {
        self.browser.terminate();
        self.browser.wait();
    }

    /// What it tells next.
    fn told(&mut self) -> Value {
        let begun = Instant::now();
        let told = loop {
            assert!(begun.elapsed() < PATIENCE, "the page tells nothing");
            match self.site.told.recv_timeout(Duration::from_secs(1)) {
                Ok(told) => break told,
                Err(_) => assert!(self.browser.ended().is_none(), "the browser has ended"),
            }
        };
        let told: Value = serde_json::from_str(&told).unwrap();
        assert!(told["browser"].as_str().unwrap().contains("Chrome/"), "{told}");
        assert!(told.get("failed").is_none(), "{told}");
        told["answers"].clone()
    }
}

/// How long a page may take, which is seconds where the machine does nothing else.
const PATIENCE: Duration = Duration::from_secs(600);

/// Without a window, without what belongs to a person, and without what a browser does by itself. It is run in a container as
/// root too, where it cannot make the sandbox that it would put pages into.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Answer one request, and pass on what the page tells by it.
fn answer(mut stream: &TcpStream, script: &str, telling: &Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    // What is cut off was not wanted.
    while lines.last().is_none_or(|line: &String| line != "\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        lines.push(line);
    }
    let page = r#"<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>"#;
    let (status, kind, content) = match lines[0].split(' ').nth(1)? {
        path if path.starts_with("/?") => ("200 OK", "text/html", page),
        "/page.js" => ("200 OK", "text/javascript", script),
        "/told" => {
            let length = lines
                .iter()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.trim().parse().ok())?;
            let mut told = vec![0; length];
            reader.read_exact(&mut told).ok()?;
            telling.send(String::from_utf8(told).ok()?).ok()?;
            ("204 No Content", "text/plain", "")
        }
        _ => ("404 Not Found", "text/plain", ""),
    };
    let length = content.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all([head.as_bytes(), content.as_bytes()].concat().as_slice()).ok()
}

/// A server that pages of a site may ask.
fn served_for(site: &Site) -> Served {
    Served::start(&["--cors-origin", &site.origin])
}

#[test]
fn a_page_in_a_browser_asks_everything_by_connect_and_by_grpc_web() {
    let site = Site::new();
    let served = served_for(&site);
    for by in ["connect", "grpc-web"] {
        assert_answers_of(&served, |url, question| site.told(url, question, by));
    }
}

#[test]
fn a_page_in_a_browser_asks_by_keys_of_all_types_and_for_sets() {
    let site = Site::with(built_of_meters());
    let meters = Meters::start(&["--cors-origin", &site.origin]);
    for by in ["connect", "grpc-web"] {
        meters.assert_answers(|url, question| site.told(url, question, by));
    }
}

#[test]
fn a_page_of_an_origin_that_is_not_named_is_refused_by_the_browser() {
    let (named, other) = (Site::new(), Site::new());
    let served = served_for(&named);
    for by in ["connect", "grpc-web"] {
        let told = [&named, &other].map(|site| site.told(&served.server.url(), "one", by));
        // What a browser keeps from a page is as if no server had answered.
        assert_eq!(told, ["OK", "UNAVAILABLE"], "{by}");
    }
}

#[test]
fn a_page_is_told_that_no_server_answers_and_watches_on_when_one_was_killed() {
    let site = Site::new();
    for by in ["connect", "grpc-web"] {
        assert_eq!(site.told(&Port::closed(), "one", by), "UNAVAILABLE", "{by}");
        assert_watch_goes_on(&["--cors-origin", &site.origin], |url| site.open(url, "watch", by), |page| page.told())
            .close();
    }
}
