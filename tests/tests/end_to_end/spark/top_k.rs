//! `TopK` and `approx_top_k_accumulate`.

use std::collections::BTreeMap;

use murmur::aggregate::{Monoid, Question, TopK};
use serde_json::Value;

use super::{Case, Exchanged, Spark};

type Top = TopK<10>;

/// The most frequent first: the `n`th of `items` comes `3 items / n` times, rounded down.
fn skewed(items: usize) -> Vec<Option<String>> {
    (1..=items).flat_map(|n| std::iter::repeat_n(Some(format!("item {n}")), 3 * items / n)).collect()
}

/// The same events in an order without pattern.
fn mixed(items: usize) -> Vec<Option<String>> {
    let mut events: Vec<_> = skewed(items).into_iter().enumerate().collect();
    events.sort_by_key(|(n, _)| (*n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    events.into_iter().map(|(_, event)| event).collect()
}

impl Exchanged for Top {
    const SECTION: &str = "TopK";
    const GOLDEN: &[&str] = &["items_6", "items_300"];

    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)> {
        let of = |key, texts: Vec<Option<String>>| Case::new(key, texts, Top::of);
        let strange = ["", "é", "é", "e\u{301}", "日本語", "🦀", "\0", "a\0b", "\n", "\""];
        let texts = vec![
            of("none", vec![None]),
            of("empty", vec![Some(String::new()), None, Some(String::new())]),
            of("single", vec![Some("a".to_owned())]),
            of("strange", strange.map(|text| Some(text.to_owned())).into()),
            of("longest", vec![Some("é".repeat(128)), Some("x".to_owned())]),
            of("items_6", skewed(6)),
            of("items_7", skewed(7)),
            // The last that are all counted exactly, and the first that are not.
            of("items_96", skewed(96)),
            of("items_97", skewed(97)),
            of("items_300", skewed(300)),
            of("mixed_300", mixed(300)),
            of("mixed_3000", mixed(3_000)),
        ];
        vec![("STRING", texts)]
    }

    fn check(case: &Case<Self>, spark: &Spark<Self>) {
        let Case { key, elements, ours } = case;
        let mut truth: BTreeMap<&str, u64> = BTreeMap::new();
        for item in elements.iter().filter_map(Value::as_str) {
            *truth.entry(item).or_default() += 1;
        }
        let twice = truth.iter().map(|(item, count)| (*item, 2 * count)).collect();
        holds(key, "ours", ours, &truth);
        holds(key, "Spark's", &spark.made, &truth);
        holds(key, "both, merged by Spark", &spark.joined, &twice);
        let mut merged = ours.clone();
        merged.combine(spark.made.clone());
        holds(key, "both, merged by us", &merged, &twice);
        reads(key, ours, &spark.read, &truth);
        reads(key, &spark.joined, &spark.joined_read, &twice);
        if truth.len() <= 96 {
            let bytes = |top: &Top| {
                let mut bytes = Vec::new();
                top.encode(&mut bytes);
                bytes
            };
            assert!(bytes(&spark.made) == bytes(ours), "`{key}`: not the same sketch, though nothing had to go");
            assert!(bytes(&spark.joined) == bytes(&merged), "`{key}`: not the same merge, though nothing had to go");
        }
    }
}

/// The bounds of a sketch hold, and nothing is missing that they promise.
fn holds(key: &str, whose: &str, sketch: &Top, truth: &BTreeMap<&str, u64>) {
    let reply = sketch.reply(&Question::default()).unwrap();
    let place = format!("`{key}`, {whose}: {reply:?}");
    assert_eq!(reply.total, truth.values().sum::<u64>(), "{place}");
    assert!(truth.len() > 96 || reply.maximum_error == 0, "{place}");
    assert!(reply.maximum_error as f64 <= 3.5 / 128.0 * reply.total as f64, "{place}");
    for item in &reply.items {
        assert!((item.lower..=item.upper).contains(&truth[item.item.as_str()]), "{place}");
    }
    let last = reply.items.last().filter(|_| reply.items.len() == 10).map_or(0, |item| item.upper);
    for (item, count) in truth {
        let listed = reply.items.iter().any(|row| row.item == **item);
        assert!(listed || *count <= last.max(reply.maximum_error), "{place} lacks {count} of `{item}`");
    }
}

/// Spark reads in a sketch what we do. It leaves out what may not be more frequent than the largest possible error.
fn reads(key: &str, sketch: &Top, spark: &Value, truth: &BTreeMap<&str, u64>) {
    let reply = sketch.reply(&Question::default()).unwrap();
    let certain = reply.items.iter().filter(|item| item.lower > reply.maximum_error);
    let theirs = spark.as_array().unwrap();
    let counts: Vec<_> = theirs.iter().map(|row| row["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, certain.map(|item| item.count).collect::<Vec<_>>(), "`{key}`: {spark}, but we: {reply:?}");
    // Of those that are equally frequent at the end of the list, each side names its own.
    for (row, count) in theirs.iter().zip(counts) {
        let truth = truth[row["item"].as_str().unwrap()];
        assert!((truth..=truth + reply.maximum_error).contains(&count), "`{key}`: {row}, truly {truth}");
    }
}
