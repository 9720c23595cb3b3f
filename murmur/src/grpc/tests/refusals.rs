//! What errors say to programs, by each protocol.

use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use http_body_util::BodyExt;
use prost::Message;
use serde_json::{Value, json};
use tonic_types::{ErrorDetails, StatusExt, pb};

use super::access::Named;
use super::http::{Reply, answer, path, post, send};
use super::*;
use crate::grpc::Contracts;
use crate::grpc::access::{Access, Rate};
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::codec::Transcoder;
use crate::grpc::protocol::frame::{Framed, frame};
use crate::grpc::protocol::rpc::{self, Call, Method, Part, Reads, Replies, Rpc, Served};
use crate::grpc::protocol::{Terms, connect, native};
use crate::grpc::refusal::explained;

/// The reason of an error in JSON, and its other details by type.
pub(super) fn details(error: &Value) -> (String, Vec<(String, Value)>) {
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
            "CombineSets",
            json!({"sets": [{"key": tea}, {}], "operation": "SET_OPERATION_UNION"}),
            "FIELD_MISSING",
            "sets[1].key",
        ),
        (
            "Get",
            json!({"key": tea, "options": {"question": {"quantiles": [2]}}}),
            "FIELD_INVALID",
            "options.question.quantiles",
        ),
        ("Get", json!({"key": {"shop": "much"}}), "FIELD_INVALID", "key.shop"),
        ("GetMany", json!({"keys": 5}), "FIELD_INVALID", "keys"),
        ("GetMany", json!({"keys": [tea, {"shop": {}}]}), "FIELD_INVALID", "keys[1].shop"),
        ("GetWindow", json!({"key": tea, "calendar": {"days": "x"}}), "FIELD_INVALID", "calendar.days"),
        ("Series", json!({"key": tea, "calendarStep": {"days": -1}}), "FIELD_INVALID", "calendar_step.days"),
        ("Get", json!({"kee": 1}), "REQUEST_UNREADABLE", "kee"),
        ("Get", json!({"key": {"aisle": 1}}), "REQUEST_UNREADABLE", "key.aisle"),
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
        (path("Get"), json!([]), "REQUEST_UNREADABLE"),
        (path("Fetch"), json!({}), "NOT_OFFERED"),
        ("/none.v1.Service/Get".to_owned(), json!({}), "NOT_OFFERED"),
        ("/none".to_owned(), json!({}), "NOT_OFFERED"),
        ("/murmur.v1.QueryService/Query".to_owned(), json!({"pipeline": "none"}), "PIPELINE_UNKNOWN"),
        ("/grpc.health.v1.Health/Check".to_owned(), json!({"service": "none.v1.Service"}), "SERVICE_UNKNOWN"),
        ("/grpc.health.v1.Health/Check".to_owned(), json!({"service": 5}), "FIELD_INVALID"),
    ] {
        let error = post(&world, &path, request).await.json();
        assert_eq!(details(&error).0, reason, "{path}");
    }
    let large = vec![b' '; (1 << 20) + 1];
    let error = send(&world, "POST", &path("Get"), super::http::JSON, large).await.json();
    assert_eq!(details(&error).0, "REQUEST_TOO_LARGE");
}

#[tokio::test]
async fn what_nothing_is_at_is_not_offered_by_every_protocol() {
    let world = World::new();
    for kind in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
        for path in [path("Fetch"), "/none.v1.Service/Get".to_owned(), "/none".to_owned()] {
            let reply = send(&world, "POST", &path, &[("content-type", kind)], frame(0, b"").to_vec()).await;
            let status = tonic::Status::from_header_map(&reply.headers).unwrap();
            assert_eq!(status.code(), tonic::Code::Unimplemented);
            assert_eq!(status.get_details_error_info().unwrap().reason, "NOT_OFFERED", "{kind} {path}");
        }
    }
}

/// As Connect's conformance suite wants it.
#[tokio::test]
async fn a_port_without_pipelines_adds_nothing_to_what_it_says_of_a_path_that_nothing_is_at() {
    let router = Server::builder().build(Drain::never()).unwrap().0;
    let error = super::http::post_to(router, "/none.v1.Service/Get", json!({})).await.json();
    assert_eq!((&error["code"], error.get("details")), (&json!("unimplemented"), None));
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

/// What an error says to a program, by whatever protocol it came.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) reason: String,
    pub(super) retry: Option<Duration>,
    /// Whose quota.
    pub(super) quota: Option<String>,
}

