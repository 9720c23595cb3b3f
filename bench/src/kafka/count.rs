//! The real worker, from the topic into a store.

use std::collections::HashSet;
use std::sync::Arc;

use murmur::engine::{Options, Worker, json};
use murmur::metrics::catalogue::{FLUSH_DURATION, STORE_REQUEST_DURATION, STORE_WRITE_UNITS};
use murmur::source::kafka::{self, KafkaConfig};
use murmur::store::{DynamoConfig, DynamoStore, EmbeddedConfig, EmbeddedStore, MemoryStore, Store, Table};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::stream::{Stream, runtime, text};
use super::updates::per_second;
use super::{Found, Result};
use crate::resources::{Meter, peak_rss_mib};
use crate::tally::Tally;
use crate::views::{Counts, NoLetters, Views, counts};

/// The store of this name.
pub(super) async fn open(name: &str, stream: &Stream) -> Result<Arc<dyn Store>> {
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

/// Remove what [`open`] has made in the folder for temporary files; what stays there harms nobody.
pub(super) fn clear(name: &str, stream: &Stream) {
    if name == "embedded" {
        let _ = std::fs::remove_dir_all(std::env::temp_dir().join(&stream.topic));
    }
}

/// How often a record was put, which is a request each.
fn records_put(tally: &Tally) -> u64 {
    tally.sum(STORE_REQUEST_DURATION.name, Some(("op", "put_record")))
}

fn write_units(tally: &Tally) -> u64 {
    tally.sum(STORE_WRITE_UNITS.name, None)
}

/// Writes per second, beside those of a bare loop before and after.
struct Busy {
    bare: f64,
    worker: f64,
}

impl Busy {
    fn tell(&self, more: &mut Map<String, Value>) {
        more.insert("writes_per_s_bare".into(), self.bare.round().into());
        more.insert("writes_per_s".into(), self.worker.round().into());
        more.insert("share_busy".into(), hundredths(self.worker / self.bare).into());
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// The tiles of these counts, which is how many writes are needed at least: the hours of a page lie in tiles of a day.
fn tiles(counts: &Counts) -> usize {
    const DAY: i64 = 86_400_000_000;
    counts.keys().map(|(page, hour)| (page, hour.div_euclid(DAY))).collect::<HashSet<_>>().len()
}

pub(super) fn run(name: &str, stream: &Stream) -> Result<Found> {
    let runtime = runtime()?;
    // Before the store is opened; the others make no requests.
    let tally = (name == "dynamodb").then(Tally::install).transpose()?;
    runtime.block_on(async {
        let store = open(name, stream).await?;
        let mut config = KafkaConfig::new(stream.brokers(), &[&stream.topic], format!("bench-{name}"));
        config.until_end = true;
        let bare_before = if tally.is_some() { per_second(&store, "bare_before").await? } else { f64::NAN };
        let costs = || tally.as_ref().map(|tally| (records_put(tally), write_units(tally)));
        let before = costs();
        let meter = Meter::start();
        let source = kafka::open(config).map_err(text)?;
        let worker = Worker::builder(store.clone(), source, json, Box::new(NoLetters));
        let worker = worker.options(Options::default()).pipeline::<Views>().build();
        let (_stop, stopped) = watch::channel(false);
        let summary = worker.run(stopped).await.map_err(text)?;
        let used = meter.used();
        let rss = peak_rss_mib();
        let after = costs();
        let progress = summary.progress;
        let mut more = Map::new();
        more.insert("rss_mib".into(), rss.round().into());
        more.insert("flushes".into(), progress.flushes.into());
        let per_million = |count: u64| (count as f64 / stream.events as f64 * 1e6).round();
        more.insert("writes_per_million".into(), per_million(progress.writes).into());
        if let Some(((puts_before, units_before), (puts, units))) = before.zip(after) {
            let calls = progress.writes + progress.resent + puts - puts_before;
            more.insert("write_calls_per_million".into(), per_million(calls).into());
            more.insert("write_units_per_million".into(), per_million(units - units_before).into());
        }
        if let Some(tally) = &tally {
            let worker = progress.writes as f64 / tally.recorded(FLUSH_DURATION.name);
            let bare = (bare_before + per_second(&store, "bare_after").await?) / 2.0;
            Busy { bare, worker }.tell(&mut more);
        }
        let (counted, expected) = (counts(&*store).await.map_err(text)?, stream.expected());
        let fewest = tiles(&expected);
        more.insert("tiles".into(), fewest.into());
        more.insert("over_fewest".into(), hundredths(progress.writes as f64 / fewest as f64).into());
        clear(name, stream);
        Ok(Found { used, events: progress.applied, exact: counted == expected, more })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_a_page_on_a_day() {
        const HOUR: i64 = 3_600_000_000;
        let counts = [("a", 22), ("a", 23), ("a", 24), ("b", 24), ("b", -1)];
        assert_eq!(tiles(&counts.map(|(page, hour)| ((page.to_owned(), hour * HOUR), 1)).into()), 4);
    }
}
