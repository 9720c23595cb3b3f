//! What the binaries print and return.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use murmur_tests::process::{self, Server, example, output, success};
use murmur_tests::{oracle, workspace};
use tempfile::TempDir;

use crate::foreign_clients::served;
use crate::page_views::{Stream, answers};

fn code(arguments: &[&str]) -> Option<i32> {
    output(example("page-traffic"), arguments).status.code()
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let generate = |seed: &str| {
        let arguments = ["generate", "--events", "3000", "--seed", seed, "--start", "2026-05-16", "--keys", "50"];
        success(example("page-traffic"), &arguments)
    };
    let lines = generate("5");
    assert_eq!(lines, generate("5"));
    assert_ne!(lines, generate("6"));
    let mean = lines.len() / 3000;
    assert!((225..=255).contains(&mean), "a line has {mean} bytes");
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let folder = TempDir::new().unwrap();
    let store = process::store(&folder.path().join("state"));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["check"]), Some(0));
    assert_eq!(code(&["schema", "proto"]), Some(0));
    assert_eq!(code(&["no-such-verb"]), Some(2));
    assert_eq!(code(&["query", "no_such_pipeline", "x", "--store", &store]), Some(2));
    assert_eq!(code(&["query", "page_traffic", "a", "b", "--store", &store]), Some(2));
    assert_eq!(code(&["run", "--until-end", "--source", "/no/such/file", "--store", &store]), Some(1));
    let typo = process::store(&folder.path().join("typo"));
    // Neither makes a store by being mistaken about its name.
    for verb in
        [["query", "page_traffic", "/home", "--store"].as_slice(), &["serve", "--listen", "127.0.0.1:0", "--store"]]
    {
        assert_eq!(code(&[verb, &[typo.as_str()]].concat()), Some(1));
    }
    assert!(!folder.path().join("typo").exists());
    let views = folder.path().join("views");
    fs::create_dir(&views).unwrap();
    let (views, inside) = (views.display().to_string(), process::store(&views.join("state")));
    assert_eq!(code(&["run", "--until-end", "--source", &views, "--store", &inside]), Some(2), "it would read itself");
}

