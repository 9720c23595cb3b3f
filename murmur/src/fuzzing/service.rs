//! Requests to the typed services and to those beside them, in every protocol, as far as they are in this process.
//!
//! ```text
//! 1 byte   the path, a place in [`PATHS`]
//! 1 byte   the protocol, a place in [`KINDS`], and in the upper four bits how it is compressed, a place in [`ENCODINGS`]
//! n bytes  the body, or the query
//! ```

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tower::Service;

use super::keys::PlaceKey;
use super::must;
use super::schema::DESCRIPTORS;
use crate::aggregate::{Column, Count, Frequency, Monoid, Number, envelope};
use crate::engine::Clock;
use crate::event::Event;
use crate::grpc::{InProcess, Server};
use crate::key::{Key, KeyBuf};
use crate::pipeline::{Emissions, Pipeline, Spec};
use crate::query::Reader;
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, MemoryStore, Store, Table, TileId, Write};
use crate::time::{Span, Tiling, Timestamp, Window};

/// Nothing is applied: there is one tile of each pipeline.
struct Nothing;

impl Event for Nothing {
    const NAME: &'static str = "Nothing";
    const FIELDS: &'static [&'static str] = &[];

    fn time(&self) -> Option<Timestamp> {
        None
    }
}

/// Up to two days, by the hour.
const TWO_DAYS: Window = Window::Sliding { span: Span::from_seconds(2 * 86_400), slot: Span::from_seconds(3_600) };

/// Counts, over up to two days.
struct Places;

impl Pipeline for Places {
    type Event = Nothing;
    type Key = PlaceKey;
    type Aggregate = Count;
    const SPEC: Spec = Spec {
        name: "places",
        package: "shop.v1",
        service: "PlacesService",
        about: "Places.",
        window: TWO_DAYS,
        fingerprint: 0,
    };

    fn apply(_: &Nothing, _: &mut Emissions<Count>) {}
}

/// How often each thing was bought, for those that a request asks for; over up to two days.
struct Tastes;

impl Pipeline for Tastes {
    type Event = Nothing;
    type Key = PlaceKey;
    type Aggregate = Frequency;
    const SPEC: Spec = Spec {
        name: "tastes",
        package: "shop.v1",
        service: "TastesService",
        about: "Tastes.",
        window: TWO_DAYS,
        fingerprint: 0,
    };

    fn apply(_: &Nothing, _: &mut Emissions<Frequency>) {}
}

/// It is always the same time.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_778_932_800)
    }
}

const PATHS: [&str; 18] = [
    "/shop.v1.PlacesService/Get",
    "/shop.v1.PlacesService/GetMany",
    "/shop.v1.PlacesService/GetWindow",
    "/shop.v1.PlacesService/GetWindowMany",
    "/shop.v1.PlacesService/GetRange",
    "/shop.v1.PlacesService/GetRangeMany",
    "/shop.v1.PlacesService/Series",
    "/shop.v1.PlacesService/Watch",
    "/murmur.v1.QueryService/ListPipelines",
    "/murmur.v1.QueryService/Query",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/",
    "/shop.v1.PlacesService/CombineSets",
    "/shop.v1.PlacesService/WatchMany",
    "/shop.v1.TastesService/GetMany",
    "/shop.v1.TastesService/Series",
    "/shop.v1.TastesService/WatchMany",
];

/// Nothing is a `GET` by Connect.
const KINDS: [&str; 10] = [
    "application/json",
    "application/proto",
    "application/connect+json",
    "application/connect+proto",
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "",
    "application/grpc+json",
    "application/grpc-web-text+json",
];

const ENCODINGS: [&str; 4] = ["", "gzip", "zstd", "br"];

/// The services, and what runs them.
pub(super) struct World {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) services: InProcess,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = must(runtime, "a runtime");
        let store = Arc::new(MemoryStore::new());
        runtime.block_on(fill(&*store));
        let places = Reader::<Places>::new(store.clone(), 1).clock(Arc::new(Noon));
        let tastes = Reader::<Tastes>::new(store, 1).clock(Arc::new(Noon));
        let services = Server::builder().pipeline(places).pipeline(tastes).descriptor(DESCRIPTORS).in_process();
        Self { runtime, services: must(services, "the services") }
    }
}

