//! Each aggregate: what one event gives, and what must come out.

use murmur::aggregate::{Decimal, Monoid};
use murmur::prelude::*;

use crate::draws::Draws;

/// An aggregate to measure.
pub(super) trait Case: Send + Sync + 'static {
    /// Its name in the output, and that of its pipeline.
    const NAME: &'static str;
    type Value: Monoid;

    /// The value of the event at place `n`, which has this element.
    fn of(name: &str, element: u32, n: usize) -> Self::Value;

    /// Whether this can be the value of all events.
    fn is_right(value: &Self::Value, draws: &Draws) -> bool;
}

macro_rules! cases {
    ($($case:ident $name:literal $ty:ty: $of:expr, $right:expr;)*) => {$(
        pub(super) struct $case;

        impl Case for $case {
            const NAME: &'static str = $name;
            type Value = $ty;

            #[inline]
            fn of(name: &str, element: u32, n: usize) -> $ty {
                let of: fn(&str, u32, usize) -> $ty = $of;
                of(name, element, n)
            }

            fn is_right(value: &$ty, draws: &Draws) -> bool {
                let Ok(reply) = value.reply(&question(draws)) else { return false };
                let right: fn(<$ty as Monoid>::Reply, &Draws) -> bool = $right;
                right(reply, draws)
            }
        }
    )*};
}

/// An instant for each event.
fn at(n: usize) -> Timestamp {
    Timestamp::from_micros(n as i64)
}

/// The elements that are looked up: the first is the most frequent one of Zipf's law.
fn question(draws: &Draws) -> Question {
    let elements = draws.names.iter().take(Question::MOST).map(|name| name.as_str().into()).collect();
    Question { as_of: at(draws.order.len()), elements, ..Question::default() }
}

fn sum(draws: &Draws) -> u64 {
    draws.order.iter().map(|element| u64::from(*element)).sum()
}

fn last(draws: &Draws) -> Option<u64> {
    draws.order.last().map(|element| u64::from(*element))
}

/// Bounds of two standard deviations hold with 95 %; three times the width never fails for a right sketch of one seed.
pub(crate) fn is_near(estimate: &murmur::wire::types::Estimate, truth: u64) -> bool {
    (estimate.value - truth as f64).abs() <= 1.5 * (estimate.upper - estimate.lower)
}

cases! {
    Counts "count" Count: |_, _, _| Count::one(), |count, draws| count == draws.events();
    Sums "sum-u64" Sum<u64>: |_, element, _| Sum::of(u64::from(element)), |total, draws| total == sum(draws);
    Floats "sum-f64" Sum<f64>: |_, element, _| Sum::of(f64::from(element)), |total, draws| total == sum(draws) as f64;
    Decimals "sum-decimal" Sum<Decimal<2>>: |_, element, _| Sum::of(Decimal::from_units(element.into())),
        |total, draws| total == Decimal::from_units(sum(draws) as i64);
    Averages "average" Average: |_, element, _| Average::of(element), |reply, draws| reply.count == draws.events();
    Spreads "moments" Moments: |_, element, _| Moments::of(element),
        |reply, draws| reply.count == draws.events() && reply.sum == sum(draws) as f64;
    Smallest "min" Min<u64>: |_, element, _| Min::of(u64::from(element)),
        |min, draws| min == draws.order.iter().min().map(|element| u64::from(*element));
    Largest "max" Max<u64>: |_, element, _| Max::of(u64::from(element)),
        |max, draws| max == draws.order.iter().max().map(|element| u64::from(*element));
    Firsts "first" First<u64>: |_, element, n| First::at(at(n), u64::from(element)),
        |first, draws| first.map(|first| first.value) == draws.order.first().map(|element| u64::from(*element));
    Lasts "last" Last<u64>: |_, element, n| Last::at(at(n), u64::from(element)),
        |reply, draws| reply.map(|reply| reply.value) == last(draws);
    Newest "latest" Latest<u64>: |_, element, n| Latest::of(n as u64, u64::from(element)),
        |reply, draws| reply == last(draws);
    Names "set" Set<String, 100>: |name, _, _| Set::of(name.to_owned()),
        |set, draws| set.values.len() as u64 == draws.distinct().min(100);
    Groups "map" Map<u64, Count, 100>: |_, element, _| Map::of(u64::from(element % 100), Count::one()),
        |map, draws| map.entries.values().sum::<u64>() == draws.events();
    Fading "decayed" Decayed<3600>: |_, element, n| Decayed::of(f64::from(element), at(n)),
        |reply, draws| (reply.value / sum(draws) as f64 - 1.0).abs() < 1e-3;
    Visitors "distinct" Distinct: |name, _, _| Distinct::of(name), |reply, draws| is_near(&reply, draws.distinct());
    Sets "distinct-set" DistinctSet: |name, _, _| DistinctSet::of(name), |reply, draws| is_near(&reply, draws.distinct());
    Top "top-k" TopK<10>: |name, _, _| TopK::of(name), |top, draws| {
        let within = |item: &murmur::wire::types::TopItem| {
            let element = item.item.trim_start_matches("element-").parse::<usize>();
            element.is_ok_and(|element| (item.lower..=item.upper).contains(&draws.counts[element]))
        };
        top.total == draws.events() && top.items.iter().all(within)
    };
    Spread "quantiles" Quantiles: |_, element, _| Quantiles::of(element), |reply, draws| {
        // At every hundredth; beyond the 99 % that the error holds for, twice the error.
        let mut sorted = draws.order.clone();
        sorted.sort_unstable();
        let share = |value: f64| sorted.partition_point(|element| f64::from(*element) <= value) as f64 / sorted.len() as f64;
        let below = |value: f64| sorted.partition_point(|element| f64::from(*element) < value) as f64 / sorted.len() as f64;
        let error = 2.0 * reply.rank_error;
        reply.count == draws.events()
            && reply.quantiles.iter().all(|point| {
                below(point.value) - error <= point.quantile && point.quantile <= share(point.value) + error
            })
    };
    Often "frequency" Frequency: |name, _, _| Frequency::of(name), |reply, draws| {
        reply.total == draws.events()
            && reply.frequencies.iter().zip(&draws.counts).all(|(row, count)| (row.lower..=row.upper).contains(count))
    };
    Members "membership" Membership<10_000>: |name, _, _| Membership::of(name),
        |reply, draws| reply.members.iter().zip(&draws.counts).all(|(member, count)| member.contained || *count == 0);
}