#[test]
fn a_query_of_an_address_without_a_server_says_which_and_why() {
    // Port 9 (discard) has no server on any machine that this runs on.
    for (at, code, says) in [
        ("http://127.0.0.1:9", 4, "no server answers at http://127.0.0.1:9"),
        ("http://127.0.0.1:9", 4, "cannot be reached: Connection refused"),
        ("127.0.0.1:9", 4, "`http://127.0.0.1:9` cannot be reached: Connection refused"),
        ("ftp://127.0.0.1:9", 2, "`ftp://127.0.0.1:9` is by `ftp`"),
        ("ftp://127.0.0.1:9", 2, "write `http://host:port`, or `https://host:port`"),
    ] {
        let ended = output(example("page-traffic"), &["query", "page_traffic", "/home", "--at", at]);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn nobody_serves_to_other_machines_by_accident() {
    let folder = TempDir::new().unwrap();
    let store = process::store(&folder.path().join("state"));
    let refused = output(example("page-traffic"), &["serve", "--store", &store, "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--insecure-no-auth"));
}

#[test]
fn the_schema_is_the_committed_one() {
    for (name, package) in
        [("page-traffic", "page_traffic"), ("git-activity", "git_activity"), ("service-health", "service_health")]
    {
        let file = workspace().join(format!("examples/{name}/proto/{package}/v1/{package}.proto"));
        assert_eq!(success(example(name), &["schema", "proto"]), fs::read_to_string(file).unwrap());
    }
    let tables = success(example("page-traffic"), &["schema", "dynamodb", "--pipeline", "page_traffic"]);
    let mut tables = serde_json::Deserializer::from_str(&tables).into_iter::<serde_json::Value>();
    assert_eq!(tables.next().unwrap().unwrap()["TableName"], "page_traffic_v1");
}

#[test]
fn check_lists_the_pipelines() {
    let rows = process::json(example("git-activity"), &["check", "-o", "json"]);
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["pipeline"].as_str().unwrap()).collect();
    assert_eq!(names, ["by_author", "by_folder", "by_project"]);
    for row in rows.as_array().unwrap() {
        let number = |column: &str| row[column].as_u64().unwrap_or_else(|| panic!("`{column}` of {row}"));
        let (item, live, units) = (number("largest_item"), number("largest_live_item"), number("write_units"));
        assert!(live <= item && item <= 400 * 1024 && units == live.div_ceil(1024), "{row}");
    }
    let table = success(example("git-activity"), &["check"]);
    assert!(table.contains("largest_item") && table.contains("write_units"), "{table}");
}

#[test]
fn a_query_of_a_server_and_of_a_store_is_the_same() {
    let served = served();
    let url = served.server.url();
    let row = process::json(example("page-traffic"), &["query", "page_traffic", "/home", "--at", &url, "-o", "json"]);
    let truth = &served.stream.views.whole_truth()["/home"];
    truth.compare(&row["value"]).unwrap();
    let table = success(example("page-traffic"), &["query", "page_traffic", "page_id=/home", "--at", &url]);
    assert!(table.contains("/home"), "{table}");
    let never =
        process::json(example("page-traffic"), &["query", "page_traffic", "/never", "--at", &url, "-o", "json"]);
    assert_eq!(never["answer"]["presence"], "PRESENCE_ABSENT");
}

#[test]
fn a_query_by_the_calendar_is_the_range_that_it_says() {
    let served = served();
    let url = served.server.url();
    let query = |arguments: &[&str]| {
        let query = ["query", "page_traffic", "/home", "--at", &url, "-o", "json"];
        process::json(example("page-traffic"), &[&query, arguments].concat())
    };
    let month = query(&["--calendar", "1 month", "--zone", "europe/berlin"]);
    let side = |side: &str| month["answer"][side].as_str().unwrap().to_owned();
    let range = query(&["--from", &side("start"), "--to", &side("end")]);
    assert_eq!((&month["value"], &month["present"]), (&range["value"], &range["present"]));
    assert_eq!(month["answer"]["start_exact"], true);
    let days = query(&["--calendar", "month", "--zone", "Europe/Berlin", "--series", "day"]);
    let points = days["points"].as_array().unwrap();
    assert!((1..=31).contains(&points.len()) && points[0]["start"] == side("start"), "{days}");

    let code = |arguments: &[&str]| code(&[&["query", "page_traffic", "/home", "--at", &url], arguments].concat());
    assert_eq!(code(&["--calendar", "day", "--zone", "Mars/Base"]), Some(2));
    assert_eq!(code(&["--zone", "UTC"]), Some(2), "a zone without a calendar says nothing");
    assert_eq!(code(&["--calendar", "day", "--window", "1d"]), Some(2));
    assert_eq!(code(&["--whole"]), Some(2));
}

#[test]
fn a_query_says_what_was_read_and_where_its_sides_were_cut() {
    let served = served();
    let url = served.server.url();
    let query = ["query", "page_traffic", "/home", "--at", &url, "--window", "13d", "--explain"];
    let table = success(example("page-traffic"), &query);
    for words in ["level", "bytes", " read units", " round trip", "covers ", " (moved)"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let json = |more: &[&str]| process::json(example("page-traffic"), &[&query, more, &["-o", "json"]].concat());
    let (exact, sawtooth) = (json(&[]), json(&["--edges", "sawtooth"]));
    assert!(exact["answer"]["explanation"]["read_units"].as_f64() > Some(0.0), "{exact}");
    let start = |row: &serde_json::Value| row["answer"]["start"].as_str().unwrap().to_owned();
    assert!(start(&sawtooth) <= start(&exact) && start(&sawtooth).ends_with("T00:00:00Z"), "{sawtooth}");
    let quiet = ["query", "page_traffic", "/home", "--at", &url, "--window", "13d", "-o", "json"];
    assert!(process::json(example("page-traffic"), &quiet)["answer"]["explanation"].is_null());
    assert_eq!(code(&[&query[..5], &["--calendar", "7d", "--edges", "sawtooth"]].concat()), Some(2));
}

#[test]
fn what_one_request_may_read_at_most_is_a_flag() {
    let stream = Stream::generate(2_000, 20, 13);
    let store = process::store(&stream.store("state"));
    success(example("page-traffic"), &["run", "--until-end", "--source", &stream.source(), "--store", &store]);
    for (flag, words) in [
        ("--max-read-items=1", "needs more than 1 stored items"),
        ("--max-read-lookups=1", "needs more than 1 look-ups"),
        ("--max-read-bytes=1KiB", "needs more than 1024 bytes"),
    ] {
        let server = Server::start(example("page-traffic"), &["serve", "--store", &store, flag]);
        let refused = output(example("page-traffic"), &["query", "page_traffic", "/home", "--at", &server.url()]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(words), "{flag}: {said}");
        assert!(server.stop().success());
    }
}

#[test]
fn a_key_without_an_answer_does_not_hide_the_others() {
    let folder = TempDir::new().unwrap();
    let (views, store) = (folder.path().join("views.jsonl"), process::store(&folder.path().join("state")));
    let view = |page: &str, dwell: u64, minutes: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        format!(
            "{{\"page_id\":\"{page}\",\"user_id\":\"u\",\"dwell_ms\":{dwell},\"referrer\":null,\"viewed_at\":\"{at}\"}}\n"
        )
    };
    // Each fits into its slot, and both together do not into an answer.
    fs::write(&views, [view("/much", u64::MAX, 9), view("/much", u64::MAX, 5), view("/home", 7, 0)].concat()).unwrap();
    let source = views.display().to_string();
    success(example("page-traffic"), &["run", "--until-end", "--source", &source, "--store", &store]);
    let top = ["query", "page_traffic", "--top", "5", "-o", "json", "--store", &store];
    let rows = process::json(example("page-traffic"), &top);
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["value"]["dwell_ms"], "7");
}

