//! How fresh the counts are while events come at an even pace: from an event's making to the commit that has it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use murmur::engine::{Options, Worker, json};
use murmur::source::PartitionId;
use murmur::source::kafka::{self, KafkaConfig};
use serde_json::Map;
use tokio::sync::watch;

use super::count::open;
use super::stream::{PARTITIONS, Stream, runtime, send, text};
use super::{Found, Result};
use crate::resources::Meter;
use crate::views::{NoLetters, Views, counts, line};

/// Events a second, for this long.
const RATE: u64 = 50_000;
const SECONDS: u64 = 10;

/// Into the store of this name.
pub(super) fn run(stream: &Stream, store: &str) -> Result<Found> {
    let paced = Stream { topic: format!("{}-paced", stream.topic), events: RATE * SECONDS, ..stream.clone() };
    paced.create()?;
    let found = measure(&paced, store);
    paced.delete();
    found
}

fn measure(stream: &Stream, store: &str) -> Result<Found> {
    let runtime = runtime()?;
    let store = runtime.block_on(open(store, stream))?;
    let began = Instant::now() + Duration::from_secs(3);
    let producing = {
        let stream = stream.clone();
        std::thread::spawn(move || produce(&stream, began))
    };
    let (used, ages, applied) = runtime.block_on(async {
        let config = KafkaConfig::new(stream.brokers(), &[&stream.topic], "bench-pace");
        let worker = Worker::builder(store.clone(), kafka::open(config).map_err(text)?, json, Box::new(NoLetters));
        let worker = worker.options(Options::default()).pipeline::<Views>().build();
        let mut progress = worker.progress();
        let (stop, stopped) = watch::channel(false);
        let mut ages: Vec<f64> = Vec::new();
        let watching = async {
            let mut seen: HashMap<PartitionId, u64> = HashMap::new();
            while seen.values().sum::<u64>() < stream.events && progress.changed().await.is_ok() {
                let now = Instant::now();
                for status in &progress.borrow_and_update().partitions {
                    let Some(commit) = status.commit else { continue };
                    let seen = seen.entry(status.partition.clone()).or_default();
                    for offset in *seen..=commit.words()[3] {
                        let made = began + made_after(&status.partition, offset);
                        ages.push(now.saturating_duration_since(made).as_secs_f64());
                    }
                    *seen = commit.words()[3] + 1;
                }
            }
            stop.send_replace(true);
        };
        let meter = Meter::start();
        let (summary, ()) = futures_util::future::join(worker.run(stopped), watching).await;
        let applied = summary.map_err(text)?.progress.applied;
        Ok::<_, String>((meter.used(), ages, applied))
    })?;
    producing.join().map_err(|_| "the producer panicked")??;
    let counted = runtime.block_on(counts(&*store)).map_err(text)?;
    Ok(Found { used, events: applied, exact: counted == stream.expected(), more: quantiles(ages) })
}

/// When the event at this offset was to be made: they go round over the partitions.
fn made_after(partition: &PartitionId, offset: u64) -> Duration {
    let partition = partition.as_str().rsplit(':').next().and_then(|number| number.parse::<u64>().ok());
    let n = offset * PARTITIONS as u64 + partition.unwrap_or_default();
    Duration::from_secs_f64(n as f64 / RATE as f64)
}

fn produce(stream: &Stream, began: Instant) -> Result<()> {
    let producer = stream.producer()?;
    let mut rng = fastrand::Rng::with_seed(8);
    for (n, (page, at)) in stream.views().enumerate() {
        let due = began + Duration::from_secs_f64(n as f64 / RATE as f64);
        if n.is_multiple_of(500) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let key = format!("page-{page:08}");
        send(&producer, &stream.topic, (n % PARTITIONS as usize) as i32, &key, &line(&mut rng, page, at))?;
    }
    rdkafka::producer::Producer::flush(&producer, Duration::from_secs(60)).map_err(text)
}

fn quantiles(mut ages: Vec<f64>) -> Map<String, serde_json::Value> {
    ages.sort_by(f64::total_cmp);
    let mut more = Map::new();
    for (name, share) in [("freshness_p50_ms", 0.5), ("freshness_p99_ms", 0.99)] {
        let at = ((ages.len() as f64 * share) as usize).min(ages.len().saturating_sub(1));
        more.insert(name.into(), ages.get(at).map_or(f64::NAN, |age| (age * 1e3).round()).into());
    }
    more.insert("events_per_s_made".into(), RATE.into());
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_tells_when_its_event_was_made() {
        let made = |partition: &str, offset| made_after(&PartitionId::new(partition), offset).as_micros();
        assert_eq!(made("k:abc:0", 0), 0);
        assert_eq!(made("k:abc:3", 0), 60);
        assert_eq!(made("k:abc:3", 1), 220);
    }
}
