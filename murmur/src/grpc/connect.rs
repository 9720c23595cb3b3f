//! The Connect protocol, and with it plain HTTP/JSON.
//!
//! A call with one reply is a `POST` of the bare message, in JSON or protobuf, or a `GET` with the message in the
//! query; an error is a JSON object with a fitting HTTP status. A stream of replies is framed, and its last frame
//! says how it ended.

use std::collections::HashMap;

use axum::extract::Query;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tonic::body::Body;
use tonic::{Code, Status};

use super::deadline::{Deadline, within};
use super::frame;
use super::router::Services;
use super::rpc::{self, MAX_REQUEST, Rpc, split_path};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Proto,
    Json,
}

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

/// One call: which method of which service.
struct Call<'a> {
    services: &'a Services,
    rpc: &'a dyn Rpc,
    at: usize,
    method: rpc::Method,
}

/// Answer a request that does not speak gRPC.
pub(super) async fn answer(services: &Services, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some((status, kind, content)) = services.pages.find(path) {
        return match head.method {
            Verb::GET | Verb::HEAD => respond(status, kind, whole(content.into_bytes())),
            _ => not_allowed("GET"),
        };
    }
    let Some((service, method)) = split_path(path) else {
        return no_such(format!("there is nothing at `{path}`; `GET /` lists what there is"));
    };
    let Some(rpc) = services.rpcs.get(service) else {
        return no_such(format!("there is no service `{service}`; `GET /` lists what there is"));
    };
    let Some((at, method)) = rpc::find(&**rpc, method) else {
        return no_such(format!("`{service}` has no method `{method}`; `GET /` lists what there is"));
    };
    let call = Call { services, rpc: &**rpc, at, method };
    match head.method {
        Verb::POST => call.post(&head.headers, body).await,
        Verb::GET if !method.streams => call.get(&head).await,
        _ => not_allowed(if method.streams { "POST" } else { "GET, POST" }),
    }
}

impl Call<'_> {
    async fn post(&self, headers: &HeaderMap, body: Body) -> Response<Body> {
        let Some(kind) = Kind::of(headers).filter(|kind| kind.streams == self.method.streams) else {
            return unsupported(self.method);
        };
        let checked = Deadline::of(headers).and_then(|deadline| check_headers(headers).map(|()| deadline));
        if kind.streams {
            return self.stream(kind, checked, body).await;
        }
        let called = async {
            let deadline = checked?;
            let message = within(deadline.unary(), frame::whole(body, MAX_REQUEST)).await?;
            self.unary(kind.encoding, message, deadline).await
        };
        reply(kind, called.await)
    }

    async fn get(&self, head: &http::request::Parts) -> Response<Body> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&head.uri);
        let asked =
            query.map_err(|_| Status::invalid_argument("the query does not decode")).and_then(|query| read(&query.0));
        let (encoding, message) = match asked {
            Ok(asked) => asked,
            Err(status) => return failed(&status),
        };
        let called = async {
            let deadline = Deadline::of(&head.headers)?;
            if message.len() > MAX_REQUEST {
                return Err(frame::too_large());
            }
            self.unary(encoding, message, deadline).await
        };
        reply(Kind { streams: false, encoding }, called.await)
    }

    async fn unary(&self, encoding: Encoding, message: Bytes, deadline: Deadline) -> Result<Vec<u8>, Status> {
        let message = self.request(encoding, message)?;
        let reply = rpc::unary(self.rpc, self.at, self.method, message, deadline).await?;
        match encoding {
            Encoding::Proto => Ok(reply),
            Encoding::Json => self.services.transcoder.reply(self.rpc.name(), self.method.name, &reply),
        }
    }

    async fn stream(&self, kind: Kind, checked: Result<Deadline, Status>, body: Body) -> Response<Body> {
        let begun = async {
            let deadline = checked?;
            let message = within(deadline.unary(), frame::single(body)).await?;
            let replies = self.rpc.stream(self.at, self.request(kind.encoding, message)?)?;
            Ok(self.services.drain.guard(replies, deadline.stream()))
        };
        let replies = begun.await.unwrap_or_else(|status| stream::once(async { Err(status) }).boxed());
        let transcoded = match kind.encoding {
            Encoding::Proto => replies,
            Encoding::Json => {
                let (name, method) = (self.rpc.name().to_owned(), self.method.name);
                let transcoder = self.services.transcoder.clone();
                replies.map(move |reply| transcoder.reply(&name, method, &reply?)).boxed()
            }
        };
        let frames = stream::unfold(Some(transcoded), |replies| async move {
            let mut replies = replies?;
            let (frame, rest) = match replies.next().await {
                Some(Ok(reply)) => (frame::frame(0, &reply), Some(replies)),
                Some(Err(status)) => (end(Some(&status)), None),
                None => (end(None), None),
            };
            Some((Ok::<_, Status>(Frame::data(frame)), rest))
        });
        respond(StatusCode::OK, kind.name(), Body::new(StreamBody::new(frames)))
    }

    fn request(&self, encoding: Encoding, message: Bytes) -> Result<Bytes, Status> {
        match encoding {
            Encoding::Proto => Ok(message),
            Encoding::Json => self.services.transcoder.request(self.rpc.name(), self.method.name, &message),
        }
    }
}