#[test]
fn dev_counts_made_up_events_and_stops_when_asked() {
    let folder = TempDir::new().unwrap();
    let store = process::store(&folder.path().join("state"));
    let arguments = ["dev", "--store", &store, "--rate", "5000", "--keys", "20", "--flush-interval", "50ms"];
    let server = Server::start(example("page-traffic"), &arguments);
    let url = server.url();
    let arguments = ["query", "page_traffic", "/home", "--at", &url, "-o", "json"];
    // Enough to have malformed ones among them.
    assert!(until(|| views(&arguments) > 1_000), "too little was counted");
    assert!(server.stop().success());
}

fn views(query: &[&str]) -> u64 {
    let row = process::json(example("page-traffic"), query);
    row["value"]["views"].as_str().and_then(|views| views.parse().ok()).unwrap_or(0)
}

/// Whether it comes true; each look at it takes a process, which is pause enough.
fn until(mut comes_true: impl FnMut() -> bool) -> bool {
    (0..400).any(|_| comes_true())
}

#[test]
fn a_worker_can_answer_while_it_counts() {
    let stream = Stream::generate(3_000, 20, 11);
    let store = process::store(&stream.store("state"));
    let source = stream.source();
    let arguments = ["run", "--source", &source, "--store", &store, "--flush-interval", "50ms"];
    let server = Server::start(example("page-traffic"), &arguments);
    let url = server.url();
    let right = stream.views.whole_truth()["/home"].views;
    let query = ["query", "page_traffic", "/home", "--at", &url, "-o", "json"];
    assert!(until(|| views(&query) == right), "{} views instead of {right}", views(&query));
    assert!(server.stop().success());
}

#[test]
fn flags_can_come_from_the_environment_and_events_from_standard_input() {
    let stream = Stream::generate(2_000, 20, 12);
    let store = stream.store("state");
    let output = process::command(example("page-traffic"), &["run"])
        .stdin(fs::File::open(&stream.file).unwrap())
        .envs([("MURMUR_SOURCE", "-"), ("MURMUR_UNTIL_END", "true"), ("MURMUR_OUTPUT", "json")])
        .env("MURMUR_STORE", process::store(&store))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["read"], 2_000);
    oracle::assert_pages(&answers(&store), &stream.views.whole_truth());
}

#[test]
fn a_store_belongs_to_one_process_at_a_time() {
    let served = served();
    let store = process::store(&served.stream.store("served"));
    let second = output(example("page-traffic"), &["query", "page_traffic", "/home", "--store", &store]);
    assert_eq!(second.status.code(), Some(4), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn a_stop_before_the_end_is_told_apart_from_an_end() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        // Whoever runs the tests may have said `nohup`.
        assert_eq!(stopped_by(&["env", "--default-signal=HUP"], &[signal]), Some(code), "{signal}");
    }
    // Whoever says `nohup` wants it to outlive its terminal.
    assert_eq!(stopped_by(&["nohup"], &["-HUP", "-TERM"]), Some(143));
}

/// The exit code of a worker that waits for the end of its input, and gets these signals.
fn stopped_by(before: &[&str], signals: &[&str]) -> Option<i32> {
    let folder = TempDir::new().unwrap();
    let (program, store) = (example("page-traffic"), process::store(&folder.path().join("state")));
    let arguments = ["run", "--until-end", "--source", "-", "--store", &store, "--listen", "127.0.0.1:0"];
    let whole = [before, &[program.to_str().unwrap()], &arguments].concat();
    let mut child = process::command(whole[0], &whole[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nothing is ever written to it and it stays open, so the end never comes.
    let input = child.stdin.take();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().starts_with("serving")));
    for signal in signals {
        success("kill", &[signal, &child.id().to_string()]);
    }
    let code = child.wait().unwrap().code();
    drop(input);
    code
}
