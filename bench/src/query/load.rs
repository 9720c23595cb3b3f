//! Calls, as many as there may be at the same time, or at a pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;

use super::calls::{Call, framed};
use super::client::Client;
use super::{Protocol, Result, text};

/// Callers of one method.
pub(super) struct Load {
    prepared: Arc<Prepared>,
    clients: Vec<Client>,
}

/// What is called, and what has to come back.
pub(super) struct Prepared {
    protocol: Protocol,
    calls: Vec<Call>,
    /// The bytes of each call's body.
    bodies: Vec<Bytes>,
}

/// What came of a number of calls.
pub(super) struct Found {
    pub(super) wall_s: f64,
    /// Replies that were not what they have to be.
    pub(super) wrong: u64,
    /// How long each took, in order.
    took: Vec<Duration>,
}

impl Found {
    fn of(calls: u64) -> Self {
        Self { wall_s: 0.0, wrong: 0, took: Vec::with_capacity(calls as usize) }
    }

    fn end(mut self, began: Instant) -> Self {
        self.wall_s = began.elapsed().as_secs_f64();
        self.took.sort_unstable();
        self
    }

    /// So many of a hundred calls took no longer, in milliseconds.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let at = (self.took.len() * percent / 100).min(self.took.len().saturating_sub(1));
        self.took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

impl Load {
    /// The callers of one server.
    pub(super) async fn connect(port: u16, path: &str, prepared: &Arc<Prepared>) -> Result<Self> {
        let clients = Client::connect(port, prepared.protocol, path).await?;
        Ok(Self { prepared: prepared.clone(), clients })
    }

    /// So many calls, each caller its next one as soon as it has a reply.
    pub(super) async fn at_full_speed(&mut self, calls: u64) -> Result<Found> {
        let next = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let callers = self.clients.drain(..).map(|mut client| {
            let (prepared, next) = (self.prepared.clone(), next.clone());
            tokio::spawn(async move {
                let (mut took, mut wrong) = (Vec::with_capacity(calls as usize / 16), 0);
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= calls {
                        return Ok::<_, String>((client, took, wrong));
                    }
                    let from = Instant::now();
                    let is_right = prepared.call(&mut client, n).await?;
                    took.push(from.elapsed());
                    wrong += u64::from(!is_right);
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut found = Found::of(calls);
        for caller in callers {
            let (client, took, wrong) = caller.await.map_err(text)??;
            self.clients.push(client);
            found.took.extend(took);
            found.wrong += wrong;
        }
        Ok(found.end(began))
    }

    /// So many calls, `per_second` of them, from one thread. What each took counts from when it was due, whatever kept it from
    /// being made then: the clock, this thread, or callers who wait for replies.
    pub(super) async fn at_a_pace(&mut self, calls: u64, per_second: f64) -> Result<Found> {
        let ticks = Ticks::start();
        let began = Instant::now();
        let due = |n: u64| began + Duration::from_secs_f64(n as f64 / per_second);
        let mut idle: VecDeque<Client> = self.clients.drain(..).collect();
        let (mut next, mut under_way, mut found) = (0, FuturesUnordered::new(), Found::of(calls));
        while (found.took.len() as u64) < calls {
            while next < calls
                && due(next) <= Instant::now()
                && let Some(mut client) = idle.pop_front()
            {
                let (prepared, n, from) = (self.prepared.clone(), next, due(next));
                under_way.push(async move {
                    let is_right = prepared.call(&mut client, n).await?;
                    Ok::<_, String>((client, from.elapsed(), is_right))
                });
                next += 1;
            }
            tokio::select! {
                Some(made) = under_way.next() => {
                    let (client, took, is_right) = made?;
                    idle.push_back(client);
                    found.took.push(took);
                    found.wrong += u64::from(!is_right);
                }
                () = ticks.next() => {}
            }
        }
        self.clients.extend(idle);
        Ok(found.end(began))
    }
}

impl Prepared {
    pub(super) fn new(protocol: Protocol, calls: Vec<Call>) -> Result<Arc<Self>> {
        let bodies = calls.iter().map(|call| match protocol {
            Protocol::Grpc => framed(&call.message),
            Protocol::Json => Ok(call.message.clone()),
        });
        let bodies = bodies.collect::<Result<_>>()?;
        Ok(Arc::new(Self { protocol, calls, bodies }))
    }

    /// Make the `n`-th call; whether the reply is right.
    async fn call(&self, client: &mut Client, n: u64) -> Result<bool> {
        let at = n as usize % self.calls.len();
        let reply = client.call(&self.bodies[at]).await?;
        Ok(self.calls[at].is_right(self.protocol, &reply, n))
    }
}

/// Wakes whoever waits every tenth of a millisecond; the timers of tokio have whole ones.
struct Ticks(Arc<Notify>);

impl Ticks {
    const EVERY: Duration = Duration::from_micros(100);

    fn start() -> Self {
        let ticks = Arc::new(Notify::new());
        let watched = Arc::downgrade(&ticks);
        std::thread::spawn(move || {
            while let Some(ticks) = watched.upgrade() {
                ticks.notify_one();
                drop(ticks);
                std::thread::sleep(Self::EVERY);
            }
        });
        Self(ticks)
    }

    async fn next(&self) {
        self.0.notified().await;
    }
}
