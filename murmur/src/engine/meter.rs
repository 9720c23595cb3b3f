//! What is measured of a worker. It is taken over from [`Progress`] once a batch: counting an event costs nothing more.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use super::clock::Clock;
use super::flight::Sent;
use super::flush::Flushed;
use super::links::Links;
use super::progress::Progress;
use crate::Result;
use crate::metrics::catalogue::*;
use crate::metrics::{Metric, PLAIN};
use crate::source::LetterClass;
use crate::time::Timestamp;

/// Between two looks at how old things have become by themselves.
const EVERY: Duration = Duration::from_secs(1);

/// What became of the events of one pipeline. Numbers count since the worker's start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Those that it could not count.
    pub(super) refused: u64,
    /// Those of them that lie in the dead letters, by the class of the letter.
    pub(super) dead: [u64; LetterClass::ALL.len()],
    pub(super) filtered: u64,
    pub(super) expired: u64,
    pub(super) late: u64,
    pub(super) already_applied: u64,
    pub(super) repeated: u64,
}

/// The metrics of one worker.
pub(super) struct Meter {
    received: Growing,
    ahead: Growing,
    tombstones: Growing,
    flushes: Growing,
    written: Growing,
    conflicts: Growing,
    resent: Growing,
    ambiguous: Growing,
    partitions: Gauge,
    ages: Ages,
    pipelines: Vec<PipelineMeter>,
}

struct PipelineMeter {
    applied: Growing,
    dead: [Growing; LetterClass::ALL.len()],
    filtered: Growing,
    expired: Growing,
    late: Growing,
    already_applied: Growing,
    repeated: Growing,
    combined: Histogram,
}

/// A counter that follows a total.
struct Growing {
    counter: Counter,
    seen: u64,
}

impl Growing {
    fn new(counter: Counter) -> Self {
        Self { counter, seen: 0 }
    }

    fn reach(&mut self, total: u64) {
        if let Some(more) = total.checked_sub(self.seen).filter(|more| *more > 0) {
            self.counter.increment(more);
            self.seen = total;
        }
    }
}

/// What grows while nothing happens.
#[derive(Clone)]
struct Ages {
    lag: Known,
    lag_age: Known,
    freshness: Known,
    uncommitted: Gauge,
}

impl Ages {
    fn show(&self, progress: &Progress, now: Timestamp) {
        self.lag.show(progress.lag.map(|lag| lag as f64));
        self.lag_age.show(progress.source_lag(now).map(|span| span.as_seconds_f64()));
        self.freshness.show(progress.freshness(now).map(|span| span.as_seconds_f64()));
        self.uncommitted.set(progress.uncommitted_age(now).as_seconds_f64());
    }
}

/// A gauge that is registered when there is something to say: one of 0 would look as if all were well.
#[derive(Clone)]
struct Known {
    metric: Metric,
    worker: u32,
    gauge: Arc<OnceLock<Gauge>>,
}

impl Known {
    fn new(metric: Metric, worker: u32) -> Self {
        Self { metric, worker, gauge: Arc::default() }
    }

    fn show(&self, value: Option<f64>) {
        match value {
            Some(value) => self.gauge.get_or_init(|| self.metric.gauge([self.worker.to_string()])).set(value),
            None => {
                if let Some(gauge) = self.gauge.get() {
                    gauge.set(f64::NAN);
                }
            }
        }
    }
}

impl Meter {
    /// Of the worker of this number in the process.
    pub(super) fn new(worker: u32) -> Self {
        let number = || [worker.to_string()];
        Self {
            received: Growing::new(EVENTS_RECEIVED.counter(PLAIN)),
            ahead: Growing::new(EVENTS_AHEAD.counter(PLAIN)),
            tombstones: Growing::new(TOMBSTONES.counter(PLAIN)),
            flushes: Growing::new(FLUSHES.counter(PLAIN)),
            written: Growing::new(TILES_WRITTEN.counter(PLAIN)),
            conflicts: Growing::new(CONFLICTS.counter(PLAIN)),
            resent: Growing::new(WRITES_RESENT.counter(PLAIN)),
            ambiguous: Growing::new(WRITES_AMBIGUOUS.counter(PLAIN)),
            partitions: PARTITIONS_OWNED.gauge(number()),
            ages: Ages {
                lag: Known::new(SOURCE_LAG, worker),
                lag_age: Known::new(SOURCE_LAG_SECONDS, worker),
                freshness: Known::new(FRESHNESS, worker),
                uncommitted: UNCOMMITTED_AGE.gauge(number()),
            },
            pipelines: Vec::new(),
        }
    }

