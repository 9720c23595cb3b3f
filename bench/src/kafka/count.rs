//! The real worker, from the topic into a store.

use std::sync::Arc;

use murmur::engine::{Options, Worker, json};
use murmur::metrics::catalogue::{STORE_REQUEST_DURATION, STORE_WRITE_UNITS};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::store::{DynamoConfig, DynamoStore, EmbeddedConfig, EmbeddedStore, MemoryStore, Store, Table};
use serde_json::Map;
use tokio::sync::watch;

use super::stream::{Stream, runtime, text};
use super::{Found, Result};
use crate::resources::Meter;
use crate::tally::Tally;
use crate::views::{NoLetters, Views, counts};

/// The store of this name.
async fn open(name: &str, stream: &Stream) -> Result<Arc<dyn Store>> {
    let store: Arc<dyn Store> = match name {
        "memory" => Arc::new(MemoryStore::new()),
        "embedded" => {
            let folder = std::env::temp_dir().join(&stream.topic);
            Arc::new(
                EmbeddedStore::open(&EmbeddedConfig::parse(&folder.display().to_string()).map_err(text)?)
                    .map_err(text)?,
            )
        }
        "dynamodb" => {
            let endpoint = std::env::var("MURMUR_TEST_DYNAMODB").map_err(|_| "MURMUR_TEST_DYNAMODB names no server")?;
            let prefix = format!("{}-", stream.topic);
            let config = DynamoConfig { prefix, endpoint: Some(endpoint), ..DynamoConfig::new() };
            Arc::new(DynamoStore::open(&config).await.map_err(text)?)
        }
        other => return Err(format!("there is no variant `{other}`")),
    };
    store.ensure(&Table::new("views", 1).shelf(), &[]).await.map_err(text)?;
    Ok(store)
}

/// How often a record was put, which is a request each.
fn records_put(tally: &Tally) -> u64 {
    tally.sum(STORE_REQUEST_DURATION.name, Some(("op", "put_record")))
}

fn write_units(tally: &Tally) -> u64 {
    tally.sum(STORE_WRITE_UNITS.name, None)
}

pub(super) fn run(name: &str, stream: &Stream) -> Result<Found> {
    let runtime = runtime()?;
    // Before the store is opened; the others make no requests.
    let tally = (name == "dynamodb").then(Tally::install).transpose()?;
    runtime.block_on(async {
        let store = open(name, stream).await?;
        let mut config = KafkaConfig::new(stream.brokers(), &[&stream.topic], format!("bench-{name}"));
        config.until_end = true;
        let costs = || tally.as_ref().map(|tally| (records_put(tally), write_units(tally)));
        let before = costs();
        let meter = Meter::start();
        let source = kafka::open(config).map_err(text)?;
        let worker = Worker::builder(store.clone(), source, json, Box::new(NoLetters));
        let worker = worker.options(Options::default()).pipeline::<Views>().build();
        let (_stop, stopped) = watch::channel(false);
        let summary = worker.run(stopped).await.map_err(text)?;
        let used = meter.used();
        let costs = costs();
        let exact = counts(&*store).await.map_err(text)? == stream.expected();
        let progress = summary.progress;
        let mut more = Map::new();
        more.insert("flushes".into(), progress.flushes.into());
        let per_million = |count: u64| (count as f64 / stream.events as f64 * 1e6).round();
        more.insert("writes_per_million".into(), per_million(progress.writes).into());
        if let Some(((puts_before, units_before), (puts, units))) = before.zip(costs) {
            let calls = progress.writes + progress.resent + puts - puts_before;
            more.insert("write_calls_per_million".into(), per_million(calls).into());
            more.insert("write_units_per_million".into(), per_million(units - units_before).into());
        }
        if name == "embedded" {
            // What is left in the folder for temporary files harms nobody.
            let _ = std::fs::remove_dir_all(std::env::temp_dir().join(&stream.topic));
        }
        Ok(Found { used, events: progress.applied, exact, more })
    })
}
