use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::rate::Rate;
use crate::metrics::catalogue::STORE_THROTTLED;

/// What may be sent when: no more requests and bytes under way than are allowed, and to each table no more than it takes
/// ([`Rate`]). Shared by all callers of a store.
///
/// Bytes are bounded so that a flush of large folds does not hold all of them twice in memory.
pub(super) struct Limiter {
    slots: Semaphore,
    /// In units of [`UNIT`] bytes.
    bytes: Semaphore,
    most: usize,
    tables: Mutex<HashMap<Box<str>, Arc<Gate>>>,
    /// When it was said last that a key is too hot.
    said: Mutex<Option<Instant>>,
    throttles_of_table: Counter,
    throttles_of_key: Counter,
}

/// Where the writes of a table wait for its rate, in the order in which they came.
struct Gate {
    first: tokio::sync::Mutex<()>,
    rate: Mutex<Rate>,
}

/// What was too much for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overload {
    /// All requests together.
    Table,
    /// Those for one key, which wait for it; others need not.
    Key,
}

/// What a write unit pays for, and what bytes are counted in.
const UNIT: usize = 1024;
/// Most bytes under way.
const BYTES: usize = 16 << 20;

/// How often it is said that a key is too hot.
const AGAIN: Duration = Duration::from_secs(60);

/// The right to send one request.
pub(super) struct Slot<'a> {
    limiter: &'a Limiter,
    gate: Arc<Gate>,
    /// Write units that it was thought to need.
    thought: f64,
    _place: Option<SemaphorePermit<'a>>,
    _bytes: Option<SemaphorePermit<'a>>,
}

/// Nothing between lock and unlock can leave it half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limiter {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Semaphore::new(most),
            bytes: Semaphore::new(BYTES / UNIT),
            most,
            tables: Mutex::default(),
            said: Mutex::default(),
            throttles_of_table: STORE_THROTTLED.counter(["table"]),
            throttles_of_key: STORE_THROTTLED.counter(["key"]),
        }
    }

    /// Most requests that can ever be under way.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn gate(&self, table: &str) -> Arc<Gate> {
        let mut tables = lock(&self.tables);
        if let Some(gate) = tables.get(table) {
            return gate.clone();
        }
        let gate = Arc::new(Gate { first: tokio::sync::Mutex::default(), rate: Mutex::new(Rate::new()) });
        tables.insert(table.into(), gate.clone());
        gate
    }

    /// Wait until a write of about so many bytes may be sent to a table.
    pub(super) async fn enter(&self, table: &str, bytes: usize) -> Slot<'_> {
        let units = bytes.div_ceil(UNIT).max(1);
        let (gate, thought) = (self.gate(table), units as f64);
        gate.pass(thought).await;
        let units = units.min(BYTES / UNIT) as u32;
        // The semaphores are never closed, so there is always an answer; without one the request goes unbounded.
        let bytes = self.bytes.acquire_many(units).await.ok();
        let place = self.slots.acquire().await.ok();
        Slot { limiter: self, gate, thought, _place: place, _bytes: bytes }
    }

    /// A table refused something else than a write of a tile, which takes of the same units.
    pub(super) fn throttled(&self, table: &str) {
        self.throttled_read();
        lock(&self.gate(table).rate).throttled();
    }

    /// A table did not answer a read, as it was too much: that says nothing about what may be written.
    pub(super) fn throttled_read(&self) {
        self.throttles_of_table.increment(1);
    }

    fn say_that_a_key_is_hot(&self) {
        let (mut said, now) = (lock(&self.said), Instant::now());
        if said.is_none_or(|at| now.duration_since(at) >= AGAIN) {
            *said = Some(now);
            tracing::warn!(
                "a key is written more often than one partition of DynamoDB takes; its writes wait, and are \
                 combined meanwhile. A longer `--flush-interval PIPELINE=TIME` needs fewer of them"
            );
        }
    }

    /// Write units a second that a table is sent at most; `None` when there is no limit.
    #[cfg(test)]
    pub(super) fn rate(&self, table: &str) -> Option<f64> {
        lock(&self.gate(table).rate).now()
    }
}

impl Gate {
    /// Wait for so many units.
    async fn pass(&self, units: f64) {
        // Nobody goes ahead of those who wait.
        if lock(&self.rate).now().is_none() {
            return;
        }
        let _first = self.first.lock().await;
        loop {
            // The rate is free again before anybody waits.
            let taken = lock(&self.rate).take(units);
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

impl Slot<'_> {
    /// The request went through, for so many units if the answer says it.
    pub(super) fn succeeded(&self, units: Option<f64>) {
        lock(&self.gate.rate).succeeded(self.thought, units.unwrap_or(self.thought));
    }

    /// The store refused the request because it was too much.
    pub(super) fn throttled(&self, overload: Overload) {
        match overload {
            Overload::Key => {
                self.limiter.throttles_of_key.increment(1);
                self.limiter.say_that_a_key_is_hot();
            }
            Overload::Table => {
                self.limiter.throttles_of_table.increment(1);
                lock(&self.gate.rate).throttled();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_too_much_for_a_table_slows_down_that_table_alone_and_a_key_none() {
        let limiter = Limiter::new(16);
        limiter.enter("a", 1).await.throttled(Overload::Key);
        assert_eq!(limiter.rate("a"), None);
        limiter.throttled_read();
        assert_eq!(limiter.rate("a"), None);
        limiter.enter("a", 1).await.throttled(Overload::Table);
        assert!(limiter.rate("a").is_some());
        assert!(limiter.enter("a", 1).now_or_never().is_none());
        assert!(limiter.enter("b", 1).now_or_never().is_some());
        limiter.throttled("b");
        assert!(limiter.enter("b", 1).now_or_never().is_none());
        let _ = limiter.enter("a", 1).await;
    }

    #[tokio::test]
    async fn requests_under_way_are_bounded() {
        let limiter = Limiter::new(2);
        let held = (limiter.enter("a", 1).await, limiter.enter("b", 1).await);
        assert!(limiter.enter("a", 1).now_or_never().is_none());
        drop(held.0);
        assert!(limiter.enter("a", 1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn bytes_under_way_are_bounded() {
        let limiter = Limiter::new(64);
        let held = limiter.enter("t", BYTES).await;
        assert!(limiter.enter("t", 1).now_or_never().is_none());
        drop(held);
        assert!(limiter.enter("t", usize::MAX).now_or_never().is_some(), "one that is too large by itself goes alone");
    }
}
