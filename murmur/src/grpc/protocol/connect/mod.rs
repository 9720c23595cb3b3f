//! The [Connect protocol](https://connectrpc.com/docs/protocol), and with it plain HTTP/JSON.
//!
//! A call with one reply is a `POST` of the bare message, in JSON or protobuf, or a `GET` with the message in the
//! query; an error is a JSON object with a fitting HTTP status. A stream of replies is framed, and its last frame
//! says how it ended.

mod error;
mod get;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(in crate::grpc) use self::error::code;
pub use self::get::ConnectGet;
use super::codec::{Codec, Encoding};
use super::compression::{ACCEPTED, Compression, Wanted};
use super::frame::Framed;
use super::place::Place;
use super::rpc::{self, Call, Method, Part, Replies, Reply, Served};
use super::{Begun, Read, Terms, frame, metadata, written};

const STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const STREAM_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// What a `content-type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    streams: bool,
    encoding: Encoding,
}

const KINDS: [(&str, Kind); 4] = [
    ("application/json", Kind { streams: false, encoding: Encoding::Json }),
    ("application/proto", Kind { streams: false, encoding: Encoding::Proto }),
    ("application/connect+json", Kind { streams: true, encoding: Encoding::Json }),
    ("application/connect+proto", Kind { streams: true, encoding: Encoding::Proto }),
];

