//! What can be asked of estimates, and of an aggregate of the user's own, through the program and the service of
//! `examples/service-health`: a store that a worker has filled, and the truth by the events alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use murmur_tests::process::{self, Server, example, success};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Who calls most by far.
const BUSIEST: &str = "client-7";

struct Call {
    endpoint: &'static str,
    client: String,
    took_ms: f64,
    failed: bool,
    at: Timestamp,
}

/// A filled store, and what it was filled with.
pub(crate) struct World {
    _folder: TempDir,
    pub(crate) store: String,
    calls: Vec<Call>,
    /// The beginning of the hour that the first calls lie in; the second ones lie two hours later.
    begin: Timestamp,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Timestamp::now().as_second();
        let begin = Timestamp::from_second(now - now % 3_600 - 4 * 3_600).unwrap();
        let mut calls = Vec::new();
        // In the first hour 500 clients call `/login`, in the third 500 others and 300 of them again; and 600 call `/pay`.
        for (endpoint, hour, clients) in [("/login", 0, 0..500u32), ("/login", 2, 200..1_000), ("/pay", 2, 800..1_400)]
        {
            for n in clients {
                for name in [format!("client-{n}"), BUSIEST.to_owned()].into_iter().take(1 + usize::from(n % 2 == 0)) {
                    let nth = calls.len() as i64;
                    calls.push(Call {
                        endpoint,
                        client: name,
                        took_ms: ((nth * 7_919) % 10_007) as f64 / 10.0,
                        failed: nth % 10 == 3 || (700..712).contains(&nth),
                        at: begin + SignedDuration::from_hours(hour) + SignedDuration::from_millis(nth * 1_000),
                    });
                }
            }
        }
        let folder = TempDir::new().unwrap();
        let lines = calls.iter().fold(String::new(), |mut lines, call| {
            let Call { endpoint, client, took_ms, failed, at } = call;
            let line = json!({ "endpoint": endpoint, "client": client, "took_ms": took_ms, "failed": failed, "at": at.to_string() });
            writeln!(lines, "{line}").unwrap();
            lines
        });
        let file = folder.path().join("calls.jsonl");
        fs::write(&file, lines).unwrap();
        let (file, store) = (file.display().to_string(), process::store(&folder.path().join("state")));
        success(example("service-health"), &["run", "--until-end", "--source", &file, "--store", &store]);
        Self { _folder: folder, store, calls, begin }
    }

    fn hour(&self, n: i64) -> String {
        (self.begin + SignedDuration::from_hours(n)).to_string()
    }

    fn query(&self, arguments: &[&str]) -> Value {
        let arguments = [&["query", "service_health"], arguments, &["--store", &self.store, "-o", "json"]].concat();
        process::json(example("service-health"), &arguments)
    }

    fn of(&self, endpoint: &str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.endpoint == endpoint)
    }

    /// How often each client called.
    fn counts(&self, endpoint: &str) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        self.of(endpoint).for_each(|call| *counts.entry(call.client.as_str()).or_default() += 1);
        counts
    }
}

/// A number, which 64 bits have as a text.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0.0)
}

/// Whether the truth lies within the bounds of a reply.
fn holds(reply: &Value, truth: f64) -> bool {
    number(&reply["lower"]) <= truth && truth <= number(&reply["upper"])
}

