//! One schedule: made from its seed, run, and compared with the oracle.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use murmur::engine::{Options, PartitionRecord, Summary, Worker, recall, retire};
use murmur::source::{DeadLetters, Offset, PartitionId};
use murmur::store::{MemoryStore, Table};
use murmur::time::Span;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Report;
use super::answers::Keeping;
use super::course::Course;
use super::defect::Defect;
use super::letters::{Desk, Folder};
use super::log::{Broker, Entry, LogSource, Shared, lock};
use super::store::{Faults, FaultyStore, Room};
use super::subject::{Ended, Subject};

/// Virtual time after which the last, undisturbed worker counts as stuck.
const STUCK: Duration = Duration::from_secs(3_600);
/// Virtual time after which readers ask again.
const ASKING: Duration = Duration::from_secs(25);
/// Virtual time after which nothing is on its way any more.
const STRAGGLERS: Duration = Duration::from_secs(60);

struct World<'a, S: ?Sized> {
    subject: &'a S,
    rng: Shared<fastrand::Rng>,
    broker: Shared<Broker>,
    store: Arc<FaultyStore>,
    defect: Option<Defect>,
    place: Place,
    /// How many workers there were.
    workers: AtomicU64,
    /// Whether some pipelines have not joined yet.
    some_are_missing: bool,
    /// How the store was at some time.
    backup: Option<MemoryStore>,
    /// Readers that have been there from the beginning; not in every schedule, since asking takes its time.
    keeping: Option<Keeping>,
    alive: Vec<Running>,
    rollers: Vec<JoinHandle<murmur::Result<u64>>>,
}

/// Where dead letters go.
#[derive(Clone, Copy)]
enum Place {
    /// Each worker is a process, with a topic that cannot forget.
    Topic,
    /// Each worker is a process, with a folder.
    Folder,
    /// All workers are those of one process, with one folder.
    SharedFolder,
}

struct Running {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<murmur::engine::Progress>,
    task: JoinHandle<murmur::Result<Summary>>,
}

/// Run the schedule of `seed`; the error says what came out wrong.
pub(super) fn run<S: Subject + ?Sized>(
    subject: &S,
    seed: u64,
    defect: Option<Defect>,
    report: &mut Report,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut world = World::new(subject, seed, defect);
        let steps = lock(&world.rng).u32(8..30);
        for _ in 0..steps {
            world.step(report).await;
        }
        world.finish(report).await
    })
}

impl<'a, S: Subject + ?Sized> World<'a, S> {
    fn new(subject: &'a S, seed: u64, defect: Option<Defect>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut broker = Broker::default();
        for n in 0..rng.usize(1..=3) {
            broker.partitions.push((PartitionId::new(format!("log:{n}")), Vec::new()));
        }
        let by_source = |defect: Defect| defect.trusts_the_source() || defect == Defect::FilteredHoldsCommit;
        if defect.is_some_and(by_source) || rng.bool() {
            broker.commits = Some(vec![None; broker.partitions.len()]);
        }
        let mut chance = |most: f32| if rng.bool() { rng.f32() * most } else { 0.0 };
        let faults = Faults {
            lost_request: chance(0.2),
            lost_reply: chance(0.2),
            late_copy: chance(0.3),
            throttled: chance(0.2),
            latency: 0,
            hot: None,
        };
        // In months few events meet in a tile, and what is about rolling would be found less often.
        let hot = (rng.bool() && subject.course() == Course::Hours).then(|| rng.u32(..));
        let faults = Faults { latency: rng.u64(0..400), hot, ..faults };
        let shares = defect.is_some_and(Defect::is_about_letters);
        let place = match rng.u8(..3) {
            _ if shares => Place::SharedFolder,
            0 => Place::Topic,
            1 => Place::Folder,
            _ => Place::SharedFolder,
        };
        let some_are_missing = rng.u8(..4) == 0;
        let room = if rng.u8(..4) == 0 { Some(Room { places: rng.usize(1..40), salt: rng.u32(..) }) } else { None };
        let rng = Arc::new(Mutex::new(rng));
        let store = FaultyStore {
            inner: Arc::new(MemoryStore::default()),
            stale: Arc::new(MemoryStore::default()),
            rng: rng.clone(),
            faults: Arc::new(Mutex::new(faults)),
            began: Instant::now(),
            room,
            closed: Arc::new(Mutex::new(HashMap::new())),
            defect,
            unanswered: Arc::new(Mutex::new(HashSet::new())),
            at_end: Arc::new(AtomicBool::new(false)),
        };
        Self {
            subject,
            rng,
            broker: Arc::new(Mutex::new(broker)),
            store: Arc::new(store),
            defect,
            place,
            workers: AtomicU64::new(0),
            some_are_missing,
            backup: None,
            keeping: seed.is_multiple_of(4).then(Keeping::new),
            alive: Vec::new(),
            rollers: Vec::new(),
        }
    }

