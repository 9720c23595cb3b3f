//! What is watched, what is due to be looked at, and who waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tonic::Status;

use super::super::handler::Reply;
use super::How;
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

    fn slot(&self) -> MutexGuard<'_, Newest<P>> {
        // It is replaced as a whole.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry and its bookkeeping.
struct Watched<P: Pipeline> {
    entry: Arc<Entry<P>>,
    /// By the number of their subscription.
    streams: HashMap<u64, Arc<Notify>>,
    /// Those that wait for a look that has not begun.
    joined: Vec<Arc<Notify>>,
    /// Those that wait for the look under way.
    waiting: Vec<Arc<Notify>>,
    /// It is to be looked at. While a look is under way it is not listed as due before that has ended.
    due: bool,
    looking: bool,
}

/// All that is watched of a pipeline.
pub(super) struct State<P: Pipeline> {
    /// By key and question.
    watched: HashMap<Arc<str>, HashMap<Bytes, Watched<P>>>,
    /// What is due, by question: one call has one.
    due: HashMap<Bytes, Vec<Arc<Entry<P>>>>,
    /// The questions in the order of their turns.
    turns: VecDeque<Bytes>,
    /// Looks that have begun.
    looks: u64,
    subscriptions: u64,
    /// The task that looks, by its number.
    pub(super) task: Option<u64>,
    pub(super) tasks: u64,
}

impl<P: Pipeline> Default for State<P> {
    fn default() -> Self {
        Self {
            watched: HashMap::new(),
            due: HashMap::new(),
            turns: VecDeque::new(),
            looks: 0,
            subscriptions: 0,
            task: None,
            tasks: 0,
        }
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
        subscription: u64,
        stream: &Arc<Notify>,
    ) -> Arc<Entry<P>> {
        let of_key = self.watched.entry(text.clone()).or_default();
        let watched = of_key.entry(how.question.clone()).or_insert_with(|| {
            let entry = Entry { key, text, how: how.clone(), newest: Mutex::new(Newest::Unknown) };
            Watched {
                entry: Arc::new(entry),
                streams: HashMap::new(),
                joined: Vec::new(),
                waiting: Vec::new(),
                due: false,
                looking: false,
            }
        });
        if watched.streams.insert(subscription, stream.clone()).is_none() {
            watched.joined.push(stream.clone());
        }
        due(&mut self.due, &mut self.turns, watched);
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
        if watched.streams.is_empty() {
            self.forget(entry);
        }
    }

    fn forget(&mut self, entry: &Entry<P>) -> Option<Watched<P>> {
        let of_key = self.watched.get_mut(&entry.text)?;
        let watched = of_key.remove(&entry.how.question);
        if of_key.is_empty() {
            self.watched.remove(&entry.text);
        }
        watched
    }

    /// A key is to be looked at; whether anybody watches it.
    pub(super) fn touch(&mut self, key: &str) -> bool {
        let Some(of_key) = self.watched.get_mut(key) else { return false };
        of_key.values_mut().for_each(|watched| due(&mut self.due, &mut self.turns, watched));
        true
    }

    /// All keys are to be looked at.
    pub(super) fn touch_all(&mut self) {
        for watched in self.watched.values_mut().flat_map(HashMap::values_mut) {
            due(&mut self.due, &mut self.turns, watched);
        }
    }

    /// What one call is to look at, of the question whose turn it is.
    pub(super) fn take(&mut self) -> Option<Batch<P>> {
        loop {
            let question = self.turns.pop_front()?;
            let Some(listed) = self.due.get_mut(&question) else { continue };
            let how = listed.first().map(|entry| &entry.how);
            let most = how.map_or(0, |how| if how.explains { 1 } else { MOST.min(how.reader.bounds().keys).max(1) });
            let mut entries: Vec<_> = listed.drain(..most.min(listed.len())).collect();
            if listed.is_empty() {
                self.due.remove(&question);
            } else {
                self.turns.push_back(question);
            }
            self.looks += 1;
            // What has gone meanwhile need not be looked at.
            entries.retain(|entry| match find(&mut self.watched, entry) {
                Some(watched) => {
                    (watched.due, watched.looking) = (false, true);
                    watched.waiting.append(&mut watched.joined);
                    true
                }
                None => false,
            });
            if !entries.is_empty() {
                return Some(Batch { look: self.looks, entries });
            }
        }
    }

    /// What a look has found of each of its entries. Streams are woken once all of it can be seen.
    pub(super) fn found(&mut self, found: impl Iterator<Item = (Arc<Entry<P>>, Result<Found<P>, Status>)>) {
        let mut woken: Vec<Arc<Notify>> = Vec::new();
        for (entry, found) in found {
            let Some(watched) = find(&mut self.watched, &entry) else { continue };
            watched.looking = false;
            match found {
                Ok(found) => {
                    let digest = found.digest;
                    let before = std::mem::replace(&mut *entry.slot(), Newest::Found(Arc::new(found)));
                    if matches!(before, Newest::Found(before) if before.digest == digest) {
                        woken.append(&mut watched.waiting);
                    } else {
                        watched.waiting.clear();
                        woken.extend(watched.streams.values().cloned());
                    }
                    if std::mem::take(&mut watched.due) {
                        due(&mut self.due, &mut self.turns, watched);
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
        self.due.clear();
        self.turns.clear();
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

/// List an entry as due, once.
fn due<P: Pipeline>(
    due: &mut HashMap<Bytes, Vec<Arc<Entry<P>>>>,
    turns: &mut VecDeque<Bytes>,
    watched: &mut Watched<P>,
) {
    if std::mem::replace(&mut watched.due, true) || watched.looking {
        return;
    }
    let listed = due.entry(watched.entry.how.question.clone()).or_default();
    if listed.is_empty() {
        turns.push_back(watched.entry.how.question.clone());
    }
    listed.push(watched.entry.clone());
}
