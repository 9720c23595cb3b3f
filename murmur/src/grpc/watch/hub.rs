//! Who watches what, and the task that looks for all of them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;

use super::super::refusal::Reason;
use super::super::status;
use super::entry::Entry;
use super::look::Look;
use super::measures::Measures;
use super::partitions::Latest;
use super::room::Place;
use super::state::State;
use super::{How, Shared, Who};
use crate::pipeline::Pipeline;
use crate::query::{self, Reader};
use crate::store::Listen;

/// Looks under way at a time, for all that is watched of a pipeline; and as many more that go on in parts, as some of their keys could
/// not be read.
const AT_ONCE: usize = 4;

/// All streams that watch keys of a pipeline.
pub(in crate::grpc) struct Hub<P: Pipeline> {
    shared: Shared,
    state: Mutex<State<P>>,
    /// Something is due, or nobody watches any more.
    wake: Notify,
    /// The partitions that the last look has named.
    latest: Arc<Latest>,
    measures: Measures,
}

impl<P: Pipeline> Hub<P> {
    pub(in crate::grpc) fn new(reader: &Reader<P>, shared: Shared) -> Arc<Self> {
        let measures = Measures::of(P::SPEC.name);
        let latest = Arc::new(Latest::new(&shared.room));
        let hub = Arc::new(Self { shared, state: Mutex::default(), wake: Notify::new(), latest, measures });
        if let Some(touched) = &hub.shared.watching.told {
            let listener: Arc<dyn Listen> = hub.clone();
            touched.tell(reader.table(), Arc::downgrade(&listener));
        }
        hub
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        // Whoever panics under the lock can at most leave an entry that nobody looks at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watch these keys, which may repeat, and have these names in the request.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        how: How<P>,
        keys: Vec<P::Key>,
        name: impl Fn(usize) -> Cow<'static, str>,
        who: &Who,
    ) -> Result<Subscription<P>, Status> {
        let texts = query::encode_all(&keys, name).map_err(|e| status::of(&e))?;
        let place = self.shared.room.take(who, keys.len().saturating_mul(how.places()))?;
        self.measures.begin(keys.len());
        let (how, stream) = (Arc::new(how), Arc::new(Notify::new()));
        let mut state = self.state();
        let (number, since) = state.begin();
        let keys = keys.into_iter().zip(texts);
        let room = &self.shared.room;
        let entries = keys.map(|key| state.join(key, &how, who, (number, &stream), room)).collect();
        if state.task.is_none() {
            state.tasks += 1;
            let task = state.tasks;
            state.task = Some(task);
            tokio::spawn(Task { hub: self.clone(), number: task }.run());
        }
        drop(state);
        self.wake.notify_one();
        Ok(Subscription { hub: self.clone(), number, since, entries, stream, _place: place })
    }

    /// How many keys and questions are watched.
    #[cfg(test)]
    pub(in crate::grpc) fn len(&self) -> usize {
        self.state().len()
    }

    /// How many of them wait for a look.
    #[cfg(test)]
    pub(in crate::grpc) fn waiting(&self) -> usize {
        self.state().waiting()
    }

    /// Whether a task looks.
    #[cfg(test)]
    pub(in crate::grpc) fn is_looking(&self) -> bool {
        self.state().task.is_some()
    }
}

impl<P: Pipeline> Listen for Hub<P> {
    fn is_listening(&self) -> bool {
        !self.state().is_empty()
    }

    fn touched(&self, keys: &BTreeSet<&str>) {
        let mut state = self.state();
        let watched = keys.iter().filter(|key| state.touch(key)).count();
        drop(state);
        if watched > 0 {
            self.wake.notify_one();
        }
    }
}

/// What a stream watches, until it is dropped.
pub(super) struct Subscription<P: Pipeline> {
    hub: Arc<Hub<P>>,
    number: u64,
    /// What looks up to this one have found is from before.
    pub(super) since: u64,
    /// In the order of the keys.
    pub(super) entries: Vec<Arc<Entry<P>>>,
    /// Woken when there is something new of any of them.
    pub(super) stream: Arc<Notify>,
    _place: Place,
}

impl<P: Pipeline> Subscription<P> {
    /// So many values were not sent, as a newer one was there when the reader came.
    pub(super) fn skipped(&self, values: u64) {
        self.hub.measures.skipped.increment(values);
    }
}

impl<P: Pipeline> Drop for Subscription<P> {
    fn drop(&mut self) {
        self.hub.measures.end(self.entries.len());
        let mut state = self.hub.state();
        self.entries.iter().for_each(|entry| state.leave(entry, self.number));
        let is_last = state.is_empty();
        drop(state);
        if is_last {
            self.hub.wake.notify_one();
        }
    }
}

/// Looks as long as anybody watches.
struct Task<P: Pipeline> {
    hub: Arc<Hub<P>>,
    number: u64,
}

impl<P: Pipeline> Task<P> {
    async fn run(self) {
        let hub = &*self.hub;
        // Longer than the clock goes is never.
        let every = hub.shared.watching.every.min(Duration::from_secs(30 * 365 * 86_400));
        let mut ticks = tokio::time::interval_at(Instant::now() + every, every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drain = hub.shared.drain.clone();
        let (mut looks, mut rests) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            while looks.len() < AT_ONCE {
                let Some(batch) = hub.state().take() else { break };
                hub.measures.looks.increment(1);
                looks.push(Look::new(batch, &hub.latest).next());
            }
            if self.is_over() {
                return;
            }
            tokio::select! {
                Some((found, rest)) = looks.next() => {
                    hub.state().found(found.into_iter());
                    // Keys that hang keep nobody else waiting, unless there are many of them.
                    let goes_on = if rests.len() < AT_ONCE { &mut rests } else { &mut looks };
                    goes_on.extend(rest.map(Look::next));
                }
                Some((found, rest)) = rests.next() => {
                    hub.state().found(found.into_iter());
                    rests.extend(rest.map(Look::next));
                }
                () = hub.wake.notified() => {}
                _ = ticks.tick() => hub.state().touch_all(),
                () = drain.stopping() => return,
            }
        }
    }

    /// Whether nobody watches any more. Who comes after that needs another task.
    fn is_over(&self) -> bool {
        let mut state = self.hub.state();
        let is_over = state.is_empty();
        if is_over {
            state.task = None;
        }
        is_over
    }
}

impl<P: Pipeline> Drop for Task<P> {
    /// Streams do not wait for a task that is gone: the server stops, or the task broke down.
    fn drop(&mut self) {
        let mut state = self.hub.state();
        if state.task == Some(self.number) {
            state.task = None;
            state.end(&Reason::SHUTTING_DOWN.status("this server does not watch keys any more; call again"));
        }
    }
}
