//! One experiment: topics and tables of its own, workers, what is sent, and the judgement.

mod commits;
mod feeding;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use murmur::source::Shelf;
use murmur::store::{DynamoConfig, DynamoStore, Store, Table};
use tempfile::TempDir;

use super::feed::{Feed, Gate, Load, Log};
use super::kafka::{Cluster, CommitsOf, name};
use super::oracle::{More, Oracle};
use super::proxy::dynamodb::Dynamo;
use super::{Failure, Finding, Settings, services};
use crate::oracle::Verdict;
pub(super) use workers::Worker;
use workers::{Past, STOPPED, Slot};

/// Without progress for so long, it is stuck.
const STUCK: Duration = Duration::from_secs(45);
/// How long something is waited for that takes seconds on a machine that does nothing else.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// What could not be reached for a while is caught up with within this time after it can. It takes seconds; the figures say.
pub(super) const RECOVERS: Duration = Duration::from_secs(60);
/// Between two looks at the commits and the tables.
const SAMPLE: Duration = Duration::from_millis(700);

pub(super) struct Trial {
    pub(super) settings: Settings,
    pub(super) rng: fastrand::Rng,
    pub(super) cluster: Cluster,
    pub(super) topic: String,
    pub(super) group: String,
    /// Topic of the dead letters.
    pub(super) letters: String,
    pub(super) dynamo: Dynamo,
    pub(super) oracle: Oracle,
    pub(super) load: Load,
    /// Where workers reach what they talk to; the proxies, if any.
    pub(super) brokers: String,
    pub(super) letter_brokers: String,
    pub(super) endpoint: String,
    /// Added to the source's URL.
    pub(super) source_options: String,
    /// Where the next processes of workers die, one after the other.
    pub(super) fail_points: VecDeque<String>,
    /// Keys whose items were full: tiles of no others may be closed.
    pub(super) filled: Vec<String>,
    /// More figures of the row.
    pub(super) figures: Vec<(&'static str, u64)>,
    prefix: String,
    log: Log,
    gate: Gate,
    feeds: Vec<Feed>,
    /// How many partitions the topic has by now.
    present: i32,
    commits: CommitsOf,
    /// The newest of them that were looked at.
    seen: BTreeMap<i32, i64>,
    slots: Vec<Slot>,
    /// A file of each: by how much its clock is wrong.
    clocks: TempDir,
    /// How many were started.
    processes: u64,
    past: Past,
    sampled: Instant,
    samples: u64,
    /// The first commit that was ahead of the tables, or behind an earlier one.
    gap: Option<String>,
    /// Workers that say this may end by themselves, to be started again.
    pub(super) may_end: Option<&'static str>,
}

impl Trial {
    /// Make everything that it needs, on the broker that is not to be disturbed.
    pub(super) async fn new(settings: &Settings, hint: &str, load: Load) -> Result<Self, Failure> {
        Self::on(settings, hint, load, services::kafka()?).await
    }

    /// The same on this broker.
    pub(super) async fn on(settings: &Settings, hint: &str, load: Load, brokers: String) -> Result<Self, Failure> {
        let load = load.for_length(settings.length);
        let mut rng = fastrand::Rng::with_seed(settings.seed);
        let cluster = Cluster(brokers.clone());
        let [topic, letters, group] = ["", "-dead", "-group"].map(|of| name(&format!("faults-{hint}{of}")));
        cluster.create(&topic, load.partitions - load.added, &[]).await?;
        cluster.create(&letters, 1, &[]).await?;
        let endpoint = services::dynamodb()?;
        let dynamo = Dynamo::start(&endpoint, rng.u64(..)).await?;
        let prefix = format!("{topic}-");
        let config = DynamoConfig { prefix: prefix.clone(), endpoint: Some(endpoint), ..DynamoConfig::new() };
        let store = Arc::new(DynamoStore::open(&config).await?);
        let log = load.make(&mut rng);
        let (singles, kinds) = (load.repeated > 0.0, settings.kinds);
        let oracle = Oracle::new(
            log.clone(),
            store.clone(),
            More { singles, kinds, reals: load.reals, editions: load.editions },
        );
        let tables = oracle.pipelines().map(|name| Table::new(name, 1).shelf());
        for shelf in tables.chain([Shelf::Sources]) {
            store.ensure(&shelf, &[]).await?;
        }
        Ok(Self {
            commits: cluster.commits(&group, &topic, load.partitions)?,
            oracle,
            letter_brokers: brokers.clone(),
            endpoint: format!("http://{}", dynamo.address),
            source_options: "&librdkafka.session.timeout.ms=6000&librdkafka.heartbeat.interval.ms=500".to_owned(),
            fail_points: VecDeque::new(),
            filled: Vec::new(),
            figures: Vec::new(),
            gate: Gate::default(),
            feeds: Vec::new(),
            present: load.partitions - load.added,
            seen: BTreeMap::new(),
            slots: Vec::new(),
            clocks: tempfile::tempdir()?,
            processes: 0,
            past: Past::default(),
            sampled: Instant::now(),
            samples: 0,
            gap: None,
            may_end: None,
            settings: settings.clone(),
            rng,
            cluster,
            topic,
            group,
            letters,
            dynamo,
            load,
            brokers,
            prefix,
            log,
        })
    }

