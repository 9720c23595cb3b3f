//! Where random cases are played, and how many of them.
//!
//! ```text
//! MURMUR_PLANNER_CASES   how many in all, each a table of its own; 2,880 when not set
//! MURMUR_PLANNER_STORE   memory, embedded, or dynamodb at MURMUR_TEST_DYNAMODB; memory when not set
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
#[cfg(feature = "dynamodb")]
use crate::engine::SystemClock;

/// Kinds of tables that share the cases: ten windows, with three aggregates each.
pub(super) const KINDS: u32 = 30;

/// How many cases there are of each kind.
pub(super) fn cases() -> u32 {
    let all: u32 = std::env::var("MURMUR_PLANNER_CASES").map_or(2_880, |cases| cases.parse().unwrap());
    all.div_ceil(KINDS)
}

/// A store for one test, with a new table for each case.
pub(super) struct Place {
    kind: Kind,
    /// Removed at the end.
    _folder: Option<tempfile::TempDir>,
    generation: AtomicU32,
}

enum Kind {
    Memory,
    #[cfg(feature = "embedded")]
    Embedded(Arc<dyn Store>),
    #[cfg(feature = "dynamodb")]
    DynamoDb(Arc<dyn Store>),
}

impl Place {
    pub(super) async fn new() -> Self {
        #[cfg_attr(not(feature = "embedded"), allow(unused_mut, reason = "only that store has a folder"))]
        let mut in_folder = None;
        let kind = match std::env::var("MURMUR_PLANNER_STORE").as_deref() {
            Err(_) | Ok("memory") => Kind::Memory,
            #[cfg(feature = "embedded")]
            Ok("embedded") => {
                let folder = tempfile::tempdir().unwrap();
                let config = crate::store::EmbeddedConfig::new(folder.path());
                let store = crate::store::EmbeddedStore::open(&config).unwrap();
                in_folder = Some(folder);
                Kind::Embedded(Arc::new(store))
            }
            #[cfg(feature = "dynamodb")]
            Ok("dynamodb") => Kind::DynamoDb(dynamodb().await),
            Ok(other) => panic!("there is no store `{other}`, or its feature is off"),
        };
        Self { kind, _folder: in_folder, generation: AtomicU32::new(0) }
    }

    /// A store, and a generation of which it has no table yet.
    pub(super) async fn table(&self) -> (Arc<dyn Store>, u32) {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let store: Arc<dyn Store> = match &self.kind {
            Kind::Memory => Arc::new(MemoryStore::new()),
            #[cfg(feature = "embedded")]
            Kind::Embedded(store) => store.clone(),
            #[cfg(feature = "dynamodb")]
            Kind::DynamoDb(store) => {
                store.ensure(&Table::new("test", generation).shelf(), &[]).await.unwrap();
                store.clone()
            }
        };
        (store, generation)
    }

    /// An instant for a case. A server that removes by its own clock what has expired must not be ahead of it.
    pub(super) fn now(&self, micros: i64) -> Timestamp {
        match &self.kind {
            #[cfg(feature = "dynamodb")]
            Kind::DynamoDb(_) => {
                const YEAR: i64 = 366 * 86_400 * 1_000_000;
                Timestamp::from_micros(SystemClock.now().as_micros() / YEAR * YEAR + YEAR + micros.rem_euclid(YEAR))
            }
            _ => Timestamp::from_micros(micros),
        }
    }
}

#[cfg(feature = "dynamodb")]
async fn dynamodb() -> Arc<dyn Store> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let endpoint = std::env::var("MURMUR_TEST_DYNAMODB").expect("MURMUR_TEST_DYNAMODB names no server");
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("planner{}-{}-{number}-", SystemClock.now().as_micros(), std::process::id());
    let config = crate::store::DynamoConfig { prefix, endpoint: Some(endpoint), ..crate::store::DynamoConfig::new() };
    Arc::new(crate::store::DynamoStore::open(&config).await.unwrap())
}
