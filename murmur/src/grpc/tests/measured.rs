//! What a server tells of its calls.

use super::http::{JSON, path, send};
use super::*;
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
                let body = tonic::body::Body::new(http_body_util::Full::new(frame(0, request.as_bytes())));
                let asked = ::http::Request::post(path("Watch")).header("content-type", "application/connect+json");
                drop(World::new().router().answer(asked.body(body).unwrap()).await);
            }
        });
    });
    for code in ["ok", "invalid_argument"] {
        let of =
            [format!("{}_count{{", QUERY_DURATION.name), format!("rpc=\"{STOCK}/Watch\""), format!("code=\"{code}\"")];
        assert!(
            page.lines().any(|line| of.iter().all(|part| line.contains(part)) && line.ends_with(" 1")),
            "{code}: {page}"
        );
    }
}