    /// What stands before the names of its tables.
    pub(super) fn prefix(&self) -> String {
        self.prefix.clone()
    }

    /// Start again what has ended, and look whether a commit is ahead of the tables, or has gone back.
    pub(super) async fn tend(&mut self) -> Result<(), Failure> {
        self.tend_workers()?;
        self.sample().await
    }

    /// Let it go on for so long.
    pub(super) async fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tend().await?;
            tokio::time::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now()))).await;
        }
        Ok(())
    }

    /// Let it go on for a time between these two, in milliseconds.
    pub(super) async fn pass_between(&mut self, least: u64, most: u64) -> Result<(), Failure> {
        let time = self.rng.u64(least..most);
        self.pass(Duration::from_millis(time)).await
    }

    /// Wait until this is so; `false` when it is not in time.
    pub(super) async fn until(
        &mut self,
        longest: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = Instant::now() + longest;
        while !is_so(self) {
            if Instant::now() > deadline {
                return Ok(false);
            }
            self.pass(Duration::from_millis(20)).await?;
        }
        Ok(true)
    }

    /// Wait until everything is committed, compare, stop everyone in good order, and compare again.
    pub(super) async fn finish(mut self) -> Result<Finding, Failure> {
        self.gate.set(usize::MAX);
        let sent = self.oracle.sent();
        let (mut last, mut since) = (0, Instant::now());
        let verdict = loop {
            self.pass(Duration::from_millis(150)).await?;
            let committed = self.committed();
            if committed >= sent {
                break self.oracle.difference().await?.verdict();
            }
            if committed != last || !self.is_fed() {
                (last, since) = (committed, Instant::now());
            } else if since.elapsed() > STUCK {
                let missing = self.oracle.difference().await?;
                let commits = self.commits.now().unwrap_or_default();
                let tables = missing.first.unwrap_or_else(|| "the tables are right".to_owned());
                let workers: Vec<_> = self.slots.iter().map(|slot| slot.process.status().to_string()).collect();
                let what = format!("{committed} of {sent} are committed ({commits:?}); {tables}; {workers:?}");
                break Verdict::Stuck(what);
            }
        };
        for feed in self.feeds.drain(..) {
            feed.join()?;
        }
        let mut stopped = Ok(());
        for at in 0..self.slots.len() {
            match self.stop(at) {
                Some(status) if status.success() => {}
                Some(status) => stopped = Err(format!("SIGTERM ended a worker with {status}")),
                None => stopped = Err(format!("SIGTERM did not end a worker within {STOPPED:?}")),
            }
            self.note_end(at);
        }
        // Stopping changes nothing.
        let verdict = match verdict {
            Verdict::Exact => self.oracle.difference().await?.verdict(),
            worse => worse,
        };
        let letters = self.oracle.letters(&self.cluster, &self.letters).await?;
        let verdict = match verdict {
            Verdict::Exact => letters.verdict,
            worse => worse,
        };
        self.past.log.extend(letters.missing);
        // Who closes a tile with room says so in letters, and the tables are taken at their word.
        let is_filled = |key: &String| self.filled.iter().any(|filled| key.contains(filled));
        let closed: Vec<String> = self.oracle.closed().await?.into_iter().filter(|key| !is_filled(key)).collect();
        let mut figures = vec![
            ("events", sent),
            ("starts", self.past.restarts + self.slots.len() as u64),
            ("rewinds", self.past.rewinds),
            ("resent", self.past.resent),
            ("writes", self.past.writes),
            ("samples", self.samples),
            ("letters", letters.letters),
        ];
        figures.append(&mut self.figures);
        let (gap, unasked) = (self.gap.take(), self.past.unasked.take());
        let mut finding = Finding { verdict, figures, log: String::new() }
            .also(gap.is_none(), || gap.unwrap_or_default())
            .also(unasked.is_none(), || unasked.unwrap_or_default())
            .also(closed.is_empty(), || format!("tiles are closed that had room: {closed:?}"))
            .also(stopped.is_ok(), || stopped.err().unwrap_or_default());
        if !matches!(finding.verdict, Verdict::Exact) {
            finding.log = self.past.log.join("\n-- the next process --\n");
        }
        self.cluster.delete(&[&self.topic, &self.letters]).await;
        Ok(finding)
    }
}
