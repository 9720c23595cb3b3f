//! One experiment: topics and tables of its own, workers, what is sent, and the judgement.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use murmur::source::Shelf;
use murmur::store::{DynamoConfig, DynamoStore, Store, Table};
use nix::sys::signal::Signal;

use super::feed::{Feed, Gate, Load, Log};
use super::kafka::{Cluster, CommitsOf, name};
use super::oracle::{More, Oracle, judge};
use super::proxy::dynamodb::Dynamo;
use super::supervisor::Process;
use super::verdict::{Finding, Verdict};
use super::{Failure, Settings, services};
use crate::pipelines::decode;

/// Without progress for so long, it is stuck.
const STUCK: Duration = Duration::from_secs(45);
/// A worker that is asked to stop does so within this time.
const STOPPED: Duration = Duration::from_secs(60);
/// How long something is waited for that takes seconds on a machine that does nothing else.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the commits and the tables.
const SAMPLE: Duration = Duration::from_millis(700);

/// How a worker is started.
#[derive(Debug, Clone, Default)]
pub(super) struct Worker {
    /// A member with a name comes back to its partitions at once; one without is missed for the session's six seconds.
    pub(super) named: bool,
    /// More arguments.
    pub(super) arguments: Vec<String>,
    /// Where it dies. Only the first process of a worker has it.
    pub(super) fail_point: Option<String>,
    /// Seconds that the clock of its processes is ahead.
    pub(super) clock_ahead: i64,
}

impl Worker {
    pub(super) fn named() -> Self {
        Self { named: true, ..Self::default() }
    }

    pub(super) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }
}

struct Slot {
    worker: Worker,
    process: Process,
    /// Where this process is to die.
    fail_point: Option<String>,
    /// No other process of the trial has it.
    number: u64,
    /// Whether it is to be started again when it ends.
    tended: bool,
}

/// What processes that have ended had done.
#[derive(Default)]
struct Past {
    rewinds: u64,
    resent: u64,
    writes: u64,
    restarts: u64,
    /// How many died at each fail point.
    deaths: BTreeMap<String, u64>,
    log: Vec<String>,
}

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
    /// More figures of the row.
    pub(super) figures: Vec<(&'static str, u64)>,
    prefix: String,
    log: Log,
    gate: Gate,
    feeds: Vec<Feed>,
    commits: CommitsOf,
    slots: Vec<Slot>,
    /// How many were started.
    processes: u64,
    past: Past,
    sampled: Instant,
    samples: u64,
    /// The first commit that was ahead of the tables.
    gap: Option<String>,
    /// Whether workers may end by themselves, to be started again.
    pub(super) may_end: bool,
    /// One that did.
    unasked: Option<String>,
}

