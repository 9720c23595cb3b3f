//! The same over two months, so that all levels come up: what is rolled into days, months, and days in twos and more.

use murmur::aggregate::{Distinct, Monoid};
use murmur::pipeline::{Emissions, Pipeline, Spec};
use murmur::time::{Span, Window};

use super::{Balance, Tallies, Tally, Tick, TickKey, Trail, Trails, book, spec, trail_keys};

const fn months(name: &'static str, slot: u64) -> Spec {
    let window = Window::Sliding { span: Span::from_seconds(90 * 86_400), slot: Span::from_seconds(slot) };
    Spec { window, ..spec(name) }
}

/// As [`Tallies`], by the minute: hours are rolled into days, and these into months.
pub(crate) struct MonthTallies;

impl Pipeline for MonthTallies {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Tally;
    const SPEC: Spec = months("month_tallies", 60);

    fn apply(event: &Tick, out: &mut Emissions<Tally>) {
        Tallies::apply(event, out);
    }
}

/// As [`Balances`](super::Balances): days of hours are rolled into months. Their heat is small: whether a sum of large floats
/// leaves its range depends on how they are grouped, which here is by the levels.
pub(crate) struct MonthBalances;

impl Pipeline for MonthBalances {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Balance;
    const SPEC: Spec = months("month_balances", 3_600);

    fn apply(event: &Tick, out: &mut Emissions<Balance>) {
        book(event, event.amount as f64, out);
    }
}

/// As [`Trails`], by the day: events go into months, and late ones into twins of months. There is nothing above to roll.
pub(crate) struct MonthTrails;

impl Pipeline for MonthTrails {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Trail;
    const SPEC: Spec = months("month_trails", 86_400);

    fn apply(event: &Tick, out: &mut Emissions<Trail>) {
        Trails::apply(event, out);
    }
}

/// Form B, too large to be packed: a sketch, and the sequence of events beside it.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) trail: Trail,
    amounts: Distinct,
}

murmur::aggregate_struct! {
    impl Crowd;
    /// Who was there.
    pub(crate) struct CrowdReply: "testkit.v1.Crowd" {
        /// The sequence.
        trail: Trail = 1,
        /// How many different amounts.
        amounts: Distinct = 2,
    }
    retired [];
}

/// [`Crowd`]s of six hours, as tiles of one slot: they are rolled into days, and these into twos, fours and so on.
pub(crate) struct MonthCrowds;

impl Pipeline for MonthCrowds {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Crowd;
    const SPEC: Spec = months("month_crowds", 6 * 3_600);

    fn apply(event: &Tick, out: &mut Emissions<Crowd>) {
        for key in trail_keys(event) {
            out.begin("").field(&key);
            let trail = Trail { count: 1, hash: event.amount };
            out.emit(Crowd { trail, amounts: Distinct::of(event.amount) });
        }
    }
}

const _: () = assert!(Crowd::MAX_BYTES > 4_096, "it would be packed");
