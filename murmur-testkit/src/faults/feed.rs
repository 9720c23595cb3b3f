//! What is sent: made from a seed, known before it is sent.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use murmur::engine::{Clock, SystemClock};
use murmur::time::Timestamp;

use super::Failure;
use super::kafka::Cluster;
#[cfg(doc)]
use crate::pipelines::Singles;
use crate::pipelines::{PANICS, PANICS_READING, REFUSED, Tick};

/// Events, and how fast.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) events: usize,
    /// A second.
    pub(super) rate: usize,
    pub(super) partitions: i32,
    /// How many of them the topic gets only later.
    pub(super) added: i32,
    pub(super) keys: u64,
    /// Share that goes to the key `hot`.
    pub(super) hot: f32,
    /// Among which of all events, in the order in which they are sent, most are no events.
    pub(super) storm: Range<usize>,
    /// Which of them have a key that no other event has.
    pub(super) single_keys: Range<usize>,
    /// How many documents of a megabyte are among them, which are no events either.
    pub(super) giants: usize,
    /// Shares of what cannot be counted: no event, an amount that is refused, one that panics, a key that is too long.
    pub(super) malformed: f32,
    pub(super) refused: f32,
    pub(super) panics: f32,
    pub(super) long_keys: f32,
    /// Share of strange keys that can be counted all the same: empty, with a NUL, with signs of the store's own.
    pub(super) odd_keys: f32,
    /// Share of events of 20 hours ago, which still count, and of three days ago, which do not.
    pub(super) late: f32,
    pub(super) expired: f32,
    /// Share of events that are two hours ahead.
    pub(super) future: f32,
    /// Share that was sent before: among the last of the same partition, or longer ago than [`Singles`] looks.
    pub(super) repeated: f32,
    /// Whether workers keep sums of floats too.
    pub(super) reals: bool,
    /// Whether they keep a pipeline of which there is another version.
    pub(super) editions: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            events: 5_000,
            rate: 1_000,
            partitions: 3,
            added: 0,
            keys: 8,
            hot: 0.0,
            storm: 0..0,
            single_keys: 0..0,
            giants: 0,
            malformed: 0.0,
            refused: 0.0,
            panics: 0.0,
            long_keys: 0.0,
            odd_keys: 0.0,
            late: 0.0,
            expired: 0.0,
            future: 0.0,
            repeated: 0.0,
            reals: false,
            editions: false,
        }
    }
}

/// The payloads of each partition, in their order.
pub(super) type Log = Arc<Vec<Vec<Vec<u8>>>>;

impl Load {
    /// The same for a longer time.
    pub(super) fn for_length(mut self, length: Option<Duration>) -> Self {
        if let Some(length) = length {
            self.events = self.events.max((self.rate as f64 * length.as_secs_f64()) as usize);
        }
        self
    }

    /// How long it takes to send it.
    pub(super) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.events as f64 / self.rate as f64)
    }

    pub(super) fn make(&self, rng: &mut fastrand::Rng) -> Log {
        let now = SystemClock.now();
        let mut log: Vec<Vec<Vec<u8>>> = vec![Vec::new(); self.partitions as usize];
        let is_giant = |n: usize| self.events.checked_div(self.giants).is_some_and(|each| n % each == each / 2);
        for n in 0..self.events {
            let log = &mut log[n % self.partitions as usize];
            let again = if rng.f32() < self.repeated { log.len().checked_sub(rng.usize(1..20)) } else { None };
            let payload = again.map_or_else(|| self.payload(rng, now), |at| log[at].clone());
            log.push(if self.storm.contains(&n) && rng.u8(..10) < 7 {
                malformed(rng)
            } else if self.single_keys.contains(&n) {
                Tick { key: format!("single{n}"), at: now, amount: amount(rng) }.to_payload()
            } else if is_giant(n) {
                giant()
            } else {
                payload
            });
        }
        Arc::new(log)
    }

    fn payload(&self, rng: &mut fastrand::Rng, now: Timestamp) -> Vec<u8> {
        let dice = rng.f32();
        let mut below = 0.0;
        let mut falls = |share: f32| {
            let from = below;
            below += share;
            (from..below).contains(&dice)
        };
        let ago = |seconds: i64| Timestamp::from_micros(now.as_micros() - seconds * 1_000_000);
        // Within ten minutes: most of it lies in one tile of a key, or in two.
        let mut tick =
            Tick { key: format!("k{}", rng.u64(..self.keys)), at: ago(rng.i64(0..600)), amount: amount(rng) };
        if rng.f32() < self.hot {
            tick.key = "hot".to_owned();
        }
        if falls(self.malformed) {
            return malformed(rng);
        } else if falls(self.refused) {
            tick.amount = REFUSED;
        } else if falls(self.panics) {
            tick.amount = if rng.bool() { PANICS } else { PANICS_READING };
        } else if falls(self.long_keys) {
            tick.key = "long".repeat(if rng.u8(..10) == 0 { 250_000 } else { 300 });
        } else if falls(self.odd_keys) {
            let keys = ["", "\0", "a\0b", "#record", "#k", "=", "\u{1f980}", " ", "\"}"];
            tick.key = keys[rng.usize(..keys.len())].to_owned();
        } else if falls(self.late) {
            tick.at = ago(20 * 3_600);
        } else if falls(self.expired) {
            tick.at = ago(3 * 86_400);
        } else if falls(self.future) {
            tick.at = ago(-2 * 3_600);
        }
        tick.to_payload()
    }
}

