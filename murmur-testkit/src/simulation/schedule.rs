//! One schedule: made from its seed, run, and compared with the oracle.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use murmur::aggregate::{Column, Monoid, Number, envelope};
use murmur::engine::{Clock, Options, Summary, Worker};
use murmur::key::KeyBuf;
use murmur::pipeline::Pipeline;
use murmur::source::{Offset, PartitionId};
use murmur::store::{Item, MemoryStore, Store, Table, TileId};
use murmur::time::{Slot, Span, Tile, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Report;
use super::defect::Defect;
use super::log::{Broker, Entry, Folder, LogSource, Shared, lock};
use super::store::{Faults, FaultyStore};
use crate::pipelines::{REFUSED, Tallies, Tally, Tick, Trail, Trails, decode, trail_keys};

/// When the simulated world begins: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
/// Virtual time after which the last, undisturbed worker counts as stuck.
const STUCK: Duration = Duration::from_secs(3_600);

/// Wall clock that follows tokio's paused clock.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(BEGIN).saturating_add(Span::from(self.0.elapsed()))
    }
}

struct World {
    rng: Shared<fastrand::Rng>,
    broker: Shared<Broker>,
    store: Arc<FaultyStore>,
    clock: Arc<PausedClock>,
    defect: Option<Defect>,
    letters_forget: bool,
    alive: Vec<Running>,
}

struct Running {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<murmur::engine::Progress>,
    task: JoinHandle<murmur::Result<Summary>>,
}

/// Run the schedule of `seed`; the error says what came out wrong.
pub(super) fn run(seed: u64, defect: Option<Defect>, report: &mut Report) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut world = World::new(seed, defect);
        let steps = lock(&world.rng).u32(8..30);
        for _ in 0..steps {
            world.step(report).await;
        }
        world.finish(report).await
    })
}

