//! A page in a real browser asks by the client in TypeScript, from another origin than the server's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use murmur_tests::process::{Process, command};
use murmur_tests::tools;
use serde_json::Value;
use tonic::Code;

use super::Made;
use super::asked::{Meters, assert_answers_of};
use super::away::{Port, assert_watch_goes_on};
use super::calls::code;
use super::typescript::built;
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
    /// What the page asks that is not told what to ask.
    questions: Arc<Mutex<String>>,
    told: Receiver<String>,
}

impl Site {
    fn new() -> Self {
        Self::with(Made::PageTraffic)
    }

    /// With a page that asks by this client.
    fn with(made: Made) -> Self {
        let script: Arc<str> = script(built(made)).into();
        let questions = Arc::<Mutex<String>>::default();
        let asked = questions.clone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (telling, told) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A browser opens connections that it may need; each waits for itself.
                let (stream, script, asked, telling) =
                    (stream.unwrap(), script.clone(), asked.clone(), telling.clone());
                std::thread::spawn(move || answer(&stream, &script, &asked, &telling));
            }
        });
        Self { origin, questions, told }
    }

    /// What the page tells of a call of the server by a protocol.
    fn told(&self, url: &str, asked: &str, by: &str) -> Value {
        self.opened(&[("url", url), ("asked", asked), ("by", by)]).only()
    }

    /// The same of a list of questions.
    fn asks(&self, url: &str, questions: &Path, by: &str) -> Value {
        *self.questions.lock().unwrap() = std::fs::read_to_string(questions).unwrap();
        self.opened(&[("url", url), ("by", by)]).only()
    }

    /// The page in a browser.
    fn open(&self, url: &str, asked: &str, by: &str) -> Page<'_> {
        self.opened(&[("url", url), ("asked", asked), ("by", by)])
    }

    fn opened(&self, query: &[(&str, &str)]) -> Page<'_> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let page = format!("{}/?{query}", self.origin);
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
    /// What it tells, which is all.
    fn only(mut self) -> Value {
        let told = self.told();
        self.close();
        told
    }

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
fn answer(mut stream: &TcpStream, script: &str, questions: &Mutex<String>, telling: &Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    // What is cut off was not wanted.
    while lines.last().is_none_or(|line: &String| line != "\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        lines.push(line);
    }
    let page = r#"<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>"#;
    let questions = questions.lock().unwrap().clone();
    let (status, kind, content) = match lines[0].split(' ').nth(1)? {
        path if path.starts_with("/?") => ("200 OK", "text/html", page),
        "/page.js" => ("200 OK", "text/javascript", script),
        "/questions" => ("200 OK", "application/json", &*questions),
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
fn a_page_in_a_browser_answers_every_question_by_connect_and_by_grpc_web() {
    let (pages, meters) = (Site::new(), Site::with(Made::Meters));
    let (served, of_meters) = (served_for(&pages), Meters::start(&["--cors-origin", &meters.origin]));
    for by in ["connect", "grpc-web"] {
        assert_answers_of(&served, &of_meters, |made, url, questions| {
            let site = if made == Made::PageTraffic { &pages } else { &meters };
            site.asks(url, questions, by)
        });
    }
}

#[test]
fn a_page_of_an_origin_that_is_not_named_is_refused_by_the_browser() {
    let (named, other) = (Site::new(), Site::new());
    let served = served_for(&named);
    for by in ["connect", "grpc-web"] {
        let told = [&named, &other].map(|site| site.told(&served.server.url(), "one", by));
        // What a browser keeps from a page is as if no server had answered.
        assert_eq!(told, [code(Code::Ok), code(Code::Unavailable)], "{by}");
    }
}

#[test]
fn a_page_is_told_that_no_server_answers_and_watches_on_when_one_was_killed() {
    let site = Site::new();
    for by in ["connect", "grpc-web"] {
        assert_eq!(site.told(&Port::closed(), "one", by), code(Code::Unavailable), "{by}");
        assert_watch_goes_on(&["--cors-origin", &site.origin], |url| site.open(url, "watch", by), |page| page.told())
            .close();
    }
}
