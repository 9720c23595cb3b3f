//! One aggregate of each kind.

use murmur::aggregate::{
    Average, Count, Decayed, Decimal, Distinct, DistinctSet, First, Frequency, Last, Latest, Map, Max, Membership, Min,
    Moments, Quantiles, Set, Sum, TopK,
};
use murmur::pipeline::{Emissions, Pipeline, Spec};

use super::{FILTERED, PANICS, Tick, TickKey, spec};

/// What there is of each kind.
#[derive(Debug, Clone)]
pub(crate) struct OfEachKind {
    count: Count,
    whole: Sum<u64>,
    real: Sum<f64>,
    money: Sum<Decimal<2>>,
    average: Average,
    moments: Moments,
    min: Min<u64>,
    max: Max<u64>,
    first: First<u64>,
    last: Last<u64>,
    latest: Latest<String>,
    set: Set<u64, 16>,
    distinct: Distinct,
    distinct_set: DistinctSet,
    top: TopK<8>,
    quantiles: Quantiles,
    frequency: Frequency,
    membership: Membership<500>,
    decayed: Decayed<3_600>,
    by_digit: Map<String, Count, 16>,
}

murmur::aggregate_struct! {
    impl OfEachKind;
    /// The replies.
    pub(crate) struct OfEachKindReply: "testkit.v1.OfEachKind" {
        /// Events.
        count: Count = 1,
        /// Their amounts.
        whole: Sum<u64> = 2,
        /// In eighths.
        real: Sum<f64> = 3,
        /// As cents.
        money: Sum<Decimal<2>> = 4,
        /// Their mean.
        average: Average = 5,
        /// Their variance.
        moments: Moments = 6,
        /// The smallest.
        min: Min<u64> = 7,
        /// The largest.
        max: Max<u64> = 8,
        /// The earliest.
        first: First<u64> = 9,
        /// The most recent.
        last: Last<u64> = 10,
        /// That of the largest amount.
        latest: Latest<String> = 11,
        /// A few of them.
        set: Set<u64, 16> = 12,
        /// How many different ones.
        distinct: Distinct = 13,
        /// The same, as a set.
        distinct_set: DistinctSet = 14,
        /// Their most frequent remainders.
        top: TopK<8> = 15,
        /// How they are spread.
        quantiles: Quantiles = 16,
        /// How often each occurred.
        frequency: Frequency = 17,
        /// Which ones there were.
        membership: Membership<500> = 18,
        /// Their sum, of which an hour takes half.
        decayed: Decayed<3_600> = 19,
        /// How many end with each digit.
        by_digit: Map<String, Count, 16> = 20,
    }
    retired [];
}

/// One aggregate of each kind, over the amounts.
pub(crate) struct Kinds;

impl Pipeline for Kinds {
    type Event = Tick;
    type Key = TickKey;
    type Aggregate = OfEachKind;
    const SPEC: Spec = spec("kinds");

    fn apply(event: &Tick, out: &mut Emissions<OfEachKind>) {
        let (at, amount) = (event.at, event.amount);
        assert_ne!(amount, PANICS, "this amount is a defect of the pipeline");
        if amount == FILTERED {
            return;
        }
        out.begin("").field(&event.key);
        out.emit(OfEachKind {
            count: Count::one(),
            whole: Sum::of(amount),
            real: Sum::of(amount as f64 / 8.0),
            money: Sum::of(Decimal::from_units(amount.cast_signed())),
            average: Average::of(amount),
            moments: Moments::of(amount),
            min: Min::of(amount),
            max: Max::of(amount),
            first: First::at(at, amount),
            last: Last::at(at, amount),
            latest: Latest::of(amount, amount.to_string()),
            set: Set::of(amount),
            distinct: Distinct::of(amount),
            distinct_set: DistinctSet::of(amount),
            // Few enough to be exact: beyond that it depends on how events are grouped.
            top: TopK::of((amount % 40).to_string()),
            quantiles: Quantiles::of(amount),
            frequency: Frequency::of(amount),
            membership: Membership::of(amount),
            decayed: Decayed::of(amount as f64, at),
            by_digit: Map::of((amount % 10).to_string(), Count::one()),
        });
    }
}
