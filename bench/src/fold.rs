//! Decode of JSON, window and count: the real worker over payloads in memory and the memory store, on one thread.

use std::collections::HashMap;
use std::sync::Arc;

use murmur::engine::{Options, Worker, json};
use murmur::store::MemoryStore;
use serde_json::Map;
use tokio::sync::watch;

use crate::measurement::Measurement;
use crate::pool::Pool;
use crate::resources::Meter;
use crate::views::{NoLetters, Views, counts, line, over_all_hours};

/// Different payloads made; a run goes round over them.
const POOL: u64 = 400_000;

/// Payloads of so many keys, in one hour.
fn pool(events: u64, keys: u64) -> Pool {
    let mut rng = fastrand::Rng::with_seed(7);
    // The last full hour: live events fall into one tile per key.
    let now = murmur::engine::Clock::now(&murmur::engine::SystemClock).as_micros() / 1_000;
    let hour = now - now % 3_600_000 - 3_600_000;
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..events.min(POOL) {
        let page = rng.u64(..keys);
        let at = hour + rng.i64(0..3_600_000);
        let line = line(&mut rng, page, at);
        bytes.extend_from_slice(line.as_bytes());
        ends.push(bytes.len());
    }
    Pool::new(bytes, ends, events)
}

/// How often each key is in a run, for the oracle: read from the payloads by plain search, not by the decoder.
fn expected(pool: &Pool, events: u64) -> HashMap<String, u64> {
    let mut expected = HashMap::new();
    let count = pool.payloads() as u64;
    for at in 0..pool.payloads() {
        let text = String::from_utf8_lossy(pool.payload(at));
        let page = text.split("\"page_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let rounds = events / count + u64::from((at as u64) < events % count);
        *expected.entry(page.unwrap_or_default().to_owned()).or_default() += rounds;
    }
    expected
}

/// One line per variant.
pub(crate) fn measure(
    events: Option<u64>,
    keys: Option<u64>,
    report: &mut dyn FnMut(Measurement),
) -> Result<(), String> {
    let variants = match keys {
        Some(keys) => vec![keys],
        None => vec![10_000, 200_000],
    };
    for keys in variants {
        report(run(events.unwrap_or(4_000_000), keys)?);
    }
    Ok(())
}

fn run(events: u64, keys: u64) -> Result<Measurement, String> {
    let pool = pool(events, keys);
    let expected = expected(&pool, events);
    let mean = pool.mean();
    let store = Arc::new(MemoryStore::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let worker = Worker::builder(store.clone(), Box::new(pool), json, Box::new(NoLetters))
        .options(Options::default())
        .pipeline::<Views>()
        .build();
    let (_stop, stopped) = watch::channel(false);
    let meter = Meter::start();
    let summary = runtime.block_on(worker.run(stopped)).map_err(|error| error.to_string())?;
    let used = meter.used();
    let counted = runtime.block_on(counts(&*store)).map_err(|error| error.to_string())?;
    let exact = over_all_hours(counted) == expected;
    let mut more = Map::new();
    more.insert("bytes_per_event".into(), mean.into());
    more.insert("keys".into(), keys.into());
    more.insert("flushes".into(), summary.progress.flushes.into());
    Ok(Measurement { name: "fold", variant: format!("keys-{keys}"), events, used, exact, ratio: None, more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::json;

    #[test]
    fn a_measurement_checks_its_end_state_and_keeps_the_fields_that_others_read() {
        let measured = run(20_000, 100).unwrap();
        assert!(measured.exact);
        let line = json(&measured);
        for field in ["name", "variant", "events", "wall_s", "cpu_s", "events_per_cpu_s", "rss_mib", "end_state"] {
            assert!(line.get(field).is_some(), "`{field}` is missing in {line}");
        }
        assert_eq!(line["end_state"], "exact");
    }

    #[test]
    fn the_oracle_does_not_come_from_the_decoder() {
        let expected = expected(&pool(1_000, 10), 1_000);
        assert_eq!(expected.values().sum::<u64>(), 1_000);
        assert!(expected.keys().all(|key| key.starts_with("page-")));
    }
}