/// Three events of one key, an hour ago.
async fn fill(store: &dyn Store) {
    let mut buffer = KeyBuf::default();
    let place = must(Key::encode(&PlaceKey { shop: 1, sku: "tea".into(), shelf: 0 }, &mut buffer), "a key");
    let key: Arc<str> = buffer.slice(place).into();
    let (first, last) = (Offset::ZERO, Offset::ZERO);
    let at = |tiling: Tiling| tiling.locate(Noon.now().saturating_sub(Span::from_seconds(3_600)));
    let (tile, slot) = at(Places::tiling());
    let count = Write::Add {
        id: TileId { key: key.clone(), tile, part: None },
        numbers: vec![((slot, Column { field: 0, part: 0 }), Number::Int(3))],
        applied: vec![Applied { partition: PartitionId::new("p"), first, last }],
        expires: None,
    };
    let mut bought = Frequency::of("mint");
    ["mint", "fennel"].into_iter().for_each(|tea| bought.combine(Frequency::of(tea)));
    let (tile, slot) = at(Tastes::tiling());
    let values = vec![(slot, envelope::seal(&bought).into())];
    let id = TileId { key, tile, part: Some(PartitionId::new("p")) };
    let taste = Write::Put { id, values, first, last, expires: None };
    for (table, write) in [("places", count), ("tastes", taste)] {
        for outcome in store.write(&Table::new(table, 1), write.into()).await {
            must(outcome, "a tile");
        }
    }
}

thread_local! {
    pub(super) static WORLD: World = World::new();
}

pub(super) fn call(bytes: &[u8]) {
    let Some((&[path, kind], body)) = bytes.split_first_chunk() else { return };
    let path = PATHS[usize::from(path) % PATHS.len()];
    let (kind, encoding) = (usize::from(kind % 16) % KINDS.len(), usize::from(kind / 16) % ENCODINGS.len());
    let mut request = Request::builder().version(Version::HTTP_2);
    for name in ["content-encoding", "grpc-encoding", "connect-content-encoding"] {
        if encoding > 0 {
            request = request.header(name, ENCODINGS[encoding]);
        }
    }
    for name in ["accept-encoding", "grpc-accept-encoding", "connect-accept-encoding"] {
        request = request.header(name, ENCODINGS[encoding]);
    }
    let request = match KINDS[kind] {
        "" => {
            let Ok(query) = std::str::from_utf8(body) else { return };
            request.uri(format!("{path}?{query}")).body(Body::empty())
        }
        kind => {
            let body = Body::new(Full::new(Bytes::copy_from_slice(body)));
            request.method(Method::POST).uri(path).header("content-type", kind).body(body)
        }
    };
    let ours = !path.starts_with("/grpc.");
    // What is no query of a URI does not come as far as this.
    let Ok(request) = request else { return };
    WORLD.with(|world| {
        let mut services = world.services.clone();
        world.runtime.block_on(async move {
            let answered: Result<_, Infallible> = services.call(request).await;
            let Ok(response) = answered;
            check(response, ours).await;
        });
    });
}

/// No request is our fault, and every answer can be read. The services that are not `ours` have statuses of their own: to those
/// of tonic a message that does not decode is `INTERNAL`.
async fn check(response: Response<Body>, ours: bool) {
    let check_status = |headers: &HeaderMap| {
        // gRPC wants it to be our fault that a message is compressed by nothing.
        let by_nothing = headers.get("grpc-message").is_some_and(|said| said.as_bytes().ends_with(b"by%20what"));
        let status = headers.get("grpc-status").filter(|_| ours && !by_nothing);
        // What gRPC calls `INTERNAL` and `UNKNOWN`.
        assert!(status.is_none_or(|status| status != "13" && status != "2"), "{headers:?}");
    };
    let (head, mut body) = response.into_parts();
    assert!(!ours || head.status != StatusCode::INTERNAL_SERVER_ERROR, "{head:?}");
    check_status(&head.headers);
    // A stream may have no end; its first frames show how requests are read.
    for _ in 0..3 {
        match tokio::time::timeout(Duration::from_millis(1), body.frame()).await {
            Ok(Some(Ok(frame))) => drop(frame.trailers_ref().map(check_status)),
            Ok(Some(Err(status))) => assert!(!ours, "the body ended in {status}"),
            Ok(None) | Err(_) => return,
        }
    }
}

/// What a call with a body asks, of what kind, and with what.
pub(super) fn path_and_kind(bytes: &[u8]) -> Option<(&'static str, &'static str, &[u8])> {
    let (&[path, kind], body) = bytes.split_first_chunk()?;
    let kind = KINDS[usize::from(kind % 16) % KINDS.len()];
    (!kind.is_empty()).then_some((PATHS[usize::from(path) % PATHS.len()], kind, body))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    must(encoder.write_all(bytes).and_then(|()| encoder.finish()), "gzip")
}

