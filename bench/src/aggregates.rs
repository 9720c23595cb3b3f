//! What one `combine` of a single element costs, for the aggregates that hold more than a number.

use murmur::aggregate::Monoid;
use murmur::prelude::*;
use serde_json::Map;

use crate::measurement::Measurement;
use crate::resources::Meter;

/// One line per aggregate.
pub(crate) fn measure(
    events: Option<u64>,
    keys: Option<u64>,
    report: &mut dyn FnMut(Measurement),
) -> Result<(), String> {
    let (events, keys) = (events.unwrap_or(5_000_000), keys.unwrap_or(10_000));
    let elements: Vec<String> = (0..keys).map(|n| format!("element-{n:012}")).collect();
    let mut rng = fastrand::Rng::with_seed(11);
    // Half of the draws fall on one element in a hundred: skewed, as names are.
    let order: Vec<u32> =
        (0..events).map(|_| if rng.bool() { rng.u64(..keys / 100 + 1) } else { rng.u64(..keys) } as u32).collect();
    let distinct = order.iter().collect::<std::collections::HashSet<_>>().len() as f64;

    let visitors = fold(
        "distinct",
        &order,
        |at| Distinct::of(&elements[at]),
        |value: &Distinct| {
            let estimate = value.reply(&Question::default());
            // The bounds hold with 95 %; three times the width never fails for a right sketch of this seed.
            estimate.is_ok_and(|estimate| (estimate.value - distinct).abs() <= 1.5 * (estimate.upper - estimate.lower))
        },
    );
    report(visitors);
    let top = fold(
        "top-k",
        &order,
        |at| TopK::<10>::of(elements[at].as_str()),
        |value: &TopK<10>| {
            value
                .reply(&Question::default())
                .is_ok_and(|top| top.total == events && top.items.iter().all(|item| item.lower <= item.upper))
        },
    );
    report(top);
    let sets = fold(
        "distinct-set",
        &order,
        |at| DistinctSet::of(&elements[at]),
        |value: &DistinctSet| {
            let estimate = value.reply(&Question::default());
            estimate.is_ok_and(|estimate| (estimate.value - distinct).abs() <= 1.5 * (estimate.upper - estimate.lower))
        },
    );
    report(sets);
    let quantiles = fold(
        "quantiles",
        &order,
        |at| Quantiles::of(at as u64),
        |value: &Quantiles| value.reply(&Question::default()).is_ok_and(|reply| reply.count == events),
    );
    report(quantiles);
    let moments = fold(
        "moments",
        &order,
        |at| Moments::of(at as u64),
        |value: &Moments| value.reply(&Question::default()).is_ok_and(|reply| reply.count == events),
    );
    report(moments);
    let count = fold("count", &order, |_| Count::one(), |value: &Count| value.get() == events);
    report(count);
    Ok(())
}

fn fold<M: Monoid>(
    variant: &str,
    order: &[u32],
    single: impl Fn(usize) -> M,
    right: impl Fn(&M) -> bool,
) -> Measurement {
    let meter = Meter::start();
    let mut value = M::identity();
    for at in order {
        value.combine(single(*at as usize));
    }
    let value = std::hint::black_box(value);
    let used = meter.used();
    let mut more = Map::new();
    more.insert("ns_per_event".into(), (used.cpu_s * 1e9 / order.len() as f64).round().into());
    Measurement {
        name: "aggregates",
        variant: variant.into(),
        events: order.len() as u64,
        exact: right(&value),
        used,
        ratio: None,
        more,
    }
}
