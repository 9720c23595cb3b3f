//! The packages that `cargo murmur clients` makes, built by the tools of their languages, ask the running example.

mod away;
mod browser;
mod go;
mod java;
mod meters;
mod pretend;
mod python;
mod rust;
mod typescript;

use std::path::{Path, PathBuf};

use murmur_tests::process::{Server, cargo_murmur, example, store as store_url, success, target};
use murmur_tests::{certificates, workspace};
use serde_json::{Value, json};

use crate::foreign_clients::{Served, assert_reply, served, snake};
use crate::page_views::Stream;
use pretend::Pretend;

/// A time zone whose day is not that of UTC.
const ZONE: &str = "Asia/Kathmandu";
const DAY: i64 = 86_400;

/// The package for a language, made from the contract of a project; its folder.
fn made_of(project: &Path, language: &str, name: &str) -> PathBuf {
    made_into(project, language, &target().join("tmp/clients").join(name))
}

/// The same in a folder.
fn made_into(project: &Path, language: &str, out: &Path) -> PathBuf {
    let manifest = project.join("Cargo.toml");
    let asked = ["murmur", "clients", "--lang", language, "--out", out.to_str().unwrap()];
    success(cargo_murmur(), &[&asked[..], &["--manifest-path", manifest.to_str().unwrap()]].concat());
    out.join(language)
}

/// The same of page-traffic.
fn made(language: &str) -> PathBuf {
    made_of(&workspace().join("examples/page-traffic"), language, "page-traffic")
}

/// The first program of the README of a client in its language, which asks at `url` and not where the README does.
fn first(package: &Path, language: &str, url: &str) -> String {
    let readme = std::fs::read_to_string(package.join("README.md")).unwrap();
    let (_, from) = readme.split_once(&format!("```{language}\n")).unwrap();
    let (program, _) = from.split_once("```").unwrap();
    assert!(program.contains(README_URL), "{program}");
    program.replace(README_URL, url)
}

/// Where the READMEs ask, as all these languages write a text.
const README_URL: &str = "\"http://127.0.0.1:50051\"";

/// What every client is asked to ask.
fn question(served: &Served) -> String {
    let Served { pages, edges, start, end, window, step, .. } = served;
    let of = |page: &str, start: i64, end: i64| json!({ "page": page, "start": start, "end": end });
    let presence = json!({
        "present": of(&pages[0], *start, *end),
        "absent": of(&pages[2], *start, *end),
        // Views are two days late at most.
        "empty": of(&pages[0], end - 40 * DAY, end - 39 * DAY),
        "out": of(&pages[0], end - 200 * DAY, end - 199 * DAY),
    });
    let asked = json!({
        "pages": pages, "edges": edges, "start": start, "end": end, "window": window, "step": step, "zone": ZONE,
        "presence": presence,
    });
    asked.to_string()
}

/// Ask the example by a client, `ask` with a URL and a question, and check what it says.
fn assert_answers(ask: impl Fn(&str, &str) -> Value) {
    assert_answers_of(&served(), ask);
}

/// The same of a server of one's own.
fn assert_answers_of(served: &Served, ask: impl Fn(&str, &str) -> Value) {
    let answers = ask(&served.server.url(), &question(served));
    served.assert_right(&answers["replies"]);

    let midnight = jiff::Timestamp::from_second(served.end).unwrap().in_tz(ZONE).unwrap().start_of_day().unwrap();
    let today = served.truth(midnight.timestamp().as_second(), served.end);
    let replies = answers["today"].as_array().unwrap();
    assert_eq!(replies.len(), 3);
    for reply in replies {
        assert_reply("today", &snake(reply), today.get(&served.pages[0]));
    }

    let whole = served.stream.views.whole_truth();
    let entries = snake(&answers["edges"]["entries"]);
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), served.edges.len());
    for (page, entry) in served.edges.iter().zip(entries) {
        // An empty text may be left out of JSON.
        assert_eq!(entry["key"].get("page_id").and_then(Value::as_str).unwrap_or_default(), page);
        assert!(whole.contains_key(page), "{page} was viewed");
        assert_reply(page, entry, whole.get(page));
        let text = |name: &str| entry["value"].get(name).map_or("0".to_owned(), |value| value.as_str().unwrap().into());
        assert_eq!((text("slowest"), text("dwell_ms")), (whole[page].dwell.to_string(), whole[page].dwell.to_string()));
    }

    let presence = json!({
        "present": "PRESENCE_PRESENT", "absent": "PRESENCE_ABSENT", "empty": "PRESENCE_EMPTY",
        "out": "PRESENCE_OUT_OF_RETENTION",
    });
    assert_eq!(answers["presence"], presence);
    assert_eq!(answers["explained"], true);
    // No field of the example is a DistinctSet.
    assert_eq!(answers["combined"], "INVALID_ARGUMENT");
}

/// How one call of a client goes with a server by TLS, whose authority nobody knows who was not told. `one` has a URL and a file of
/// authorities.
fn assert_by_tls(one: impl Fn(&str, &str) -> Value) {
    let stream = Stream::generate(100, 5, 6);
    let store = stream.store("state");
    stream.count_into(&store);
    certificates::make(stream.folder.path());
    let file = |name: &str| stream.folder.path().join(name).display().to_string();
    let (store, certificate, key) = (store_url(&store), file("server.crt"), file("server.key"));
    let arguments = ["serve", "--store", &store, "--tls-cert", &certificate, "--tls-key", &key];
    let server = Server::start(example("page-traffic"), &arguments);
    let url = format!("https://{}", server.address);
    assert_eq!(one(&url, &file("ca.pem")), "OK");
    assert_ne!(one(&url, &file("other.pem")), "OK");
}

/// How one call of a client, with a token, goes with a server that answers as it is told.
fn assert_one_call(one: impl Fn(&str) -> Value) {
    let lock = std::fs::read_to_string(workspace().join("examples/page-traffic/proto/murmur.lock")).unwrap();
    let fingerprint = lock.lines().filter_map(|line| line.strip_prefix("serves ")).next_back().unwrap();
    for (codes, ends, calls) in [
        (&[14, 14][..], "OK", 3),
        (&[14, 14, 14, 14, 14], "UNAVAILABLE", 4),
        (&[13], "INTERNAL", 1),
        (&[8], "RESOURCE_EXHAUSTED", 1),
    ] {
        let server = Pretend::start(codes);
        assert_eq!(one(&server.url()), ends, "{codes:?}");
        let asked = server.asked();
        assert_eq!(asked.len(), calls, "{codes:?}");
        for headers in asked {
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("authorization").as_deref(), Some("Bearer secret"));
            assert!(header("murmur-contract").is_some_and(|said| said.ends_with(&format!("-{fingerprint}"))));
            assert!(header("grpc-timeout").or(header("connect-timeout-ms")).is_some(), "{headers:?}");
        }
    }
}