impl Said {
    /// Of an error that came instead of a reply, or of the first one of a stream.
    fn by(kind: &str, reply: &Reply) -> Self {
        if kind.starts_with("application/grpc") {
            return Self::of(&tonic::Status::from_header_map(&reply.headers).unwrap());
        }
        let (error, ends) = match kind.contains("connect+") {
            // Of a stream, the error stands in the frame that ends it.
            true => (serde_json::from_slice::<Value>(&reply.body[5..]).unwrap()["error"].clone(), reply.body[0] == 2),
            false => (reply.json(), reply.headers["content-type"] == "application/json"),
        };
        assert!(ends, "{kind}: {error}");
        Self::of_json(&error)
    }

    /// Of a status by gRPC.
    pub(super) fn of(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        Self {
            reason: details.error_info().unwrap().reason.clone(),
            retry: details.retry_info().map(|retry| retry.retry_delay.unwrap()),
            quota: details.quota_failure().map(|quota| quota.violations[0].subject.clone()),
        }
    }

    /// Of an error by Connect.
    pub(super) fn of_json(error: &Value) -> Self {
        // The bytes and what is written for people say the same.
        let details = error["details"].as_array().unwrap().clone();
        let of = |name: &str| {
            let detail = details.iter().find(|detail| detail["type"] == name)?;
            let bytes = STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap();
            Some((bytes, detail["debug"].clone()))
        };
        let (bytes, debug) = of("google.rpc.ErrorInfo").unwrap();
        let reason = pb::ErrorInfo::decode(&*bytes).unwrap().reason;
        assert_eq!(debug["reason"], reason);
        let retry = of("google.rpc.RetryInfo").map(|(bytes, debug)| {
            let delay = Duration::try_from(pb::RetryInfo::decode(&*bytes).unwrap().retry_delay.unwrap()).unwrap();
            assert_eq!(debug["retryDelay"], format!("{}s", delay.as_secs_f64()));
            delay
        });
        let quota = of("google.rpc.QuotaFailure").map(|(bytes, debug)| {
            let violation = pb::QuotaFailure::decode(&*bytes).unwrap().violations.remove(0);
            assert_eq!(debug["violations"][0], json!({"subject": violation.subject, "description": error["message"]}));
            assert_eq!(violation.description, error["message"]);
            violation.subject
        });
        Self { reason, retry, quota }
    }
}

/// All ways to call a method with one reply, and one with many.
pub(super) const UNARY: [&str; 8] = [
    "application/grpc",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/grpc-web-text+json",
    "application/json",
    "application/proto",
];
const STREAMS: [&str; 8] = [
    "application/grpc",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/grpc-web-text+json",
    "application/connect+json",
    "application/connect+proto",
];

/// Ask about the tea in one of these ways.
async fn ask(router: Router, method: &str, kind: &str) -> Reply {
    let message = match kind.ends_with("json") {
        true => json!({"key": {"shop": "7", "sku": "tea", "shelf": -2}}).to_string().into_bytes(),
        false => GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec(),
    };
    let body = match kind {
        "application/json" | "application/proto" => message,
        kind if kind.contains("-text") => STANDARD.encode(frame(0, &message)).into_bytes(),
        _ => frame(0, &message).to_vec(),
    };
    let request = ::http::Request::post(path(method)).header("content-type", kind);
    answer(router, request.header("authorization", "Bearer all"), body).await
}

