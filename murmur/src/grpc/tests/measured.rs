//! What a server tells of its calls.

use ::http::{Request, Version};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{Full, StreamBody};
use tonic::body::Body;

use super::access::Named;
use super::http::{JSON, path, send};
use super::*;
use crate::grpc::access::Access;
use crate::grpc::protocol::frame::frame;

#[test]
fn calls_are_measured() {
    use crate::metrics::catalogue::{QUERY_DURATION, QUERY_ITEMS};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let moved = crate::metrics::tests::moved(|| {
        runtime.block_on(async {
            let world = World::new();
            world.count(&stock(7, "tea", -2), hours_ago(1), 10).await;
            let body = r#"{"key":{"shop":7,"sku":"tea","shelf":-2}}"#;
            assert_eq!(send(&world, "POST", &path("Get"), JSON, body).await.status, 200);
            assert_eq!(send(&world, "POST", &path("Get"), JSON, "[]").await.status, 400);
        });
    });
    assert_eq!((moved[QUERY_DURATION.name], moved[QUERY_ITEMS.name]), (1.0, 1.0), "no call was made of the second one");
    let page = crate::metrics::tests::page(|| {
        runtime.block_on(async {
            // One that begins, and one that names no key.
            for request in [r#"{"key":{"shop":7}}"#, "{}"] {
                let body = Body::new(Full::new(frame(0, request.as_bytes())));
                let asked = Request::post(path("Watch")).header("content-type", "application/connect+json");
                drop(World::new().router().answer(asked.body(body).unwrap()).await);
            }
        });
    });
    for code in ["ok", "invalid_argument"] {
        assert_eq!(calls(&page, &format!("{STOCK}/Watch"), code), "1", "{code}");
    }
}

/// How many calls a page tells of.
fn calls<'a>(page: &'a str, rpc: &str, code: &str) -> &'a str {
    let name = format!("{}_count{{", crate::metrics::catalogue::QUERY_DURATION.name);
    let of = [name, format!("rpc=\"{rpc}\""), format!("code=\"{code}\"")];
    let mut lines = page.lines().filter(|line| of.iter().all(|part| line.contains(part)));
    lines.next().and_then(|line| line.rsplit_once(' ')).map_or("none", |(_, count)| count)
}

#[test]
fn calls_that_are_refused_before_anything_is_asked_are_measured_with_their_code() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let page = crate::metrics::tests::page(|| {
        runtime.block_on(async {
            for kind in ["application/json", "application/grpc+json"] {
                let builder = World::new().builder().max_calls(1).max_request(100);
                let router = builder.access(Access::by(Named)).build(Drain::never()).unwrap().0;
                let ask = |path: &str, token: Option<&str>, wait: &str, body: Body| {
                    let mut asked = Request::post(path).version(Version::HTTP_2).header("content-type", kind);
                    asked = asked.header("connect-timeout-ms", wait);
                    if let Some(token) = token {
                        asked = asked.header("authorization", format!("Bearer {token}"));
                    }
                    router.clone().answer(asked.body(body).unwrap())
                };
                let body = |json: &str| {
                    let json = Bytes::copy_from_slice(json.as_bytes());
                    Body::new(Full::new(if kind.contains("grpc") { frame(0, &json) } else { json }))
                };
                let (get, long) = (path("Get"), "x".repeat(101));
                for (path, token, json) in [
                    (&*get, None, "{}"),
                    (&*get, Some("notes"), "{}"),
                    (&*get, Some("all"), "[]"),
                    (&*get, Some("all"), &*long),
                    ("/none.v1.Service/Get", None, "{}"),
                    ("/none.v1.Service/Get", Some("all"), "{}"),
                    ("/", None, "{}"),
                ] {
                    drop(ask(path, token, "5000", body(json)).await);
                }
                // One that has the only place and whose body does not come, and one that waits for that place.
                let never = futures_util::stream::pending::<Result<::http_body::Frame<Bytes>, tonic::Status>>();
                let mut late = std::pin::pin!(ask(&get, Some("all"), "30000", Body::new(StreamBody::new(never))));
                assert!((&mut late).now_or_never().is_none());
                drop(ask(&get, Some("all"), "1", body("{}")).await);
                drop(late.await);
            }
        });
    });
    let get = format!("{STOCK}/Get");
    for (rpc, code, count) in [
        (&*get, "unauthenticated", "2"),
        (&*get, "permission_denied", "2"),
        (&*get, "invalid_argument", "2"),
        (&*get, "resource_exhausted", "2"),
        (&*get, "unavailable", "2"),
        (&*get, "deadline_exceeded", "2"),
        ("none", "unauthenticated", "4"),
        ("none", "unimplemented", "2"),
        ("none.v1.Service/Get", "unauthenticated", "none"),
    ] {
        assert_eq!(calls(&page, rpc, code), count, "{rpc} {code}: {page}");
    }
}

#[test]
fn a_call_whose_reply_is_too_large_as_json_is_measured_as_one_that_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let page = crate::metrics::tests::page(|| {
        runtime.block_on(async {
            let world = World::new();
            world.note(&note("a"), 1, &"\u{1}".repeat(3 << 20)).await;
            let get = format!("/{NOTES}/Get");
            assert_eq!(send(&world, "POST", &get, JSON, r#"{"key":{"id":"a"}}"#).await.status, 429);
        });
    });
    let get = format!("{NOTES}/Get");
    assert_eq!((calls(&page, &get, "resource_exhausted"), calls(&page, &get, "ok")), ("1", "none"));
}
