//! gRPC-Web, in bytes and in text: the messages of a body, and the trailers behind them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};

use super::http::{path, raw_bytes, send, world};
use super::*;
use crate::grpc::messages::{GetRequest, ValueResponse, WatchResponse};
use crate::grpc::protocol::frame::frame;

/// A body of gRPC-Web.
pub(super) struct Web {
    pub(super) messages: Vec<Vec<u8>>,
    pub(super) status: Status,
}

impl Web {
    /// Of a body, in text or not, as its `content-type` says.
    pub(super) fn read(kind: &str, body: &[u8]) -> Self {
        // Pieces in text may have their padding anywhere, so each group of four is read by itself.
        let bytes = match kind.contains("-text") {
            true => body.chunks(4).flat_map(|four| STANDARD.decode(four).unwrap()).collect(),
            false => body.to_vec(),
        };
        let (mut rest, mut messages, mut trailers) = (&bytes[..], Vec::new(), None);
        while let Some((head, more)) = rest.split_first_chunk::<5>() {
            assert!(trailers.is_none(), "something stands behind the trailers");
            let [flags, length @ ..] = *head;
            let (content, more) = more.split_at(u32::from_be_bytes(length) as usize);
            match flags {
                0 => messages.push(content.to_vec()),
                0x80 => trailers = Some(std::str::from_utf8(content).unwrap().to_owned()),
                other => panic!("a frame of the kind {other}"),
            }
            rest = more;
        }
        assert!(rest.is_empty(), "{rest:?} is left");
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<::http::HeaderName>().unwrap(), value.parse::<::http::HeaderValue>().unwrap())
        };
        let trailers = trailers.unwrap_or_else(|| panic!("no trailers behind {messages:?}"));
        let trailers: ::http::HeaderMap = trailers.split_terminator("\r\n").map(field).collect();
        Self { messages, status: Status::from_header_map(&trailers).unwrap() }
    }
}

const KINDS: [&str; 6] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
    "application/grpc-web-text+json",
];

/// A request about the tea, as this kind of body.
pub(super) fn about_tea(kind: &str) -> Vec<u8> {
    let message = match kind.ends_with("json") {
        true => json!({"key": {"shop": "7", "sku": "tea", "shelf": -2}}).to_string().into_bytes(),
        false => GetRequest { key: Some(stock(7, "tea", -2)), options: None }.encode_to_vec(),
    };
    let framed = frame(0, &message);
    if kind.contains("-text") { STANDARD.encode(framed).into_bytes() } else { framed.to_vec() }
}

/// The value of a reply's message.
fn value<M: Message + Default>(kind: &str, message: &[u8], of: impl Fn(M) -> u64) -> u64 {
    match kind.ends_with("json") {
        true => {
            let reply: serde_json::Value = serde_json::from_slice(message).unwrap();
            reply["value"].as_str().unwrap().parse().unwrap()
        }
        false => of(M::decode(message).unwrap()),
    }
}

#[tokio::test]
async fn a_reply_and_the_trailers_behind_it_are_read_in_bytes_and_in_text() {
    let world = world().await;
    for kind in KINDS {
        let reply = send(&world, "POST", &path("Get"), &[("content-type", kind)], about_tea(kind)).await;
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, kind));
        let Web { messages, status } = Web::read(kind, &reply.body);
        assert_eq!((messages.len(), status.code()), (1, Code::Ok), "{kind}");
        assert_eq!(value(kind, &messages[0], |reply: ValueResponse<u64>| reply.value), 110, "{kind}");
    }
    // Who asks in one way may read in the other.
    for (kind, accepted) in
        [("application/grpc-web", "application/grpc-web-text"), ("application/grpc-web-text", "application/grpc-web")]
    {
        let headers = [("content-type", kind), ("accept", accepted)];
        let reply = send(&world, "POST", &path("Get"), &headers, about_tea(kind)).await;
        assert_eq!(reply.headers["content-type"], accepted);
        assert_eq!(Web::read(accepted, &reply.body).messages.len(), 1);
    }
}

#[tokio::test]
async fn a_stream_and_the_error_that_ends_it_are_read_in_bytes_and_in_text() {
    let world = world().await;
    tokio::time::pause();
    for kind in KINDS {
        let headers = [("content-type", kind), ("grpc-timeout", "1500m")];
        let reply = send(&world, "POST", &path("Watch"), &headers, about_tea(kind)).await;
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, kind));
        let Web { messages, status } = Web::read(kind, &reply.body);
        assert_eq!((messages.len(), status.code()), (1, Code::DeadlineExceeded), "{kind}");
        assert_eq!(value(kind, &messages[0], |reply: WatchResponse<u64>| reply.value), 110, "{kind}");
    }
}

/// The body of an answer by HTTP/1.1, which may come in chunks.
pub(super) fn body(reply: &[u8]) -> Vec<u8> {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (head, mut rest) = (String::from_utf8_lossy(&reply[..end]).into_owned(), &reply[end + 4..]);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    if !head.contains("transfer-encoding: chunked") {
        return rest.to_vec();
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        let chunk = &rest[line + 2..];
        body.extend_from_slice(&chunk[..length]);
        rest = &chunk[length + 2..];
    }
}

/// A request about the tea by HTTP/1.1, as this kind of body.
pub(super) fn post_by_http_1(path: &str, kind: &str) -> Vec<u8> {
    let message = about_tea(kind);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\naccept: {kind}\r\n\
         content-length: {}\r\n\r\n",
        message.len()
    );
    [head.as_bytes(), &message].concat()
}

/// What a browser gets over HTTP/1.1 that asks about the tea at this path.
pub(super) async fn over_http_1(address: SocketAddr, path: &str, kind: &str) -> Web {
    Web::read(kind, &body(&raw_bytes(address, &post_by_http_1(path, kind)).await))
}

#[tokio::test]
async fn a_browser_asks_by_grpc_web_over_http_1() {
    let world = world().await;
    let server = world.serve().await;
    for kind in KINDS {
        let Web { messages, status } = over_http_1(server.address, &path("Get"), kind).await;
        assert_eq!((messages.len(), status.code()), (1, Code::Ok), "{kind}");
        assert_eq!(value(kind, &messages[0], |reply: ValueResponse<u64>| reply.value), 110, "{kind}");
    }
}
