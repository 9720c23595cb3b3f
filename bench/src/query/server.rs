//! The process of the server: it fills a store as workers would, serves it as `serve` does, and says what it has used.
//!
//! ```text
//! stdin   a line: what was used until now? Its end: stop.
//! stdout  first a line with the port, then one with what was used, for each line of stdin: JSON
//! ```

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use murmur::engine::{Options, Worker};
use murmur::grpc::Server;
use murmur::metrics::{Prometheus, describe};
use murmur::prelude::*;
use murmur::query::{Reader, TileCache};
use murmur::store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store, Table};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use super::pages::{Counts, PageTotal, PageWindow, PageWindowKey, Pages, Stay, decode};
use super::{Result, hello, rolled, text};
use crate::pool::Pool;
use crate::resources::{Meter, rss_mib};
use crate::views::NoLetters;

/// What a server is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Serving {
    /// The floor.
    Hello,
    /// Murmur's.
    Pages {
        store: String,
        counts: Counts,
        /// Until when pages were visited, in microseconds.
        end: i64,
        /// Bytes for tiles that cannot change any more.
        cache: u64,
    },
}

impl std::fmt::Display for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hello => f.write_str("hello"),
            Self::Pages { store, counts: Counts { totals, busy, seldom }, end, cache } => {
                write!(f, "{store} {totals} {busy} {seldom} {end} {cache}")
            }
        }
    }
}

impl FromStr for Serving {
    type Err = String;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match *words {
            ["hello"] => Ok(Self::Hello),
            [store, totals, busy, seldom, end, cache] => Ok(Self::Pages {
                store: store.to_owned(),
                counts: Counts {
                    totals: totals.parse().map_err(text)?,
                    busy: busy.parse().map_err(text)?,
                    seldom: seldom.parse().map_err(text)?,
                },
                end: end.parse().map_err(text)?,
                cache: cache.parse().map_err(text)?,
            }),
            _ => Err(format!("`{line}` is no server")),
        }
    }
}

/// Be the server, until nobody asks any more.
#[allow(clippy::print_stdout, reason = "the answers to the process that started this one")]
pub(super) fn be(serving: &Serving) -> Result<()> {
    let meter = Meter::start();
    // As a program of `murmur::main!`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(EnvFilter::new("info"));
    registry().with(lines).try_init().map_err(text)?;
    let metrics = Prometheus::install().map_err(text)?;
    describe("murmur-bench");
    let folder = std::env::temp_dir().join(format!("murmur-bench-query-{}", std::process::id()));
    let served = runtime.block_on(async {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let ready = |listener: &TcpListener| -> Result<()> {
            println!("{}", json!({ "port": listener.local_addr().map_err(text)?.port() }));
            std::thread::spawn(move || {
                for _ in std::io::stdin().lines().map_while(std::result::Result::ok) {
                    let used = meter.used();
                    println!("{}", json!({ "cpu_s": used.cpu_s, "user_s": used.user_s, "rss_mib": rss_mib() }));
                }
                drop(stop);
            });
            Ok(())
        };
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                metrics.tidy();
            }
        });
        match serving {
            Serving::Hello => {
                let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
                ready(&listener)?;
                hello::serve(listener, stopped).await
            }
            Serving::Pages { store, counts, end, cache } => {
                let store = open(store, folder.clone())?;
                fill(&store, &Pages::new(*counts, Timestamp::from_micros(*end))).await?;
                let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
                ready(&listener)?;
                serve(store, *cache, listener, stopped).await
            }
        }
    });
    // What is left in the folder for temporary files harms nobody.
    let _ = std::fs::remove_dir_all(folder);
    served
}

fn open(name: &str, folder: PathBuf) -> Result<Arc<dyn Store>> {
    Ok(match name {
        "memory" => Arc::new(MemoryStore::new()),
        "embedded" => Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder)).map_err(text)?),
        other => return Err(format!("there is no store `{other}`")),
    })
}

/// Fill a store as workers would, and their readers by and by.
pub(super) async fn fill(store: &Arc<dyn Store>, pages: &Pages) -> Result<()> {
    if pages.counts.totals > 0 {
        work::<PageTotal>(store, pages.once()).await?;
    }
    if pages.counts.busy == 0 {
        return Ok(());
    }
    work::<PageWindow>(store, pages.by_minute()).await?;
    // What the worker has left, reads would have rolled: of the many pages by so many reads that it is done for them.
    rolled::write(store, pages).await?;
    let reader = Reader::<PageWindow>::new(store.clone(), 1);
    for page in 0..pages.counts.busy {
        let key = PageWindowKey { page: Pages::name(page) };
        reader.roll(&key, pages.finished()).await.map_err(text)?;
    }
    Ok(())
}

/// Have a worker read all visits, with its options as they are.
async fn work<P: Pipeline<Event = Stay>>(store: &Arc<dyn Store>, visits: Pool) -> Result<()> {
    store.ensure(&Table::new(P::SPEC.name, 1).shelf(), &[]).await.map_err(text)?;
    let worker = Worker::builder(store.clone(), Box::new(visits), decode, Box::new(NoLetters));
    let worker = worker.options(Options::default()).pipeline::<P>().build();
    let (_stop, stopped) = watch::channel(false);
    worker.run(stopped).await.map_err(text).map(drop)
}

/// As `serve` does it.
pub(super) async fn serve(
    store: Arc<dyn Store>,
    cache: u64,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/murmur/descriptor.binpb"));
    let totals = Reader::<PageTotal>::new(store.clone(), 1).rolling();
    let windows = Reader::<PageWindow>::new(store, 1).rolling();
    let server = Server::builder().descriptor(DESCRIPTOR);
    let server = match cache {
        0 => server.pipeline(totals).pipeline(windows),
        cache => {
            let cache = TileCache::new(cache);
            server.pipeline(totals.caching(&cache)).pipeline(windows.caching(&cache))
        }
    };
    server.serve(listener, stop).await.map_err(text)
}