#[tokio::test]
async fn who_calls_too_often_is_told_whose_quota_it_was_and_when_to_call_again_by_every_protocol() {
    let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
    let methods = UNARY.map(|kind| ("Get", kind)).into_iter().chain(STREAMS.map(|kind| ("Watch", kind)));
    for (method, kind) in methods {
        let access = Access::by(Named).at_most(rate);
        let router = World::new().builder().access(access).build(Drain::never()).unwrap().0;
        // Whoever is slow enough is answered again.
        let refused = loop {
            ask(router.clone(), "Get", "application/json").await;
            let reply = ask(router.clone(), method, kind).await;
            let is_refused = reply.status == 429
                || reply.headers.get("grpc-status").is_some_and(|status| status == "8")
                || reply.body.first() == Some(&2);
            if is_refused {
                break reply;
            }
        };
        let Said { reason, retry, quota } = Said::by(kind, &refused);
        assert_eq!((reason.as_str(), quota.as_deref()), ("RATE_EXCEEDED", Some("all")), "{method} {kind}");
        let retry = retry.unwrap();
        assert!(retry > Duration::ZERO && retry <= Duration::from_secs(1), "{method} {kind}: {retry:?}");
        if refused.status == 429 {
            assert_eq!(refused.headers["retry-after"], "1", "{kind}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_away_and_a_full_server_say_whether_to_call_again_by_every_protocol() {
    let world = World::new();
    world.moody.mood.send_replace(Mood::Down);
    for kind in UNARY {
        let said = Said::by(kind, &ask(world.router(), "Get", kind).await);
        let retry = Some(Duration::from_secs(1));
        assert_eq!(said, Said { reason: "STORE_UNAVAILABLE".into(), retry, quota: None }, "{kind}");
    }
    for kind in STREAMS {
        let router = world.builder().max_watched(0).build(Drain::never()).unwrap().0;
        let Said { reason, retry, quota } = Said::by(kind, &ask(router, "Watch", kind).await);
        assert_eq!((reason.as_str(), retry), ("WATCHED_EXHAUSTED", None), "{kind}");
        assert!(quota.is_some(), "{kind}");
    }
}

#[tokio::test]
async fn a_key_of_1024_bytes_is_asked_about_and_one_byte_more_is_refused_by_its_field() {
    let world = World::new();
    let ask = async |bytes: usize| {
        let id = "x".repeat(bytes - "=".len());
        let key = json!({"id": id});
        [
            post(&world, &format!("/{NOTES}/Get"), json!({"key": key})).await,
            post(&world, &format!("/{NOTES}/GetMany"), json!({"keys": [{"id": "a"}, key]})).await,
            post(&world, "/murmur.v1.QueryService/Query", json!({"pipeline": "notes", "key": [id]})).await,
        ]
    };
    for reply in ask(1_024).await {
        assert_eq!(reply.status, 200, "{}", reply.json());
    }
    for (reply, field) in ask(1_025).await.into_iter().zip(["key", "keys[1]", "key"]) {
        let error = reply.json();
        let (reason, others) = details(&error);
        assert_eq!((reply.status, reason.as_str()), (400, "FIELD_INVALID"));
        let violation = &others[0].1["fieldViolations"][0];
        assert_eq!(violation["field"], field);
        let description = format!("`{field}`: the key has 1025 bytes; at most 1024 are possible");
        assert_eq!(violation["description"], description);
    }
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

#[tokio::test]
async fn what_the_build_step_made_says_whose_clients_are_answered() {
    let served: &[(&str, &[&str])] = &[(STOCK, &["aaaaaaaaaaaaaaaa"])];
    let made = Contracts { descriptor: DESCRIPTOR.as_slice(), revision: 1, served, ..Contracts::default() };
    let builder = Server::builder().pipeline(World::new().stock()).contracts(made);
    let router = builder.build(Drain::never()).unwrap().0;
    for (said, status) in [(None, 200), (Some("1-aaaaaaaaaaaaaaaa"), 200), (Some("1-bbbbbbbbbbbbbbbb"), 400)] {
        let mut request = ::http::Request::post(path("Get")).header("content-type", "application/json");
        if let Some(said) = said {
            request = request.header("murmur-contract", said);
        }
        let reply = super::http::answer(router.clone(), request, r#"{"key": {"shop": 7}}"#).await;
        assert_eq!(reply.status, status, "{said:?}");
    }
}

/// Stock, as somebody else has defined it.
struct Elsewhere;

impl Pipeline for Elsewhere {
    type Event = Nothing;
    type Key = StockKey;
    type Aggregate = Count;
    const SPEC: Spec = Stock::SPEC;
    const CONTRACT: Option<&'static str> = Some("1-bbbbbbbbbbbbbbbb");

    fn apply(_: &Nothing, _: &mut Emissions<Count>) {}
}

#[tokio::test]
async fn the_typed_client_says_its_contract_with_calls_and_streams() {
    let world = World::new();
    let of_another = Some(ErrorKind::InvalidArgument);
    for (served, kind) in [(&["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"][..], None), (&["aaaaaaaaaaaaaaaa"], of_another)] {
        let server = Running::start(world.builder().contract(STOCK, 1, served)).await;
        let client = server.client::<Elsewhere>().await;
        assert_eq!(client.get(stock(7, "tea", -2)).await.err().map(|error| error.kind()), kind);
        assert_eq!(client.watch(stock(7, "tea", -2), None).await.err().map(|error| error.kind()), kind);
        // Who says nothing is answered.
        server.client::<Stock>().await.get(stock(7, "tea", -2)).await.unwrap();
    }
}

/// Replies with what is no message.
struct Garbled;

impl Rpc for Garbled {
    fn name(&self) -> &str {
        STOCK
    }

    fn methods(&self) -> &[Method] {
        const METHODS: &[Method] = &[Method::unary("Get"), Method::streaming("Watch")];
        METHODS
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Nothing
    }

    fn explain(&self, status: tonic::Status) -> tonic::Status {
        explained(status)
    }

    fn unary(&self, _: usize, _: Call) -> BoxFuture<'_, Result<rpc::Reply, tonic::Status>> {
        std::future::ready(Ok(rpc::Reply { message: Framed::of(&[0xff]), ..rpc::Reply::default() })).boxed()
    }

    fn stream(&self, _: usize, _: Call) -> BoxFuture<'_, Result<Replies, tonic::Status>> {
        let parts = stream::once(async { Ok(Part::Message(vec![0xff].into())) }).boxed();
        std::future::ready(Ok(Replies { headers: ::http::HeaderMap::new(), parts })).boxed()
    }
}

#[tokio::test]
async fn a_reply_that_cannot_be_written_in_json_is_an_error_with_its_reason_in_every_protocol() {
    let terms = Terms { transcoder: Some(Transcoder::new([&**DESCRIPTOR].into_iter()).unwrap()), ..Terms::alone() };
    let rpc = Served::new(Arc::new(Garbled));
    for (method, kind, framed) in [
        ("Get", "application/json", false),
        ("Watch", "application/connect+json", true),
        ("Get", "application/grpc-web+json", true),
        ("Watch", "application/grpc-web+json", true),
        ("Get", "application/grpc+json", true),
        ("Watch", "application/grpc+json", true),
    ] {
        let body = if framed { frame(0, b"{}") } else { "{}".into() };
        let body = tonic::body::Body::new(http_body_util::Full::new(body));
        let request = ::http::Request::post(path(method)).header("content-type", kind).body(body).unwrap();
        let response = match native::Kind::of(request.headers()) {
            Some(kind) => native::answer(&rpc, method, kind.unwrap(), request, &terms).await,
            None => connect::answer(&rpc, method, request, &terms).await,
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let status = match text.split_once("grpc-status-details-bin: ") {
            Some((_, details)) => {
                let details = details.split("\r\n").next().unwrap().parse().unwrap();
                let named = [("grpc-status", "13".parse().unwrap()), ("grpc-status-details-bin", details)];
                named.map(|(name, value)| (name.parse().unwrap(), value)).into_iter().collect()
            }
            // Nothing was sent before it.
            None if head.headers.contains_key("grpc-status") => head.headers,
            None => trailers,
        };
        let by_grpc = tonic::Status::from_header_map(&status).and_then(|status| status.get_details_error_info());
        let by_connect = || text.contains(r#""reason":"INTERNAL""#);
        assert!(by_grpc.map_or_else(by_connect, |info| info.reason == "INTERNAL"), "{kind} {method}: {text}");
        assert!(!text.contains("invalid"), "{text}");
    }
}

#[tokio::test]
async fn a_message_that_is_compressed_by_nothing_is_said_to_be_so() {
    let world = World::new();
    let message = frame(1, &GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec()).to_vec();
    for kind in ["application/grpc", "application/grpc-web"] {
        let reply = send(&world, "POST", &path("Get"), &[("content-type", kind)], message.clone()).await;
        let status = tonic::Status::from_header_map(&reply.headers).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert_eq!(status.get_details_error_info().unwrap().reason, "COMPRESSION_UNNAMED");
    }
    let kind = [("content-type", "application/connect+proto")];
    let reply = send(&world, "POST", &path("Watch"), &kind, message).await;
    let end: Value = serde_json::from_slice(&reply.body[5..]).unwrap();
    assert_eq!((&end["error"]["code"], details(&end["error"]).0.as_str()), (&json!("internal"), "COMPRESSION_UNNAMED"));
}
