use std::sync::Arc;

use tokio::sync::watch;

use super::breaker::Breaker;
use super::clock::{Clock, SystemClock};
use super::flight::Flights;
use super::flush::Patience;
use super::fold::FoldTable;
use super::lane::{Lane, Pace};
use super::letters::Letters;
use super::links::Links;
use super::meter::{Meter, Tally};
use super::options::Options;
use super::progress::Progress;
use super::publish::KnownEnds;
use super::rolling::{Part, Rolling};
use super::unreadable::Unreadable;
use super::worker::Worker;
use crate::Result;
use crate::event::Event;
use crate::metrics::measured;
use crate::pipeline::Pipeline;
use crate::source::{DeadLetters, Source};
use crate::store::Store;

/// Builds a [`Worker`].
#[must_use]
pub struct WorkerBuilder<E> {
    worker: Worker<E>,
    /// What it rolls of each of its pipelines.
    rolls: Vec<Option<Part>>,
}

impl<E: Event> Worker<E> {
    /// Begin with what every worker needs.
    pub fn builder(
        store: Arc<dyn Store>,
        source: Box<dyn Source>,
        decode: impl Fn(&[u8]) -> Result<E, Unreadable> + Send + 'static,
        dead_letters: Box<dyn DeadLetters>,
    ) -> WorkerBuilder<E> {
        let worker = Self {
            store: measured(store),
            source,
            decode: Box::new(decode),
            dead_letters,
            clock: Arc::new(SystemClock),
            options: Options::default(),
            lanes: Vec::new(),
            owned: Vec::new(),
            waiting: Vec::new(),
            flights: Flights::default(),
            letters: Letters::default(),
            breaker: Breaker::new(Options::default().dead_letter_limit),
            progress: Progress::default(),
            meter: Meter::new(0),
            watch: watch::Sender::new(Progress::default()),
            can_tell_ends: false,
            ends: KnownEnds::default(),
            patience: Patience::new(0),
            rolling: Arc::new(Rolling::new(Vec::new(), Patience::new(0))),
            failure: None,
        };
        WorkerBuilder { worker, rolls: Vec::new() }
    }
}

impl<E: Event> WorkerBuilder<E> {
    /// How the worker goes about it.
    pub fn options(mut self, options: Options) -> Self {
        self.worker.meter = Meter::new(options.worker);
        self.worker.options = options;
        self
    }

    /// The clock that decides what has expired.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.worker.clock = clock;
        self
    }

    /// Keep the tiles of this pipeline. All [`options`](Self::options) come before.
    pub fn pipeline<P: Pipeline<Event = E>>(mut self) -> Self {
        let options = &self.worker.options;
        let Options { generation, flush_interval, pipeline_intervals, flush_bytes, roll_share, roll_bytes, .. } =
            options;
        let interval = pipeline_intervals.get(P::SPEC.name).unwrap_or(flush_interval).to_std();
        let fold = Box::new(FoldTable::<P>::new(*generation, *flush_bytes));
        let store = &self.worker.store;
        let roll = |every| Part::new::<P>(store.clone(), *generation, every, *roll_share, *roll_bytes);
        self.rolls.push(options.roll_every.and_then(roll));
        self.worker.meter.pipeline(P::SPEC.name);
        self.worker.lanes.push(Lane {
            fold,
            pace: Pace::new(interval),
            since_flush: 0,
            letters: 0,
            links: Links::default(),
            tally: Tally::default(),
        });
        self
    }

    /// The worker.
    pub fn build(mut self) -> Worker<E> {
        self.worker.patience = Patience::new(self.worker.options.seed);
        self.worker.rolling = Arc::new(Rolling::new(self.rolls, self.worker.patience.clone()));
        self.worker.breaker = Breaker::new(self.worker.options.dead_letter_limit);
        self.worker
    }
}
