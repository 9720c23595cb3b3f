//! Connect and JSON, by raw HTTP. gRPC-Web is in `web.rs`.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;

use super::*;
use crate::grpc::Compress;
use crate::grpc::messages::{GetRequest, ValueResponse};
use crate::grpc::protocol::frame::frame;

/// Send bytes, and read until the other side closes.
pub(in crate::grpc) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    String::from_utf8_lossy(&raw_bytes(address, request).await).into_owned()
}

/// The same, as bytes.
pub(super) async fn raw_bytes(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut response = Vec::new();
    // A server that refuses headers resets what it has not read; what came before counts.
    let _ = socket.read_to_end(&mut response).await;
    response
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: ::http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn words(&self) -> &str {
        assert_eq!(self.headers["content-type"], "text/plain; charset=utf-8");
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The code and message of an error.
    pub(super) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(self.headers["content-type"], "application/json");
        (self.status, json["code"].as_str().unwrap().into(), json["message"].as_str().unwrap().into())
    }
}

pub(super) async fn send(
    world: &World,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> Reply {
    let mut request = ::http::Request::builder().method(verb).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(world.router(), request, body).await
}

pub(super) async fn answer(router: Router, request: ::http::request::Builder, body: impl Into<Vec<u8>>) -> Reply {
    let body = Body::new(http_body_util::Full::new(bytes::Bytes::from(body.into())));
    let response = router.answer(request.version(::http::Version::HTTP_2).body(body).unwrap()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply { status, headers, body: response.into_body().collect().await.unwrap().to_bytes().to_vec() }
}

pub(super) const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

pub(super) async fn post_to(router: Router, path: &str, body: Value) -> Reply {
    let request = ::http::Request::builder().method("POST").uri(path).header("content-type", "application/json");
    answer(router, request, body.to_string()).await
}

pub(super) async fn post(world: &World, path: &str, body: Value) -> Reply {
    send(world, "POST", path, JSON, body.to_string()).await
}

pub(super) fn path(method: &str) -> String {
    format!("/{STOCK}/{method}")
}

/// Ten of a key lately, and a hundred before.
pub(super) async fn world() -> World {
    let world = World::new();
    world.count(&stock(7, "tea", -2), hours_ago(1), 10).await;
    world.count(&stock(7, "tea", -2), hours_ago(30), 100).await;
    world
}

#[tokio::test]
async fn json_answers_every_method_as_curl_would_ask() {
    let world = world().await;
    let tea = json!({"shop": "7", "sku": "tea", "shelf": -2});
    let value = async |method: &str, request: Value| post(&world, &path(method), request).await.json();
    let got = value("Get", json!({"key": tea})).await;
    assert_eq!((&got["value"], &got["present"]), (&json!("110"), &json!(true)));
    assert_eq!(got["answer"]["presence"], "PRESENCE_PRESENT");
    let window = json!({"key": tea, "window": "7200s", "options": {"strong": true}});
    assert_eq!(value("GetWindow", window).await["value"], "10");
    let range = json!({"key": tea, "start": "2026-02-28T00:00:00Z", "end": "2026-03-01T00:00:00+01:00"});
    let range = value("GetRange", range).await;
    assert_eq!(range["value"], "100");
    assert_eq!(
        (&range["answer"]["start"], &range["answer"]["startExact"]),
        (&json!("2026-02-28T00:00:00Z"), &json!(true))
    );
    let keys = json!([tea, {"shop": 1}, tea]);
    for (method, request) in [
        ("GetMany", json!({"keys": keys})),
        ("GetWindowMany", json!({"keys": keys, "window": "172800s"})),
        ("GetRangeMany", json!({"keys": keys, "start": "2026-02-28T00:00:00Z", "end": "2026-03-01T13:00:00Z"})),
    ] {
        let entries = value(method, request).await["entries"].clone();
        let values: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["value"].clone()).collect();
        assert_eq!(values, ["110", "0", "110"], "{method}");
        assert_eq!(entries[1]["answer"]["presence"], "PRESENCE_ABSENT");
        assert_eq!(entries[0]["key"], json!({"shop": "7", "sku": "tea", "shelf": "-2"}));
    }
    let series = value("Series", json!({"key": tea, "start": "2026-03-01T10:00:00Z", "step": "3600s"})).await;
    let values: Vec<_> = series["points"].as_array().unwrap().iter().map(|point| point["value"].clone()).collect();
    assert_eq!(values, ["0", "10", "0"]);
}

#[tokio::test]
async fn json_asks_something_of_estimates() {
    let world = World::new();
    world.note(&note("a"), 1, "one").await;
    let question = json!({"quantiles": [0.5], "ranks": [-3, "Infinity"], "texts": ["/"], "integers": [7]});
    let request = json!({"key": {"id": "a"}, "options": {"question": question}});
    let reply = post(&world, &format!("/{NOTES}/Get"), request).await.json();
    assert_eq!(reply["value"], "one; [0.5] [-3.0, inf] [Text(\"/\"), Integer(7)] at 2026-03-01T12:30:00Z");
    let request = json!({"key": {"id": "a"}, "options": {"question": {"quantiles": [1.5]}}});
    let (status, code, message) = post(&world, &format!("/{NOTES}/Get"), request).await.error();
    assert_eq!((status, code.as_str()), (400, "invalid_argument"));
    assert!(message.contains("`quantiles` has 1.5"), "{message}");
}

#[tokio::test]
async fn json_keeps_the_extremes_of_numbers_and_texts() {
    let world = World::new();
    let keys = [
        stock(u64::MAX, "", i64::MIN),
        stock(0, "a/b|c=d&e?f#g%20", i64::MAX),
        stock(1 << 53, "ünïcödé 漢字 🦀 \"quoted\" \\ \u{7f}", -1),
        stock((1 << 53) + 1, "\0\u{1}\n", 0),
    ];
    for (n, key) in keys.iter().enumerate() {
        world.count(key, now(), u64::MAX - 1 - n as u64).await;
    }
    let asked: Vec<Value> = keys
        .iter()
        .map(|key| json!({"shop": key.shop.to_string(), "sku": key.sku, "shelf": key.shelf.to_string()}))
        .collect();
    let entries = post(&world, &path("GetMany"), json!({"keys": asked})).await.json()["entries"].clone();
    for (n, asked) in asked.iter().enumerate() {
        assert_eq!(entries[n]["value"], (u64::MAX - 1 - n as u64).to_string());
        assert_eq!(&entries[n]["key"], asked);
    }
    for (shop, code) in [(json!("18446744073709551616"), 400), (json!(-1), 400), (json!(1.5), 400), (json!("x"), 400)] {
        assert_eq!(post(&world, &path("Get"), json!({"key": {"shop": shop}})).await.status, code, "{shop}");
    }
}

#[tokio::test]
async fn json_that_does_not_fit_is_refused_with_the_name_of_the_field() {
    let world = world().await;
    let error = async |body: &str| send(&world, "POST", &path("Get"), JSON, body).await.error();
    for (body, words) in [
        (r#"{"kye": {}}"#, "kye"),
        (r#"{"key": {"shop": 1, "aisle": 2}}"#, "aisle"),
        (r#"{"key": 7}"#, "`key` takes an object"),
        (r#"{"key": {}} trailing"#, "trailing"),
        (r#"{"key": {}"#, "EOF"),
        ("[]", "StockServiceGetRequest"),
        ("", "`key` is not set"),
        ("{}", "`key` is not set"),
        (r#"{"key": null}"#, "`key` is not set"),
    ] {
        let (status, code, message) = error(body).await;
        assert_eq!((status, code.as_str()), (400, "invalid_argument"), "{body}");
        assert!(message.contains(words), "{body}: {message}");
    }
    let request = json!({"key": {"shop": 7}, "window": "-1s"});
    let (_, _, message) = post(&world, &path("GetWindow"), request).await.error();
    assert!(message.contains("`window`: a length of time is not negative; write seconds"), "{message}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(error(&deep).await.0, 400);
    // Both spellings of a field's name are the proto3 mapping's.
    let request = json!({"key": {"shop": 7, "sku": "tea", "shelf": -2}, "options": {}});
    assert_eq!(post(&world, &path("Get"), request).await.status, 200);
}

#[tokio::test]
async fn errors_have_the_http_status_that_connect_gives_them() {
    let world = world().await;
    let tea = json!({"shop": 7, "sku": "tea", "shelf": -2});
    let error = async |method: &str, request: Value| {
        let (status, code, _) = post(&world, &path(method), request).await.error();
        (status, code)
    };
    assert_eq!(error("GetWindow", json!({"key": tea, "window": "999999s"})).await, (400, "invalid_argument".into()));
    world.count(&stock(9, "much", 0), now(), u64::MAX).await;
    assert_eq!(error("Get", json!({"key": {"shop": 9, "sku": "much"}})).await, (400, "out_of_range".into()));
    assert_eq!(error("Nothing", json!({})).await.0, 404);
    world.moody.mood.send_replace(Mood::Down);
    assert_eq!(error("Get", json!({"key": tea})).await, (503, "unavailable".into()));
    world.moody.mood.send_replace(Mood::Fine);

    let get = path("Get");
    let compressed = [JSON[0], ("content-encoding", "br")];
    assert_eq!(send(&world, "POST", &get, &compressed, "{}").await.error().0, 501);
    let broken = [JSON[0], ("content-encoding", "gzip")];
    assert_eq!(send(&world, "POST", &get, &broken, "{}").await.error().0, 400);
    let version = [JSON[0], ("connect-protocol-version", "2")];
    assert_eq!(send(&world, "POST", &get, &version, "{}").await.error().0, 400);
    let timeout = [JSON[0], ("connect-timeout-ms", "soon")];
    assert_eq!(send(&world, "POST", &get, &timeout, "{}").await.error().0, 400);
    for kind in ["text/plain", "application/connect+json", "application/jsonx"] {
        let reply = send(&world, "POST", &get, &[("content-type", kind)], "{}").await;
        assert_eq!(
            (reply.status, reply.words()),
            (415, "`Get` takes a `content-type` of application/json, application/proto")
        );
        assert_eq!(reply.headers["accept-post"], "application/json, application/proto");
    }
    assert_eq!(send(&world, "POST", &get, &[], "{}").await.status, 415);
    let reply = send(&world, "PUT", &get, JSON, "{}").await;
    assert_eq!((reply.status, reply.headers["allow"].to_str().unwrap()), (405, "GET, POST"));
    assert_eq!(reply.words(), "this can be called by GET, POST");
    assert_eq!(send(&world, "GET", &path("Watch"), &[], "").await.status, 405);
    for nowhere in ["/nothing", "/no.such.Service/Get", "/a/b/c", "//Get"] {
        assert_eq!(send(&world, "POST", nowhere, JSON, "{}").await.error().0, 404, "{nowhere}");
    }
    let charset = [("content-type", "application/json; charset=utf-8")];
    assert_eq!(send(&world, "POST", &get, &charset, json!({"key": tea}).to_string()).await.status, 200);
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_read_and_one_byte_more_is_refused() {
    let world = world().await;
    let body = |bytes: usize| {
        let request = r#"{"key": {"shop": 7}}"#;
        format!("{request}{}", " ".repeat(bytes - request.len()))
    };
    assert_eq!(send(&world, "POST", &path("Get"), JSON, body(1 << 20)).await.status, 200);
    let (status, code, _) = send(&world, "POST", &path("Get"), JSON, body((1 << 20) + 1)).await.error();
    assert_eq!((status, code.as_str()), (429, "resource_exhausted"));
}

#[tokio::test]
async fn protobuf_goes_both_ways_over_connect() {
    let world = world().await;
    let request = GetRequest { key: Some(stock(7, "tea", -2)), options: None };
    let request = prost::Message::encode_to_vec(&request);
    let value = |reply: Reply| {
        assert_eq!(reply.headers["content-type"], "application/proto");
        let response: ValueResponse<u64> = prost::Message::decode(&*reply.body).unwrap();
        response.value
    };
    let proto = [("content-type", "application/proto")];
    assert_eq!(value(send(&world, "POST", &path("Get"), &proto, request.clone()).await), 110);

    use base64::Engine;
    for engine in [base64::engine::general_purpose::URL_SAFE, base64::engine::general_purpose::URL_SAFE_NO_PAD] {
        let message = engine.encode(&request).replace('=', "%3D");
        let uri = format!("{}?connect=v1&encoding=proto&base64=1&message={message}", path("Get"));
        assert_eq!(value(send(&world, "GET", &uri, &[], "").await), 110);
    }
    let error = send(&world, "POST", &path("Get"), &proto, "\u{7f}").await.error();
    assert_eq!((error.0, error.1.as_str()), (400, "invalid_argument"));
}

#[tokio::test]
async fn a_read_is_a_get_too() {
    let world = world().await;
    let message = "%7B%22key%22%3A%7B%22shop%22%3A7%2C%22sku%22%3A%22tea%22%2C%22shelf%22%3A-2%7D%7D";
    let get = async |query: &str| send(&world, "GET", &format!("{}?{query}", path("Get")), &[], "").await;
    assert_eq!(get(&format!("connect=v1&encoding=json&message={message}")).await.json()["value"], "110");
    assert_eq!(get(&format!("encoding=json&message={message}")).await.json()["value"], "110");
    for query in [
        "",
        "encoding=json",
        "encoding=xml&message=%7B%7D",
        "encoding=json&base64=1&message=*",
        "connect=v2&encoding=json&message=%7B%7D",
    ] {
        assert_eq!(get(query).await.error().0, 400, "{query}");
    }
    assert_eq!(get("encoding=json&compression=br&message=a").await.error().0, 501);
    // A letter of Latin-1, which was once read as the key with U+FFFD in its place.
    let other = message.replace("tea", "t%E9");
    let error = get(&format!("encoding=json&message={other}")).await.error();
    assert!(error.0 == 400 && error.2.contains("the query is not UTF-8, percent-encoded"), "{error:?}");
    let twice = get(&format!("encoding=json&message={message}&message=%7B%7D")).await.error();
    assert!(twice.0 == 400 && twice.2.contains("a field twice"), "{twice:?}");
    let spaced = message.replace("tea", "t+e%20a");
    assert_eq!(get(&format!("encoding=json&message={spaced}")).await.json()["value"], "0");
}

/// Frames of a body: flags and message.
fn frames(mut body: &[u8]) -> Vec<(u8, Value)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = body.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        frames.push((head[0], serde_json::from_slice(&rest[..length]).unwrap()));
        body = &rest[length..];
    }
    frames
}

#[tokio::test]
async fn a_stream_over_connect_has_messages_and_an_end() {
    let world = world().await;
    let kind = ("content-type", "application/connect+json");
    let watch = async |headers: &[(&str, &str)], request: Value| {
        let body = frame(0, request.to_string().as_bytes()).to_vec();
        let reply = send(&world, "POST", &path("Watch"), headers, body).await;
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, kind.1));
        frames(&reply.body)
    };
    tokio::time::pause();
    let frames =
        watch(&[kind, ("connect-timeout-ms", "1500")], json!({"key": {"shop": 7, "sku": "tea", "shelf": -2}})).await;
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert_eq!((frames[0].0, &frames[0].1["value"]), (0, &json!("110")));
    assert_eq!((frames[1].0, &frames[1].1["error"]["code"]), (2, &json!("deadline_exceeded")));

    let frames = watch(&[kind], json!({})).await;
    assert_eq!((frames.len(), frames[0].0, &frames[0].1["error"]["code"]), (1, 2, &json!("invalid_argument")));
    let reply = send(&world, "POST", &path("Watch"), JSON, "{}").await;
    assert_eq!(reply.headers["accept-post"], "application/connect+json, application/connect+proto");
}

#[tokio::test]
async fn curl_asks_over_http_1_and_the_root_lists_what_there_is() {
    let world = world().await;
    let server = world.serve().await;
    let body = r#"{"key":{"shop":7,"sku":"tea","shelf":-2}}"#;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        path("Get"),
        body.len()
    );
    let reply = raw(server.address, request.as_bytes()).await;
    assert!(reply.contains(r#""value":"110""#), "{reply}");

    let listing = send(&world, "GET", "/", &[], "").await.json();
    let names: Vec<_> = listing["pipelines"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["stock", "notes"]);
    assert_eq!(listing["pipelines"][0]["key"], json!(["shop", "sku", "shelf"]));
    assert_eq!(listing["pipelines"][0]["methods"][0], "/test.v1.StockService/Get");
    assert_eq!(listing["generic"], json!(["/murmur.v1.QueryService/ListPipelines", "/murmur.v1.QueryService/Query"]));
    assert_eq!(send(&world, "POST", "/", JSON, "{}").await.status, 405);
}

#[tokio::test]
async fn the_generic_service_answers_for_every_pipeline_by_name() {
    let world = world().await;
    world.note(&note("a"), 1, "noted").await;
    let call =
        async |method: &str, request: Value| post(&world, &format!("/murmur.v1.QueryService/{method}"), request).await;
    let list = call("ListPipelines", json!({})).await.json();
    assert_eq!(
        list["pipelines"][0],
        json!({
            "name": "stock", "service": STOCK, "about": "What lies on the shelves.",
            "keyFields": ["shop", "sku", "shelf"], "valueType": "uint64"
        })
    );
    assert_eq!(list["pipelines"][1]["valueType"], "string");

    let reply = call("Query", json!({"pipeline": "stock", "key": ["7", "tea", "-2"], "window": "7200s"})).await.json();
    assert_eq!((&reply["present"], &reply["answer"]["presence"]), (&json!(true), &json!("PRESENCE_PRESENT")));
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(reply["value"].as_str().unwrap()).unwrap();
    let value: ValueResponse<u64> = prost::Message::decode(&*bytes).unwrap();
    assert_eq!(value.value, 10);

    let (status, code, message) = call("Query", json!({"pipeline": "sock", "key": []})).await.error();
    assert_eq!((status, code.as_str()), (404, "not_found"));
    assert!(message.contains("`stock`, `notes`"), "{message}");
    for (request, words) in [
        (json!({"pipeline": "stock", "key": ["x", "tea", "0"]}), "`key`"),
        (
            json!({"pipeline": "stock", "key": ["7", "tea", "0"], "window": "1s", "start": "2026-01-01T00:00:00Z"}),
            "`window`",
        ),
        (json!({"pipeline": "stock", "key": ["7", "tea", "0"], "end": "2026-01-01T00:00:00Z"}), "`end`"),
    ] {
        let (status, _, message) = call("Query", request.clone()).await.error();
        assert_eq!(status, 400);
        assert!(message.contains(words), "{request}: {message}");
    }
}

#[tokio::test]
async fn grpc_over_http_1_is_refused_in_plain_words() {
    let world = world().await;
    let server = world.serve().await;
    let request = |version: &str, kind: &str| {
        format!(
            "POST {} HTTP/{version}\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
            path("Get")
        )
    };
    for (version, kind) in
        [("1.1", "application/grpc"), ("1.1", "application/grpc+json"), ("1.0", "application/grpc+proto")]
    {
        let reply = raw(server.address, request(version, kind).as_bytes()).await;
        assert!(reply.starts_with(&format!("HTTP/{version} 505 ")), "{reply}");
        assert!(reply.contains("gRPC needs HTTP/2; over HTTP/1.1 this port speaks gRPC-Web"), "{reply}");
    }
    let reply = raw(server.address, request("1.1", "application/grpc-web").as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}

#[tokio::test]
async fn replies_are_compressed_from_the_size_on_that_was_said_or_not_at_all() {
    let world = world().await;
    let encoded = async |builder: ServerBuilder| {
        let message = r#"{"keys": [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}]}"#;
        let request = ::http::Request::post(path("GetMany")).header("content-type", "application/json");
        let router = builder.build(Drain::never()).unwrap().0;
        let reply = answer(router, request.header("accept-encoding", "gzip"), message).await;
        assert_eq!(reply.status, 200);
        (reply.headers.get("content-encoding").map(|name| name.to_str().unwrap().to_owned()), reply.body.len())
    };
    let (by, length) = encoded(world.builder().compress(Compress::Off)).await;
    assert!(by.is_none() && length > 1 << 10, "{length}");
    assert_eq!(encoded(world.builder()).await.0.as_deref(), Some("gzip"), "1 KiB by default");
    assert_eq!(encoded(world.builder().compress(Compress::From(length))).await.0.as_deref(), Some("gzip"));
    assert_eq!(encoded(world.builder().compress(Compress::From(length + 1))).await, (None, length));
}

/// By HTTP/1.1 hyper would leave the body out by itself; by HTTP/2 it sends what it is given.
#[tokio::test]
async fn head_is_answered_by_what_stands_before_the_body_of_get() {
    let world = World::new();
    for path in ["/healthz", "/readyz", "/", "/none"] {
        let (get, mut head) = (send(&world, "GET", path, &[], "").await, send(&world, "HEAD", path, &[], "").await);
        assert!(!get.body.is_empty() && head.body.is_empty(), "{path}");
        let length = head.headers.remove("content-length").unwrap();
        assert_eq!(length.to_str().unwrap(), get.body.len().to_string(), "{path}");
        assert_eq!((head.status, head.headers), (get.status, get.headers), "{path}");
    }
}
