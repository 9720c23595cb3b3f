//! Whether anybody between a port and its callers may keep an answer: a browser, a cache in front of many.

use std::convert::Infallible;
use std::task::{Context, Poll};

use ::http::header::CACHE_CONTROL;
use ::http::{HeaderMap, HeaderValue, Request, Response};
use futures_util::future::{BoxFuture, FutureExt};
use serde_json::json;
use tonic::body::Body;

use super::access::Named;
use super::http::{JSON, answer, path, send};
use super::*;
use crate::grpc::access::Access;
use crate::grpc::protocol::frame::frame;
use crate::grpc::server::HEALTH;

/// What an answer says of it, once.
fn kept(headers: &HeaderMap) -> &str {
    let all: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
    let [one] = all[..] else { panic!("{headers:?}") };
    one.to_str().unwrap()
}

const TEA: &str = r#"{"key":{"shop":7,"sku":"tea"}}"#;

#[tokio::test]
async fn nobody_keeps_a_number_nor_an_error() {
    let world = World::new();
    let get = |message: &str| {
        let message: String = message.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("{}?connect=v1&encoding=json&message={message}", path("Get"))
    };
    for (verb, path, body, status) in [
        ("GET", get(TEA), "", 200),
        ("GET", get("{}"), "", 400),
        ("GET", path("Get"), "", 400),
        ("GET", path("None"), "", 404),
        ("GET", path("Watch"), "", 405),
        ("GET", "/none.v1.Service/Get".to_owned(), "", 404),
        ("GET", "/none".to_owned(), "", 404),
        ("GET", "/".to_owned(), "", 200),
        ("GET", "/healthz".to_owned(), "", 200),
        ("GET", "/readyz".to_owned(), "", 503),
        ("HEAD", "/healthz".to_owned(), "", 200),
        ("POST", path("Get"), TEA, 200),
        ("POST", path("Get"), "{}", 400),
        ("POST", format!("/{HEALTH}/Check"), "{}", 200),
    ] {
        let reply = send(&world, verb, &path, JSON, body).await;
        assert_eq!((reply.status, kept(&reply.headers)), (status, "no-store"), "{verb} {path}");
    }
    // Not even what is refused as a call of gRPC, which is an answer with status 200 too.
    for kind in ["application/grpc-foo", "application/grpc", "application/grpc-web"] {
        let reply = send(&world, "GET", &get(TEA), &[("content-type", kind)], "").await;
        assert_eq!(kept(&reply.headers), "no-store", "{kind}");
    }
    tokio::time::pause();
    let kind = [("content-type", "application/connect+json"), ("connect-timeout-ms", "10")];
    let stream = send(&world, "POST", &path("Watch"), &kind, frame(0, TEA.as_bytes()).to_vec()).await;
    assert_eq!((stream.status, kept(&stream.headers)), (200, "no-store"));
}

#[tokio::test]
async fn nobody_keeps_what_one_caller_is_answered_for_another_one() {
    let router = World::new().builder().access(Access::by(Named)).build(Drain::never()).unwrap().0;
    for (token, status) in [(None, 401), (Some("nobody"), 401), (Some("notes"), 403), (Some("all"), 200)] {
        let mut request = Request::get(format!("{}?encoding=json&message=%7B%22key%22%3A%7B%7D%7D", path("Get")));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let reply = answer(router.clone(), request, "").await;
        assert_eq!((reply.status, kept(&reply.headers)), (status, "no-store"), "{token:?}");
    }
}

/// A service of somebody else's, under a name that the descriptor knows, which knows better: it answers with a message, or refuses.
#[derive(Clone)]
struct Fixed;

impl tonic::server::NamedService for Fixed {
    const NAME: &'static str = "test.v1.VisitsService";
}

impl tower::Service<Request<Body>> for Fixed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut answer = if request.uri().path().ends_with("/Get") {
            let end = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
            let frames = [::http_body::Frame::data(frame(0, &[])), ::http_body::Frame::trailers(end)];
            let frames = futures_util::stream::iter(frames.map(Ok::<_, tonic::Status>));
            Response::new(Body::new(http_body_util::StreamBody::new(frames)))
        } else {
            tonic::Status::not_found("it is nowhere").into_http()
        };
        if request.headers().contains_key("fixed") {
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        }
        async { Ok(answer) }.boxed()
    }
}

#[tokio::test]
async fn a_service_that_is_hosted_says_itself_who_may_keep_its_answers() {
    let router = World::new().builder().service(Fixed).build(Drain::never()).unwrap().0;
    let ask = async |method: &str, how: Option<&str>| {
        let mut request = Request::get(format!("/test.v1.VisitsService/{method}?encoding=json&message=%7B%7D"));
        if let Some(how) = how {
            request = request.header(how, "");
        }
        let reply = answer(router.clone(), request, "").await;
        (reply.status, kept(&reply.headers).to_owned())
    };
    for (method, status) in [("Get", 200), ("GetWindow", 404)] {
        assert_eq!(ask(method, None).await, (status, "no-store".to_owned()));
        assert_eq!(ask(method, Some("fixed")).await, (status, "max-age=60".to_owned()));
    }
    let post = Request::post("/test.v1.VisitsService/Get").header("content-type", "application/json");
    let posted = answer(router.clone(), post.header("fixed", ""), json!({}).to_string()).await;
    assert_eq!((posted.status, kept(&posted.headers)), (200, "max-age=60"));
}
