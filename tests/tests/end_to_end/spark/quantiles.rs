//! `Quantiles` and `kll_sketch_agg_double`.

use murmur::aggregate::{Monoid, Quantiles, Question};
use serde_json::{Value, json};

use super::{Case, Exchanged, Spark};

/// Those that the SQL asks for.
const SHARES: [f64; 6] = [0.0, 0.25, 0.5, 0.9, 0.99, 1.0];

/// Different numbers in an order without pattern, most of them small, every third one below 0.
fn skewed(count: u64) -> Vec<Option<f64>> {
    let mut numbers: Vec<u64> = (0..count).collect();
    numbers.sort_by_key(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let number = |n: u64| if n.is_multiple_of(3) { -(n as f64) } else { (n * n) as f64 / 16.0 };
    numbers.into_iter().map(|n| Some(number(n))).collect()
}

impl Exchanged for Quantiles {
    const SECTION: &str = "Quantiles";
    const GOLDEN: &[&str] = &["single", "numbers_20", "numbers_300"];

    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)> {
        let cases = [
            ("none", vec![None]),
            ("single", vec![Some(0.1), None]),
            ("zeros", vec![Some(0.0), Some(-0.0), Some(-0.0)]),
            ("extremes", vec![Some(f64::MAX), Some(f64::MIN), Some(f64::MIN_POSITIVE), Some(5e-324), Some(1e-17)]),
            ("numbers_20", (0..20).map(|n| Some(f64::from(n) / 4.0)).collect()),
            // The last that are all held, and the first that are not.
            ("skewed_200", skewed(200)),
            ("skewed_201", skewed(201)),
            ("numbers_300", (0..300).map(|n| Some(f64::from(n))).collect()),
            ("skewed_5000", skewed(5_000)),
            ("skewed_100000", skewed(100_000)),
        ];
        vec![("DOUBLE", cases.into_iter().map(|(key, numbers)| Case::new(key, numbers, Self::of)).collect())]
    }

    fn check(case: &Case<Self>, spark: &Spark<Self>) {
        let Case { key, elements, ours } = case;
        let mut truth: Vec<f64> = elements.iter().filter_map(Value::as_f64).collect();
        truth.sort_by(f64::total_cmp);
        let mut merged = ours.clone();
        merged.combine(spark.made.clone());
        for (whose, sketch, times) in [
            ("ours", ours, 1),
            ("Spark's", &spark.made, 1),
            ("merged by Spark", &spark.joined, 2),
            ("by us", &merged, 2),
        ] {
            holds(&format!("`{key}`, {whose}"), sketch, times, &truth);
        }
        for (sketch, read) in [(ours, &spark.read), (&spark.joined, &spark.joined_read)] {
            let reply = sketch.reply(&asked(&[])).unwrap();
            let quantiles: Vec<_> = reply.quantiles.iter().map(|point| point.value).collect();
            let quantiles = if reply.count == 0 { vec![] } else { quantiles };
            assert_eq!(*read, json!({ "count": reply.count, "quantiles": quantiles }), "`{key}`: what Spark reads");
        }
    }
}

fn asked(ranks: &[f64]) -> Question {
    Question { quantiles: SHARES.into(), ranks: ranks.into(), ..Question::default() }
}

/// Every number was taken in so many times, and ranks are no further off than they may be.
fn holds(place: &str, sketch: &Quantiles, times: u64, truth: &[f64]) {
    let some: Vec<f64> = truth.iter().copied().step_by(truth.len().div_ceil(50).max(1)).collect();
    let reply = sketch.reply(&asked(&some)).unwrap();
    assert_eq!(reply.count, times * truth.len() as u64, "{place}");
    assert_eq!((reply.min, reply.max), (truth.first().copied(), truth.last().copied()), "{place}");
    // The bound holds for 99 of 100 ranks. Spark's sketches are other ones every time, and this is the worst of many.
    let allowed = 2.5 * reply.rank_error;
    assert!(truth.len() as u64 * times > 200 || allowed == 0.0, "{place}: {reply:?}");
    for point in &reply.ranks {
        let true_rank = truth.partition_point(|number| *number <= point.value) as f64 / truth.len() as f64;
        assert!((point.rank - true_rank).abs() <= allowed + 1e-12, "{place}: {point:?}, truly {true_rank}");
    }
}