#[test]
fn estimates_answer_what_they_are_asked() {
    let world = World::new();
    let login = world.query(&[
        "/login",
        "--quantile",
        "0.5",
        "--quantile",
        "0.99",
        "--rank",
        "250",
        "--element",
        BUSIEST,
        "--element",
        "client-250",
        "--element",
        "stranger",
    ]);
    let value = &login["value"];
    let counts = world.counts("/login");

    let mut took: Vec<f64> = world.of("/login").map(|call| call.took_ms).collect();
    took.sort_by(f64::total_cmp);
    let latency = &value["took_ms"];
    assert_eq!(number(&latency["count"]), took.len() as f64);
    assert_eq!([&latency["min"], &latency["max"]].map(number), [took[0], took[took.len() - 1]]);
    for (point, share) in latency["quantiles"].as_array().unwrap().iter().zip([0.5, 0.99]) {
        assert_eq!(number(&point["quantile"]), share);
        assert!(holds(point, took[(share * took.len() as f64).ceil() as usize - 1]), "{point}");
    }
    let rank = took.partition_point(|ms| *ms <= 250.0) as f64 / took.len() as f64;
    assert!(number(&latency["rank_error"]) > 0.0 && holds(&latency["ranks"][0], rank), "{latency}, truly {rank}");

    let elements = [BUSIEST, "client-250", "stranger"];
    for (row, element) in value["calls"]["frequencies"].as_array().unwrap().iter().zip(elements) {
        assert_eq!(row["text"], element);
        assert!(holds(row, counts.get(element).copied().unwrap_or(0) as f64), "{row} of {counts:?}");
    }
    let members = value["callers"]["members"].as_array().unwrap();
    let contained: Vec<_> = members.iter().map(|row| row["contained"].as_bool().unwrap_or(false)).collect();
    assert_eq!(contained, [true, true, false], "{members:?}");
    assert!(number(&value["callers"]["false_positive_rate"]) < 0.01, "{value}");

    // More clients than are tracked, so that counts have an error.
    let busiest = &value["busiest"];
    assert!(number(&busiest["maximum_error"]) > 0.0, "{busiest}");
    assert_eq!(busiest["items"][0]["item"], BUSIEST);
    for item in busiest["items"].as_array().unwrap() {
        assert!(holds(item, counts[item["item"].as_str().unwrap()] as f64), "{item} of {busiest}");
    }
}

#[test]
fn what_is_trending_is_told_as_of_the_question() {
    let world = World::new();
    let truth = |as_of: Timestamp| -> f64 {
        let age = |call: &Call| as_of.duration_since(call.at).as_secs_f64() / 3_600.0;
        world.of("/login").filter(|call| call.failed).map(|call| (-age(call)).exp2()).sum()
    };
    let as_of = |reply: &Value| -> Timestamp { reply["as_of"].as_str().unwrap().parse().unwrap() };
    let before = Timestamp::now();
    let now = world.query(&["/login"])["value"]["trouble"].clone();
    assert!((before..=Timestamp::now()).contains(&as_of(&now)), "{now}, asked since {before}");
    let ended = world.query(&["/login", "--from", &world.hour(0), "--to", &world.hour(4)])["value"]["trouble"].clone();
    assert_eq!(as_of(&ended).to_string(), world.hour(4));
    for reply in [now, ended] {
        let truth = truth(as_of(&reply));
        assert!((number(&reply["value"]) / truth - 1.0).abs() < 1e-9 && truth > 1.0, "{reply}, truly {truth}");
    }
}

#[test]
fn sets_are_combined_over_keys_and_windows() {
    let world = World::new();
    let first_hour = json!({
        "key": { "endpoint": "/login" }, "start": world.hour(0), "end": world.hour(1),
    })
    .to_string();
    let cases = [
        // `client-7` calls `/pay` too: 600 clients and him, of 1,000 that called `/login`.
        (["--intersect", "/pay"], 201.0),
        (["--unite", "/pay"], 1_400.0),
        (["--except", "/pay"], 799.0),
        // Who called in the first hour already, and who came later only.
        (["--intersect", &first_hour], 500.0),
        (["--except", &first_hour], 500.0),
    ];
    for (arguments, count) in cases {
        let reply = world.query(&[&["/login"], &arguments[..]].concat());
        assert_eq!(reply["estimate"], json!({ "value": count, "lower": count, "upper": count }), "{arguments:?}");
        assert_eq!(number(&reply["sets"][0]["value"]), 1_000.0);
    }
    // The interval of the question is that of each set that has none of its own.
    let third = ["/login", "--from", &world.hour(2), "--to", &world.hour(4)];
    let came_back = world.query(&[&third[..], &["--intersect", &first_hour]].concat());
    assert_eq!(number(&came_back["estimate"]["value"]), 301.0, "300, and {BUSIEST}");
    let both = world.query(&[&third[..], &["--intersect", "/pay"]].concat());
    assert_eq!(number(&both["estimate"]["value"]), 201.0);

    let refused =
        ["query", "service_health", "/login", "--intersect", "/pay", "--field", "busiest", "--store", &world.store];
    let refused = process::output(example("service-health"), &refused);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("`busiest` of `service_health` is no `DistinctSet`; `clients` is"), "{said}");
}

