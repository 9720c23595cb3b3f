//! What answers are to be: a plain fold over all events.

use std::collections::BTreeMap;

use super::*;
use crate::query::{Ask, Presence};
use crate::time::{Tiling, TimeRange};

/// All that is kept of a test, folded without tiles.
pub(super) struct Naive<'a, P> {
    /// By key, in the order in which they are to be combined.
    kept: BTreeMap<&'a str, Vec<&'a Happening>>,
    now: Timestamp,
    pipeline: PhantomData<P>,
}

impl<'a, P> Naive<'a, P>
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    /// Of these events, of which those came `late`.
    pub(super) fn new(events: &'a [Happening], late: &[bool], now: Timestamp) -> Self {
        let tiling = P::tiling();
        let kept = |(event, _): &(&Happening, bool)| {
            let tile = tiling.locate(event.at).0;
            tiling.expiry(tile, &P::SPEC.window).is_none_or(|at| at > now)
        };
        let mut all: Vec<_> = events.iter().zip(late.iter().copied()).filter(kept).collect();
        all.sort_by_key(|(event, late)| (*late, tiling.floor_slot(event.at), event.partition));
        let mut kept = BTreeMap::<&str, Vec<&Happening>>::new();
        for (event, _) in all {
            kept.entry(&event.id).or_default().push(event);
        }
        Self { kept, now, pipeline: PhantomData }
    }

    /// The events of a key that have not expired, in the order in which they are to be combined.
    pub(super) fn kept(&self, id: &str) -> &[&'a Happening] {
        self.kept.get(id).map_or(&[], Vec::as_slice)
    }

    fn fold(&self, id: &str, within: impl Fn(Timestamp) -> bool) -> (P::Aggregate, usize) {
        let mut all = P::Aggregate::identity();
        let mut count = 0;
        for event in self.kept(id).iter().filter(|event| within(event.at)) {
            all.combine(OfEvent::of(event));
            count += 1;
        }
        (all, count)
    }

    /// What is to be answered about a key: over what is asked about, moved to the edges of slots.
    pub(super) fn answer(&self, id: &str, ask: Ask) -> (<P::Aggregate as Monoid>::Reply, Presence) {
        let tiling = P::tiling();
        let slots = |range: TimeRange| TimeRange::new(tiling.floor_slot(range.start), tiling.ceil_slot(range.end));
        self.over(
            id,
            match ask {
                Ask::Retention => match P::SPEC.window.horizon(self.now) {
                    Some(horizon) => TimeRange::new(tiling.floor_slot(horizon), slot_end(&tiling, self.now)),
                    None => TimeRange::new(Timestamp::MIN, Timestamp::MAX),
                },
                ask => slots(asked(ask, self.now)),
            },
        )
    }

    /// The same over an interval, as far as it is kept.
    pub(super) fn over(&self, id: &str, range: TimeRange) -> (<P::Aggregate as Monoid>::Reply, Presence) {
        let tiling = P::tiling();
        let floor = P::SPEC.window.horizon(self.now).map(|horizon| tiling.floor_slot(horizon));
        let kept = |at| range.contains(at) && floor.is_none_or(|floor| at >= floor);
        let (value, count) = self.fold(id, kept);
        let gone = floor.is_some_and(|floor| range.end <= floor);
        let presence = match (count, gone, self.kept(id).is_empty()) {
            (1.., _, _) => Presence::Present,
            (0, true, _) => Presence::OutOfRetention,
            (0, false, true) => Presence::Absent,
            (0, false, false) => Presence::Empty,
        };
        (value.reply(&Question::default()).unwrap(), presence)
    }
}

/// The time that is asked about, before any side is moved.
pub(super) fn asked(ask: Ask, now: Timestamp) -> TimeRange {
    match ask {
        Ask::Retention => panic!("all that is kept has no interval of its own"),
        Ask::Window { span, end } => {
            let end = end.unwrap_or(now);
            TimeRange::new(end.saturating_sub(span), end)
        }
        Ask::Range(range) => range,
        Ask::Calendar { .. } => stretch(ask, now),
    }
}

/// The end of the slot that `at` lies in.
pub(super) fn slot_end(tiling: &Tiling, at: Timestamp) -> Timestamp {
    let (tile, slot) = tiling.locate(at);
    tiling.slot_range(tile, slot).end
}

/// What a calendar makes of a question.
fn stretch(ask: Ask, now: Timestamp) -> TimeRange {
    let Ask::Calendar { units, whole, end } = ask else { panic!("{ask:?} is none of the calendar") };
    let end = end.unwrap_or(now.saturating_add(Span::from_micros(1)));
    if whole { units.whole_before(end).unwrap() } else { units.before(end).unwrap() }
}
