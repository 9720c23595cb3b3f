//! The laws of every aggregate on random values, in random order, split and merged at random. `MURMUR_LAW_CASES` says
//! how many cases each has.

use proptest::prelude::*;
use proptest::strategy::Union;

use super::tests::{Traffic, same_moments, same_sum};
use super::*;
use crate::time::Timestamp;

/// Most values of one case, and how often the laws are tried on them.
const VALUES: usize = 24;
const ROUNDS: usize = 6;

fn cases() -> u32 {
    let asked = std::env::var("MURMUR_LAW_CASES").ok();
    asked.map_or(24, |cases| cases.parse().expect("`MURMUR_LAW_CASES` is a number"))
}

/// For each aggregate: what one value of it can be, and when two are the same.
macro_rules! keep_the_laws {
    ($($name:ident: $value:expr, $same:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(cases()))]
            $(
                #[test]
                fn $name(values in prop::collection::vec($value, 1..VALUES), seed in any::<u64>()) {
                    let same = |a: &_, b: &_| equal(a, b) || $same(a, b);
                    prop_assert_eq!(laws::verify_from(&values, &same, seed, ROUNDS), Ok(()));
                }
            )*
        }
    };
}

keep_the_laws! {
    counts: (0..1u64 << 40).prop_map(Count::of), equal;
    sums_of_i64: any::<Option<i64>>().prop_map(Sum::<i64>::of), equal;
    sums_of_u64: any::<Option<u64>>().prop_map(Sum::<u64>::of), equal;
    sums_of_f64: number().prop_map(Sum::<f64>::of), same_sum;
    sums_of_decimals: any::<i64>().prop_map(|units| Sum::of(Decimal::<2>::from_units(units))), equal;
    averages: any::<Option<i32>>().prop_map(Average::of), equal;
    averages_of_floats: number().prop_map(Average::of), same_average;
    moments: number().prop_map(Moments::of), same_moments;

    minima_of_bool: any::<Option<bool>>().prop_map(Min::<bool>::of), equal;
    minima_of_i32: any::<Option<i32>>().prop_map(Min::<i32>::of), equal;
    minima_of_u64: any::<Option<u64>>().prop_map(Min::<u64>::of), equal;
    minima_of_f64: any_number().prop_map(Min::<f64>::of), equal;
    minima_of_texts: text().prop_map(Min::<String>::of), equal;
    minima_of_times: time().prop_map(Min::<Timestamp>::of), equal;
    maxima_of_u32: any::<Option<u32>>().prop_map(Max::<u32>::of), equal;
    maxima_of_i64: any::<Option<i64>>().prop_map(Max::<i64>::of), equal;
    maxima_of_f64: any_number().prop_map(Max::<f64>::of), equal;
    maxima_of_texts: text().prop_map(Max::<String>::of), equal;
    maxima_of_times: time().prop_map(Max::<Timestamp>::of), equal;

    firsts: (near(), text()).prop_map(|(at, value)| First::<String>::at(at, value)), equal;
    firsts_of_f64: (near(), any_number()).prop_map(|(at, value)| First::<f64>::at(at, value)), equal;
    lasts: (near(), text()).prop_map(|(at, value)| Last::<String>::at(at, value)), equal;
    lasts_of_i64: (time(), any::<Option<i64>>()).prop_map(|(at, value)| Last::<i64>::at(at, value)), equal;
    latests: (0..6u64, text()).prop_map(|(version, value)| Latest::<String>::of(version, value)), equal;
    latests_by_time: (time(), any::<Option<bool>>()).prop_map(|(at, value)| Latest::<bool>::of(at, value)), equal;

    sets: text().prop_map(Set::<String, 5>::of), equal;
    sets_of_u64: any::<Option<u64>>().prop_map(Set::<u64, 4>::of), equal;
    maps: (text(), 0..9u64).prop_map(|(key, count)| Map::<String, Count, 4>::of(key, Count::of(count))), equal;
    maps_of_lasts: (any::<u8>(), near(), text()).prop_map(|(key, at, value)| {
        Map::<u32, Last<String>, 3>::of(u32::from(key % 5), Last::at(at, value))
    }), equal;

    scores: (number(), 0..400_000i64).prop_map(|(amount, seconds)| {
        decayed::tests::Hourly::of(amount, Timestamp::from_seconds(seconds))
    }), equal;
    distinct: elements(300).prop_map(|of| fold(of.map(Distinct::of))), equal;
    distinct_sets: elements(900).prop_map(|of| fold(of.map(DistinctSet::of))), equal;
    memberships: elements(40).prop_map(|of| fold(of.map(Membership::<100>::of))), equal;
    frequencies: elements(120).prop_map(|of| fold(of.map(Frequency::of))), equal;
    top_items_while_exact: "[a-e]".prop_map(TopK::<3>::of), equal;
    top_items: elements(60).prop_map(|of| fold(of.map(|n| TopK::<2>::of(n.to_string())))), topk::tests::same;
    quantiles_while_exact: any_number().prop_map(Quantiles::of), same_quantiles;
    quantiles: prop::collection::vec(number(), 0..120).prop_map(|of| fold(of.into_iter().map(Quantiles::of))),
        same_quantiles;

    structs: (0..9u64, any::<Option<u64>>(), near(), text(), any::<Option<i32>>())
        .prop_map(|(views, slowest, at, last, mean)| Traffic {
            views: Count::of(views),
            slowest: Max::of(slowest),
            last: Last::at(at, last),
            mean: Average::of(mean),
        }), equal;
}

