//! What is watched, what is due to be looked at, and who waits for it.

use std::collections::{BTreeSet, HashMap, hash_map};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use tonic::Status;

use super::due::Due;
use super::entry::{Entry, Found};
use super::room::{Kept, Room};
use super::{How, Who};
use crate::pipeline::Pipeline;

/// Most keys of one call.
const MOST: usize = 1_000;

/// An entry and its bookkeeping.
struct Watched<P: Pipeline> {
    entry: Arc<Entry<P>>,
    /// By the number of their subscription.
    streams: HashMap<u64, Stream>,
    /// Who they are for, each with how many of them.
    callers: HashMap<Who, usize>,
    /// Those that wait for a look that has not begun.
    joined: BTreeSet<u64>,
    /// Those that wait for the look under way.
    waiting: BTreeSet<u64>,
    /// It is to be looked at. While a look is under way it has no turn before that has ended.
    due: bool,
    /// Its turn, and among whose it is.
    turn: Option<(Who, u64)>,
    looking: bool,
    /// The room of it and its answer.
    kept: Kept,
}

/// One that watches a key.
struct Stream {
    who: Who,
    /// Woken when there is something new.
    notify: Arc<Notify>,
}

impl<P: Pipeline> Watched<P> {
    fn new(entry: Entry<P>, room: &Arc<Room>) -> Self {
        Self {
            entry: Arc::new(entry),
            streams: HashMap::new(),
            callers: HashMap::new(),
            joined: BTreeSet::new(),
            waiting: BTreeSet::new(),
            due: false,
            turn: None,
            looking: false,
            kept: Kept::nothing(room),
        }
    }

    /// Whose it is: of nobody while several callers watch it.
    fn who(&self) -> Who {
        let mut callers = self.callers.keys();
        let first = callers.next();
        if callers.next().is_none() { first.cloned().flatten() } else { None }
    }

    /// A subscription, which may be one of it already, watches it.
    fn join(&mut self, subscription: u64, stream: Stream) {
        if let hash_map::Entry::Vacant(place) = self.streams.entry(subscription) {
            *self.callers.entry(stream.who.clone()).or_default() += 1;
            self.joined.insert(subscription);
            place.insert(stream);
        }
    }

    fn leave(&mut self, subscription: u64) {
        let Some(Stream { who, .. }) = self.streams.remove(&subscription) else { return };
        self.joined.remove(&subscription);
        self.waiting.remove(&subscription);
        if let Some(streams) = self.callers.get_mut(&who) {
            *streams -= 1;
            if *streams == 0 {
                self.callers.remove(&who);
            }
        }
    }

    /// It is to be looked at, once.
    fn list(&mut self, due: &mut Due<Arc<Entry<P>>>) {
        self.due = true;
        if self.turn.is_none() && !self.looking {
            let who = self.who();
            let turn = due.push(&who, &self.entry.how.question, self.entry.clone());
            self.turn = Some((who, turn));
        }
    }

    /// It has no turn any more.
    fn unlist(&mut self, due: &mut Due<Arc<Entry<P>>>) {
        if let Some((who, turn)) = self.turn.take() {
            due.remove(&who, &self.entry.how.question, turn);
        }
    }
}

/// What is watched, by key and question. Most keys have one question, and a table has room for several.
type ByKey<P> = HashMap<Arc<str>, HashMap<Bytes, Box<Watched<P>>>>;

/// All that is watched of a pipeline.
pub(super) struct State<P: Pipeline> {
    watched: ByKey<P>,
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
        key: (P::Key, Arc<str>),
        how: &Arc<How<P>>,
        who: &Who,
        (subscription, stream): (u64, &Arc<Notify>),
        room: &Arc<Room>,
    ) -> Arc<Entry<P>> {
        let of_key = self.watched.entry(key.1.clone()).or_default();
        let watched = of_key
            .entry(how.question.clone())
            .or_insert_with(|| Box::new(Watched::new(Entry::new(key, how.clone()), room)));
        watched.join(subscription, Stream { who: who.clone(), notify: stream.clone() });
        if watched.turn.as_ref().is_some_and(|(listed, _)| *listed != watched.who()) {
            // It does not wait behind the others of the first one any more. Whoever leaves moves no turn: by coming and going one
            // would put off that of another.
            watched.unlist(&mut self.due);
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
        watched.leave(subscription);
        if watched.streams.is_empty() {
            self.forget(entry);
        }
    }

    fn forget(&mut self, entry: &Entry<P>) -> Option<Box<Watched<P>>> {
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
            let who = watched.who();
            let mut keep = |found: &Found<P>| {
                found.partitions.of(&who, watched.kept.is_nothing())?;
                watched.kept.resize(&who, found.bytes)
            };
            let kept = found.and_then(|found| keep(&found).map(|()| found));
            match kept {
                Ok(found) => {
                    let waiting = std::mem::take(&mut watched.waiting);
                    let notify = |stream: &Stream| stream.notify.clone();
                    if entry.put(found) {
                        woken.extend(watched.streams.values().map(notify));
                    } else {
                        woken.extend(waiting.iter().filter_map(|stream| watched.streams.get(stream)).map(notify));
                    }
                    if std::mem::take(&mut watched.due) {
                        watched.list(&mut self.due);
                    }
                }
                Err(status) => {
                    entry.fail(status);
                    let gone = self.forget(&entry);
                    let streams = gone.into_iter().flat_map(|watched| watched.streams.into_values());
                    woken.extend(streams.map(|stream| stream.notify));
                }
            }
        }
        woken.iter().for_each(|stream| stream.notify_one());
    }

    /// Nobody looks any more: every stream ends with this status.
    pub(super) fn end(&mut self, status: &Status) {
        self.due = Due::default();
        for watched in self.watched.drain().flat_map(|(_, of_key)| of_key.into_values()) {
            watched.entry.fail(status.clone());
            watched.streams.values().for_each(|stream| stream.notify.notify_one());
        }
    }
}

fn find<'a, P: Pipeline>(watched: &'a mut ByKey<P>, entry: &Arc<Entry<P>>) -> Option<&'a mut Watched<P>> {
    let watched = watched.get_mut(&entry.text)?.get_mut(&entry.how.question)?;
    Arc::ptr_eq(&watched.entry, entry).then_some(watched)
}
