//! Pipelines that show everything that goes wrong: one of each form, one that leaves out what was sent twice, one whose
//! sums are near the ends of their types, one whose value comes back to what it was, one with an aggregate of each kind,
//! some over months, and one in the versions of a program.

#[cfg(feature = "faults")]
mod editions;
mod kinds;
mod months;
mod swings;

#[cfg(feature = "faults")]
pub(crate) use editions::{Edited, Editions, EditionsNext, EditionsOther};
pub(crate) use kinds::Kinds;
pub(crate) use months::{Crowd, MonthBalances, MonthCrowds, MonthTallies, MonthTrails};
use murmur::aggregate::{
    Column, Count, Decayed, DecodeError, Form, Last, Map, Max, Moments, Monoid, Number, Question, Sum,
};
use murmur::engine::Unreadable;
use murmur::event::Event;
use murmur::pipeline::{Dedup, Emissions, Pipeline, Spec};
use murmur::time::{Span, Timestamp, Window};
pub(crate) use swings::{Swing, Swings};

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    pub(crate) key: String,
    pub(crate) at: Timestamp,
    pub(crate) amount: u64,
}

impl Tick {
    pub(crate) fn to_payload(&self) -> Vec<u8> {
        format!("{} {} {}", self.at.as_micros(), self.amount, self.key).into_bytes()
    }
}

pub(crate) fn decode(payload: &[u8]) -> Result<Tick, Unreadable> {
    let text = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
    let (at, rest) = text.split_once(' ').ok_or("cut off")?;
    let (amount, key) = rest.split_once(' ').ok_or("cut off")?;
    let at = at.parse().map_err(|error| format!("its time: {error}"))?;
    let amount = amount.parse().map_err(|error| format!("its amount: {error}"))?;
    if amount == PANICS_READING {
        // Past the hook that would print it: a simulation meets thousands.
        std::panic::resume_unwind(Box::new("this amount is a defect of the format"));
    }
    Ok(Tick { key: key.to_owned(), at: Timestamp::from_micros(at), amount })
}

impl Event for Tick {
    const NAME: &'static str = "Tick";
    const FIELDS: &'static [&'static str] = &["key", "at", "amount"];

    fn time(&self) -> Option<Timestamp> {
        Some(self.at)
    }
}

/// The amount that [`Tallies`] refuses and [`Trails`] counts: a dead letter of one pipeline alone.
pub(crate) const REFUSED: u64 = 1_007;
/// The amount that both pipelines filter out.
pub(crate) const FILTERED: u64 = 1_011;
/// The amount at which the functions of both pipelines panic.
pub(crate) const PANICS: u64 = 1_013;
/// The amount at which [`decode`] panics.
pub(crate) const PANICS_READING: u64 = 1_015;

/// Form A: how many, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) amount: u64,
}

impl Monoid for Tally {
    const FORM: Form = Form::Add;
    const MAX_BYTES: usize = 32;
    type Reply = u64;

    fn identity() -> Self {
        Self { count: 0, amount: 0 }
    }

    fn combine(&mut self, later: Self) {
        self.count += later.count;
        self.amount += later.amount;
    }

    fn refusal(&self) -> Option<String> {
        (self.amount == REFUSED).then(|| "this amount is refused".into())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.amount.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let pair = words(bytes)?;
        Ok(Self { count: pair[0], amount: pair[1] })
    }

    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        visit(Column { field, part: 0 }, Number::Int(i128::from(self.count)));
        visit(Column { field, part: 1 }, Number::Int(i128::from(self.amount)));
    }

    fn add_number(&mut self, _: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        let Number::Int(n) = number else { return Err(DecodeError("not whole".into())) };
        let n = u64::try_from(n).map_err(|error| DecodeError(error.to_string()))?;
        match column.part {
            0 => self.count += n,
            _ => self.amount += n,
        }
        Ok(())
    }

    fn reply(&self, _: &Question) -> murmur::Result<u64> {
        Ok(self.count)
    }
}

/// Form B, the strictest value there is: the polynomial hash of the sequence of events. One event lost, doubled or out
/// of order changes it; `hash(ab) = hash(a) * BASE^len(b) + hash(b)`, so it is associative and not commutative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) count: u64,
    pub(crate) hash: u64,
}

/// An odd multiplier (Knuth's MMIX), so that no factor of two is lost modulo 2^64.
const BASE: u64 = 6_364_136_223_846_793_005;

impl Monoid for Trail {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 16;
    type Reply = u64;

    fn identity() -> Self {
        Self { count: 0, hash: 0 }
    }

    fn combine(&mut self, later: Self) {
        self.hash = self.hash.wrapping_mul(BASE.wrapping_pow(later.count as u32)).wrapping_add(later.hash);
        self.count += later.count;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.hash.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let pair = words(bytes)?;
        Ok(Self { count: pair[0], hash: pair[1] })
    }

    fn reply(&self, _: &Question) -> murmur::Result<u64> {
        Ok(self.hash)
    }
}

fn words(bytes: &[u8]) -> Result<[u64; 2], DecodeError> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| DecodeError("not 16 bytes".into()))?;
    let number = u128::from_le_bytes(bytes);
    Ok([number as u64, (number >> 64) as u64])
}

murmur::key! {
    /// The key of all pipelines.
    pub(crate) struct TickKey: "testkit.v1.TickKey" {
        /// Which counter.
        key: String = 1,
    }
}

/// The window of all pipelines: hour tiles of minute slots.
pub(crate) const WINDOW: Window = Window::Sliding { span: Span::from_seconds(86_400), slot: Span::from_seconds(60) };

