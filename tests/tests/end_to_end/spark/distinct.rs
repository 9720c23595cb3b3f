//! `Distinct` and `hll_sketch_agg`.

use std::collections::HashSet;

use murmur::aggregate::{Distinct, Monoid};
use serde_json::Value;

use super::{Case, Exchanged, Spark};

fn texts(count: u64) -> impl Iterator<Item = Option<String>> {
    (0..count).map(|n| Some(format!("text {n}")))
}

/// Every other one below 0.
fn numbers(count: i64) -> impl Iterator<Item = i64> {
    (0..count).map(|n| if n % 2 == 0 { n } else { -n })
}

impl Exchanged for Distinct {
    const SECTION: &str = "Distinct";

    fn cases() -> Vec<(&'static str, Vec<Case<Self>>)> {
        let strange = ["", "é", "e\u{301}", "日本語", "🦀", "\0", "a\0b", "line\nend", "\"", " ", "a", "A", "7"];
        let of_texts = |key, texts: Vec<Option<String>>| Case::new(key, texts, Distinct::of);
        let of_numbers = |key, numbers: Vec<i64>| Case::new(key, numbers, Distinct::of);
        let texts_of_all_sizes = vec![
            of_texts("none", vec![None]),
            of_texts("empty", vec![Some(String::new()), None]),
            of_texts("single", vec![Some("a".to_owned())]),
            of_texts("strange", strange.map(|text| Some(text.to_owned())).into()),
            of_texts("twice", texts(6).chain(texts(6)).collect()),
            of_texts("texts_7", texts(7).collect()).golden(),
            of_texts("texts_8", texts(8).collect()),
            of_texts("texts_200", texts(200).collect()).golden(),
            // The last that are kept one by one, and the first that are not.
            of_texts("texts_384", texts(384).collect()),
            of_texts("texts_385", texts(385).collect()),
            of_texts("texts_5000", texts(5_000).collect()).golden(),
            of_texts("texts_100000", texts(100_000).collect()),
        ];
        let numbers_of_all_sizes = vec![
            of_numbers("zero", vec![0]),
            of_numbers("extremes", vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 32, (1 << 53) + 1, i64::MAX]),
            of_numbers("numbers_20", numbers(20).collect()).golden(),
            of_numbers("numbers_3000", numbers(3_000).collect()),
            of_numbers("numbers_100000", numbers(100_000).collect()),
        ];
        vec![("STRING", texts_of_all_sizes), ("BIGINT", numbers_of_all_sizes)]
    }

    fn check(case: &Case<Self>, spark: &Spark<Self>) {
        let Case { key, elements, ours, .. } = case;
        assert!(spark.made == *ours, "`{key}`: Spark's sketch of the same elements is another one");
        assert!(spark.joined == *ours, "`{key}`: Spark's union with its own sketch is not what both were");
        let estimate = ours.reply().unwrap();
        for (what, read) in [("our sketch", &spark.read), ("the union", &spark.joined_read)] {
            assert_eq!(read.as_f64(), Some(estimate.value.round()), "`{key}`: what Spark reads in {what}");
        }
        let counted = |element: &&Value| !element.is_null() && element.as_str() != Some("");
        let truth = elements.iter().filter(counted).collect::<HashSet<_>>().len() as f64;
        assert!((estimate.value - truth).abs() <= 0.05 * truth, "`{key}`: {estimate:?}, truly {truth}");

        let mut merged = ours.clone();
        merged.combine(spark.made.clone());
        assert_eq!(merged.reply().unwrap(), estimate, "`{key}`: merged with Spark's by us");
    }
}
