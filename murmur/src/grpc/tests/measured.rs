//! What a server tells of its calls.

use super::http::{JSON, path, send};
use super::*;

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
}
