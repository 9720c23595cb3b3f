//! Where random cases are played, and how many of them.
//!
//! ```text
//! MURMUR_PLANNER_CASES   how many in all, each a table of its own; 2,880 when not set
//! MURMUR_PLANNER_STORE   memory, embedded (in TMPDIR), or dynamodb at MURMUR_TEST_DYNAMODB; memory when not set
//! ```
//!
//! Tables of a store that is no memory share one table of it, see `apart.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::apart::Apart;
use super::*;
use crate::engine::SystemClock;

/// Kinds of tables that share the cases: ten windows, with three aggregates each.
const KINDS: u32 = 30;

/// How many cases there are of each kind.
pub(super) fn cases() -> u32 {
    let all: u32 = std::env::var("MURMUR_PLANNER_CASES").map_or(2_880, |cases| cases.parse().unwrap());
    all.div_ceil(KINDS)
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Memory,
    #[cfg(feature = "embedded")]
    Disk,
    #[cfg(feature = "dynamodb")]
    Server,
}

impl On {
    pub(super) fn asked() -> Self {
        match std::env::var("MURMUR_PLANNER_STORE").as_deref() {
            Err(_) | Ok("memory") => Self::Memory,
            #[cfg(feature = "embedded")]
            Ok("embedded") => Self::Disk,
            #[cfg(feature = "dynamodb")]
            Ok("dynamodb") => Self::Server,
            Ok(other) => panic!("there is no store `{other}`, or its feature is off"),
        }
    }

    /// How many cases are played at the same time: a disk makes many writes durable at once, and a server answers many calls.
    fn at_once(self) -> u32 {
        match self {
            Self::Memory => 1,
            #[cfg(feature = "embedded")]
            Self::Disk => 32,
            #[cfg(feature = "dynamodb")]
            Self::Server => 16,
        }
    }
}

/// The stores of one test.
pub(super) struct Places {
    on: On,
    /// The folder is removed at the end.
    disk: Option<(Arc<dyn Store>, tempfile::TempDir)>,
    /// What stands before the names of the tables of a server.
    prefix: String,
    /// How many cases there were.
    count: AtomicU64,
}

impl Places {
    pub(super) fn new(on: On) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("planner{}-{}-{number}-", SystemClock.now().as_micros(), std::process::id());
        let disk = match on {
            #[cfg(feature = "embedded")]
            On::Disk => Some(disk()),
            #[cfg(feature = "dynamodb")]
            On::Server => {
                let made = async { server(&prefix).await.ensure(&Table::new("test", 1).shelf(), &[]).await };
                runtime().block_on(made).unwrap();
                None
            }
            On::Memory => None,
        };
        Self { on, disk, prefix, count: AtomicU64::new(0) }
    }

    /// Deal so many cases out, and play each share in a thread of its own.
    pub(super) fn play(&self, cases: u32, share: impl Fn(&Place<'_>, u32) + Sync) {
        let threads = self.on.at_once().min(cases);
        std::thread::scope(|scope| {
            for nth in 0..threads {
                let share = &share;
                scope.spawn(move || share(&self.place(), (cases + nth) / threads));
            }
        });
    }

    /// For one thread: connections to a server do not leave the runtime that they were made on.
    fn place(&self) -> Place<'_> {
        let runtime = runtime();
        let store = match self.on {
            #[cfg(feature = "dynamodb")]
            On::Server => Some(runtime.block_on(server(&self.prefix))),
            _ => self.disk.as_ref().map(|(store, _)| store.clone()),
        };
        Place { places: self, runtime, store }
    }
}

/// A store for a case after the other.
pub(super) struct Place<'a> {
    places: &'a Places,
    pub(super) runtime: tokio::runtime::Runtime,
    /// What all cases share.
    store: Option<Arc<dyn Store>>,
}

impl Place<'_> {
    /// A store in which nothing is yet.
    pub(super) fn empty(&self) -> Arc<dyn Store> {
        match &self.store {
            None => Arc::new(MemoryStore::new()),
            Some(store) => Arc::new(Apart::new(store.clone(), self.places.count.fetch_add(1, Ordering::Relaxed))),
        }
    }

    /// An instant for a case. A server that removes by its own clock what has expired must not be ahead of it.
    pub(super) fn now(&self, micros: i64) -> Timestamp {
        match self.places.on {
            #[cfg(feature = "dynamodb")]
            On::Server => {
                const YEAR: i64 = 366 * 86_400 * 1_000_000;
                Timestamp::from_micros(SystemClock.now().as_micros() / YEAR * YEAR + YEAR + micros.rem_euclid(YEAR))
            }
            _ => Timestamp::from_micros(micros),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[cfg(feature = "embedded")]
fn disk() -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::EmbeddedStore::open(&crate::store::EmbeddedConfig::new(folder.path())).unwrap();
    (Arc::new(store), folder)
}

#[cfg(feature = "dynamodb")]
async fn server(prefix: &str) -> Arc<dyn Store> {
    let endpoint = std::env::var("MURMUR_TEST_DYNAMODB").expect("MURMUR_TEST_DYNAMODB names no server");
    let config = crate::store::DynamoConfig {
        prefix: prefix.to_owned(),
        endpoint: Some(endpoint),
        // However slow the machine is: nothing here sends a write again.
        timeout: Span::from_seconds(300),
        ..crate::store::DynamoConfig::new()
    };
    Arc::new(crate::store::DynamoStore::open(&config).await.unwrap())
}