    async fn step(&mut self, report: &mut Report) {
        let dice = lock(&self.rng).u32(..100);
        match dice {
            0..30 => self.append(report),
            30..55 if self.alive.len() < 4 => {
                let running = self.spawn(false);
                self.alive.push(running);
            }
            55..70 if !self.alive.is_empty() => {
                let at = lock(&self.rng).usize(..self.alive.len());
                let killed = self.alive.swap_remove(at);
                killed.task.abort();
                report.crashes += 1;
                count(&killed, report);
            }
            70..78 if !self.alive.is_empty() => {
                let at = lock(&self.rng).usize(..self.alive.len());
                self.alive[at].stop.send_replace(true);
            }
            78..85 => {
                let several = lock(&self.rng).u32(1..5);
                for _ in 0..several {
                    self.roll().await;
                }
            }
            85..88 => self.retire(report).await,
            88..90 if !self.rollers.is_empty() => {
                let at = lock(&self.rng).usize(..self.rollers.len());
                self.rollers.swap_remove(at).abort();
            }
            90..92 => self.backup = Some(self.store.inner.copy()),
            92 => self.restore(report).await,
            93 => self.some_are_missing = false,
            _ => {
                let pause = lock(&self.rng).u64(1..4_000);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                self.ask(report).await;
            }
        }
    }

    /// Have the readers answer while something takes its time, often enough that they need not forget what they keep.
    async fn asking<T>(&self, something: impl Future<Output = T>, report: &mut Report) -> T {
        let mut something = std::pin::pin!(something);
        loop {
            match tokio::time::timeout(ASKING, &mut something).await {
                Ok(done) => return done,
                Err(_) => self.ask(report).await,
            }
        }
    }

    /// Have the readers that keep tiles roll and answer. It takes no time and no chance from the schedule.
    async fn ask(&self, report: &mut Report) {
        if let Some(keeping) = &self.keeping {
            report.kept += self.subject.ask(&self.store.inner, keeping).await.unwrap_or(0);
        }
    }

    /// Put the store back to what it was, as an operator does: with no worker running and nothing on its way. Commits of
    /// the source stay where they are. Not where tiles are full: what is refused there depends on how events were written
    /// together, and so is another letter after a restore.
    async fn restore(&mut self, report: &mut Report) {
        let Some(backup) = self.backup.take_if(|_| self.store.room.is_none()) else { return };
        self.kill_all(report);
        self.rollers.drain(..).for_each(|roller| roller.abort());
        self.asking(tokio::time::sleep(STRAGGLERS), report).await;
        self.store.inner.restore(&backup);
        self.store.stale.restore(&backup);
        lock(&self.store.unanswered).clear();
        report.restores += 1;
    }

    /// An operator has rolling not wait for a partition any more, or wait for it again, whoever reads it; and somebody
    /// rolls. More often than not it is the one that is furthest behind.
    async fn retire(&mut self, report: &mut Report) {
        let (names, store) = (self.subject.pipelines(), self.store.inner.clone());
        let partitions: Vec<_> = lock(&self.broker).partitions.iter().map(|(partition, _)| partition.clone()).collect();
        let (table, any, choice) = {
            let mut rng = lock(&self.rng);
            (Table::new(names[rng.usize(..names.len())], 1), rng.usize(..partitions.len()), rng.u8(..4))
        };
        let mut partition = &partitions[any];
        let mut least = None;
        for each in partitions.iter().filter(|_| choice > 1) {
            let Ok(standing) = PartitionRecord::load(&*store, &table, each).await else { continue };
            let reached = standing.record.reached();
            if reached.is_some() && least.is_none_or(|least| reached < least) {
                (least, partition) = (Some(reached), each);
            }
        }
        if choice == 0 {
            let _ = recall(&*store, &table, partition).await;
        } else if retire(&*store, &table, partition).await.is_ok() {
            report.retired += 1;
            for _ in 0..2 {
                self.roll().await;
            }
        }
    }

    /// Let somebody roll something, which takes a while.
    async fn roll(&mut self) {
        let range = self.subject.course().stretch_to_roll(&mut lock(&self.rng));
        let roll = self.subject.roll(self.store.clone(), &self.store.inner, range, &self.rng).await;
        self.rollers.extend(roll.map(tokio::spawn));
    }

    fn append(&self, report: &mut Report) {
        let mut broker = lock(&self.broker);
        let mut rng = lock(&self.rng);
        for (_, log) in &mut broker.partitions {
            for _ in 0..rng.usize(..20) {
                // Offsets have gaps, as a compacted topic has; wide ones lead beyond what earlier owners have announced.
                let gap = if rng.u32(..20) == 0 { rng.u64(500..5_000) } else { rng.u64(1..4) };
                let next = log.last().map_or(0, |entry| entry.offset.words()[3]) + gap;
                let at = self.subject.course().next_event(&mut rng, log.len());
                // Now and then one is sent again, as long after as pipelines know of it, or longer.
                let again = (rng.u32(..6) == 0).then(|| log.len().checked_sub(rng.usize(1..10))).flatten();
                let payload = match again {
                    Some(again) => log[again].payload.clone(),
                    None => self.subject.payload(&mut rng, at),
                };
                log.push(Entry { offset: Offset::from_u64(next), payload });
                report.events += 1;
            }
        }
    }

