//! What the tests of this folder share: pipelines of any window, and tables filled from events.

mod against_naive;
mod apart;
mod calendar;
mod coalescing;
mod edges;
mod empty;
mod explaining;
mod falling;
mod filler;
mod future;
pub(crate) mod hooked;
mod keeping;
mod limits;
mod naive;
mod places;
mod questions;
mod quiet;
mod roll_busy;
mod rolling;
mod sets;
mod sharing;

use std::marker::PhantomData;
use std::sync::Arc;

use filler::Filler;

use super::Reader;
use crate::aggregate::{Count, DecodeError, Form, Monoid, Question, envelope};
use crate::engine::Clock;
use crate::event::Event;
use crate::key::{Key, KeyBuf};
use crate::pipeline::{Emissions, Pipeline, Spec};
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, MemoryStore, Outcome, Store, Table, TileId, Write};
use crate::time::{Span, Timestamp, Window};

/// An event of a test.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) partition: u8,
    pub(super) what: char,
}

impl Event for Happening {
    const NAME: &'static str = "Happening";
    const FIELDS: &'static [&'static str] = &["id", "at", "what"];

    fn time(&self) -> Option<Timestamp> {
        Some(self.at)
    }
}

crate::key! {
    /// A key of one text.
    pub(super) struct Id: "test.v1.Id" {
        /// The text.
        id: String = 1,
    }
}

impl Id {
    pub(super) fn new(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }
}

/// A text that grows: shows the order in which things were combined. `MAX` decides whether slots are packed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text<const MAX: usize>(pub(super) String);

impl<const MAX: usize> Monoid for Text<MAX> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = MAX;
    type Reply = String;

    fn identity() -> Self {
        Self(String::new())
    }

    fn combine(&mut self, later: Self) {
        self.0 += &later.0;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|e| DecodeError(e.to_string()))
    }

    fn reply(&self, _: &Question) -> crate::Result<String> {
        Ok(self.0.clone())
    }
}

/// Made of one event.
pub(super) trait OfEvent: Monoid {
    fn of(event: &Happening) -> Self;
}

impl OfEvent for Count {
    fn of(event: &Happening) -> Self {
        Self::of(event.what as u64)
    }
}

impl<const MAX: usize> OfEvent for Text<MAX> {
    fn of(event: &Happening) -> Self {
        Self(event.what.into())
    }
}

/// A window, as a type.
pub(super) trait Shape: Send + Sync + 'static {
    const WINDOW: Window;
}

/// A pipeline of any window and aggregate.
pub(super) struct Test<W, A>(PhantomData<fn() -> (W, A)>);

impl<W: Shape, A: OfEvent> Pipeline for Test<W, A> {
    type Event = Happening;
    type Key = Id;
    type Aggregate = A;
    const SPEC: Spec =
        Spec { name: "test", package: "test.v1", service: "TestService", about: "", window: W::WINDOW, fingerprint: 0 };

    fn apply(event: &Happening, out: &mut Emissions<A>) {
        out.begin("").field(&event.id).emit(A::of(event));
    }
}

pub(super) const fn sliding(span: u64, slot: u64) -> Window {
    Window::Sliding { span: Span::from_seconds(span), slot: Span::from_seconds(slot) }
}

pub(super) const fn tumbling(size: u64, keep: u64) -> Window {
    Window::Tumbling { size: Span::from_seconds(size), keep: Span::from_seconds(keep) }
}

macro_rules! shapes {
    ($($name:ident = $window:expr;)*) => {$(
        pub(super) struct $name;
        impl Shape for $name {
            const WINDOW: Window = $window;
        }
    )*};
}

shapes! {
    AllTime = Window::AllTime;
    Hourly = tumbling(3_600, 3 * 86_400);
    Weekly = tumbling(7 * 86_400, 60 * 86_400);
    Seconds = sliding(180, 1);
    Minutes = sliding(6 * 3_600, 60);
    Sevens = sliding(3_600, 7 * 60);
    Hours = sliding(2 * 86_400, 3_600);
    HalfThirds = sliding(12 * 3_600, 5_400);
    Days = sliding(90 * 86_400, 86_400);
    MonthOfHours = sliding(30 * 86_400, 3_600);
    MonthOfQuarters = sliding(30 * 86_400, 900);
    MonthOfMinutes = sliding(30 * 86_400, 60);
    QuarterOfMinutes = sliding(90 * 86_400, 60);
    CenturyOfDays = sliding(36_525 * 86_400, 86_400);
}

/// A clock that stands.
pub(crate) struct Standing(pub(crate) Timestamp);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// The store's text of a key.
pub(super) fn key_text(id: &str) -> Arc<str> {
    let mut buffer = KeyBuf::default();
    let range = Key::encode(&Id::new(id), &mut buffer).unwrap();
    buffer.slice(range).into()
}

/// Write these events as if nothing were ever late, without a record of any partition.
pub(super) async fn fill<P>(store: &dyn Store, events: &[Happening])
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    let placed: Vec<_> = events.iter().map(|event| (event, P::tiling().locate(event.at).0)).collect();
    Filler::<P>::new(store, 1).write(&placed).await;
}

/// A reader over a memory store that holds these events.
pub(super) async fn reader<P>(events: &[Happening], now: Timestamp) -> Reader<P>
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    let store = Arc::new(MemoryStore::new());
    fill::<P>(&*store, events).await;
    Reader::new(store, 1).clock(Arc::new(Standing(now)))
}