pub(super) fn calls() -> Vec<Vec<u8>> {
    let framed = |message: &[u8]| [&[0], (message.len() as u32).to_be_bytes().as_slice(), message].concat();
    let key = r#""shop":"1","sku":"tea""#;
    let question = r#"{"quantiles":[0.5],"ranks":["-Infinity"],"texts":["a"],"integers":["7"]}"#;
    let texts = [
        (0, format!(r#"{{"key":{{{key}}}}}"#)),
        (1, format!(r#"{{"keys":[{{{key}}},{{"shelf":"-1"}}],"options":{{"strong":true}}}}"#)),
        (2, format!(r#"{{"key":{{{key}}},"window":"86400s","end":"2026-05-16T12:00:00Z"}}"#)),
        (3, format!(r#"{{"keys":[{{{key}}}],"window":"7200.5s"}}"#)),
        (4, format!(r#"{{"key":{{{key}}},"start":"2026-05-16T10:00:00Z","end":"2026-05-16T12:00:00Z"}}"#)),
        (5, format!(r#"{{"keys":[{{{key}}}],"start":"2026-05-15T10:00:00Z","end":"2026-05-16T12:00:00Z"}}"#)),
        (6, format!(r#"{{"key":{{{key}}},"start":"2026-05-16T01:00:00Z","step":"7200s"}}"#)),
        (2, format!(r#"{{"key":{{{key}}},"calendar":{{"weeks":1,"zone":"Europe/Berlin","whole":true}}}}"#)),
        (3, format!(r#"{{"keys":[{{{key}}}],"calendar":{{"months":2}},"options":{{"question":{question}}}}}"#)),
        (6, format!(r#"{{"key":{{{key}}},"calendar":{{"days":2,"zone":"Asia/Tokyo"}},"calendarStep":{{"days":1}}}}"#)),
        (
            13,
            format!(
                r#"{{"sets":[{{"key":{{{key}}},"window":"7200s"}},{{"key":{{{key}}},"calendar":{{"days":1}}}}],"operation":"SET_OPERATION_INTERSECTION"}}"#
            ),
        ),
        (
            15,
            format!(
                r#"{{"keys":[{{{key}}},{{}}],"options":{{"question":{{"texts":["mint","","none"],"integers":[1]}}}}}}"#
            ),
        ),
        (
            16,
            format!(
                r#"{{"key":{{{key}}},"start":"2026-05-16T01:00:00Z","options":{{"question":{{"texts":["mint"]}}}}}}"#
            ),
        ),
        (8, String::new()),
        (9, r#"{"pipeline":"places","key":["1","tea","shelf=0"],"window":"3600s"}"#.to_owned()),
        (9, r#"{"pipeline":"places","key":["1","tea"],"calendar":{"days":1,"zone":"UTC"}}"#.to_owned()),
    ];
    let mut calls: Vec<Vec<u8>> = texts.iter().map(|(path, text)| [&[*path, 0], text.as_bytes()].concat()).collect();
    // GetWindow: the key { shop: 1, sku: "tea" } and a window of 3,600 s.
    let message = b"\x0a\x07\x08\x01\x12\x03tea\x12\x03\x08\x90\x1c";
    for (kind, body) in [(1, message.to_vec()), (4, framed(message)), (5, framed(message))] {
        calls.push([&[2, kind], body.as_slice()].concat());
    }
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, framed(message));
    calls.push([b"\x02\x06", text.as_bytes()].concat());
    calls.push([b"\x07\x02", framed(texts[0].1.as_bytes()).as_slice()].concat());
    calls.push([b"\x07\x03", framed(b"\x0a\x07\x08\x01\x12\x03tea").as_slice()].concat());
    calls.push([b"\x11\x03", framed(b"\x0a\x07\x08\x01\x12\x03tea\x1a\x08\x12\x06\x1a\x04mint").as_slice()].concat());
    calls.push([b"\x0e\x03", framed(b"\x0a\x07\x08\x01\x12\x03tea\x22\x09\x0112345678").as_slice()].concat());
    calls.push(b"\x00\x07encoding=json&message=%7B%22key%22:%7B%7D%7D&connect=v1".to_vec());
    calls.push(b"\x00\x07encoding=proto&base64=1&message=CgcIARIDdGVh".to_vec());
    // A message that says it is compressed, by nothing.
    calls.push(b"\x00\x04\x01\x00\x00\x00\x00".to_vec());
    for (encoding, compressed) in
        [(1, gzip(texts[0].1.as_bytes())), (2, must(zstd::bulk::compress(message, 1), "zstd"))]
    {
        let kind = if encoding == 1 { 0 } else { 1 };
        calls.push([&[if encoding == 1 { 0 } else { 2 }, encoding << 4 | kind], compressed.as_slice()].concat());
        let mut framed = framed(&compressed);
        framed[0] = 1;
        calls.push([&[0, encoding << 4 | 8], framed.as_slice()].concat());
    }
    calls.push([b"\x0a\x04", framed(b"").as_slice()].concat());
    calls.push([b"\x0b\x04", framed(b"\x3a\x00").as_slice()].concat());
    calls
}
