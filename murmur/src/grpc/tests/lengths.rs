//! Lengths of time that cannot be, by each protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::json;
use tonic_types::StatusExt;

use super::http::{Reply, path, send};
use super::refusals::{UNARY, details};
use super::*;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;

/// A request about the tea with a window of so many seconds, in one of these ways.
async fn ask_window(world: &World, kind: &str, seconds: i64) -> Reply {
    let method = path("GetWindow");
    let body = json!({"key": {"shop": "7", "sku": "tea", "shelf": -2}, "window": format!("{seconds}s")}).to_string();
    let message = match kind.ends_with("json") || kind == "GET" {
        true => body.into_bytes(),
        false => {
            let duration = prost_types::Duration { seconds, nanos: 0 }.encode_to_vec();
            let key = GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec();
            [&key[..], &[0x12, duration.len() as u8], &duration].concat()
        }
    };
    if kind == "GET" {
        let query: String = message.iter().map(|byte| format!("%{byte:02x}")).collect();
        return send(world, "GET", &format!("{method}?encoding=json&message={query}"), &[], "").await;
    }
    let body = match kind {
        "application/json" | "application/proto" => message,
        kind if kind.contains("-text") => STANDARD.encode(frame(0, &message)).into_bytes(),
        _ => frame(0, &message).to_vec(),
    };
    send(world, "POST", &method, &[("content-type", kind)], body).await
}

#[tokio::test]
async fn a_length_of_time_that_cannot_be_is_refused_by_its_field_in_every_protocol() {
    let world = World::new();
    for kind in UNARY.into_iter().chain(["GET"]) {
        for seconds in [-5, -1, 315_576_000_001, i64::MAX] {
            let reply = ask_window(&world, kind, seconds).await;
            let (reason, field, text) = match kind.starts_with("application/grpc") {
                true => {
                    let status = tonic::Status::from_header_map(&reply.headers).unwrap();
                    let details = status.get_error_details();
                    let violation = &details.bad_request().unwrap().field_violations[0];
                    assert_eq!(violation.description, status.message());
                    (details.error_info().unwrap().reason.clone(), violation.field.clone(), status.message().to_owned())
                }
                false => {
                    let error = reply.json();
                    let (reason, others) = details(&error);
                    let field = others[0].1["fieldViolations"][0]["field"].as_str().unwrap().to_owned();
                    (reason, field, error["message"].as_str().unwrap().to_owned())
                }
            };
            assert_eq!((&*reason, &*field), ("FIELD_INVALID", "window"), "{kind} {seconds}: {text}");
            assert!(text.starts_with("`window`") && text.contains("\"300s\""), "{kind} {seconds}: {text}");
        }
    }
}