    /// Start a worker over some of the partitions; over all when `last`.
    fn spawn(&self, last: bool) -> Running {
        lock(&self.store.closed).clear();
        let count = lock(&self.broker).partitions.len();
        let mut rng = lock(&self.rng);
        let mut mine: Vec<usize> = (0..count).filter(|_| last || rng.bool()).collect();
        if mine.is_empty() {
            mine.push(rng.usize(..count));
        }
        let mut options = Options::default();
        options.flush_interval = Span::from_millis(rng.u64(50..3_000));
        if rng.bool() {
            let interval = Span::from_millis(rng.u64(50..30_000));
            options.pipeline_intervals.insert(self.subject.slow().to_owned(), interval);
        }
        options.flush_tiles = rng.usize(1..40);
        options.drain_budget = Span::from_millis(rng.u64(100..20_000));
        options.revoke_budget = Span::from_millis(rng.u64(0..4_000));
        // Some roll what they wrote.
        options.roll_every = rng.bool().then(|| self.subject.course().roll_every(&mut rng));
        // And little: a write is worth a write.
        options.roll_share = 1;
        options.seed = rng.u64(..);
        drop(rng);
        let (stop, stopped) = watch::channel(false);
        let source = LogSource {
            broker: self.broker.clone(),
            rng: self.rng.clone(),
            next: vec![None; mine.len()],
            held: vec![false; mine.len()],
            mine,
            bounded: last,
            defect: self.defect,
            stopped: stopped.clone(),
            at_end: self.store.at_end.clone(),
        };
        let number = self.workers.fetch_add(1, Ordering::Relaxed);
        let letters: Box<dyn DeadLetters> = match self.place {
            Place::Topic => Box::new(Folder::open(&self.broker, false)),
            Place::Folder => Box::new(Folder::open(&self.broker, true)),
            Place::SharedFolder => Box::new(Desk::at(&self.broker, number, self.defect, &self.rng)),
        };
        let worker = Worker::builder(self.store.clone(), Box::new(source), self.subject.decode(), letters)
            .options(options)
            .clock(Arc::new(self.subject.course().clock()));
        let worker = self.subject.build(worker, last || !self.some_are_missing);
        Running { stop, progress: worker.progress(), task: tokio::spawn(worker.run(stopped)) }
    }

    /// Kill everyone, let one worker read to the end undisturbed, wait for stragglers on the network, and compare.
    async fn finish(mut self, report: &mut Report) -> Result<(), String> {
        let zombies_live_on = lock(&self.rng).bool();
        if !zombies_live_on {
            self.kill_all(report);
        }
        *lock(&self.store.faults) = Faults::default();
        let last = self.spawn(true);
        let progress = last.progress.clone();
        let times = lock(&self.rng).u32(..6);
        for _ in 0..times {
            let pause = lock(&self.rng).u64(1..500);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.retire(report).await;
        }
        let ended = self.asking(tokio::time::timeout(STUCK, last.task), report).await;
        count_progress(&progress.borrow(), report);
        for _ in 0..4 {
            self.roll().await;
        }
        let ended =
            ended.map_err(|_| format!("STUCK: the last worker did not reach the end: {:?}", progress.borrow()))?;
        ended.map_err(|error| error.to_string())?.map_err(|error| format!("the last worker failed: {error}"))?;
        self.kill_all(report);
        for roller in self.rollers.drain(..) {
            if let Ok(Ok(Ok(slots))) = tokio::time::timeout(Duration::from_secs(60), roller).await {
                report.rolled += slots;
            }
        }
        self.asking(tokio::time::sleep(STRAGGLERS), report).await;
        let broker = std::mem::take(&mut *lock(&self.broker));
        report.met += broker.letters.met();
        let (store, keeping, room) = (&self.store.inner, self.keeping.as_ref(), self.store.room);
        let judged = self.subject.judge(&Ended { broker: &broker, store, keeping, room }).await?;
        report.closed += judged.closed;
        report.rolled_high += judged.rolled_high;
        report.unrolled += judged.unrolled;
        match &broker.commits {
            // Whoever lives on moves commits back, as brokers let it.
            Some(commits) if !zombies_live_on => committed_to_the_end(&broker, commits),
            _ => Ok(()),
        }
    }

    fn kill_all(&mut self, report: &mut Report) {
        for running in self.alive.drain(..) {
            running.task.abort();
            count(&running, report);
        }
        lock(&self.broker).letters.crash(&mut lock(&self.rng));
    }
}

fn count(running: &Running, report: &mut Report) {
    count_progress(&running.progress.borrow(), report);
}

fn count_progress(progress: &murmur::engine::Progress, report: &mut Report) {
    report.rewinds += progress.rewinds;
    report.resent += progress.resent;
    report.rolled_by_workers += progress.rolled;
}

fn committed_to_the_end(broker: &Broker, commits: &[Option<Offset>]) -> Result<(), String> {
    for ((partition, log), commit) in broker.partitions.iter().zip(commits) {
        let end = log.last().map(|entry| entry.offset);
        if *commit < end {
            return Err(format!("{partition} was read to its end {end:?}, and {commit:?} is committed"));
        }
    }
    Ok(())
}
