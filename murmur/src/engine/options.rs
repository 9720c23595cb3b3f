use std::collections::BTreeMap;

use super::breaker::DeadLetterLimit;
use crate::time::Span;

/// How a worker goes about it.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Options {
    /// The generation of the pipelines' state.
    pub generation: u32,
    /// Longest time between two flushes. A worker that is far behind its source reads what waits first: it may flush after
    /// ten times as long, but no more than 9 s later. What waits in a partition that has delivered nothing for so long does
    /// not put it off.
    pub flush_interval: Span,
    /// The same for single pipelines, by name, where it differs.
    pub pipeline_intervals: BTreeMap<String, Span>,
    /// Number of tiles with something to write at which a flush does not wait for the interval.
    pub flush_tiles: usize,
    /// Bytes of unflushed state at which a flush does not wait for the interval.
    pub flush_bytes: usize,
    /// Number of dead letters at which a flush does not wait for the interval. Where those beyond the commit stand is kept
    /// in memory: of twice as many and a batch, for each pipeline.
    pub flush_letters: usize,
    /// How long the last flush may take after a request to stop.
    pub drain_budget: Span,
    /// How long making durable what was read may hold up partitions that are to be given to someone else; what is not
    /// durable by then is dropped, and read again by its next owner. It must be well below the time that a group waits for
    /// its members (Kafka: `max.poll.interval.ms`, 5 minutes).
    pub revoke_budget: Span,
    /// How many of the last payloads may be dead letters before the worker stops.
    pub dead_letter_limit: DeadLetterLimit,
    /// What the worker rolls by itself: keys of which it wrote so much in a stretch of so much event time that rolling costs
    /// little beside it, once that stretch is over in all partitions. `None` leaves all rolling to readers. Whole tiles: a
    /// length that is not is rounded up.
    pub roll_every: Option<Span>,
    /// Rolling may cost one write unit for so many that were written.
    pub roll_share: u64,
    /// Bytes of keys that are remembered until then, for each pipeline; the busier half is kept when there are more.
    pub roll_bytes: usize,
    /// To how many of the spans that its payloads were made in the span of a flush is linked, where the source knows them
    /// (Kafka: by the headers `traceparent` and `tracestate`). With 0 it is not asked for them.
    #[cfg(feature = "otlp")]
    pub span_links: usize,
    /// Its number among the workers of this process, for the metrics.
    pub worker: u32,
    /// Seed of the pauses after a conflict.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            generation: 1,
            flush_interval: Span::from_seconds(1),
            pipeline_intervals: BTreeMap::new(),
            flush_tiles: 200_000,
            flush_bytes: 256 << 20,
            flush_letters: 200_000,
            drain_budget: Span::from_seconds(25),
            revoke_budget: Span::from_seconds(10),
            dead_letter_limit: DeadLetterLimit::default(),
            roll_every: Some(Span::from_seconds(86_400)),
            roll_share: 10,
            roll_bytes: 10 << 20,
            #[cfg(feature = "otlp")]
            span_links: 0,
            worker: 0,
            seed: std::hash::BuildHasher::hash_one(&hashbrown::DefaultHashBuilder::default(), 0),
        }
    }
}

impl Options {
    /// How many spans a flush is linked to; none where there are no spans.
    pub(super) fn links(&self) -> usize {
        #[cfg(feature = "otlp")]
        {
            self.span_links
        }
        #[cfg(not(feature = "otlp"))]
        {
            0
        }
    }
}