/// Without how often it is to be come to.
fn name_of_point(point: &str) -> &str {
    point.split(':').next().unwrap_or(point)
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
            figures: Vec::new(),
            gate: Gate::default(),
            feeds: Vec::new(),
            slots: Vec::new(),
            processes: 0,
            past: Past::default(),
            sampled: Instant::now(),
            samples: 0,
            gap: None,
            may_end: false,
            unasked: None,
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

    /// Begin to send.
    pub(super) fn feed(&mut self) -> Result<(), Failure> {
        self.send_to(0..self.load.partitions - self.load.added)
    }

    /// Give the topic the partitions that it did not have, and begin to send to them.
    pub(super) async fn grow(&mut self) -> Result<(), Failure> {
        let Load { partitions, added, .. } = self.load;
        self.cluster.grow(&self.topic, partitions).await?;
        self.send_to(partitions - added..partitions)
    }

    fn send_to(&mut self, partitions: Range<i32>) -> Result<(), Failure> {
        let gate = self.gate.clone();
        self.feeds.push(Feed::start(&self.cluster, &self.topic, &self.load, &self.log, partitions, gate)?);
        Ok(())
    }

    /// Send no more than so many events until [`let_feed`](Self::let_feed) says so: what is to happen under load finds some,
    /// however long it takes.
    pub(super) fn hold_feed(&self, events: usize) {
        self.gate.set(events.div_ceil(self.load.partitions as usize));
    }

    /// Send so many events more.
    pub(super) fn let_feed(&self, events: usize) {
        self.gate.set(self.gate.get().saturating_add(events.div_ceil(self.load.partitions as usize)));
    }

    /// How many events may be sent by now.
    pub(super) fn let_so_far(&self) -> u64 {
        self.log.iter().map(|log| log.len().min(self.gate.get()) as u64).sum()
    }

    /// How many of them have this key.
    pub(super) fn sent_of(&self, key: &str) -> u64 {
        let so_far = self.log.iter().flat_map(|log| log.iter().take(self.gate.get()));
        so_far.filter(|payload| decode(payload).is_ok_and(|tick| tick.key == key)).count() as u64
    }

    /// How many were sent by now.
    pub(super) fn sent_so_far(&self) -> u64 {
        self.feeds.iter().map(Feed::sent).sum()
    }

    pub(super) fn is_fed(&self) -> bool {
        !self.feeds.is_empty() && self.feeds.iter().all(Feed::has_ended)
    }

    /// A process of this worker, and where it is to die.
    fn process(&mut self, at: usize, worker: &Worker) -> Result<(Process, Option<String>), Failure> {
        let Self { brokers, topic, group, letters, letter_brokers, prefix, endpoint, source_options, .. } = self;
        let instance = if worker.named { format!("&instance=w{at}") } else { String::new() };
        let mut arguments = vec![
            "worker".to_owned(),
            format!("--source=kafka://{brokers}/{topic}?group={group}{source_options}{instance}"),
            format!("--store=dynamodb://{prefix}?endpoint={endpoint}&timeout=2s"),
            format!("--dead-letters=kafka://{letter_brokers}/{letters}"),
        ];
        let pipelines: Vec<_> = self.oracle.pipelines().collect();
        arguments.push(format!("--pipelines={}", pipelines.join(",")));
        arguments.extend(worker.arguments.iter().cloned());
        let fail_point = worker.fail_point.clone().or_else(|| self.fail_points.pop_front());
        let mut variables = vec![("MURMUR_CLOCK_AHEAD".to_owned(), worker.clock_ahead.to_string())];
        variables.extend(fail_point.clone().map(|point| ("MURMUR_FAIL_POINT".to_owned(), point)));
        Ok((Process::start(&self.settings.program, &arguments, &variables)?, fail_point))
    }

    /// Start a worker, to be started again whenever it ends; its number.
    pub(super) fn spawn(&mut self, worker: Worker) -> Result<usize, Failure> {
        let at = self.slots.len();
        let (process, fail_point) = self.process(at, &worker)?;
        let (worker, number) = (Worker { fail_point: None, ..worker }, self.next_number());
        self.slots.push(Slot { worker, process, fail_point, number, tended: true });
        Ok(at)
    }

    /// Start a process that is not a worker of this trial.
    pub(super) fn stranger(&mut self, worker: &Worker) -> Result<Process, Failure> {
        Ok(self.process(99, worker)?.0)
    }

    fn next_number(&mut self) -> u64 {
        self.processes += 1;
        self.processes
    }

    pub(super) fn worker(&mut self, at: usize) -> &mut Process {
        &mut self.slots[at].process
    }

    /// When it is started again, it gets these arguments too.
    pub(super) fn also_with(&mut self, at: usize, arguments: &[&str]) {
        let slot = &mut self.slots[at];
        slot.worker = slot.worker.clone().with(arguments);
    }

    /// When it is started again, its clock is so many seconds ahead.
    pub(super) fn turn_clock(&mut self, at: usize, ahead: i64) {
        self.slots[at].worker.clock_ahead = ahead;
    }

    /// The argument for a worker that keeps another version of a pipeline, and of the others the same.
    pub(super) fn with_edition(&self, of: &str, edition: &str) -> String {
        let kept = self.oracle.pipelines().map(|name| if name == of { edition } else { name });
        format!("--pipelines={}", kept.collect::<Vec<_>>().join(","))
    }

    /// Leave it as it is when it ends.
    pub(super) fn leave(&mut self, at: usize) {
        self.slots[at].tended = false;
    }

    /// How often a worker was started again.
    pub(super) fn restarts(&self) -> u64 {
        self.past.restarts
    }

    pub(super) fn workers(&self) -> usize {
        self.slots.len()
    }

    /// How many processes died at a fail point.
    pub(super) fn deaths(&self, point: &str) -> u64 {
        self.past.deaths.get(name_of_point(point)).copied().unwrap_or(0)
    }

    /// Which partition is whose, as the workers say: each with the number of a process.
    pub(super) fn owners(&self) -> Vec<(String, u64)> {
        let owned = |slot: &Slot| -> Vec<_> {
            let status = slot.process.status();
            let owned = status["owned"].as_array().into_iter().flatten();
            owned.filter_map(|partition| Some((partition.as_str()?.to_owned(), slot.number))).collect()
        };
        self.slots.iter().flat_map(owned).collect()
    }

    /// Wait until the workers share out all partitions, and each has one at least: by partition, the number of the process
    /// that has it. `None` when that does not come.
    pub(super) async fn settle(&mut self) -> Result<Option<BTreeMap<String, u64>>, Failure> {
        let all = self.load.partitions as usize;
        let mut owners = BTreeMap::new();
        let settled = self.until(PATIENCE, |trial| {
            let said = trial.owners();
            let once = said.len() == all;
            owners = said.into_iter().collect();
            let idle = trial.slots.iter().any(|slot| !owners.values().any(|number| *number == slot.number));
            once && owners.len() == all && !idle
        });
        Ok(settled.await?.then_some(owners))
    }

    fn note_end(&mut self, at: usize) {
        let process = &self.slots[at].process;
        self.past.rewinds += process.figure("rewinds");
        self.past.resent += process.figure("resent");
        self.past.writes += process.figure("writes");
        let errors = process.errors();
        if !errors.is_empty() {
            self.past.log.push(errors);
        }
    }

    /// `kill -9`, and start it again.
    pub(super) fn kill(&mut self, at: usize) -> Result<(), Failure> {
        self.slots[at].process.kill();
        self.restart(at)
    }

    /// Start a worker that has ended.
    pub(super) fn restart(&mut self, at: usize) -> Result<(), Failure> {
        self.note_end(at);
        self.past.restarts += 1;
        let worker = self.slots[at].worker.clone();
        let (process, fail_point) = self.process(at, &worker)?;
        let number = self.next_number();
        self.slots[at] = Slot { worker, process, fail_point, number, tended: true };
        Ok(())
    }

    /// SIGTERM, and its end; `None` when it does not come.
    pub(super) fn stop(&mut self, at: usize) -> Option<ExitStatus> {
        self.slots[at].tended = false;
        self.slots[at].process.terminate();
        self.slots[at].process.wait(STOPPED)
    }

    /// Start again what has ended, and look whether a commit is ahead of the tables.
    pub(super) async fn tend(&mut self) -> Result<(), Failure> {
        for at in 0..self.slots.len() {
            if self.slots[at].tended
                && let Some(ended) = self.slots[at].process.ended()
            {
                // Fail points abort.
                if ended.signal() == Some(Signal::SIGABRT as i32) {
                    let point = self.slots[at].fail_point.as_deref().map_or("", name_of_point);
                    *self.past.deaths.entry(point.to_owned()).or_default() += 1;
                } else {
                    let errors = self.slots[at].process.errors();
                    self.unasked = Some(format!("a worker ended by itself with {ended}: {errors}"));
                }
                self.restart(at)?;
            }
        }
        if self.sampled.elapsed() > SAMPLE && self.gap.is_none() {
            self.sample().await?;
        }
        Ok(())
    }

    async fn sample(&mut self) -> Result<(), Failure> {
        // A broker that is down says nothing.
        let Ok(commits) = self.commits.now() else { return Ok(()) };
        self.gap = self.oracle.gap(&commits).await?;
        self.samples += 1;
        self.sampled = Instant::now();
        Ok(())
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

    /// How many messages are committed.
    pub(super) fn committed(&self) -> u64 {
        // A broker that is down says nothing.
        let commits = self.commits.now().unwrap_or_default();
        commits.values().map(|offset| offset.cast_unsigned()).sum()
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
                break judge(&self.oracle.difference().await?);
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
            Verdict::Exact => judge(&self.oracle.difference().await?),
            worse => worse,
        };
        let letters = self.oracle.letters(&self.cluster, &self.letters).await?;
        let verdict = match (verdict, &letters) {
            (Verdict::Exact, Err(what)) => Verdict::Corrupt(what.clone()),
            (verdict, _) => verdict,
        };
        let mut figures = vec![
            ("events", sent),
            ("starts", self.past.restarts + self.slots.len() as u64),
            ("rewinds", self.past.rewinds),
            ("resent", self.past.resent),
            ("writes", self.past.writes),
            ("samples", self.samples),
            ("letters", letters.as_ref().copied().unwrap_or(0)),
        ];
        figures.append(&mut self.figures);
        let (gap, unasked) = (self.gap.take(), self.unasked.take().filter(|_| !self.may_end));
        let mut finding = Finding { verdict, figures, log: String::new() }
            .also(gap.is_none(), || gap.unwrap_or_default())
            .also(unasked.is_none(), || unasked.unwrap_or_default())
            .also(stopped.is_ok(), || stopped.err().unwrap_or_default());
        if !matches!(finding.verdict, Verdict::Exact) {
            finding.log = self.past.log.join("\n-- the next process --\n");
        }
        self.cluster.delete(&[&self.topic, &self.letters]).await;
        Ok(finding)
    }
}