#[test]
fn the_service_is_asked_the_same_by_anyone() {
    let world = World::new();
    let server = Server::start(example("service-health"), &["serve", "--store", &world.store]);
    let post = |method: &str, request: &Value| {
        let url = format!("{}/service_health.v1.ServiceHealthService/{method}", server.url());
        let body = request.to_string();
        process::json("curl", &["-sS", "--fail-with-body", "-H", "content-type: application/json", "-d", &body, &url])
    };
    let endpoint = |name: &str| json!({ "endpoint": name });
    let question = json!({ "quantiles": [0.9], "ranks": [500.0], "texts": [BUSIEST, "stranger"] });
    let range = json!({
        "key": endpoint("/login"), "start": world.hour(0), "end": world.hour(4), "options": { "question": question },
    });
    let value = post("GetRange", &range)["value"].clone();
    let took: Vec<f64> = world.of("/login").map(|call| call.took_ms).collect();
    let rank = took.iter().filter(|ms| **ms <= 500.0).count() as f64 / took.len() as f64;
    assert!(holds(&value["tookMs"]["ranks"][0], rank), "{value}, truly {rank}");
    let quantile = number(&value["tookMs"]["quantiles"][0]["value"]);
    let share = took.iter().filter(|ms| **ms <= quantile).count() as f64 / took.len() as f64;
    assert!((share - 0.9).abs() <= number(&value["tookMs"]["rankError"]), "{value}, truly {share}");
    let calls = world.counts("/login")[BUSIEST] as f64;
    assert!(holds(&value["calls"]["frequencies"][0], calls), "{value}, truly {calls}");
    assert_eq!(value["callers"]["members"][0]["contained"], true, "{value}");
    assert_ne!(value["callers"]["members"][1]["contained"], true, "{value}");
    assert_eq!(value["trouble"]["asOf"].as_str(), Some(world.hour(4).as_str()), "{value}");

    let sets = json!([{ "key": endpoint("/login") }, { "key": endpoint("/pay"), "start": world.hour(2), "end": world.hour(4) }]);
    let combined = post("CombineSets", &json!({ "sets": sets, "operation": "SET_OPERATION_INTERSECTION" }));
    assert_eq!(number(&combined["estimate"]["value"]), 201.0, "{combined}");
}

#[test]
fn an_aggregate_of_ones_own_is_counted_and_answered_like_any_other() {
    let world = World::new();
    let longest = |calls: &mut dyn Iterator<Item = &Call>| {
        let runs = calls.fold((0, 0), |(longest, run): (u64, u64), call| {
            let run = if call.failed { run + 1 } else { 0 };
            (longest.max(run), run)
        });
        runs.0
    };
    let outage = |arguments: &[&str]| number(&world.query(arguments)["value"]["outage"]) as u64;
    let whole = longest(&mut world.of("/login"));
    assert!(whole >= 12, "nothing to be seen: {whole}");
    assert_eq!(outage(&["/login"]), whole);
    let end = world.begin + SignedDuration::from_hours(1);
    let first = longest(&mut world.of("/login").filter(|call| call.at < end));
    assert_eq!(outage(&["/login", "--from", &world.hour(0), "--to", &world.hour(1)]), first);
    let sizes = process::json(example("service-health"), &["check", "-o", "json"]);
    assert_eq!(sizes[0]["pipeline"], "service_health", "{sizes}");
}