impl Kind {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let bare = text.split(';').next()?.trim();
        KINDS.iter().find(|(name, _)| bare.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The types that a method takes, for `accept-post`.
    fn accepted(streams: bool) -> String {
        let names: Vec<&str> =
            KINDS.iter().filter(|(_, kind)| kind.streams == streams).map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// Which method of which service, and since when.
struct Called<'a> {
    rpc: &'a Served,
    at: usize,
    method: &'a Method,
    terms: &'a Terms,
    began: Instant,
}

/// A call that can be made: its message is read.
struct Asked {
    begun: Begun,
    codec: Codec,
    message: Bytes,
}

/// Answer a call of a method by its name.
pub(in crate::grpc) async fn answer(
    rpc: &Served,
    method: &str,
    request: Request<Body>,
    terms: &Terms,
) -> Response<Body> {
    let began = Instant::now();
    let (at, method) = match rpc.called(method, began) {
        Ok(called) => called,
        Err(status) => {
            frame::discard(request.into_body()).await;
            return no_such(&status);
        }
    };
    let called = Called { rpc, at, method, terms, began };
    let may_get = method.reads && !method.streams;
    let (head, body) = request.into_parts();
    match head.method {
        Verb::POST => called.post(head, body).await,
        Verb::GET if may_get => called.get(head).await,
        _ => {
            frame::discard(body).await;
            not_allowed(if may_get { "GET, POST" } else { "POST" })
        }
    }
}

impl Called<'_> {
    async fn post(&self, mut head: Parts, body: Body) -> Response<Body> {
        let Some(kind) = Kind::of(&head.headers).filter(|kind| kind.streams == self.method.streams) else {
            frame::discard(body).await;
            return unsupported(self.method);
        };
        let most = self.terms.most(&**self.rpc);
        let longest = if kind.streams { most + frame::HEADER } else { most };
        let read = match check_version(&head.headers) {
            Ok(()) => self.terms.read(&**self.rpc, self.method, &mut head, body, longest).await,
            Err(status) => {
                frame::discard(body).await;
                Err(status)
            }
        };
        if kind.streams {
            return self.stream(kind, read, head).await;
        }
        let wanted = self.terms.wanted(&head.headers, &ACCEPT_ENCODING);
        let asked = read.and_then(|Read { begun, body }| {
            let compression = Compression::of(&head.headers, &CONTENT_ENCODING)?;
            self.asked(begun, kind.encoding, compression.decompress(body, most)?)
        });
        let called = self.unary(asked, head);
        reply(kind, wanted, called.await.map_err(|status| self.rpc.explain(status)))
    }

    async fn get(&self, mut head: Parts) -> Response<Body> {
        let wanted = self.terms.wanted(&head.headers, &ACCEPT_ENCODING);
        let begun = self.terms.begin(&**self.rpc, self.method, &mut head).await;
        let asked = begun.and_then(|begun| {
            let (encoding, message) = get::read(&head.uri, self.terms.most(&**self.rpc))?;
            Ok((encoding, self.asked(begun, encoding, message)?))
        });
        // What cannot be read has no encoding to be answered in; an error is JSON in any case.
        let encoding = asked.as_ref().map_or(Encoding::Json, |(encoding, _)| *encoding);
        head.extensions.insert(ConnectGet(head.uri.query().unwrap_or_default().to_owned()));
        let called = self.unary(asked.map(|(_, asked)| asked), head).await;
        reply(Kind { streams: false, encoding }, wanted, called.map_err(|status| self.rpc.explain(status)))
    }

    fn asked(&self, begun: Begun, encoding: Encoding, message: Bytes) -> Result<Asked, Status> {
        let codec = self.codec(encoding)?;
        let message = codec.request(message)?;
        Ok(Asked { begun, codec, message })
    }

    /// What can be called; what cannot is measured here.
    fn callable(&self, asked: Result<Asked, Status>) -> Result<Asked, Status> {
        asked.inspect_err(|status| rpc::refused(Some((self.rpc, self.at)), self.began, status))
    }

    async fn unary(&self, asked: Result<Asked, Status>, head: Parts) -> Result<(Reply, Option<Place>), Status> {
        let Asked { begun, codec, message } = self.callable(asked)?;
        let call = Call { message, headers: head.headers, deadline: begun.deadline, extensions: head.extensions };
        Ok((self.rpc.unary(self.at, call, &codec).await?, begun.place))
    }

    async fn stream(&self, kind: Kind, read: Result<Read, Status>, head: Parts) -> Response<Body> {
        let wanted = self.terms.wanted(&head.headers, &STREAM_ACCEPT_ENCODING);
        let asked = read.and_then(|Read { begun, body }| {
            let compression = Compression::of(&head.headers, &STREAM_ENCODING)?;
            let message = frame::single(body, compression, self.terms.most(&**self.rpc))?;
            self.asked(begun, kind.encoding, message)
        });
        let replies = async {
            let Asked { begun, codec, message } = self.callable(asked)?;
            let call = Call { message, headers: head.headers, deadline: begun.deadline, extensions: head.extensions };
            Ok((self.rpc.stream(self.at, call, begun.standing, self.terms).await?, codec))
        };
        let (replies, codec) = replies.await.unwrap_or_else(|status| {
            let status = self.rpc.explain(status);
            let parts = stream::once(async { Err(status) }).boxed();
            (Replies { headers: HeaderMap::new(), parts }, Codec::Proto)
        });
        let frames = frames(self.rpc.clone(), replies.parts, codec, wanted);
        let mut response = respond(StatusCode::OK, kind.name(), Body::new(StreamBody::new(frames)));
        metadata::add(response.headers_mut(), &replies.headers);
        response.headers_mut().insert(STREAM_ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
        if wanted.by != Compression::Identity {
            response.headers_mut().insert(STREAM_ENCODING, HeaderValue::from_static(wanted.by.name()));
        }
        response
    }

    fn codec(&self, encoding: Encoding) -> Result<Codec, Status> {
        match &self.terms.transcoder {
            Some(transcoder) => transcoder.codec(encoding, self.rpc.name(), &self.method.name),
            None => Ok(Codec::Proto),
        }
    }
}

/// The frames of a stream, with the one that ends it.
fn frames(
    rpc: Served,
    parts: BoxStream<'static, Result<Part, Status>>,
    codec: Codec,
    wanted: Wanted,
) -> impl stream::Stream<Item = Result<Frame<Bytes>, Status>> + Send {
    stream::unfold(Some(parts), move |parts| {
        let (codec, rpc) = (codec.clone(), rpc.clone());
        async move {
            let mut parts = parts?;
            let message = match parts.next().await {
                Some(Ok(Part::Message(message))) => {
                    codec.reply(Framed::of(&message)).map_err(|status| rpc.explain(status))
                }
                Some(Ok(Part::Trailers(trailers))) => return Some((Ok(Frame::data(end(None, &trailers))), None)),
                Some(Err(status)) => Err(status),
                None => return Some((Ok(Frame::data(end(None, &HeaderMap::new()))), None)),
            };
            Some(match message {
                Ok(message) => (Ok(Frame::data(message.reply(wanted))), Some(parts)),
                Err(status) => (Ok(Frame::data(end(Some(&status), status.metadata().as_ref()))), None),
            })
        }
    })
}

/// The last frame of a stream: how it ended, and its trailers.
fn end(status: Option<&Status>, trailers: &HeaderMap) -> Bytes {
    const END: u8 = 2;
    let mut object = Map::new();
    if let Some(status) = status {
        object.insert("error".into(), error::object(status));
    }
    let mut of_service = HeaderMap::new();
    metadata::add(&mut of_service, trailers);
    if !of_service.is_empty() {
        let values = |name: &HeaderName| {
            let values = of_service.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.map(Value::from).collect()
        };
        let fields = of_service.keys().map(|name| (name.as_str().to_owned(), Value::Array(values(name))));
        object.insert("metadata".into(), Value::Object(fields.collect()));
    }
    frame::frame(END, Value::Object(object).to_string().as_bytes())
}

fn check_version(headers: &HeaderMap) -> Result<(), Status> {
    if headers.get("connect-protocol-version").is_some_and(|version| version != "1") {
        return Err(Status::invalid_argument("`connect-protocol-version` must be `1`"));
    }
    Ok(())
}

/// A reply, with the place of its call.
fn reply(kind: Kind, wanted: Wanted, reply: Result<(Reply, Option<Place>), Status>) -> Response<Body> {
    let (Reply { message, headers, trailers }, place) = match reply {
        Ok(reply) => reply,
        Err(status) => return failed(&status),
    };
    let (by, bytes) = wanted.compress(message.into_message());
    let mut response = respond(StatusCode::OK, kind.name(), written::body(bytes, None, place));
    let to = response.headers_mut();
    metadata::add(to, &headers);
    let mut of_service = HeaderMap::new();
    metadata::add(&mut of_service, &trailers);
    for (name, value) in &of_service {
        // A name behind a prefix of letters is a name.
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            to.append(name, value.clone());
        }
    }
    to.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    to.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if by != Compression::Identity {
        to.insert(CONTENT_ENCODING, HeaderValue::from_static(by.name()));
    }
    response
}

/// A status in place of an answer to a request whose path nobody has looked at: a caller of streams reads it where a stream ends.
pub(in crate::grpc) fn refuse(headers: &HeaderMap, status: &Status) -> Response<Body> {
    match Kind::of(headers).filter(|kind| kind.streams) {
        Some(kind) => {
            let end = end(Some(status), status.metadata().as_ref());
            respond(StatusCode::OK, kind.name(), Body::new(Full::new(end)))
        }
        None => failed(status),
    }
}

/// A status in place of a reply.
pub(in crate::grpc) fn failed(status: &Status) -> Response<Body> {
    let mut response = json(code(status.code()).1, &error::object(status));
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // Whole seconds, and not too early.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs_f64().ceil() as u64));
    }
    if status.code() == Code::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    metadata::add(response.headers_mut(), status.metadata().as_ref());
    response
}

