//! Calls, as many as there may be at the same time, or at a pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep_until;

use super::calls::{Call, framed};
use super::client::Client;
use super::{Protocol, Result, text};

/// Callers of one method.
pub(super) struct Load {
    prepared: Arc<Prepared>,
    clients: Vec<Client>,
}

struct Prepared {
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
    /// So many of a hundred calls took no longer, in milliseconds.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let at = (self.took.len() * percent / 100).min(self.took.len().saturating_sub(1));
        self.took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

impl Load {
    pub(super) async fn connect(port: u16, protocol: Protocol, path: &str, calls: Vec<Call>) -> Result<Self> {
        let bodies = calls.iter().map(|call| match protocol {
            Protocol::Grpc => framed(&call.message),
            Protocol::Json => Ok(call.message.clone()),
        });
        let bodies = bodies.collect::<Result<_>>()?;
        let clients = Client::connect(port, protocol, path).await?;
        Ok(Self { prepared: Arc::new(Prepared { protocol, calls, bodies }), clients })
    }

    /// So many calls: `per_second` of them, or each caller its next one as soon as it has a reply.
    pub(super) async fn run(&mut self, calls: u64, per_second: Option<f64>) -> Result<Found> {
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
                    let from = match per_second {
                        Some(rate) => due(began + Duration::from_secs_f64(n as f64 / rate)).await,
                        None => Instant::now(),
                    };
                    let at = n as usize % prepared.calls.len();
                    let reply = client.call(&prepared.bodies[at]).await?;
                    took.push(from.elapsed());
                    wrong += u64::from(!prepared.calls[at].is_right(prepared.protocol, &reply, n));
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        let mut found = Found { wall_s: 0.0, wrong: 0, took: Vec::with_capacity(calls as usize) };
        for caller in callers {
            let (client, took, wrong) = caller.await.map_err(text)??;
            self.clients.push(client);
            found.took.extend(took);
            found.wrong += wrong;
        }
        found.wall_s = began.elapsed().as_secs_f64();
        found.took.sort_unstable();
        Ok(found)
    }
}

/// From when on a call counts that is due at an instant: from there when nobody was free to make it. That the timer wakes
/// whoever waits up to a millisecond late is no fault of the server.
async fn due(at: Instant) -> Instant {
    if at <= Instant::now() {
        return at;
    }
    sleep_until(at.into()).await;
    Instant::now()
}
