//! A server that answers every call as it was told, by gRPC or Connect, and keeps the headers.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_types::pb;
use tower_service::Service;

/// What a call is answered.
#[derive(Debug, Clone)]
pub(super) struct Says {
    code: Code,
    details: Vec<prost_types::Any>,
}

impl Says {
    /// Only that.
    pub(super) fn code(code: Code) -> Self {
        Self { code, details: Vec::new() }
    }

    /// That it is not available before that time, also one that no `google.protobuf.Duration` should have.
    pub(super) fn busy(wait: Duration) -> Self {
        let seconds = wait.as_secs().try_into().unwrap();
        let retry_delay = Some(prost_types::Duration { seconds, nanos: wait.subsec_nanos() as i32 });
        Self::detailed(Code::Unavailable, "RetryInfo", &pb::RetryInfo { retry_delay })
    }

    /// That the token was good, and has expired.
    pub(super) fn expired() -> Self {
        let (reason, domain) = ("TOKEN_EXPIRED".to_owned(), "murmur.dev".to_owned());
        let why = pb::ErrorInfo { reason, domain, ..Default::default() };
        Self::detailed(Code::Unauthenticated, "ErrorInfo", &why)
    }

    fn detailed(code: Code, name: &str, detail: &impl Message) -> Self {
        let type_url = format!("type.googleapis.com/google.rpc.{name}");
        Self { code, details: vec![prost_types::Any { type_url, value: detail.encode_to_vec() }] }
    }

    fn status(&self) -> Status {
        let (message, details) = ("as it was told".to_owned(), self.details.clone());
        let status = pb::Status { code: self.code as i32, message: message.clone(), details };
        Status::with_details(self.code, message, status.encode_to_vec().into())
    }

    /// As Connect writes an error.
    fn json(&self) -> Value {
        let detail = |any: &prost_types::Any| {
            let name = any.type_url.rsplit('/').next();
            json!({ "type": name, "value": STANDARD_NO_PAD.encode(&any.value) })
        };
        let details: Vec<Value> = self.details.iter().map(detail).collect();
        json!({ "code": named(self.code).1, "message": "as it was told", "details": details })
    }
}

/// A call that has come.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) headers: HeaderMap,
    pub(super) at: Instant,
}

/// The server; it ends when dropped.
pub(super) struct Pretend {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Pretend {
    /// The calls get these codes, in order, and all further ones an empty reply.
    pub(super) fn start(codes: &[Code]) -> Self {
        Self::saying(codes.iter().map(|code| Says::code(*code)))
    }

    /// The same of more than codes.
    pub(super) fn saying(says: impl IntoIterator<Item = Says>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let answer = Answers { says: says.into_iter().collect(), at: Arc::default(), asked: asked.clone() };
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = Server::builder().accept_http1(true).add_service(answer);
            tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
            address
        });
        Self { address, asked, _runtime: runtime }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct Answers {
    says: Arc<[Says]>,
    at: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl NamedService for Answers {
    const NAME: &'static str = "page_traffic.v1.PageTrafficService";
}

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let at = self.at.fetch_add(1, Ordering::SeqCst);
        let says = self.says.get(at).cloned().unwrap_or(Says::code(Code::Ok));
        let headers = request.headers();
        self.asked.lock().unwrap().push(Asked { headers: headers.clone(), at: Instant::now() });
        let kind = headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
        ready(Ok(match kind {
            _ if kind.starts_with("application/grpc") => grpc(&says),
            _ if kind.starts_with("application/connect+") => connect_stream(&says),
            _ => connect(&says),
        }))
    }
}

fn grpc(says: &Says) -> Response<Body> {
    if says.code != Code::Ok {
        return says.status().into_http();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    // A frame with an empty message.
    let frames = [http_body::Frame::data(Bytes::from_static(&[0; 5])), http_body::Frame::trailers(trailers)];
    let body = http_body_util::StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Infallible>)));
    Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
}

/// What Connect calls a code, and by which HTTP status.
fn named(code: Code) -> (u16, &'static str) {
    match code {
        Code::Ok => (200, ""),
        Code::Unavailable => (503, "unavailable"),
        Code::InvalidArgument => (400, "invalid_argument"),
        Code::FailedPrecondition => (400, "failed_precondition"),
        Code::Aborted => (409, "aborted"),
        Code::ResourceExhausted => (429, "resource_exhausted"),
        Code::DeadlineExceeded => (504, "deadline_exceeded"),
        Code::Unauthenticated => (401, "unauthenticated"),
        _ => (500, "internal"),
    }
}

fn connect(says: &Says) -> Response<Body> {
    let (kind, body) = match says.code {
        Code::Ok => ("application/proto", String::new()),
        _ => ("application/json", says.json().to_string()),
    };
    whole(named(says.code).0, kind, body.into())
}

/// A stream is always well at first; how it ended stands in its last frame.
fn connect_stream(says: &Says) -> Response<Body> {
    let end = match says.code {
        Code::Ok => "{}".to_owned(),
        _ => json!({ "error": says.json() }).to_string(),
    };
    let head = [&[2][..], &(end.len() as u32).to_be_bytes()].concat();
    whole(200, "application/connect+proto", [head, end.into_bytes()].concat().into())
}

fn whole(status: u16, kind: &str, body: Bytes) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(body));
    Response::builder().status(status).header("content-type", kind).body(body).unwrap()
}
