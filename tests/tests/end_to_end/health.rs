//! Health of each pipeline by itself, where one worker keeps several.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use murmur_testkit::faults::proxy::dynamodb::{Dynamo, Troubles};
use murmur_tests::process::{self, Server, example, output};
use serde_json::{Value, json};

use crate::observed::{ready, until};
use crate::store_dynamodb::{endpoint, prefix};

/// Somebody likes a post, so often.
fn like(file: &Path, times: usize) {
    let like = json!({ "post_id": "p", "user_id": "u", "country": "NL", "at": Timestamp::now().to_string() });
    // At once, so that no half line is read.
    OpenOptions::new()
        .append(true)
        .open(file)
        .unwrap()
        .write_all(format!("{like}\n").repeat(times).as_bytes())
        .unwrap();
}

/// What gRPC health says of a service; of the server as a whole without a name.
fn health(worker: &Server, service: &str) -> String {
    let url = format!("{}/grpc.health.v1.Health/Check", worker.url());
    let asked = json!({ "service": service }).to_string();
    let said = output("curl", &["-sS", "-H", "content-type: application/json", "-d", &asked, &url]);
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    said["status"].as_str().unwrap_or_else(|| panic!("no status: {said}")).to_owned()
}

fn is_counted(worker: &Server, pipeline: &str, count: usize) {
    until(&format!("`{pipeline}` counts {count}"), || {
        let counted = process::json(example("likes"), &["query", pipeline, "p", "--at", &worker.url(), "-o", "json"]);
        if counted["value"]["count"] == *count.to_string() { Ok(()) } else { Err(counted.to_string()) }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_whose_table_takes_nothing_does_not_serve_and_the_others_of_its_worker_do() {
    let server = Dynamo::start(&endpoint(), 1).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("likes.jsonl");
    std::fs::write(&file, "").unwrap();
    let (source, letters) = (file.display().to_string(), folder.path().join("letters").display().to_string());
    let store = format!("dynamodb://{}?endpoint=http://{}&timeout=500ms", prefix(), server.address);
    let mut arguments = vec!["run", "--create-tables", "--flush-interval", "100ms"];
    arguments.extend(["--max-uncommitted-age", "2s", "--source", &source, "--store", &store]);
    arguments.extend(["--dead-letters", &letters]);
    let worker = Server::start(example("likes"), &arguments);
    like(&file, 3);
    is_counted(&worker, "likes", 3);
    is_counted(&worker, "fans", 3);
    ready(&worker, 200, "");

    server.set(Troubles { closed: Some("fans_v1".to_owned()), ..Troubles::default() });
    like(&file, 2);
    let said = ready(&worker, 503, "--max-uncommitted-age");
    let [reason] = &said["reasons"].as_array().unwrap()[..] else { panic!("{said}") };
    let service = |name: &str| reason["service"].as_str().unwrap().replace("Fans", name);
    let (fans, likes) = (service("Fans"), service("Likes"));
    assert!(fans.ends_with(".FansService") && reason["reason"].as_str().unwrap().contains("`fans`"), "{reason}");
    assert_eq!(["", &fans, &likes].map(|service| health(&worker, service)), ["NOT_SERVING", "NOT_SERVING", "SERVING"]);
    // And so it goes on, long after.
    like(&file, 1);
    is_counted(&worker, "likes", 6);
    assert_eq!(health(&worker, &likes), "SERVING");

    server.set(Troubles::default());
    assert_eq!(ready(&worker, 200, "")["reasons"], json!([]));
    assert_eq!(["", &fans, &likes].map(|service| health(&worker, service)), ["SERVING"; 3]);
    for pipeline in ["likes", "fans"] {
        is_counted(&worker, pipeline, 6);
    }
    assert!(worker.stop().success());
}