impl World {
    fn new(seed: u64, defect: Option<Defect>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut broker = Broker::default();
        for n in 0..rng.usize(1..=3) {
            broker.partitions.push((PartitionId::new(format!("log:{n}")), Vec::new()));
        }
        if defect == Some(Defect::CommitAtMaximum) || rng.bool() {
            broker.commits = Some(vec![None; broker.partitions.len()]);
        }
        let mut chance = |most: f32| if rng.bool() { rng.f32() * most } else { 0.0 };
        let faults = Faults {
            lost_request: chance(0.2),
            lost_reply: chance(0.2),
            late_copy: chance(0.3),
            throttled: chance(0.2),
            latency: 0,
        };
        let faults = Faults { latency: rng.u64(0..400), ..faults };
        let letters_forget = rng.bool();
        let rng = Arc::new(Mutex::new(rng));
        let store = FaultyStore {
            inner: Arc::new(MemoryStore::default()),
            stale: Arc::new(MemoryStore::default()),
            rng: rng.clone(),
            faults: Arc::new(Mutex::new(faults)),
            defect,
            unanswered: Arc::new(Mutex::new(HashSet::new())),
        };
        Self {
            rng,
            broker: Arc::new(Mutex::new(broker)),
            store: Arc::new(store),
            clock: Arc::new(PausedClock(tokio::time::Instant::now())),
            defect,
            letters_forget,
            alive: Vec::new(),
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
            _ => {
                let pause = lock(&self.rng).u64(1..4_000);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }

    fn append(&self, report: &mut Report) {
        let mut broker = lock(&self.broker);
        let mut rng = lock(&self.rng);
        for (_, log) in &mut broker.partitions {
            for _ in 0..rng.usize(..20) {
                // Offsets have gaps, as a compacted topic has.
                let next = log.last().map_or(0, |entry| entry.offset.words()[3]) + rng.u64(1..4);
                let payload = if rng.u32(..40) == 0 {
                    b"not a tick".to_vec()
                } else {
                    let at = Timestamp::from_seconds(BEGIN + rng.i64(0..5_400));
                    let amount = if rng.u32(..40) == 0 { REFUSED } else { rng.u64(1..1_000) };
                    Tick { key: rng.u64(..4).to_string(), at, amount }.to_payload()
                };
                log.push(Entry { offset: Offset::from_u64(next), payload });
                report.events += 1;
            }
        }
    }

    /// Start a worker over some of the partitions; over all when `last`.
    fn spawn(&self, last: bool) -> Running {
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
            options.pipeline_intervals.insert(Trails::SPEC.name.to_owned(), interval);
        }
        options.flush_tiles = rng.usize(1..40);
        options.drain_budget = Span::from_millis(rng.u64(100..20_000));
        options.seed = rng.u64(..);
        drop(rng);
        let source = LogSource {
            broker: self.broker.clone(),
            rng: self.rng.clone(),
            next: vec![None; mine.len()],
            mine,
            assigned: false,
            bounded: last,
            commit_on_delivery: self.defect == Some(Defect::CommitAtMaximum),
        };
        let letters = Folder::open(&self.broker, self.letters_forget);
        let worker = Worker::builder(self.store.clone(), Box::new(source), decode, Box::new(letters))
            .options(options)
            .clock(self.clock.clone())
            .pipeline::<Tallies>()
            .pipeline::<Trails>()
            .build();
        let (stop, stopped) = watch::channel(false);
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
        let ended = tokio::time::timeout(STUCK, last.task).await;
        count_progress(&progress.borrow(), report);
        let ended =
            ended.map_err(|_| format!("STUCK: the last worker did not reach the end: {:?}", progress.borrow()))?;
        ended.map_err(|error| error.to_string())?.map_err(|error| format!("the last worker failed: {error}"))?;
        self.kill_all(report);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (tallies, trails) = {
            let broker = lock(&self.broker);
            compare_letters(&broker)?;
            oracle(&broker)
        };
        compare("Form A", tallies, stored_tallies(&self.store.inner).await?)?;
        compare("Form B", trails, stored_trails(&self.store.inner).await?)
    }

    fn kill_all(&mut self, report: &mut Report) {
        for running in self.alive.drain(..) {
            running.task.abort();
            count(&running, report);
        }
    }
}

fn count(running: &Running, report: &mut Report) {
    count_progress(&running.progress.borrow(), report);
}

fn count_progress(progress: &murmur::engine::Progress, report: &mut Report) {
    report.rewinds += progress.rewinds;
    report.resent += progress.resent;
}

fn compare_letters(broker: &Broker) -> Result<(), String> {
    let kept: BTreeSet<_> = broker.dead.iter().map(|(_, of, offset, name)| (of.clone(), *offset, *name)).collect();
    for (partition, log) in &broker.partitions {
        for Entry { offset, payload } in log {
            let tick = decode(payload);
            let refused = tick.as_ref().is_ok_and(|tick| tick.amount == REFUSED);
            for (name, bad) in [(Tallies::SPEC.name, tick.is_err() || refused), (Trails::SPEC.name, tick.is_err())] {
                if bad != kept.contains(&(partition.clone(), *offset, name)) {
                    return Err(format!("dead letter {partition} {offset} of {name}: is there: {}", !bad));
                }
            }
        }
    }
    Ok(())
}

type TallyAt = BTreeMap<(String, Tile, Slot), (u64, u64)>;
type TrailAt = BTreeMap<(String, Tile, Slot, PartitionId), (u64, u64)>;

/// The independent fold of the log.
fn oracle(broker: &Broker) -> (TallyAt, TrailAt) {
    let (mut tallies, mut trails) = (TallyAt::new(), TrailAt::new());
    for (partition, log) in &broker.partitions {
        for tick in log.iter().filter_map(|entry| decode(&entry.payload).ok()) {
            let (tile, slot) = Tallies::tiling().locate(tick.at);
            if tick.amount != REFUSED {
                let tally = tallies.entry((text(&tick.key), tile, slot)).or_default();
                tally.0 += 1;
                tally.1 += tick.amount;
            }
            for key in trail_keys(&tick) {
                let (tile, slot) = Trails::tiling().locate(tick.at);
                let (count, hash) = trails.entry((text(&key), tile, slot, partition.clone())).or_default();
                let mut trail = Trail { count: *count, hash: *hash };
                trail.combine(Trail { count: 1, hash: tick.amount });
                (*count, *hash) = (trail.count, trail.hash);
            }
        }
    }
    (tallies, trails)
}

/// The stored text of a key.
pub(crate) fn text(key: &str) -> String {
    let mut buffer = KeyBuf::default();
    buffer.begin("");
    buffer.field(&key.to_owned());
    buffer.finish().map(|range| buffer.slice(range).to_owned()).unwrap_or_default()
}

async fn scan(store: &MemoryStore, table: &Table) -> Result<Vec<(TileId, Item)>, String> {
    store.scan(table, None, usize::MAX).await.map_err(|error| error.to_string())
}

async fn stored_tallies(store: &MemoryStore) -> Result<TallyAt, String> {
    let mut found = TallyAt::new();
    for (id, item) in scan(store, &Table::new(Tallies::SPEC.name, 1)).await? {
        let mut slots: BTreeMap<Slot, Tally> = BTreeMap::new();
        for ((slot, column), number) in item.numbers {
            let tally = slots.entry(slot).or_insert_with(Tally::identity);
            add(tally, column, number)?;
        }
        for (slot, tally) in slots {
            found.insert((id.key.to_string(), id.tile, slot), (tally.count, tally.amount));
        }
    }
    Ok(found)
}

fn add(tally: &mut Tally, column: Column, number: Number) -> Result<(), String> {
    tally.add_number(0, column, number).map_err(|error| error.to_string())
}

async fn stored_trails(store: &MemoryStore) -> Result<TrailAt, String> {
    let mut found = TrailAt::new();
    for (id, item) in scan(store, &Table::new(Trails::SPEC.name, 1)).await? {
        let part = id.part.ok_or("an item of Form B without its partition")?;
        for (slot, bytes) in item.values {
            let trail = envelope::unseal(&bytes).and_then(Trail::decode).map_err(|error| error.to_string())?;
            found.insert((id.key.to_string(), id.tile, slot, part.clone()), (trail.count, trail.hash));
        }
    }
    Ok(found)
}

fn compare<K: Ord + std::fmt::Debug>(
    form: &str,
    expected: BTreeMap<K, (u64, u64)>,
    found: BTreeMap<K, (u64, u64)>,
) -> Result<(), String> {
    for (at, value) in &expected {
        match found.get(at) {
            Some(stored) if stored == value => {}
            Some(stored) if stored.0 > value.0 => {
                return Err(format!("{form} OVER({}) at {at:?}: {stored:?}, not {value:?}", stored.0 - value.0));
            }
            Some(stored) => return Err(format!("{form} UNDER at {at:?}: {stored:?}, not {value:?}")),
            None => return Err(format!("{form} UNDER at {at:?}: nothing, not {value:?}")),
        }
    }
    match found.keys().find(|at| !expected.contains_key(at)) {
        Some(at) => Err(format!("{form} OVER: nothing belongs at {at:?}")),
        None => Ok(()),
    }
}
