use std::sync::Arc;

use super::*;
use crate::store::conformance;

#[tokio::test]
async fn keeps_the_promises_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let make = async || {
        count.set(count.get() + 1);
        let config = EmbeddedConfig::new(folder.path().join(count.get().to_string()));
        Arc::new(EmbeddedStore::open(&config).unwrap()) as _
    };
    conformance::run(make).await;
    conformance::random(make, 0..20).await;
}
