//! Bytes of a connection, through all of the port that is not a socket: HTTP/1.1 and HTTP/2, every protocol, every service.
//!
//! ```text
//! 1 byte   1: HTTP/2 has begun, as its clients begin it; the upper seven bits: how large the pieces are that arrive at once
//! n bytes  what else the client sends, before it closes its half
//! ```

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::meter::at_most;
use super::must;
use super::service::{WORLD, calls, path_and_kind};

/// What a connection may have allocated, with the answers that wait to be read: a few large messages.
const MEMORY: usize = 32 << 20;

/// The preface, and settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub(super) fn connection(bytes: &[u8]) {
    let Some((&how, sent)) = bytes.split_first() else { return };
    let begin = if how & 1 == 1 { PREFACE } else { b"" };
    let piece = usize::from(how >> 1) * 16 + 1;
    WORLD.with(|world| {
        let services = world.services.clone();
        let answered = at_most(MEMORY, bytes, || {
            world.runtime.block_on(async move {
                let (client, server) = tokio::io::duplex(16 << 10);
                let serving = tokio::spawn(services.connection(TokioIo::new(server)));
                let (mut read, mut write) = tokio::io::split(client);
                let sending = async {
                    // The server may have had enough.
                    for piece in [begin].into_iter().chain(sent.chunks(piece)) {
                        if write.write_all(piece).await.is_err() {
                            return;
                        }
                    }
                    let _ = write.shutdown().await;
                };
                let mut answer = Vec::new();
                let reading = async {
                    let _ = (&mut read).take(1 << 20).read_to_end(&mut answer).await;
                };
                // A stream may have no end.
                let talk = async { tokio::join!(sending, reading) };
                let _ = tokio::time::timeout(Duration::from_millis(200), talk).await;
                serving.abort();
                if let Err(error) = serving.await {
                    assert!(error.is_cancelled(), "{error}");
                }
                answer
            })
        });
        assert!(!answered.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answered));
    });
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&[length[1], length[2], length[3], kind, flags, 0, 0, 0, stream], content].concat()
}

/// Fields of a request, none of them indexed, each shorter than 127 bytes.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

pub(super) fn connections() -> Vec<Vec<u8>> {
    const PLAIN: u8 = 63 << 1;
    const HTTP_2: u8 = PLAIN | 1;
    let mut connections = Vec::new();
    for request in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "POST /shop.v1.PlacesService/Get HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         8\r\n{\"key\":{\r\n2\r\n}}\r\n0\r\nx: y\r\n\r\n",
        "POST /shop.v1.PlacesService/Get HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
         content-type: application/json\r\norigin: https://a\r\n\r\n{}",
        "OPTIONS /shop.v1.PlacesService/Get HTTP/1.1\r\nhost: a\r\norigin: https://a\r\naccess-control-request-method: POST\r\n\r\n",
        "POST /a HTTP/1.0\r\ncontent-type: application/grpc\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        connections.push([&[PLAIN], request.as_bytes()].concat());
        connections.push([&[0], request.as_bytes()].concat());
    }
    for call in calls() {
        let Some((path, kind, body)) = path_and_kind(&call) else { continue };
        let length = body.len().to_string();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        connections.push([&[PLAIN], head.as_bytes(), body].concat());
        let head =
            [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"), ("content-type", kind)];
        let head = fields(&[&head[..], &[("te", "trailers"), ("grpc-timeout", "1S")]].concat());
        connections.push([&[HTTP_2], frame(1, 4, 1, &head).as_slice(), &frame(0, 1, 1, body)].concat());
    }
    // A request in parts, an answer to a ping, a window, a reset, a goodbye.
    let get = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]);
    let (first, rest) = must(get.split_at_checked(20).ok_or(()), "two parts");
    let parts = [
        frame(1, 1, 1, first),
        frame(9, 4, 1, rest),
        frame(6, 0, 0, b"12345678"),
        frame(8, 0, 0, &[0, 0, 1, 0]),
        frame(1, 5, 3, &get),
        frame(3, 0, 3, &[0, 0, 0, 8]),
        frame(4, 1, 0, b""),
        frame(7, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0]),
    ];
    connections.push([&[HTTP_2], parts.concat().as_slice()].concat());
    connections
}