fn malformed(rng: &mut fastrand::Rng) -> Vec<u8> {
    let texts: [&[u8]; 5] = [b"", b"{\"key\":", b"x y z", b"12 34", b"\xff\xfe\x00"];
    texts[rng.usize(..texts.len())].to_vec()
}

/// As large as a message of Kafka may be by default, with some room for what a dead letter says beside it.
fn giant() -> Vec<u8> {
    format!("{{\"key\":\"k1\",\"blob\":\"{}\"}}", "0123456789".repeat(100_000)).into_bytes()
}

fn amount(rng: &mut fastrand::Rng) -> u64 {
    rng.u64(1..1_000)
}

/// How far feeds may go: so many events of each partition.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<AtomicUsize>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Gate {
    pub(super) fn set(&self, events: usize) {
        self.0.store(events, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Events on their way to a topic.
pub(super) struct Feed {
    thread: JoinHandle<Result<(), Failure>>,
    partitions: Range<i32>,
    sent: Sent,
}

/// When each message was sent, by partition.
#[derive(Clone)]
struct Sent(Arc<Mutex<Vec<Vec<Instant>>>>);

impl Sent {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Send what these partitions have, at the rate of the load.
    pub(super) fn start(
        cluster: &Cluster,
        topic: &str,
        load: &Load,
        log: &Log,
        partitions: Range<i32>,
        gate: Gate,
    ) -> Result<Self, Failure> {
        let sent_at = Sent(Arc::new(Mutex::new(vec![Vec::new(); partitions.len()])));
        let (noted, to) = (sent_at.clone(), partitions.clone());
        let (sender, topic, log, rate) = (cluster.sender()?, topic.to_owned(), log.clone(), load.rate as f64);
        let thread = std::thread::spawn(move || {
            let mut began = Instant::now();
            let longest = log.iter().map(Vec::len).max().unwrap_or(0);
            let mut sent = 0;
            for at in 0..longest {
                while at >= gate.get() {
                    sender.poll(Duration::from_millis(5));
                    // What was held back does not come faster for it.
                    (began, sent) = (Instant::now(), 0);
                }
                for (nth, partition) in to.clone().enumerate() {
                    if let Some(payload) = log[partition as usize].get(at) {
                        noted.lock()[nth].push(Instant::now());
                        sender.send(&topic, partition, payload)?;
                        sent += 1;
                    }
                }
                while began.elapsed().as_secs_f64() * rate < f64::from(sent) {
                    sender.poll(Duration::from_millis(5));
                }
            }
            sender.flush()
        });
        Ok(Self { thread, partitions, sent: sent_at })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// How many were sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.lock().iter().map(|times| times.len() as u64).sum()
    }

    /// When this message was sent, if this feed has sent it.
    pub(super) fn sent_at(&self, partition: i32, offset: u64) -> Option<Instant> {
        let nth = usize::try_from(partition - self.partitions.start).ok()?;
        self.sent.lock().get(nth)?.get(usize::try_from(offset).ok()?).copied()
    }

    /// Wait until the broker has everything.
    pub(super) fn join(self) -> Result<(), Failure> {
        self.thread.join().unwrap_or_else(|_| Err(Failure::new("the sender panicked")))
    }
}