/// By bytes: nothing may depend on the order where there is none.
fn equal<M: Monoid>(a: &M, b: &M) -> bool {
    let bytes = |value: &M| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    bytes(a) == bytes(b)
}

fn fold<M: Monoid>(values: impl IntoIterator<Item = M>) -> M {
    let mut whole = M::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn same_average(a: &Average, b: &Average) -> bool {
    let (a, b) = (a.reply(&Question::default()).unwrap(), b.reply(&Question::default()).unwrap());
    a.count == b.count && (a.sum - b.sum).abs() <= f64::EPSILON * a.sum.abs() + 1e-15
}

/// The same count and ends; and of each value in between ranks that differ by no more than four errors of 99 %, which by
/// chance none does in the life of this test.
fn same_quantiles(a: &Quantiles, b: &Quantiles) -> bool {
    let shares = (0..=20).map(|n| f64::from(n) / 20.0).collect();
    let reply = |of: &Quantiles, question: &Question| of.reply(question).unwrap();
    let values = reply(a, &Question { quantiles: shares, ..Question::default() });
    let ranks = values.quantiles.iter().map(|point| point.value).collect();
    let ranks = Question { ranks, ..Question::default() };
    let (a, b) = (reply(a, &ranks), reply(b, &ranks));
    let most = 2.0 * (a.rank_error + b.rank_error);
    (a.count, a.min, a.max) == (b.count, b.min, b.max)
        && a.ranks.iter().zip(&b.ranks).all(|(a, b)| (a.rank - b.rank).abs() <= most)
}

/// A number that can be added to others without an end, or none.
fn number() -> impl Strategy<Value = Option<f64>> {
    prop::option::weighted(0.9, Union::new([-1e9..1e9, -1.0..1.0, -1e-9..1e-9]))
}

/// Any number, or none.
fn any_number() -> impl Strategy<Value = Option<f64>> {
    use prop::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop::option::of(INFINITE | NEGATIVE | NORMAL | POSITIVE | SUBNORMAL | ZERO)
}

/// A text, short enough to come twice, or none.
fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.9, prop_oneof!["[a-c]{0,2}", ".{0,40}"])
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros()).prop_map(Timestamp::from_micros)
}

/// One of few times, so that values stand at the same one.
fn near() -> impl Strategy<Value = Timestamp> {
    (-2..3i64).prop_map(Timestamp::from_seconds)
}

/// Up to so many elements in a row, so that every form of a sketch meets every other one.
fn elements(most: u32) -> impl Strategy<Value = std::ops::Range<u32>> {
    (0..most * 4, 0..=most).prop_map(|(first, count)| first..first + count)
}
