//! A server that answers every call as it was told, by gRPC or Connect, and keeps the headers.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use prost::bytes::Bytes;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tower_service::Service;

/// The server; it ends when dropped.
pub(super) struct Pretend {
    address: String,
    asked: Arc<Mutex<Vec<HeaderMap>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Pretend {
    /// The calls get these codes, in order, and all further ones an empty reply.
    pub(super) fn start(codes: &[Code]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let answer = Answers { codes: codes.into(), at: Arc::default(), asked: asked.clone() };
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

    /// The headers of every call.
    pub(super) fn asked(&self) -> Vec<HeaderMap> {
        self.asked.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct Answers {
    codes: Arc<[Code]>,
    at: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<HeaderMap>>>,
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
        let code = self.codes.get(at).copied().unwrap_or(Code::Ok);
        let headers = request.headers();
        self.asked.lock().unwrap().push(headers.clone());
        let kind = headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
        ready(Ok(match kind {
            _ if kind.starts_with("application/grpc") => grpc(code),
            _ if kind.starts_with("application/connect+") => connect_stream(code),
            _ => connect(code),
        }))
    }
}

fn grpc(code: Code) -> Response<Body> {
    if code != Code::Ok {
        return Status::new(code, "as it was told").into_http();
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
        _ => (500, "internal"),
    }
}

fn connect(code: Code) -> Response<Body> {
    let (status, name) = named(code);
    let (kind, body) = match code {
        Code::Ok => ("application/proto", String::new()),
        _ => ("application/json", format!(r#"{{"code": "{name}", "message": "as it was told"}}"#)),
    };
    whole(status, kind, body.into())
}

/// A stream is always well at first; how it ended stands in its last frame.
fn connect_stream(code: Code) -> Response<Body> {
    let (_, name) = named(code);
    let end = match code {
        Code::Ok => "{}".to_owned(),
        _ => format!(r#"{{"error": {{"code": "{name}", "message": "as it was told"}}}}"#),
    };
    let head = [&[2][..], &(end.len() as u32).to_be_bytes()].concat();
    whole(200, "application/connect+proto", [head, end.into_bytes()].concat().into())
}

fn whole(status: u16, kind: &str, body: Bytes) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(body));
    Response::builder().status(status).header("content-type", kind).body(body).unwrap()
}
