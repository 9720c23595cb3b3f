//! A proxy that speaks DynamoDB, to do what a local server does not: throttle, fail, and lose answers.

mod items;
mod reply;
mod request;
mod troubles;
mod units;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use request::serve;
pub use troubles::{Tally, Troubles};

struct Shared {
    troubles: Mutex<Troubles>,
    tally: Mutex<Tally>,
    rng: Mutex<fastrand::Rng>,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
    first_answers: Mutex<HashMap<Bytes, Bytes>>,
    /// How often each write was refused as too much, by the hash of its request.
    throttles: Mutex<HashMap<u64, u64>>,
    /// Keys whose last write had no units.
    without_units: Mutex<BTreeSet<String>>,
    /// Where writes that come now wait.
    gate: Mutex<Option<Arc<Gate>>>,
    server: String,
}

/// The proxy; it ends when dropped.
pub struct Dynamo {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dynamo {
    /// A proxy to the server at `endpoint` (`http://HOST:PORT`), on any free port.
    pub async fn start(endpoint: &str, seed: u64) -> io::Result<Self> {
        let server = endpoint.strip_prefix("http://").ok_or_else(|| io::Error::other("not `http://HOST:PORT`"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            troubles: Mutex::default(),
            tally: Mutex::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            buckets: Mutex::default(),
            first_answers: Mutex::default(),
            throttles: Mutex::default(),
            without_units: Mutex::default(),
            gate: Mutex::default(),
            server: server.trim_end_matches('/').to_owned(),
        });
        let serving = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(serving.clone(), client));
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// From now on.
    pub fn set(&self, troubles: Troubles) {
        *lock(&self.shared.troubles) = troubles;
    }

    /// Hold all writes of tiles that come from now on, until [`pass`](Self::pass) for later ones and the drop of what this
    /// gives for those that were held.
    pub fn hold(&self) -> Held {
        let gate = Arc::new(Gate { closing: Semaphore::new(0), waiting: AtomicU64::new(0) });
        *lock(&self.shared.gate) = Some(gate.clone());
        Held { gate }
    }

    /// Let writes that come from now on pass.
    pub fn pass(&self) {
        *lock(&self.shared.gate) = None;
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        lock(&self.shared.tally).clone()
    }
}

/// Writes on their way, which reach the server when this is dropped.
pub struct Held {
    gate: Arc<Gate>,
}

struct Gate {
    /// Closed to let everyone through.
    closing: Semaphore,
    waiting: AtomicU64,
}

impl Held {
    /// How many they are that have no answer yet, and of which the client still waits for one.
    pub fn len(&self) -> u64 {
        self.gate.waiting.load(Ordering::Relaxed)
    }

    /// Let them go on.
    pub fn release(&self) {
        self.gate.closing.close();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One of those writes, as long as somebody waits for its answer.
struct Waiting(Arc<Gate>);

impl Waiting {
    fn at(gate: Arc<Gate>) -> Self {
        gate.waiting.fetch_add(1, Ordering::Relaxed);
        Self(gate)
    }

    /// Until the gate is open.
    async fn pass(&self) {
        // It is never given out, only closed.
        let _ = self.0.closing.acquire().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

impl Drop for Dynamo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
