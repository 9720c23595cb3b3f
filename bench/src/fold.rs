//! Decode of JSON, window and count: the real worker over payloads in memory and the memory store, on one thread.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use murmur::engine::{Options, Worker, json};
use murmur::source::{Assignment, Batch, Offset, PartitionId, Payload, Poll, Source, Start};
use murmur::store::MemoryStore;
use serde_json::Map;
use tokio::sync::watch;

use crate::measurement::Measurement;
use crate::resources::Meter;
use crate::views::{NoLetters, Views, counts, line, over_all_hours};

/// Different payloads made; a run goes round over them.
const POOL: u64 = 400_000;
const BATCH: usize = 1_000;

/// Payloads in memory, handed out in batches of one buffer, as a source does.
struct Pool {
    partition: PartitionId,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    next: u64,
    events: u64,
    assigned: bool,
}

impl Pool {
    fn new(events: u64, keys: u64) -> Self {
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
        Self { partition: PartitionId::new("pool"), bytes, ends, next: 0, events, assigned: false }
    }

    /// How often each key is in the run, for the oracle: read from the payloads by plain search, not by the decoder.
    fn expected(&self) -> std::collections::HashMap<String, u64> {
        let mut expected = std::collections::HashMap::new();
        let count = self.ends.len() as u64;
        for (at, _) in self.ends.iter().enumerate() {
            let line = self.line(at);
            let text = String::from_utf8_lossy(line);
            let page = text.split("\"page_id\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let rounds = self.events / count + u64::from((at as u64) < self.events % count);
            *expected.entry(page.unwrap_or_default().to_owned()).or_default() += rounds;
        }
        expected
    }

    fn line(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    fn deliver(&mut self) -> Poll {
        if !self.assigned {
            self.assigned = true;
            return Poll::Assigned(vec![Assignment { partition: self.partition.clone(), start: Start::Beginning }]);
        }
        if self.next == self.events {
            return Poll::End;
        }
        let at = (self.next % self.ends.len() as u64) as usize;
        let count = BATCH.min(self.ends.len() - at).min((self.events - self.next) as usize);
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        let mut batch = Batch { partition: Some(self.partition.clone()), ..Batch::default() };
        batch.buffer.extend_from_slice(&self.bytes[from..self.ends[at + count - 1]]);
        let mut start = 0;
        batch.payloads.extend((0..count).map(|n| {
            let end = self.ends[at + n] - from;
            let bytes = std::mem::replace(&mut start, end)..end;
            Payload { offset: Offset::from_u64(self.next + n as u64), bytes, broken: None }
        }));
        self.next += count as u64;
        Poll::Batch(batch)
    }
}

impl Source for Pool {
    fn poll(&mut self) -> BoxFuture<'_, murmur::Result<Poll>> {
        let next = self.deliver();
        Box::pin(async { Ok(next) })
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, murmur::Result<()>> {
        self.next = after.map_or(0, |offset| offset.words()[3] + 1);
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, murmur::Result<()>> {
        Box::pin(async { Ok(()) })
    }
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
    let pool = Pool::new(events, keys);
    let expected = pool.expected();
    let mean = pool.bytes.len() / pool.ends.len().max(1);
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
        let pool = Pool::new(1_000, 10);
        let expected = pool.expected();
        assert_eq!(expected.values().sum::<u64>(), 1_000);
        assert!(expected.keys().all(|key| key.starts_with("page-")));
    }
}