    /// One more pipeline of the worker.
    pub(super) fn pipeline(&mut self, name: &'static str) {
        self.pipelines.push(PipelineMeter {
            applied: Growing::new(EVENTS_APPLIED.counter([name])),
            dead: LetterClass::ALL.map(|class| Growing::new(EVENTS_DEAD_LETTERED.counter([name, class.as_str()]))),
            filtered: Growing::new(EVENTS_FILTERED.counter([name])),
            expired: Growing::new(EVENTS_EXPIRED.counter([name])),
            late: Growing::new(EVENTS_LATE.counter([name])),
            already_applied: Growing::new(EVENTS_ALREADY_APPLIED.counter([name])),
            repeated: Growing::new(EVENTS_REPEATED.counter([name])),
            combined: COMBINE_RATIO.histogram([name]),
        });
    }

    /// After a batch or a flush; tallies in the order of the pipelines.
    pub(super) fn show(&mut self, progress: &Progress, tallies: impl Iterator<Item = Tally>, now: Timestamp) {
        // First: whoever sees an event counted sees that it is not committed yet.
        self.ages.show(progress, now);
        self.received.reach(progress.read);
        self.ahead.reach(progress.ahead);
        self.tombstones.reach(progress.tombstones);
        self.flushes.reach(progress.flushes);
        self.written.reach(progress.writes);
        self.conflicts.reach(progress.rewinds);
        self.resent.reach(progress.resent);
        self.ambiguous.reach(progress.ambiguous);
        self.partitions.set(progress.partitions.len() as f64);
        for (pipeline, tally) in self.pipelines.iter_mut().zip(tallies) {
            pipeline.applied.reach(progress.read.saturating_sub(tally.refused));
            pipeline.dead.iter_mut().zip(tally.dead).for_each(|(counter, dead)| counter.reach(dead));
            pipeline.filtered.reach(tally.filtered);
            pipeline.expired.reach(tally.expired);
            pipeline.late.reach(tally.late);
            pipeline.already_applied.reach(tally.already_applied);
            pipeline.repeated.reach(tally.repeated);
        }
    }

    /// A pipeline's part of a flush: so many events became so many tiles.
    pub(super) fn combined(&self, pipeline: usize, events: u64, tiles: usize) {
        if tiles > 0
            && let Some(pipeline) = self.pipelines.get(pipeline)
        {
            pipeline.combined.record(events as f64 / tiles as f64);
        }
    }

    /// Ages go on while a worker waits for its store or its source; this never ends.
    pub(super) fn grow_older(
        &self,
        progress: watch::Receiver<Progress>,
        clock: Arc<dyn Clock>,
    ) -> impl Future<Output = Infallible> + use<> {
        let ages = self.ages.clone();
        async move {
            loop {
                tokio::time::sleep(EVERY).await;
                ages.show(&progress.borrow(), clock.now());
            }
        }
    }
}

/// A flush on its way, measured.
pub(super) async fn flush(tiles: usize, links: Links, sending: impl Future<Output = Result<Sent>>) -> Result<Sent> {
    let span = tracing::info_span!("flush", tiles, outcome = tracing::field::Empty);
    #[cfg(feature = "otlp")]
    links.tie(&span);
    #[cfg(not(feature = "otlp"))]
    drop(links);
    let began = Instant::now();
    let sent = sending.instrument(span.clone()).await;
    let outcome = match &sent {
        Ok(Sent { flushed: Flushed::Durable, left: None, .. }) => "durable",
        Ok(Sent { flushed: Flushed::Durable, .. }) => "behind",
        Ok(Sent { flushed: Flushed::Conflict, .. }) => "conflict",
        Ok(Sent { flushed: Flushed::Closed, .. }) => "full",
        Err(_) => "failed",
    };
    span.record("outcome", outcome);
    FLUSH_DURATION.histogram([outcome]).record(began.elapsed());
    sent
}