/// The last frame of a stream.
fn end(status: Option<&Status>) -> Bytes {
    const END: u8 = 2;
    let json = match status {
        Some(status) => serde_json::json!({ "error": error(status) }),
        None => serde_json::json!({}),
    };
    frame::frame(END, json.to_string().as_bytes())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Status> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Status::unimplemented("compressed requests are not accepted; send them plain"));
    }
    if headers.get("connect-protocol-version").is_some_and(|version| version != "1") {
        return Err(Status::invalid_argument("`connect-protocol-version` must be `1`"));
    }
    Ok(())
}

/// The encoding and the message in the query of a `GET`.
fn read(query: &HashMap<String, String>) -> Result<(Encoding, Bytes), Status> {
    let field = |name: &str| query.get(name).map(String::as_str);
    if field("connect").is_some_and(|version| version != "v1") {
        return Err(Status::invalid_argument("`connect` must be `v1`"));
    }
    if field("compression").is_some_and(|compression| compression != "identity") {
        return Err(Status::unimplemented("compressed requests are not accepted; send them plain"));
    }
    let encoding = match field("encoding") {
        Some("json") => Encoding::Json,
        Some("proto") => Encoding::Proto,
        _ => return Err(Status::invalid_argument("`encoding` must be `json` or `proto`")),
    };
    let message = field("message").ok_or_else(|| Status::invalid_argument("`message` is not set"))?;
    let message = match field("base64") {
        Some("1") => {
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let decoded = GeneralPurpose::new(&URL_SAFE, config).decode(message);
            decoded.map_err(|_| Status::invalid_argument("`message` is not URL-safe base64"))?
        }
        _ => message.as_bytes().to_vec(),
    };
    Ok((encoding, message.into()))
}

/// What Connect calls a code, and the HTTP status that goes with it.
pub(super) fn code(code: Code) -> (&'static str, StatusCode) {
    // nginx's status for a client that went away; the Connect protocol uses it too.
    let closed = StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT);
    match code {
        Code::Ok | Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Cancelled => ("canceled", closed),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}

fn error(status: &Status) -> serde_json::Value {
    serde_json::json!({ "code": code(status.code()).0, "message": status.message() })
}

fn reply(kind: Kind, reply: Result<Vec<u8>, Status>) -> Response<Body> {
    match reply {
        Ok(bytes) => respond(StatusCode::OK, kind.name(), whole(bytes)),
        Err(status) => failed(&status),
    }
}

fn failed(status: &Status) -> Response<Body> {
    plain(code(status.code()).1, error(status).to_string())
}

fn no_such(message: String) -> Response<Body> {
    failed(&Status::not_found(message))
}

fn not_allowed(verbs: &'static str) -> Response<Body> {
    let status = Status::unimplemented(format!("this can be called by {verbs}"));
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, error(&status).to_string());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(verbs));
    response
}

fn unsupported(method: rpc::Method) -> Response<Body> {
    let accepted = Kind::accepted(method.streams);
    let status = Status::unimplemented(format!("`{}` takes a `content-type` of {accepted}", method.name));
    let mut response = plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, error(&status).to_string());
    if let Ok(accepted) = HeaderValue::from_str(&accepted) {
        response.headers_mut().insert(HeaderName::from_static("accept-post"), accepted);
    }
    response
}

fn plain(status: StatusCode, json: String) -> Response<Body> {
    respond(status, "application/json", whole(json.into_bytes()))
}

fn whole(bytes: Vec<u8>) -> Body {
    Body::new(Full::new(Bytes::from(bytes)))
}

fn respond(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
