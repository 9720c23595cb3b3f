//! Those who ask by HTTP/1.1: by gRPC-Web, by Connect and by JSON.

use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};

use super::Seen;
use super::grpc::{key, options, told};
use super::pages::{Pages, Told};
use super::wire::{Way, Wire};
use crate::rust_client::page_traffic::v1::*;

/// How a call with one reply is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unary {
    Web,
    Proto,
    Json,
}

/// How a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Web,
    Connect,
}

/// The server wants to be asked again.
struct Again;

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// The first frame, and what stands behind it; `None` where it is not whole.
fn frame(body: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([flags, length @ ..], rest) = body.split_first_chunk::<5>()?;
    let (message, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((*flags, message, rest))
}

/// The head of a request whose body waits until the server says that it reads it.
fn head(method: &str, kind: &str, bytes: usize) -> String {
    format!(
        "POST /page_traffic.v1.PageTrafficService/{method} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         expect: 100-continue\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\n"
    )
}

/// The status of gRPC in a head or in trailers.
fn grpc_status(lines: &str) -> Option<&str> {
    lines.lines().find_map(|line| line.strip_prefix("grpc-status: "))
}

fn of_json(value: &Value) -> Told {
    let number = |name: &str| value[name].as_str().unwrap().parse().unwrap();
    Told { views: number("views"), dwell: number("dwellMs"), slowest: number("slowest") }
}

const UNAVAILABLE: &str = "14";

impl Unary {
    fn request(self, page: usize, call: usize) -> (String, Vec<u8>) {
        let (strong, options) = options(call);
        let proto = PageTrafficServiceGetRequest { key: key(page), options }.encode_to_vec();
        let (kind, time, body) = match self {
            Self::Web => ("application/grpc-web+proto", "grpc-timeout: 30S", framed(&proto)),
            Self::Proto => ("application/proto", "connect-timeout-ms: 30000", proto),
            Self::Json => {
                let request = json!({ "key": { "page_id": Pages::name(page) }, "options": { "strong": strong } });
                ("application/json", "connect-timeout-ms: 30000", request.to_string().into_bytes())
            }
        };
        (format!("{}{time}\r\n\r\n", head("Get", kind, body.len())), body)
    }

    fn reply(self, head: &str, body: &[u8]) -> Result<Told, Again> {
        let of_proto = |message: &[u8]| told(PageTrafficServiceGetResponse::decode(message).unwrap().value);
        let code = head.split(' ').nth(1).unwrap();
        if matches!(self, Self::Web) {
            assert_eq!(code, "200", "{head}");
            if let Some(status) = grpc_status(head) {
                assert_eq!(status, UNAVAILABLE, "{head}");
                return Err(Again);
            }
            let (flags, message, rest) = frame(body).unwrap();
            let (trailing, trailers, rest) = frame(rest).unwrap();
            assert_eq!((flags, trailing, rest.len()), (0, 0x80, 0));
            assert_eq!(grpc_status(std::str::from_utf8(trailers).unwrap()), Some("0"));
            return Ok(of_proto(message));
        }
        if code != "200" {
            let error: Value = serde_json::from_slice(body).unwrap();
            assert_eq!((code, &error["code"]), ("503", &json!("unavailable")), "{error}");
            return Err(Again);
        }
        Ok(match self {
            Self::Json => of_json(&serde_json::from_slice::<Value>(body).unwrap()["value"]),
            _ => of_proto(body),
        })
    }
}

/// What became of a call.
enum Came {
    /// The head and the body of an answer.
    Answer(String, Vec<u8>),
    /// The server did not begin to read it.
    Nothing,
    /// It had begun to, and the connection ended.
    Cut,
}

fn call(wire: &mut Wire, request: &(String, Vec<u8>)) -> Option<Came> {
    // However late: a call that has begun is waited for.
    let never = || false;
    wire.send(request.0.as_bytes())?;
    let mut head = wire.head(&never)?;
    if head.starts_with("http/1.1 100 ") {
        let answer = wire.send(&request.1).and_then(|()| wire.head(&never));
        let Some(answer) = answer else { return Some(Came::Cut) };
        head = answer;
    }
    let body = wire.body(&head, &never);
    Some(body.map_or(Came::Cut, |body| Came::Answer(head, body)))
}

/// On a connection for each call.
pub(super) fn one_by_one(client: usize, unary: Unary, way: &Way, seen: &Seen) {
    for at in 0.. {
        if seen.enough() {
            return;
        }
        let moment = seen.moment();
        let asked = seen.pages.asked(Pages::turn(at / 2), options(at).0);
        let came = way.open().ok().and_then(|mut wire| call(&mut wire, &unary.request(asked.page, at)));
        match came.unwrap_or(Came::Nothing) {
            Came::Answer(head, body) => {
                if let Ok(told) = unary.reply(&head, &body) {
                    seen.pages.assert_right(&asked, told);
                    seen.right(client);
                    continue;
                }
            }
            Came::Nothing => {}
            Came::Cut => seen.assert_killed(moment, unary),
        }
        std::thread::sleep(Duration::from_millis(10));
        seen.told(client);
    }
}

impl Stream {
    fn request(self, page: usize) -> (String, Vec<u8>) {
        let (kind, message) = match self {
            Self::Web => {
                let request = PageTrafficServiceWatchRequest { key: key(page), ..Default::default() };
                ("application/grpc-web+proto", request.encode_to_vec())
            }
            Self::Connect => {
                let request = json!({ "key": { "page_id": Pages::name(page) } });
                ("application/connect+json", request.to_string().into_bytes())
            }
        };
        let body = framed(&message);
        (format!("{}\r\n", head("Watch", kind, body.len())), body)
    }

    /// What a frame tells of, if it is not the last one, which asks to be called again.
    fn reply(self, flags: u8, message: &[u8]) -> Result<Told, Again> {
        match (self, flags) {
            (Self::Web, 0) => Ok(told(PageTrafficServiceWatchResponse::decode(message).unwrap().value)),
            (Self::Connect, 0) => Ok(of_json(&serde_json::from_slice::<Value>(message).unwrap()["value"])),
            (Self::Web, 0x80) => {
                assert_eq!(grpc_status(std::str::from_utf8(message).unwrap()), Some(UNAVAILABLE));
                Err(Again)
            }
            (Self::Connect, 2) => {
                let end: Value = serde_json::from_slice(message).unwrap();
                assert_eq!(end["error"]["code"], "unavailable", "{end}");
                Err(Again)
            }
            (_, other) => panic!("a frame of the kind {other}"),
        }
    }

    /// Watch until the stream ends; `None` where it was not told how.
    fn watch(self, wire: &mut Wire, seen: &Seen, mut next: impl FnMut(Told), begun: &mut bool) -> Option<Again> {
        let enough = || seen.enough();
        let (head, body) = self.request(PAGE);
        wire.send(head.as_bytes())?;
        let mut head = wire.head(&enough)?;
        if head.starts_with("http/1.1 100 ") {
            *begun = true;
            wire.send(&body)?;
            head = wire.head(&enough)?;
        }
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        if self == Self::Web
            && let Some(status) = grpc_status(&head)
        {
            assert_eq!(status, UNAVAILABLE, "{head}");
            return Some(Again);
        }
        let mut body = Vec::new();
        loop {
            body.extend(wire.piece(&enough)?);
            while let Some((flags, message, rest)) = frame(&body) {
                match self.reply(flags, message) {
                    Ok(told) => next(told),
                    Err(again) => return Some(again),
                }
                body = rest.to_vec();
            }
        }
    }
}

/// Which one is watched.
const PAGE: usize = 1;

/// Each stream until it ends. What it tells of never becomes less, whichever server tells.
pub(super) fn watching(client: usize, stream: Stream, way: &Way, seen: &Seen) {
    let mut least = 0;
    while !seen.enough() {
        let (moment, mut begun) = (seen.moment(), false);
        let next = |told: Told| {
            seen.pages.assert_right(&seen.pages.asked(PAGE, false), told);
            assert!(told.views >= least, "{} views after {least}", told.views);
            least = told.views;
            seen.right(client);
        };
        let end = way.open().ok().and_then(|mut wire| stream.watch(&mut wire, seen, next, &mut begun));
        if end.is_none() && begun {
            // A stream has its end told by a server that stops.
            seen.assert_killed(moment, stream);
        }
        std::thread::sleep(Duration::from_millis(10));
        seen.told(client);
    }
}
