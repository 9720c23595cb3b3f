//! What is watched, what is due to be looked at, and who waits for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tonic::Status;

use super::super::handler::Reply;
use super::due::Due;
use super::{How, Who};
use crate::pipeline::Pipeline;
use crate::query::Answer;

/// Most keys of one call.
const MOST: usize = 1_000;

/// A key that is watched in one way, by any number of streams.
pub(super) struct Entry<P: Pipeline> {
    pub(super) key: P::Key,
    /// The key as the store has it.
    pub(super) text: Arc<str>,
    pub(super) how: Arc<How<P>>,
    newest: Mutex<Newest<P>>,
}

/// What the last look has found.
pub(super) enum Newest<P: Pipeline> {
    /// Nobody has looked yet.
    Unknown,
    Found(Arc<Found<P>>),
    /// No more looks are taken.
    Failed(Status),
}

impl<P: Pipeline> Clone for Newest<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Found(found) => Self::Found(found.clone()),
            Self::Failed(status) => Self::Failed(status.clone()),
        }
    }
}

/// An answer, with the messages that are made of it when somebody wants them.
pub(super) struct Found<P: Pipeline> {
    /// Which look has found it; they are counted.
    pub(super) look: u64,
    pub(super) digest: u64,
    /// How often its entry had another digest before.
    pub(super) change: u64,
    pub(super) answer: Answer<Reply<P>>,
    /// A reply of `Watch`.
    pub(super) reply: OnceLock<Result<Bytes, Status>>,
    /// The field of a reply of `WatchMany`.
    pub(super) entry: OnceLock<Bytes>,
}

impl<P: Pipeline> Entry<P> {
    pub(super) fn newest(&self) -> Newest<P> {
        self.slot().clone()
    }

    /// Put this in place of what was found before; whether it is another value.
    fn put(&self, mut found: Found<P>) -> bool {
        let mut newest = self.slot();
        let is_new = match &*newest {
            Newest::Found(before) => {
                let is_new = before.digest != found.digest;
                found.change = before.change + u64::from(is_new);
                is_new
            }
            Newest::Unknown | Newest::Failed(_) => true,
        };
        *newest = Newest::Found(Arc::new(found));
        is_new
    }

    fn slot(&self) -> MutexGuard<'_, Newest<P>> {
        // It is replaced as a whole.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry and its bookkeeping.
struct Watched<P: Pipeline> {
    entry: Arc<Entry<P>>,
    /// Whose it is; of nobody once several callers watch it.
    who: Who,
    /// By the number of their subscription.
    streams: HashMap<u64, Arc<Notify>>,
    /// Those that wait for a look that has not begun.
    joined: BTreeSet<u64>,
    /// Those that wait for the look under way.
    waiting: BTreeSet<u64>,
    /// It is to be looked at. While a look is under way it has no turn before that has ended.
    due: bool,
    turn: Option<u64>,
    looking: bool,
}

impl<P: Pipeline> Watched<P> {
    /// It is to be looked at, once.
    fn list(&mut self, due: &mut Due<Arc<Entry<P>>>) {
        self.due = true;
        if self.turn.is_none() && !self.looking {
            self.turn = Some(due.push(&self.who, &self.entry.how.question, self.entry.clone()));
        }
    }

    /// It has no turn any more.
    fn unlist(&mut self, due: &mut Due<Arc<Entry<P>>>) {
        if let Some(turn) = self.turn.take() {
            due.remove(&self.who, &self.entry.how.question, turn);
        }
    }
}

/// All that is watched of a pipeline.
pub(super) struct State<P: Pipeline> {
    /// By key and question.
    watched: HashMap<Arc<str>, HashMap<Bytes, Watched<P>>>,
    /// What has a turn.
    due: Due<Arc<Entry<P>>>,
    /// Looks that have begun.
    looks: u64,
    subscriptions: u64,
    /// The task that looks, by its number.
    pub(super) task: Option<u64>,
    pub(super) tasks: u64,
}

impl<P: Pipeline> Default for State<P> {
    fn default() -> Self {
        Self { watched: HashMap::new(), due: Due::default(), looks: 0, subscriptions: 0, task: None, tasks: 0 }
    }
}

/// What a look has to find, and under which number.
pub(super) struct Batch<P: Pipeline> {
    pub(super) look: u64,
    pub(super) entries: Vec<Arc<Entry<P>>>,
}

impl<P: Pipeline> State<P> {
    pub(super) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// How many keys and questions are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.watched.values().map(HashMap::len).sum()
    }

