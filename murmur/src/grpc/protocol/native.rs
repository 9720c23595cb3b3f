//! gRPC: one framed message in, framed messages and a status out, in the trailers; by gRPC-Web in the body.

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::codec::{Codec, Encoding};
use super::compression::{ACCEPTED, Compression, Wanted};
use super::frame::Framed;
use super::rpc::{self, Call, Part, Replies, Reply, Served};
use super::{Read, Terms, frame, metadata, web, written};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How a body is written: what a `content-type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct Kind {
    name: &'static str,
    carrier: Carrier,
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Grpc,
    Web,
    WebText,
}

const KINDS: [Kind; 9] = {
    const fn kind(name: &'static str, carrier: Carrier, encoding: Encoding) -> Kind {
        Kind { name, carrier, encoding }
    }
    use Carrier::{Grpc, Web, WebText};
    use Encoding::{Json, Proto};
    [
        kind("application/grpc", Grpc, Proto),
        kind("application/grpc+proto", Grpc, Proto),
        kind("application/grpc+json", Grpc, Json),
        kind("application/grpc-web", Web, Proto),
        kind("application/grpc-web+proto", Web, Proto),
        kind("application/grpc-web+json", Web, Json),
        kind("application/grpc-web-text", WebText, Proto),
        kind("application/grpc-web-text+proto", WebText, Proto),
        kind("application/grpc-web-text+json", WebText, Json),
    ]
};

impl Kind {
    /// Of a `content-type`; `None` when it is not one of gRPC's.
    ///
    /// Errors: one of gRPC's with messages that nobody here can read.
    pub(in crate::grpc) fn of(headers: &HeaderMap) -> Option<Result<Self, Status>> {
        let value = headers.get(CONTENT_TYPE)?;
        let known = Self::named(value).map(Ok);
        known.or_else(|| value.as_bytes().starts_with(b"application/grpc").then(|| Err(unknown(value))))
    }

    fn named(value: &HeaderValue) -> Option<Self> {
        let bare = value.to_str().ok()?.split(';').next()?.trim();
        KINDS.into_iter().find(|kind| bare.eq_ignore_ascii_case(kind.name))
    }

    /// Whether it is gRPC itself, over HTTP/2.
    pub(in crate::grpc) fn is_native(self) -> bool {
        self.carrier == Carrier::Grpc
    }

    /// How to answer: a caller by gRPC-Web may want the other of its two ways.
    fn answered(self, headers: &HeaderMap) -> Self {
        let wanted = headers.get(ACCEPT).and_then(Self::named).filter(|wanted| !wanted.is_native());
        wanted.filter(|wanted| !self.is_native() && wanted.encoding == self.encoding).unwrap_or(self)
    }

    fn body(self, body: Bytes) -> Result<Bytes, Status> {
        match self.carrier {
            Carrier::Grpc | Carrier::Web => Ok(body),
            Carrier::WebText => web::bytes(&body),
        }
    }

    /// Most bytes of a body with a message of so many.
    fn longest(self, most: usize) -> usize {
        let framed = most + frame::HEADER;
        match self.carrier {
            Carrier::Grpc | Carrier::Web => framed,
            // Base64 of it, with line ends.
            Carrier::WebText => framed / 2 * 3,
        }
    }

    /// As a caller wants to read them.
    fn bytes(self, bytes: Bytes) -> Bytes {
        match self.carrier {
            Carrier::Grpc | Carrier::Web => bytes,
            Carrier::WebText => web::text(&bytes),
        }
    }

    fn data(self, bytes: Bytes) -> Frame<Bytes> {
        Frame::data(self.bytes(bytes))
    }

    fn trailers(self, trailers: HeaderMap) -> Frame<Bytes> {
        match self.carrier {
            Carrier::Grpc => Frame::trailers(trailers),
            Carrier::Web | Carrier::WebText => self.data(web::trailers(&trailers)),
        }
    }
}

fn unknown(value: &HeaderValue) -> Status {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    Status::unimplemented(format!("the `content-type` {value:?} is none of {}", names.join(", ")))
}

/// Answer a call of a method by its name.
pub(in crate::grpc) async fn answer(
    rpc: &Served,
    method: &str,
    kind: Kind,
    request: Request<Body>,
    terms: &Terms,
) -> Response<Body> {
    if request.method() != Verb::POST {
        frame::discard(request.into_body()).await;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let began = Instant::now();
    let (mut head, body) = request.into_parts();
    let answered = kind.answered(&head.headers);
    let wanted = terms.wanted(&head.headers, &ACCEPT_ENCODING);
    let most = terms.most(&**rpc);
    let (at, method) = match rpc.called(method, began) {
        Ok(called) => called,
        Err(status) => {
            frame::discard(body).await;
            return refuse(answered, &status);
        }
    };
    let read = terms.read(&**rpc, method, &mut head, body, kind.longest(most)).await;
    let read = read.and_then(|Read { begun, body }| {
        let compression = Compression::of(&head.headers, &ENCODING)?;
        let codec = codec(terms, kind.encoding, rpc.name(), &method.name)?;
        let message = codec.request(frame::single(kind.body(body)?, compression, most)?)?;
        Ok((begun, codec, message))
    });
    let called = async {
        let (begun, codec, message) = read.inspect_err(|status| rpc::refused(Some((rpc, at)), began, status))?;
        let call = Call { message, headers: head.headers, deadline: begun.deadline, extensions: head.extensions };
        if method.streams {
            let Replies { headers, parts } = rpc.stream(at, call, begun.standing, terms).await?;
            let body = Body::new(StreamBody::new(frames(answered, rpc.clone(), parts, codec, wanted)));
            return Ok(respond(answered, &headers, wanted.by, body));
        }
        let Reply { message, headers, trailers } = rpc.unary(at, call, &codec).await?;
        let message = answered.bytes(message.reply(wanted));
        let body = written::body(message, Some(answered.trailers(ok(&trailers))), begun.place);
        Ok(respond(answered, &headers, wanted.by, body))
    };
    // Nothing was sent yet: the status goes into the headers, which is the shortest of all answers.
    called.await.unwrap_or_else(|status| refuse(answered, &rpc.explain(status)))
}

fn codec(terms: &Terms, encoding: Encoding, service: &str, method: &str) -> Result<Codec, Status> {
    match (&terms.transcoder, encoding) {
        (Some(transcoder), encoding) => transcoder.codec(encoding, service, method),
        (None, Encoding::Proto) => Ok(Codec::Proto),
        (None, Encoding::Json) => Err(Status::unimplemented("messages are protobuf here; JSON is not known")),
    }
}

/// The body: each message in a frame, and the trailers once, after the first error or after the last message.
fn frames(
    kind: Kind,
    rpc: Served,
    parts: stream::BoxStream<'static, Result<Part, Status>>,
    codec: Codec,
    wanted: Wanted,
) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
    stream::unfold(Some(parts), move |parts| {
        let (codec, rpc) = (codec.clone(), rpc.clone());
        async move {
            let mut parts = parts?;
            let message = match parts.next().await {
                Some(Ok(Part::Message(message))) => {
                    codec.reply(Framed::of(&message)).map_err(|status| rpc.explain(status))
                }
                Some(Ok(Part::Trailers(trailers))) => {
                    return Some((Ok(kind.trailers(ok(&trailers))), None));
                }
                Some(Err(status)) => Err(status),
                None => return Some((Ok(kind.trailers(ok(&HeaderMap::new()))), None)),
            };
            Some(match message {
                Ok(message) => (Ok(kind.data(message.reply(wanted))), Some(parts)),
                Err(status) => (Ok(kind.trailers(trailers(&status))), None),
            })
        }
    })
}

fn ok(of: &HeaderMap) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    metadata::add(&mut trailers, of);
    trailers
}

/// The trailers of a status, with its metadata.
pub(in crate::grpc) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let bare = Status::with_details(status.code(), status.message(), Bytes::copy_from_slice(status.details()));
    if bare.add_header(&mut trailers).is_err() {
        // A text that no header can hold: the code alone has to do.
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    // A service may hand on what it got from another one, with headers of that connection.
    metadata::add(&mut trailers, status.metadata().as_ref());
    trailers
}

/// The answer to a request that cannot be read.
pub(in crate::grpc) fn refuse_plainly(status: &Status) -> Response<Body> {
    refuse(KINDS[0], status)
}

/// The answer to gRPC over HTTP/1.1, which has no trailers that a client of it would understand.
pub(in crate::grpc) fn refuse_version() -> Response<Body> {
    let words = "gRPC needs HTTP/2; over HTTP/1.1 this port speaks gRPC-Web (`application/grpc-web+proto`), and Connect \
                 (`application/json`, `application/proto`)";
    super::connect::words(StatusCode::HTTP_VERSION_NOT_SUPPORTED, words.to_owned())
}

/// A status in place of a body.
pub(in crate::grpc) fn refuse(kind: Kind, status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(status);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind.name));
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    response
}

fn respond(kind: Kind, headers: &HeaderMap, compression: Compression, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let to = response.headers_mut();
    metadata::add(to, headers);
    to.insert(CONTENT_TYPE, HeaderValue::from_static(kind.name));
    to.insert(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
    if compression != Compression::Identity {
        to.insert(ENCODING, HeaderValue::from_static(compression.name()));
    }
    response
}
