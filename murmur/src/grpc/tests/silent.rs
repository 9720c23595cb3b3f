//! What errors and logs do not say: keys, payloads, and what a caller shows of itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};
use tonic_types::StatusExt;

use super::access::Named;
use super::http::{Reply, answer, path, send};
use super::*;
use crate::aggregate::Map;
use crate::codegen::NoEvent;
use crate::grpc::access::Access;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;
use crate::key::Mark;
use crate::metrics::tests::lines::Lines;

/// A key, or part of one, of a value, or of what a caller shows.
const SECRET: &str = "hunter2";

/// What a reply says of an error, by whatever protocol: its text, and its details as bytes and as they are written for people.
fn said(reply: &Reply) -> String {
    let grpc = tonic::Status::from_header_map(&reply.headers).map(|status| {
        let details = format!("{:?}", status.get_error_details());
        format!("{} {details} {}", status.message(), String::from_utf8_lossy(status.details()))
    });
    let body = String::from_utf8_lossy(&reply.body);
    // Connect has the bytes of details in base64.
    let values = body.split(r#""value":""#).skip(1).filter_map(|rest| rest.split('"').next());
    let decoded = values.filter_map(|value| base64::engine::general_purpose::STANDARD_NO_PAD.decode(value).ok());
    let decoded: Vec<_> = decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    format!("{} {body} {} {:?}", grpc.unwrap_or_default(), decoded.concat(), reply.headers)
}

/// An error, which says so much and nothing of the secret.
#[track_caller]
fn assert_silent(reply: &Reply, words: &str) {
    let said = said(reply);
    assert!(!said.contains(SECRET), "{words}: {said}");
    assert!(said.contains(words), "`{words}` is not in: {said}");
}

/// A text of a key that is too long.
fn too_long() -> String {
    SECRET.repeat(200)
}

#[tokio::test]
async fn what_cannot_be_read_of_a_request_is_not_said_again() {
    let (world, lines) = (World::new(), Lines::keep());
    let json = async |path: &str, body: String| send(&world, "POST", path, super::http::JSON, body).await;
    let tea = json!({"shop": 7, "sku": SECRET, "shelf": -2});
    // Of a value, where it stands and what its field takes.
    for (body, words) in [
        (json!({"key": {"shop": SECRET}}), "`key.shop` takes a whole number from 0 to"),
        (json!({"key": {"shop": 7, "sku": [SECRET]}}), "`key.sku` takes a text"),
        (json!({"key": SECRET}), "none at line 1 column"),
        (json!({"key": {"shop": -4_111}}), "`key.shop` takes a whole number"),
        (json!({"key": tea, "options": {"edges": SECRET}}), "`options.edges` takes one of `EDGES_UNSPECIFIED`"),
        (json!({"key": {"shop": 7, "sku": too_long()}}), "`key`: the key has 1"),
        (json!({"key": tea, "options": {"question": {"texts": [too_long()]}}}), "`texts` has one of 1400 bytes"),
    ] {
        let reply = json(&path("Get"), body.to_string()).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_silent(&reply, words);
    }
    for (method, body, words) in [
        ("GetMany", json!({"keys": [tea, {"sku": too_long()}]}), "`keys[1]`: the key has 1"),
        ("GetWindow", json!({"key": tea, "window": SECRET}), "`window` takes a length of time"),
        ("GetRange", json!({"key": tea, "start": SECRET}), "`start` takes a time"),
        ("Series", json!({"key": tea, "start": "2026-02-28T00:00:00Z", "step": "7s"}), "is not a multiple of the slot"),
        ("CombineSets", json!({"sets": [{"key": tea}], "operation": SECRET}), "`operation` takes one of"),
        ("CombineSets", json!({"sets": [{"key": {"sku": 5, "shop": SECRET}}]}), "`sets[0].key.s"),
    ] {
        assert_silent(&json(&path(method), body.to_string()).await, words);
    }
    assert_silent(&json(&path("Get"), format!(r#"{{"key": {{"sku": "{SECRET}" "#)).await, "EOF while parsing");
    let twice = format!(r#"{{"key": {{"sku": "{SECRET}", "shop": 7, "sku": "{SECRET}"}}}}"#);
    assert_silent(&json(&path("Get"), twice).await, "`key.sku` is given twice at line 1 column");
    let message = format!("{}?encoding=json&base64=1&message={SECRET}*", path("Get"));
    assert_silent(&send(&world, "GET", &message, &[], "").await, "not URL-safe base64");

    // As a person types it, to the generic service.
    for (key, words) in [
        (json!([SECRET, "tea", "0"]), "`shop` is not a whole number from 0 to"),
        (json!(["7", "tea", "0", SECRET]), "there is a value too many"),
        (json!([format!("shelf={SECRET}")]), "`shelf` is not a whole number from -"),
        (json!([format!("sku={SECRET}"), format!("sku={SECRET}")]), "`sku` is given twice"),
    ] {
        let reply = json("/murmur.v1.QueryService/Query", json!({"pipeline": "stock", "key": key}).to_string()).await;
        assert_eq!(reply.status, 400);
        assert_silent(&reply, words);
    }

    // Messages of protobuf: a text that is none, and what is no message at all.
    let key = [&[0x12, 8], SECRET.as_bytes(), &[0xff]].concat();
    for message in [[&[0x0a, key.len() as u8], &key[..]].concat(), SECRET.as_bytes().to_vec()] {
        for kind in ["application/grpc", "application/grpc-web", "application/grpc-web-text", "application/proto"] {
            let body = match kind {
                "application/proto" => message.clone(),
                "application/grpc-web-text" => STANDARD.encode(frame(0, &message)).into_bytes(),
                _ => frame(0, &message).to_vec(),
            };
            let reply = send(&world, "POST", &path("Get"), &[("content-type", kind)], body).await;
            assert_silent(&reply, "failed to decode Protobuf message");
        }
    }
    assert!(!lines.text().contains(SECRET), "{}", lines.text());
}

/// A caller gets its own slip of the pen back, and no more: what it sends may be shown to a person, by a terminal or a page.
#[tokio::test]
async fn names_that_there_are_not_are_said_again_in_short_and_with_nothing_that_is_not_to_be_seen() {
    let world = World::new();
    let long = format!("\u{1b}[31m\u{202e}\n{}", "x".repeat(100_000));
    let body = json!({"key": {&*long: 1}});
    let unknown = json!({"pipeline": long, "key": []});
    for (path, body, says) in [
        (path("Get"), body, "`StockKey` has no field `"),
        ("/murmur.v1.QueryService/Query".to_owned(), unknown, "there is no pipeline `"),
    ] {
        let error = send(&world, "POST", &path, super::http::JSON, body.to_string()).await.json();
        let message = error["message"].as_str().unwrap();
        let name = format!(r"{says}\u{{1b}}[31m\u{{202e}}\n{}..`", "x".repeat(64 - 7));
        assert!(message.contains(&name), "{message}");
        assert!(message.contains("has `") || message.contains("it has"), "{message}");
        let violation = &error["details"][1]["debug"]["fieldViolations"][0];
        assert!(violation["field"].as_str().unwrap().len() < 120 && error.to_string().len() < 4_000, "{error}");
    }
    let long = "x".repeat(5_000);
    for path in [format!("/{long}"), format!("/{long}/Get"), path(&long)] {
        let error = send(&world, "POST", &path, super::http::JSON, "{}").await.json();
        let message = error["message"].as_str().unwrap();
        assert!(message.len() < 400 && message.contains("xxx.."), "{message}");
    }
}

#[tokio::test]
async fn an_error_about_a_value_names_its_key_by_its_mark() {
    let (world, lines) = (World::new(), Lines::keep());
    let key = stock(7, SECRET, 0);
    world.count(&key, now(), u64::MAX).await;
    world.count(&key, hours_ago(1), u64::MAX).await;
    let mark = Mark::of(&*text_of(&key)).to_string();
    let asked = json!({"shop": 7, "sku": SECRET, "shelf": 0});
    let post = async |path: &str, body: Value| send(&world, "POST", path, super::http::JSON, body.to_string()).await;
    let day = json!({"key": asked, "start": "2026-03-01T00:00:00Z", "step": "86400s", "end": "2026-03-02T00:00:00Z"});
    for (path, body) in [
        (path("Get"), json!({"key": asked})),
        (path("GetWindow"), json!({"key": asked, "window": "7200s"})),
        (path("Series"), day),
        ("/murmur.v1.QueryService/Query".to_owned(), json!({"pipeline": "stock", "key": ["7", SECRET, "0"]})),
    ] {
        let reply = post(&path, body).await;
        assert_eq!(reply.status, 400, "{path}");
        assert_silent(&reply, &mark);
    }
    // Of many keys each answer has its key beside it.
    let many = post(&path("GetMany"), json!({"keys": [asked]})).await.json();
    let problem = many["entries"][0]["answer"]["problem"].as_str().unwrap();
    assert!(problem.contains("the count reached") && !problem.contains(SECRET), "{problem}");
    for kind in ["application/grpc", "application/grpc-web"] {
        let message = frame(0, &GetRequest { key: Some(key.clone()), options: None }.encode_to_vec()).to_vec();
        for method in ["Get", "Watch"] {
            let headers = [("content-type", kind), ("grpc-timeout", "10S")];
            let request = ::http::Request::post(path(method)).version(::http::Version::HTTP_2);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let body = tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from(message.clone())));
            let response = world.router().answer(request.body(body).unwrap()).await;
            let headers = response.headers().clone();
            let collected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
            // The headers where nothing was sent before it, otherwise the trailers.
            let trailers = collected.trailers().cloned().unwrap_or(headers);
            let reply = Reply { status: 200, headers: trailers, body: collected.to_bytes().to_vec() };
            let decoded = said(&reply);
            assert!(decoded.contains(&mark) && !decoded.contains(SECRET), "{kind} {method}: {decoded}");
        }
    }
    assert!(!lines.text().contains(SECRET), "{}", lines.text());
}

/// How much of what each has.
struct Shares;

impl Pipeline for Shares {
    type Event = NoEvent;
    type Key = NoteKey;
    type Aggregate = Map<String, Count, 3>;
    const SPEC: Spec = Spec { name: "shares", service: "GuestsService", ..Stock::SPEC };

    fn apply(_: &NoEvent, _: &mut Emissions<Self::Aggregate>) {}
}

#[tokio::test]
async fn a_value_in_a_map_is_named_by_the_mark_of_its_key_there() {
    let world = World::new();
    let mut shares: <Shares as Pipeline>::Aggregate = Map::of(SECRET, Count::of(u64::MAX));
    shares.combine(Map::of(SECRET, Count::of(u64::MAX)));
    let (tile, slot) = Shares::tiling().locate(now());
    let id = TileId { key: text_of(&note("a")), tile, part: Some(PartitionId::new("p")) };
    let values = vec![(slot, envelope::seal(&shares).into())];
    world.write("shares", Write::Put { id, values, first: Offset::ZERO, last: Offset::ZERO, expires: None }).await;
    let reader = Reader::<Shares>::new(world.store.clone(), 1).clock(Arc::new(Standing(now())));
    let error = reader.get(&note("a"), crate::store::Consistency::Eventual).await.unwrap_err().to_string();
    assert!(error.contains(&Mark::of(SECRET).to_string()) && !error.contains(SECRET), "{error}");
}

/// A store that is away, does not let anyone in, or does not answer in time; requests that are too large or need too much; one that
/// is not known, may not, calls too often, or has a contract of another time: none of it has to do with which key it was.
#[tokio::test(start_paused = true)]
async fn errors_that_are_not_about_a_key_do_not_name_it() {
    let lines = Lines::keep();
    let kinds = [
        ("application/grpc", "grpc-timeout", "1S"),
        ("application/grpc-web", "grpc-timeout", "1S"),
        ("application/proto", "connect-timeout-ms", "1000"),
    ];
    let request = GetRequest { key: Some(stock(7, SECRET, 0)), options: None }.encode_to_vec();
    let ask = async |router: &Router, kind: usize, more: &[(&str, &str)], filler: usize| {
        let (kind, timeout, time) = kinds[kind];
        let message = [&request[..], &vec![0; filler]].concat();
        let body = if kind == "application/proto" { message } else { frame(0, &message).to_vec() };
        let asked = ::http::Request::post(path("Get")).header("content-type", kind).header(timeout, time);
        let asked = more.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
        answer(router.clone(), asked, body).await
    };
    let world = World::new();
    for kind in 0..kinds.len() {
        for (mood, reason) in
            [(Mood::Down, "STORE_UNAVAILABLE"), (Mood::Closed, "INTERNAL"), (Mood::Hanging, "DEADLINE_PASSED")]
        {
            world.moody.mood.send_replace(mood);
            assert_silent(&ask(&world.router(), kind, &[], 0).await, reason);
        }
        assert_silent(&ask(&world.router(), kind, &[], 1 << 20).await, "REQUEST_TOO_LARGE");
        world.moody.mood.send_replace(Mood::Fine);
        let limits = crate::query::Limits { items: 0, ..crate::query::Limits::default() };
        world.count(&stock(7, SECRET, 0), hours_ago(kind as u64), 1).await;
        let limited = Server::builder().pipeline(world.stock().limits(limits)).descriptor(&DESCRIPTOR);
        assert_silent(&ask(&limited.build(Drain::never()).unwrap().0, kind, &[], 0).await, "READS_EXHAUSTED");

        let guarded = world.builder().access(Access::by(Named)).build(Drain::never()).unwrap().0;
        let (token, basic) = (format!("Bearer {SECRET}"), format!("Basic {SECRET}"));
        for (shown, reason) in [
            ("Bearer expired", "TOKEN_EXPIRED"),
            ("Bearer nobody", "CALLER_UNKNOWN"),
            (&basic, "CALLER_UNKNOWN"),
            ("Bearer later", "ACCESS_UNAVAILABLE"),
        ] {
            assert_silent(&ask(&guarded, kind, &[("authorization", shown)], 0).await, reason);
        }
        // By this test's way of knowing callers the token is a name, which may be said to its caller and is in no log.
        let forbidden = ask(&guarded, kind, &[("authorization", &token)], 0).await;
        assert!(said(&forbidden).contains("PIPELINE_FORBIDDEN"));
        let headers = [("murmur-contract", "1-bbbbbbbbbbbbbbbb")];
        let strict = world.builder().contract(STOCK, 1, &["aaaaaaaaaaaaaaaa"]).build(Drain::never()).unwrap().0;
        assert_silent(&ask(&strict, kind, &headers, 0).await, "CONTRACT_MISMATCH");
    }
    let log = lines.text();
    assert!(log.contains("a query failed") && !log.contains(SECRET), "{log}");
}
