//! What `#[murmur::pipeline]` implements.

use crate::aggregate::Monoid;
use crate::event::Event;
use crate::key::{Key, KeyBuf, KeyField, Part};
use crate::size;
use crate::time::{Tiling, Window};

/// A pipeline: from one event to aggregates under keys.
///
/// Implemented by `#[murmur::pipeline]` on the marker type that it makes: `fn page_traffic` gives `PageTraffic`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pipeline",
    label = "a pipeline is made by `#[murmur::pipeline]`",
    note = "the pipeline of `fn page_traffic` is the type `PageTraffic`"
)]
pub trait Pipeline: Send + Sync + 'static {
    /// What comes in.
    type Event: Event;
    /// What it is counted by.
    type Key: Key;
    /// What is kept.
    type Aggregate: Monoid;
    /// What was declared.
    const SPEC: Spec;
    /// The contract that a client of its service was made from, as the build step says it: the revision of Murmur's own
    /// messages, and the fingerprint of the service.
    const CONTRACT: Option<&'static str> = None;
    /// Which events are the same one, sent twice; without it every event counts.
    const DEDUP: Option<Dedup<Self::Event>> = None;
    /// Its values have no bound ([`MAX_BYTES`](Monoid::MAX_BYTES)), and that is accepted: what a full item cannot take is a
    /// dead letter. Without it such a pipeline does not compile.
    const UNBOUNDED: bool = false;
    /// The full name of the message of its values, where their Rust type does not know it: that of a
    /// [`Map`](crate::aggregate::Map).
    const VALUE: Option<&'static str> = None;

    /// What one event adds to which keys. Deterministic: the same event always gives the same emissions.
    fn apply(event: &Self::Event, out: &mut Emissions<Self::Aggregate>);

    /// How its time is cut into slots and tiles. Slots are packed into the next unit up when all of them together
    /// stay a small item.
    fn tiling() -> Tiling {
        size::tiling(&Self::SPEC.window, Self::Aggregate::MAX_BYTES)
    }
}

/// What a pipeline's definition declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Its name in snake case: the table, the file, the argument of commands.
    pub name: &'static str,
    /// The protobuf package, for example `page_traffic.v1`.
    pub package: &'static str,
    /// The name of the service within the package, for example `PageTrafficService`.
    pub service: &'static str,
    /// The first paragraph of its documentation.
    pub about: &'static str,
    /// Its window.
    pub window: Window,
    /// Identifies the definition: both the build step and the macro compute it from the same tokens.
    pub fingerprint: u64,
}

/// Of events with the same identity that stand near each other in a partition, the first one counts that the pipeline does
/// not refuse.
///
/// Whether an event counts follows from the partition's log alone, so that it comes out the same whoever reads it, and
/// however often.
#[derive(Debug)]
pub struct Dedup<E> {
    /// How far back the identities are known: in offsets where these are numbers, else in payloads.
    pub within: u64,
    /// What identifies an event.
    pub identify: fn(&E, &mut Identity),
}

/// What tells an event from others: the values of some of its fields.
#[derive(Debug, Default)]
pub struct Identity {
    text: String,
    lacks: bool,
}

impl Identity {
    /// Add the value of a field. An event that lacks one has no identity, and always counts.
    pub fn part(&mut self, part: &impl Part) -> &mut Self {
        self.lacks |= !part.is_present();
        part.write_part(&mut self.text);
        // No part's text has this character in it.
        self.text.push('\0');
        self
    }

    /// Of an event; `None` when it has none.
    pub fn of<E>(&mut self, event: &E, identify: fn(&E, &mut Self)) -> Option<&str> {
        self.text.clear();
        self.lacks = false;
        identify(event, self);
        (!self.lacks).then_some(&self.text)
    }
}

/// Why an event cannot be counted; it goes to the dead letters with this reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

/// What events add to which keys: a buffer that holds the emissions of one event after the other.
#[derive(Debug)]
pub struct Emissions<A> {
    keys: KeyBuf,
    items: Vec<(std::ops::Range<usize>, A)>,
    refusal: Option<Refusal>,
}

impl<A> Default for Emissions<A> {
    fn default() -> Self {
        Self { keys: KeyBuf::default(), items: Vec::new(), refusal: None }
    }
}

impl<A: Monoid> Emissions<A> {
    /// Forget everything.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Begin a key. `grain` names the rollup it belongs to (field numbers joined by `.`), empty without rollups.
    pub fn begin(&mut self, grain: &str) -> &mut Self {
        self.keys.begin(grain);
        self
    }

    /// Add the next field of the key.
    pub fn field<F: KeyField>(&mut self, field: &F) -> &mut Self {
        self.keys.field(field);
        self
    }

    /// Finish the key and add a value under it.
    pub fn emit(&mut self, value: A) {
        if let Some(reason) = value.refusal() {
            self.refusal.get_or_insert(Refusal(reason));
        }
        match self.keys.finish() {
            Ok(range) => self.items.push((range, value)),
            Err(reason) => {
                self.refusal.get_or_insert(Refusal(reason));
            }
        }
    }

    /// Why the event as a whole cannot be counted, if so.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The encoded key of one of them, in the order they were emitted.
    pub fn key(&self, at: usize) -> &str {
        self.keys.slice(self.items[at].0.clone())
    }

    /// Keep the first `len` only: what an event emitted before it was refused is forgotten with the refusal.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
        self.keys.truncate(self.items.last().map_or(0, |(range, _)| range.end));
        self.refusal = None;
    }

    /// Take the encoded keys and their values, in the order they were emitted.
    pub fn drain(&mut self) -> impl Iterator<Item = (&str, A)> {
        let keys = &self.keys;
        self.items.drain(..).map(move |(range, value)| (keys.slice(range), value))
    }
}
