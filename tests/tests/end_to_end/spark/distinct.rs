//! `Distinct` and `hll_sketch_agg`, `DistinctSet` and `theta_sketch_agg`.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use murmur::aggregate::{Distinct, DistinctSet, Monoid, Question};
use serde_json::Value;

use super::{Case, Exchanged, Spark};

fn texts(count: u64) -> Vec<Option<String>> {
    (0..count).map(|n| Some(format!("text {n}"))).collect()
}

/// Every other one below 0.
fn numbers(count: i64) -> Vec<i64> {
    (0..count).map(|n| if n % 2 == 0 { n } else { -n }).collect()
}

/// Sets of all sizes.
fn cases<A: Monoid>(of_text: fn(Option<String>) -> A, of_number: fn(i64) -> A) -> Vec<(&'static str, Vec<Case<A>>)> {
    let strange = ["", "é", "e\u{301}", "日本語", "🦀", "\0", "a\0b", "line\nend", "\"", " ", "a", "A", "7"];
    let texts = [
        ("none", vec![None]),
        ("empty", vec![Some(String::new()), None]),
        ("single", vec![Some("a".to_owned())]),
        ("strange", strange.map(|text| Some(text.to_owned())).into()),
        ("twice", [texts(6), texts(6)].concat()),
        ("texts_7", texts(7)),
        ("texts_8", texts(8)),
        ("texts_200", texts(200)),
        // The last that `Distinct` keeps one by one, and the first that it does not; then those of `DistinctSet`.
        ("texts_384", texts(384)),
        ("texts_385", texts(385)),
        ("texts_4096", texts(4_096)),
        ("texts_4097", texts(4_097)),
        ("texts_5000", texts(5_000)),
        ("texts_100000", texts(100_000)),
        // Two thirds of them are none of the 5,000.
        ("texts_from_3000", texts(9_000).split_off(3_000)),
    ];
    let numbers = [
        ("zero", vec![0]),
        ("extremes", vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 32, (1 << 53) + 1, i64::MAX]),
        ("numbers_20", numbers(20)),
        ("numbers_3000", numbers(3_000)),
        ("numbers_100000", numbers(100_000)),
        ("numbers_from_2000", numbers(60_000).split_off(2_000)),
    ];
    vec![
        ("STRING", texts.into_iter().map(|(key, texts)| Case::new(key, texts, of_text)).collect()),
        ("BIGINT", numbers.into_iter().map(|(key, numbers)| Case::new(key, numbers, of_number)).collect()),
    ]
}

impl Exchanged for Distinct {
    const SECTION: &str = "Distinct";
    const GOLDEN: &[&str] = &["texts_7", "texts_200", "texts_5000", "numbers_20"];

    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)> {
        cases(Self::of, Self::of)
    }

    fn check(case: &Case<Self>, spark: &Spark<Self>) {
        check(case, spark, |sketch| sketch.reply(&Question::default()).unwrap().value);
    }
}

impl Exchanged for DistinctSet {
    const SECTION: &str = "DistinctSet";
    const GOLDEN: &[&str] = &["single", "texts_200", "numbers_20"];

    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)> {
        cases(Self::of, Self::of)
    }

    fn check(case: &Case<Self>, spark: &Spark<Self>) {
        check(case, spark, value);
    }

    fn check_pairs(cases: &[(&Case<Self>, Self)], combined: &Value) {
        for (a, a_of_spark) in cases {
            for (b, b_of_spark) in cases {
                check_pair(&format!("{}/{}", a.key, b.key), [&a.ours, &b.ours], [a_of_spark, b_of_spark], combined);
            }
        }
    }
}

/// What `CombineSets` makes of two sets.
type Combine = fn(&DistinctSet, &DistinctSet) -> DistinctSet;

/// Unions, intersections and differences are the same sketches, whoever makes them of sketches of whom.
fn check_pair(pair: &str, ours: [&DistinctSet; 2], theirs: [&DistinctSet; 2], combined: &Value) {
    let row = &combined[pair];
    let operations: [(&str, Combine); 3] =
        [("united", DistinctSet::union), ("common", DistinctSet::intersection), ("left_over", DistinctSet::difference)];
    for (name, combine) in operations {
        let made = combine(ours[0], ours[1]);
        let bytes_of_spark = BASE64.decode(row[name].as_str().unwrap()).unwrap();
        let made_by_spark = DistinctSet::decode(&bytes_of_spark).unwrap();
        assert!(bytes(&made_by_spark) == bytes(&made), "`{name}` of `{pair}`: Spark makes another one of our sketches");
        let estimate = row[format!("{name}_estimate")].as_f64();
        assert_eq!(estimate, Some(value(&made).round()), "`{name}` of `{pair}`: what Spark reads in it");
        let of_theirs = combine(theirs[0], theirs[1]);
        assert!(bytes(&of_theirs) == bytes(&made), "`{name}` of `{pair}`: we make another one of Spark's sketches");
    }
}

fn value(sketch: &DistinctSet) -> f64 {
    sketch.reply(&Question::default()).unwrap().value
}

fn bytes(sketch: &impl Monoid) -> Vec<u8> {
    let mut bytes = Vec::new();
    sketch.encode(&mut bytes);
    bytes
}

/// The sketch of a set is one and the same, whoever made it, and so is the union of both.
fn check<A: Monoid>(case: &Case<A>, spark: &Spark<A>, estimate: impl Fn(&A) -> f64) {
    let Case { key, elements, ours } = case;
    let mut merged = ours.clone();
    merged.combine(spark.made.clone());
    assert!(bytes(&spark.made) == bytes(ours), "`{key}`: Spark's sketch of the same elements is another one");
    assert!(bytes(&spark.joined) == bytes(ours), "`{key}`: Spark's union of both sketches is larger");
    assert!(bytes(&merged) == bytes(ours), "`{key}`: our union of both sketches is larger");

    let estimate = estimate(ours);
    for (what, read) in [("our sketch", &spark.read), ("the union", &spark.joined_read)] {
        assert_eq!(read.as_f64(), Some(estimate.round()), "`{key}`: what Spark reads in {what}");
    }
    let counted = |element: &&Value| !element.is_null() && element.as_str() != Some("");
    let truth = elements.iter().filter(counted).collect::<HashSet<_>>().len() as f64;
    assert!((estimate - truth).abs() <= 0.05 * truth, "`{key}`: {estimate}, truly {truth}");
}
