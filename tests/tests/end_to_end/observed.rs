//! What a running worker shows of itself: metrics that are true, and health that follows its store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use murmur_tests::forward::Forward;
use murmur_tests::http;
use murmur_tests::process::{self, Server, example};
use serde_json::{Value, json};

use crate::page_views::Stream;
use crate::store_dynamodb::{endpoint, prefix};

/// The samples of a page of Prometheus, by name and labels as they stand there.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    fn of(server: &Server) -> Self {
        let (status, page) = http::get(&server.address, "/metrics");
        assert_eq!(status, 200);
        let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| line.rsplit_once(' ').map(|(name, v)| (name.into(), v.parse().unwrap())).unwrap())
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The sum over all labels.
    fn sum(&self, name: &str) -> f64 {
        self.0.iter().filter(|(stands, _)| stands.split('{').next() == Some(name)).map(|(_, value)| value).sum()
    }
}

/// Look again until it is so.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}\n{seen}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Wait until `/readyz` gives this status, with this in it: the whole answer. A server looks every few seconds.
pub(crate) fn ready(worker: &Server, wanted: u16, part: &str) -> Value {
    until(&format!("/readyz says {wanted} and `{part}`"), || match http::get(&worker.address, "/readyz") {
        (status, body) if status == wanted && body.contains(part) => Ok(serde_json::from_str(&body).unwrap()),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn the_metrics_of_a_worker_say_what_its_summary_says() {
    let stream = Stream::generate(5_000, 40, 7);
    let (source, store) = (stream.source(), process::store(&stream.store("state")));
    let arguments = ["run", "--source", &source, "--store", &store, "--flush-interval", "50ms", "-o", "json"];
    let worker =
        Server::listening(example("page-traffic"), &[&arguments[..], &["--metrics-listen", "127.0.0.1:0"]].concat());
    let samples = until("all is read and committed", || {
        let samples = Samples::of(&worker);
        let done = samples.get("murmur_events_received_total") == Some(5_000.0)
            && samples.get("murmur_source_lag_records{worker=\"0\"}") == Some(0.0)
            && samples.get("murmur_uncommitted_age_seconds{worker=\"0\"}") == Some(0.0);
        if done { Ok(samples) } else { Err(format!("{:?}", samples.0)) }
    });
    assert_eq!(http::get(&worker.address, "/healthz").0, 200);
    assert_eq!(ready(&worker, 200, ""), json!({ "ready": true, "reasons": [] }));
    assert_eq!(http::get(&worker.address, "/murmur.v1.QueryService/ListPipelines").0, 404, "no queries on this port");

    let (status, output) = worker.finish();
    assert!(status.success());
    let summary: Value = serde_json::from_str(&output).unwrap();
    for (metric, said) in [
        ("murmur_events_received_total", "read"),
        ("murmur_events_ahead_total", "ahead"),
        ("murmur_events_applied_total{pipeline=\"page_traffic\"}", "applied"),
        ("murmur_events_expired_total{pipeline=\"page_traffic\"}", "expired"),
        ("murmur_events_already_applied_total{pipeline=\"page_traffic\"}", "already_applied"),
        ("murmur_events_repeated_total{pipeline=\"page_traffic\"}", "repeated"),
        ("murmur_flushes_total", "flushes"),
        ("murmur_tiles_written_total", "writes"),
        ("murmur_store_conflicts_total", "rewinds"),
        ("murmur_store_writes_resent_total", "resent"),
    ] {
        assert_eq!(samples.get(metric), summary[said].as_f64(), "{metric} and `{said}` of {summary}");
    }
    assert_eq!(Some(samples.sum("murmur_events_dead_lettered_total")), summary["dead"].as_f64());
    assert!(samples.get("murmur_events_applied_total{pipeline=\"page_traffic\"}") > Some(0.0));
    assert_eq!(samples.get("murmur_partitions_owned{worker=\"0\"}"), Some(1.0));
    assert_eq!(samples.get("murmur_source_lag_seconds{worker=\"0\"}"), Some(0.0), "nothing waits");
    assert!(samples.get("murmur_freshness_seconds{worker=\"0\"}") > Some(0.0));
    let flushes = samples.get("murmur_flush_duration_seconds_count{outcome=\"durable\"}");
    assert_eq!(flushes, summary["flushes"].as_f64());
    assert!(samples.sum("murmur_flush_combine_ratio_count") > 0.0);
    assert!(samples.get("murmur_store_request_duration_seconds_count{op=\"write\",outcome=\"ok\"}") > Some(0.0));
}

#[test]
fn a_worker_is_ready_while_its_store_can_be_reached() {
    let endpoint = endpoint();
    let mut way = Forward::to(endpoint.split_once("://").unwrap().1);
    let stream = Stream::generate(500, 10, 3);
    let store = format!("dynamodb://{}?endpoint=http://{}&timeout=500ms", prefix(), way.address);
    let (source, letters) = (stream.source(), stream.store("letters").display().to_string());
    let arguments =
        ["run", "--create-tables", "--source", &source, "--store", &store, "--dead-letters", &letters, "-o", "json"];
    let worker = Server::start(example("page-traffic"), &arguments);
    assert_eq!(ready(&worker, 200, "")["ready"], true);
    let samples = until("all is read and committed", || {
        let samples = Samples::of(&worker);
        let done = samples.get("murmur_events_received_total") == Some(500.0)
            && samples.get("murmur_uncommitted_age_seconds{worker=\"0\"}") == Some(0.0);
        if done { Ok(samples) } else { Err(format!("{:?}", samples.0)) }
    });
    let (tiles, units) = (samples.sum("murmur_tiles_written_total"), samples.sum("murmur_store_consumed_wcu_total"));
    assert!(tiles > 0.0 && units >= tiles, "{units} units for {tiles} tiles");
    assert_eq!(samples.get("murmur_store_throttled_total{of=\"table\"}"), Some(0.0));

    way.close();
    let down = ready(&worker, 503, "");
    let reason = &down["reasons"][0];
    assert_eq!(down["ready"], false);
    assert_eq!(reason["service"], "page_traffic.v1.PageTrafficService");
    assert!(reason["reason"].as_str().unwrap().starts_with("the store "), "{reason}");
    assert_eq!(http::get(&worker.address, "/healthz"), (200, r#"{"live":true}"#.to_owned()), "it lives all the same");

    way.open();
    assert_eq!(ready(&worker, 200, "")["reasons"], Value::Array(Vec::new()));
    assert!(worker.stop().success());
}