const fn spec(name: &'static str) -> Spec {
    Spec {
        name,
        package: "testkit.v1",
        service: "TickService",
        about: "A pipeline to test with.",
        window: WINDOW,
        fingerprint: 0,
    }
}

/// Counts, by Form A.
pub(crate) struct Tallies;

impl Pipeline for Tallies {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Tally;
    const SPEC: Spec = spec("tallies");

    fn apply(event: &Tick, out: &mut Emissions<Tally>) {
        assert_ne!(event.amount, PANICS, "this amount is a defect of the pipeline");
        if event.amount == FILTERED {
            return;
        }
        out.begin("").field(&event.key);
        out.emit(Tally { count: 1, amount: event.amount });
    }
}

/// Hashes of sequences, by Form B; every third amount is filtered out, and every fifth goes to two keys.
pub(crate) struct Trails;

impl Pipeline for Trails {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Trail;
    const SPEC: Spec = spec("trails");

    fn apply(event: &Tick, out: &mut Emissions<Trail>) {
        assert_ne!(event.amount, PANICS, "this amount is a defect of the pipeline");
        for key in trail_keys(event) {
            out.begin("").field(&key);
            out.emit(Trail { count: 1, hash: event.amount });
        }
    }
}

/// The keys under which [`Trails`] keeps an event.
pub(crate) fn trail_keys(event: &Tick) -> impl Iterator<Item = String> {
    let own = (!event.amount.is_multiple_of(3)).then(|| event.key.clone());
    let second = event.amount.is_multiple_of(5).then(|| format!("{}+", event.key));
    own.into_iter().chain(second)
}

/// As [`Trails`], of events that were sent twice only the first.
pub(crate) struct Singles;

impl Pipeline for Singles {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Trail;
    const SPEC: Spec = spec("singles");
    const DEDUP: Option<Dedup<Tick>> = Some(Dedup {
        within: 12,
        identify: |event, identity| {
            identity.part(&event.at).part(&event.amount);
        },
    });

    fn apply(event: &Tick, out: &mut Emissions<Trail>) {
        Trails::apply(event, out);
    }
}

/// Form A, with a number that DynamoDB does not add by itself: whoever writes reads the item, and puts it if nobody else has
/// meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Real {
    count: Count,
    sum: Sum<f64>,
}

murmur::aggregate_struct! {
    impl Real;
    /// A sum.
    pub(crate) struct RealReply: "testkit.v1.Real" {
        /// Events.
        count: Count = 1,
        /// Their amounts, in eighths.
        sum: Sum<f64> = 2,
    }
    retired [];
}

/// Sums of floats, by Form A.
pub(crate) struct Reals;

impl Pipeline for Reals {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Real;
    const SPEC: Spec = spec("reals");

    fn apply(event: &Tick, out: &mut Emissions<Real>) {
        out.begin("").field(&event.key);
        out.emit(Real { count: Count::one(), sum: Sum::of(event.amount as f64 / 8.0) });
    }
}

/// Form B, with sums that leave their types at every third or so event: which events are refused depends on all that were
/// taken before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Balance {
    count: Count,
    cents: Sum<i64>,
    heat: Sum<f64>,
    largest: Max<u64>,
    last: Last<u64>,
    spread: Moments,
    lately: Decayed<3600>,
    by_branch: Map<u64, Sum<i64>, 4>,
}

murmur::aggregate_struct! {
    impl Balance;
    /// What is in an account.
    pub(crate) struct BalanceReply: "testkit.v1.Balance" {
        /// Bookings.
        count: Count = 1,
        /// Their sum.
        cents: Sum<i64> = 2,
        /// Another one.
        heat: Sum<f64> = 3,
        /// The largest amount.
        largest: Max<u64> = 4,
        /// The last one.
        last: Last<u64> = 5,
        /// Mean and spread of numbers, of which some have squares near the end of their type.
        spread: Moments = 6,
        /// What weighs the more the later it came.
        lately: Decayed<3600> = 7,
        /// The first sums of four of six branches.
        by_branch: Map<u64, Sum<i64>, 4> = 8,
    }
    retired [];
}

/// Sums near the ends of their types; every fifth amount goes to two keys.
pub(crate) struct Balances;

impl Pipeline for Balances {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = Balance;
    const SPEC: Spec = Spec {
        // One slot an hour, so that many events meet in it.
        window: Window::Sliding { span: Span::from_seconds(86_400), slot: Span::from_seconds(3_600) },
        ..spec("balances")
    };

    fn apply(event: &Tick, out: &mut Emissions<Balance>) {
        let heat = match event.amount % 7 {
            0 => f64::MAX / 2.5,
            1 => f64::MIN / 3.0,
            _ => event.amount as f64,
        };
        book(event, heat, out);
    }
}

/// Put an event and its heat into its accounts.
fn book(event: &Tick, heat: f64, out: &mut Emissions<Balance>) {
    let amount = event.amount;
    let cents = match amount % 4 {
        0 => i64::MAX / 2 - amount as i64,
        1 => i64::MIN / 3,
        _ => amount as i64,
    };
    let second = amount.is_multiple_of(5).then(|| format!("{}+", event.key));
    for key in [Some(event.key.clone()), second].into_iter().flatten() {
        out.begin("").field(&key);
        out.emit(Balance {
            count: Count::one(),
            cents: Sum::of(cents),
            heat: Sum::of(heat),
            largest: Max::of(amount),
            last: Last::at(event.at, amount),
            spread: Moments::of(heat.abs().sqrt()),
            lately: Decayed::of(amount as f64, event.at),
            by_branch: Map::of(amount % 6, Sum::of(cents)),
        });
    }
}