/// There is nothing at this path.
pub(in crate::grpc) fn no_such(status: &Status) -> Response<Body> {
    json(StatusCode::NOT_FOUND, &error::object(status))
}

/// The path can be called otherwise.
pub(in crate::grpc) fn not_allowed(verbs: &'static str) -> Response<Body> {
    let mut response = words(StatusCode::METHOD_NOT_ALLOWED, format!("this can be called by {verbs}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(verbs));
    response
}

fn unsupported(method: &Method) -> Response<Body> {
    let accepted = Kind::accepted(method.streams);
    let what = format!("`{}` takes a `content-type` of {accepted}", method.name);
    let mut response = words(StatusCode::UNSUPPORTED_MEDIA_TYPE, what);
    if let Ok(accepted) = HeaderValue::from_str(&accepted) {
        response.headers_mut().insert(HeaderName::from_static("accept-post"), accepted);
    }
    response
}

fn json(status: StatusCode, json: &Value) -> Response<Body> {
    respond(status, "application/json", Body::new(Full::new(Bytes::from(json.to_string()))))
}

/// For somebody who does not speak Connect: the protocol has no error of its own for these.
pub(in crate::grpc) fn words(status: StatusCode, words: String) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", Body::new(Full::new(Bytes::from(words))))
}

/// A response with a body of a kind.
pub(in crate::grpc) fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
