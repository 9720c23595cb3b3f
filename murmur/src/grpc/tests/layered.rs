//! Layers of the user's own, in front of all that a port answers.

use ::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::json;
use tonic::body::Body;
use tower::layer::layer_fn;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower::{ServiceExt, service_fn};

use super::http::{answer, path};
use super::*;
use crate::grpc::PortService;
use crate::grpc::access::{Access, Caller, Identify, Pipelines};
use crate::grpc::protocol::frame::frame;

/// Answers with 403 to whoever is of no tenant, and says on every answer who has answered.
fn layered(world: &World) -> ServerBuilder {
    let of_a_tenant = layer_fn(|port: PortService| {
        service_fn(move |request: Request<Body>| {
            let port = port.clone();
            async move {
                if request.headers().contains_key("tenant") {
                    return port.oneshot(request).await;
                }
                let mut refused = Response::new(Body::empty());
                *refused.status_mut() = StatusCode::FORBIDDEN;
                Ok(refused)
            }
        })
    });
    let named = |name: &'static str| {
        MapResponseLayer::new(move |mut answer: Response<Body>| {
            answer.headers_mut().append("by", HeaderValue::from_static(name));
            answer
        })
    };
    world.builder().layer(named("inner")).layer(of_a_tenant).layer(named("outer"))
}

fn by(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all("by").iter().map(|by| by.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_layer_sees_each_protocol_and_every_page_and_refuses_by_the_last_one_first() {
    let world = World::new();
    let router = layered(&world).build(Drain::never()).unwrap().0;
    let body = json!({"key": {"shop": 7}}).to_string();
    let framed = frame(0, body.as_bytes()).to_vec();
    for (verb, path, kind, body) in [
        ("POST", &*path("Get"), "application/json", body.clone().into_bytes()),
        ("POST", &path("Get"), "application/grpc+json", framed.clone()),
        ("POST", &path("Get"), "application/grpc-web+json", framed.clone()),
        ("POST", &path("Watch"), "application/connect+json", framed),
        ("GET", "/healthz", "text/plain", Vec::new()),
        ("GET", "/nothing", "text/plain", Vec::new()),
    ] {
        let ask = || Request::builder().method(verb).uri(path).header("content-type", kind);
        let refused = answer(router.clone(), ask(), body.clone()).await;
        assert_eq!((refused.status, by(&refused.headers)), (403, vec!["outer"]), "{path} {kind}");
        if kind == "application/connect+json" {
            // Its stream would not end by itself.
            continue;
        }
        let answered = answer(router.clone(), ask().header("tenant", "blue"), body).await;
        let status = if path == "/nothing" { 404 } else { 200 };
        assert_eq!((answered.status, by(&answered.headers)), (status, vec!["inner", "outer"]), "{path} {kind}");
    }
}

#[tokio::test]
async fn what_a_layer_refuses_by_http_has_a_code_to_clients_of_grpc_on_a_port_and_in_an_application() {
    let world = World::new();
    let server = Running::start(layered(&world)).await;
    let client = server.client::<Stock>().await;
    let refused = client.get(stock(7, "tea", 0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    let mounted = layered(&world).mount(std::future::pending()).unwrap();
    let refused = mounted.oneshot(Request::get("/healthz").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!((refused.status(), by(refused.headers())), (StatusCode::FORBIDDEN, vec!["outer"]));
}

/// Knows who a layer says it is.
struct ByLayer;

#[derive(Clone)]
struct Said(&'static str);

impl Identify for ByLayer {
    fn caller<'a>(
        &'a self,
        _: &'a HeaderMap,
        extensions: &'a ::http::Extensions,
    ) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
        let known = |Said(name): &Said| Caller { name: (*name).into(), pipelines: Pipelines::All, until: None };
        let caller = extensions.get().map(known);
        Box::pin(async move { Ok(caller) })
    }
}

#[tokio::test]
async fn what_a_layer_adds_to_a_request_is_there_for_who_finds_out_who_asks() {
    let world = World::new();
    let known = MapRequestLayer::new(|mut request: Request<Body>| {
        if request.headers().contains_key("tenant") {
            request.extensions_mut().insert(Said("blue"));
        }
        request
    });
    let router = world.builder().access(Access::by(ByLayer)).layer(known).build(Drain::never()).unwrap().0;
    let ask = || Request::post(path("Get")).header("content-type", "application/json");
    let body = r#"{"key":{"shop":7}}"#;
    assert_eq!(answer(router.clone(), ask(), body).await.status, 401);
    assert_eq!(answer(router, ask().header("tenant", "blue"), body).await.status, 200);
}
