//! What errors say to programs, by each protocol.

use prost::Message;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt};

use super::http::{path, post, send};
use super::*;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;

/// The reason of an error in JSON, and its other details by type.
fn details(error: &Value) -> (String, Vec<(String, Value)>) {
    let details = error["details"].as_array().unwrap_or_else(|| panic!("{error}"));
    let of = |detail: &Value| (detail["type"].as_str().unwrap().to_owned(), detail["debug"].clone());
    let (mut infos, others): (Vec<_>, Vec<_>) =
        details.iter().map(of).partition(|(name, _)| name == "google.rpc.ErrorInfo");
    let info = infos.remove(0).1;
    assert_eq!(info["domain"], "murmur.dev");
    (info["reason"].as_str().unwrap().to_owned(), others)
}

#[tokio::test]
async fn an_error_by_json_names_its_reason_and_the_field() {
    let world = World::new();
    let tea = json!({"shop": "7", "sku": "tea", "shelf": -2});
    for (method, request, reason, field) in [
        ("Get", json!({}), "FIELD_MISSING", "key"),
        ("GetWindow", json!({"key": tea}), "FIELD_MISSING", "window"),
        ("GetWindow", json!({"key": tea, "window": "0s"}), "FIELD_INVALID", "window"),
        ("GetWindow", json!({"key": tea, "window": "999999999s"}), "FIELD_INVALID", "window"),
        ("GetWindow", json!({"key": tea, "calendar": {"days": 1, "zone": "Mars"}}), "FIELD_INVALID", "calendar.zone"),
        ("Series", json!({"key": tea, "start": "2026-02-28T00:00:00Z", "step": "7s"}), "FIELD_INVALID", "step"),
        ("GetMany", json!({"keys": vec![&tea; 1_001]}), "FIELD_INVALID", "keys"),
        ("CombineSets", json!({"sets": []}), "FIELD_MISSING", "operation"),
        (
            "Get",
            json!({"key": tea, "options": {"question": {"quantiles": [2]}}}),
            "FIELD_INVALID",
            "options.question.quantiles",
        ),
    ] {
        let error = post(&world, &path(method), request.clone()).await.json();
        let (named, others) = details(&error);
        assert_eq!(named, reason, "{request}");
        let (kind, violations) = &others[0];
        assert_eq!(kind, "google.rpc.BadRequest");
        assert_eq!(violations["fieldViolations"][0]["field"], field, "{request}");
        assert_eq!(violations["fieldViolations"][0]["description"], error["message"]);
    }
    for (path, request, reason) in [
        (path("Get"), json!({"kee": 1}), "REQUEST_UNREADABLE"),
        (path("Fetch"), json!({}), "NOT_OFFERED"),
        ("/murmur.v1.QueryService/Query".to_owned(), json!({"pipeline": "none"}), "PIPELINE_UNKNOWN"),
    ] {
        let error = post(&world, &path, request).await.json();
        assert_eq!(details(&error).0, reason, "{path}");
    }
    // Of a service that is nobody's there is nothing to say.
    let error = post(&world, "/none.v1.Service/Get", json!({})).await.json();
    assert_eq!((&error["code"], error.get("details")), (&json!("unimplemented"), None));
    let large = vec![b' '; (1 << 20) + 1];
    let error = send(&world, "POST", &path("Get"), super::http::JSON, large).await.json();
    assert_eq!(details(&error).0, "REQUEST_TOO_LARGE");
}

#[tokio::test]
async fn what_can_be_sent_again_says_when_and_nothing_of_the_store() {
    let world = World::new();
    world.moody.mood.send_replace(Mood::Down);
    let error = post(&world, &path("Get"), json!({"key": {"shop": "7"}})).await.json();
    let (reason, others) = details(&error);
    assert_eq!(reason, "STORE_UNAVAILABLE");
    assert_eq!(others, [("google.rpc.RetryInfo".to_owned(), json!({"retryDelay": "1s"}))]);
    assert!(!error.to_string().contains("10.1.2.3"), "{error}");
    world.moody.mood.send_replace(Mood::Closed);
    let error = post(&world, &path("Get"), json!({"key": {"shop": "7"}})).await.json();
    assert_eq!(details(&error), ("INTERNAL".to_owned(), vec![]));
    assert!(!error.to_string().contains("AKIA"), "{error}");
}

#[tokio::test]
async fn an_error_by_grpc_has_the_same_details_in_its_trailers_and_the_client_names_the_field() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let error = client.window(stock(7, "tea", -2), Span::ZERO, None).await.unwrap_err();
    assert_eq!(error.field(), Some("window"));
    for kind in ["application/grpc", "application/grpc-web"] {
        let message = frame(0, &GetRequest::<StockKey> { key: None, options: None }.encode_to_vec());
        let reply = send(&world, "POST", &path("Get"), &[("content-type", kind)], message.to_vec()).await;
        let status = tonic::Status::from_header_map(&reply.headers).unwrap();
        let details: ErrorDetails = status.check_error_details().unwrap();
        assert_eq!(details.error_info().unwrap().reason, "FIELD_MISSING");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "key");
    }
}