    /// How many have a turn.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.due.len()
    }

    /// The number of a new subscription, and of the last look that began before it.
    pub(super) fn begin(&mut self) -> (u64, u64) {
        self.subscriptions += 1;
        (self.subscriptions, self.looks)
    }

    /// Watch a key, beginning with a look that has not begun yet.
    pub(super) fn join(
        &mut self,
        (key, text): (P::Key, Arc<str>),
        how: &Arc<How<P>>,
        who: &Who,
        (subscription, stream): (u64, &Arc<Notify>),
    ) -> Arc<Entry<P>> {
        let of_key = self.watched.entry(text.clone()).or_default();
        let watched = of_key.entry(how.question.clone()).or_insert_with(|| {
            let entry = Entry { key, text, how: how.clone(), newest: Mutex::new(Newest::Unknown) };
            Watched {
                entry: Arc::new(entry),
                who: who.clone(),
                streams: HashMap::new(),
                joined: BTreeSet::new(),
                waiting: BTreeSet::new(),
                due: false,
                turn: None,
                looking: false,
            }
        });
        if watched.who.is_some() && watched.who != *who {
            // It does not wait behind the others of the first one any more.
            watched.unlist(&mut self.due);
            watched.who = None;
        }
        if watched.streams.insert(subscription, stream.clone()).is_none() {
            watched.joined.insert(subscription);
        }
        watched.list(&mut self.due);
        watched.entry.clone()
    }

    /// A subscription's stream is gone. Nobody needs an entry without streams.
    pub(super) fn leave(&mut self, entry: &Arc<Entry<P>>, subscription: u64) {
        let Some(of_key) = self.watched.get_mut(&entry.text) else { return };
        let Some(watched) = of_key.get_mut(&entry.how.question).filter(|watched| Arc::ptr_eq(&watched.entry, entry))
        else {
            return;
        };
        watched.streams.remove(&subscription);
        watched.joined.remove(&subscription);
        watched.waiting.remove(&subscription);
        if watched.streams.is_empty() {
            self.forget(entry);
        }
    }

    fn forget(&mut self, entry: &Entry<P>) -> Option<Watched<P>> {
        let of_key = self.watched.get_mut(&entry.text)?;
        let mut watched = of_key.remove(&entry.how.question);
        if of_key.is_empty() {
            self.watched.remove(&entry.text);
        }
        if let Some(watched) = &mut watched {
            watched.unlist(&mut self.due);
        }
        watched
    }

    /// A key is to be looked at; whether anybody watches it.
    pub(super) fn touch(&mut self, key: &str) -> bool {
        let Some(of_key) = self.watched.get_mut(key) else { return false };
        of_key.values_mut().for_each(|watched| watched.list(&mut self.due));
        true
    }

    /// All keys are to be looked at.
    pub(super) fn touch_all(&mut self) {
        for watched in self.watched.values_mut().flat_map(HashMap::values_mut) {
            watched.list(&mut self.due);
        }
    }

    /// What one call is to look at, of the question whose turn it is.
    pub(super) fn take(&mut self) -> Option<Batch<P>> {
        let most = |entry: &Arc<Entry<P>>| match &entry.how {
            how if how.explains => 1,
            how => MOST.min(how.reader.bounds().keys),
        };
        let entries = self.due.take(most)?;
        for entry in &entries {
            if let Some(watched) = find(&mut self.watched, entry) {
                (watched.due, watched.turn, watched.looking) = (false, None, true);
                watched.waiting.append(&mut watched.joined);
            }
        }
        self.looks += 1;
        Some(Batch { look: self.looks, entries })
    }

    /// What a look has found of each of its entries. Streams are woken once all of it can be seen.
    pub(super) fn found(&mut self, found: impl Iterator<Item = (Arc<Entry<P>>, Result<Found<P>, Status>)>) {
        let mut woken: Vec<Arc<Notify>> = Vec::new();
        for (entry, found) in found {
            let Some(watched) = find(&mut self.watched, &entry) else { continue };
            watched.looking = false;
            match found {
                Ok(found) => {
                    let waiting = std::mem::take(&mut watched.waiting);
                    if entry.put(found) {
                        woken.extend(watched.streams.values().cloned());
                    } else {
                        woken.extend(waiting.iter().filter_map(|stream| watched.streams.get(stream)).cloned());
                    }
                    if std::mem::take(&mut watched.due) {
                        watched.list(&mut self.due);
                    }
                }
                Err(status) => {
                    *entry.slot() = Newest::Failed(status);
                    let gone = self.forget(&entry);
                    woken.extend(gone.into_iter().flat_map(|watched| watched.streams.into_values()));
                }
            }
        }
        woken.iter().for_each(|stream| stream.notify_one());
    }

    /// Nobody looks any more: every stream ends with this status.
    pub(super) fn end(&mut self, status: &Status) {
        self.due = Due::default();
        for watched in self.watched.drain().flat_map(|(_, of_key)| of_key.into_values()) {
            *watched.entry.slot() = Newest::Failed(status.clone());
            watched.streams.values().for_each(|stream| stream.notify_one());
        }
    }
}

fn find<'a, P: Pipeline>(
    watched: &'a mut HashMap<Arc<str>, HashMap<Bytes, Watched<P>>>,
    entry: &Arc<Entry<P>>,
) -> Option<&'a mut Watched<P>> {
    let watched = watched.get_mut(&entry.text)?.get_mut(&entry.how.question)?;
    Arc::ptr_eq(&watched.entry, entry).then_some(watched)
}
