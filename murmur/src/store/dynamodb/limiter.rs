use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::rate::Rate;
use crate::metrics::catalogue::STORE_THROTTLED;

/// How many requests may be under way, found out as TCP does it: a little more with every success, half of it when the
/// store says that it is too much.
///
/// Shared by all callers of a store. Bytes under way are bounded as well, so that a flush of large folds does not hold
/// all of them twice in memory. And a table that refuses many writes is sent no more a second than it takes ([`Rate`]).
pub(super) struct Limiter {
    slots: Semaphore,
    /// In units of [`UNIT`] bytes.
    bytes: Semaphore,
    state: Mutex<State>,
    tables: Mutex<HashMap<Box<str>, Arc<Gate>>>,
    most: usize,
    throttles_of_table: Counter,
    throttles_of_key: Counter,
}

/// What was too much for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overload {
    /// All requests together.
    Table,
    /// Those for one key, which wait for it; others need not.
    Key,
}

/// Where the writes of a table wait for its rate, in the order in which they came.
pub(super) struct Gate {
    first: tokio::sync::Mutex<()>,
    pub(super) rate: Mutex<Rate>,
}

struct State {
    /// Grows by its inverse with each success, so by one with as many successes as there are slots.
    limit: f64,
    /// Slots that exist.
    slots: usize,
    /// Slots that are still in use and disappear when they come back.
    owed: usize,
    halved: Option<Instant>,
    /// When it was said last that a key is too hot.
    said: Option<Instant>,
}

const UNIT: usize = 1024;
/// Most bytes under way.
const BYTES: usize = 16 << 20;
/// All requests that were under way together hear of one and the same overload: it counts once.
const ONCE: Duration = Duration::from_millis(100);

/// How often it is said that a key is too hot.
const AGAIN: Duration = Duration::from_secs(60);

/// The right to send one request.
pub(super) struct Slot<'a> {
    limiter: &'a Limiter,
    gate: Arc<Gate>,
    era: u32,
    _bytes: Option<SemaphorePermit<'a>>,
}

impl Limiter {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Semaphore::new(most),
            bytes: Semaphore::new(BYTES / UNIT),
            state: Mutex::new(State { limit: most as f64, slots: most, owed: 0, halved: None, said: None }),
            tables: Mutex::default(),
            most,
            throttles_of_table: STORE_THROTTLED.counter(["table"]),
            throttles_of_key: STORE_THROTTLED.counter(["key"]),
        }
    }

    /// Most requests that can ever be under way.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn gate(&self, table: &str) -> Arc<Gate> {
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
        let gate = self.gate(table);
        let era = gate.pass().await;
        let units = bytes.div_ceil(UNIT).clamp(1, BYTES / UNIT) as u32;
        // The semaphores are never closed, so there is always an answer; without one the request goes unbounded.
        let bytes = self.bytes.acquire_many(units).await.ok();
        if let Ok(slot) = self.slots.acquire().await {
            slot.forget();
        }
        Slot { limiter: self, gate, era, _bytes: bytes }
    }

    /// A request went through.
    fn succeeded(&self) {
        let mut state = self.state();
        state.limit = (state.limit + 1.0 / state.limit).min(self.most as f64);
        while state.slots < state.limit as usize {
            state.slots += 1;
            match state.owed.checked_sub(1) {
                Some(owed) => state.owed = owed,
                None => self.slots.add_permits(1),
            }
        }
    }

    /// The store refused a request because it was too much. That of a write is told to its [`Slot`].
    pub(super) fn throttled(&self, overload: Overload) {
        let mut state = self.state();
        let now = Instant::now();
        if overload == Overload::Key {
            self.throttles_of_key.increment(1);
            if state.said.is_none_or(|at| now.duration_since(at) >= AGAIN) {
                state.said = Some(now);
                tracing::warn!(
                    "a key is written more often than one partition of DynamoDB takes; its writes wait, and are \
                     combined meanwhile. A longer `--flush-interval PIPELINE=TIME` needs fewer of them"
                );
            }
            return;
        }
        self.throttles_of_table.increment(1);
        if state.halved.is_some_and(|at| now.duration_since(at) < ONCE) {
            return;
        }
        state.halved = Some(now);
        state.limit = (state.limit / 2.0).max(1.0);
        let gone = state.slots - state.limit as usize;
        state.slots -= gone;
        state.owed += gone - self.slots.forget_permits(gone);
    }

    /// Requests that may be under way now.
    #[cfg(test)]
    pub(super) fn allowed(&self) -> usize {
        self.state().slots
    }
}

/// Nothing between lock and unlock can leave it half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// Wait for the rate; what to tell it the answer with.
    async fn pass(&self) -> u32 {
        // Nobody goes ahead of those who wait, as long as there is a rate. Whoever holds this has to be polled on: nothing that
        // waits for it may keep the flushes of a worker from being carried on.
        if lock(&self.rate).limit().is_some() {
            let _first = self.first.lock().await;
            loop {
                let sent = lock(&self.rate).send();
                match sent {
                    Ok(era) => return era,
                    Err(wait) => tokio::time::sleep(wait).await,
                }
            }
        }
        lock(&self.rate).era()
    }
}

impl Slot<'_> {
    /// The write was carried out, or refused for what stands there.
    pub(super) fn succeeded(&self) {
        self.limiter.succeeded();
        lock(&self.gate.rate).taken(self.era);
    }

    /// It was too much.
    pub(super) fn throttled(&self, overload: Overload) {
        self.limiter.throttled(overload);
        if overload == Overload::Table {
            lock(&self.gate.rate).refused(self.era);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        match state.owed.checked_sub(1) {
            Some(owed) => state.owed = owed,
            None => self.limiter.slots.add_permits(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn overload_halves_the_limit_and_successes_raise_it_again() {
        let limiter = Limiter::new(16);
        limiter.throttled(Overload::Table);
        // The others of the same burst.
        limiter.throttled(Overload::Table);
        assert_eq!(limiter.allowed(), 8);
        for allowed in [4, 2, 1, 1] {
            tokio::time::advance(ONCE).await;
            limiter.throttled(Overload::Table);
            assert_eq!(limiter.allowed(), allowed);
        }
        let mut needed = 0;
        while limiter.allowed() < 16 {
            limiter.succeeded();
            needed += 1;
        }
        assert!((110..150).contains(&needed), "about the sum of 1 to 15, not {needed}");
        limiter.succeeded();
        assert_eq!(limiter.allowed(), 16, "never more than was configured");
        limiter.throttled(Overload::Key);
        assert_eq!(limiter.allowed(), 16, "one key holds up no others");
    }

    #[tokio::test(start_paused = true)]
    async fn slots_in_use_are_taken_away_when_they_come_back() {
        let limiter = Limiter::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(limiter.enter("t", 1).await);
        }
        limiter.throttled(Overload::Table);
        held.truncate(2);
        assert!(limiter.enter("t", 1).now_or_never().is_none(), "two are allowed, and two are under way");
        held.truncate(1);
        let next = limiter.enter("t", 1).now_or_never();
        assert!(next.is_some());
        drop((next, held));
        let both = (limiter.enter("t", 1).await, limiter.enter("t", 1).await);
        assert!(limiter.enter("t", 1).now_or_never().is_none());
        drop(both);
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
