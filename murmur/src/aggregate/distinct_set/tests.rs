use datasketches::common::NumStdDev;
use datasketches::hash::value::raw_bytes;
use datasketches::theta::{ThetaANotB, ThetaIntersection, ThetaSketch, ThetaSketchBuilder, ThetaUnionBuilder};

use super::*;
use crate::aggregate::laws;
use crate::time::Timestamp;

fn fold(values: impl IntoIterator<Item = DistinctSet>) -> DistinctSet {
    let mut whole = DistinctSet::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn of(elements: impl IntoIterator<Item = i64>) -> DistinctSet {
    fold(elements.into_iter().map(DistinctSet::of))
}

fn bytes(value: &DistinctSet) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn estimate(value: &DistinctSet) -> Estimate {
    value.reply(&Question::default()).unwrap()
}

/// The same elements in a sketch of the datasketches crate.
fn theirs(elements: impl IntoIterator<Item = i64>) -> ThetaSketch {
    let mut sketch = ThetaSketchBuilder::default().lg_k(12).build().unwrap();
    elements.into_iter().for_each(|element| sketch.update(element));
    sketch.trim();
    sketch
}

#[test]
fn it_keeps_the_laws_by_bytes() {
    laws::check(&(0..20).map(DistinctSet::of).collect::<Vec<_>>());
    // Exact ones and such with a theta.
    laws::check(&(0..24).map(|n| of(n * 100..n * 100 + n * n * 20)).collect::<Vec<_>>());
}

#[test]
fn it_is_the_sketch_of_the_datasketches_byte_by_byte() {
    for count in [0, 1, 2, 100, 4_095, 4_096, 4_097, 5_000, 100_000] {
        let (ours, theirs) = (of(0..count), theirs(0..count).compact(true));
        assert_eq!(bytes(&ours), theirs.serialize(), "{count} elements");
        let reply = estimate(&ours);
        assert_eq!(reply.value, theirs.estimate(), "{count} elements");
        assert_eq!(reply.lower, theirs.lower_bound(NumStdDev::Two), "{count} elements");
        assert_eq!(reply.upper, theirs.upper_bound(NumStdDev::Two), "{count} elements");
        assert!(reply.lower <= count as f64 && count as f64 <= reply.upper, "{count} elements: {reply:?}");
        // Read back in any of their forms.
        let compressed = theirs.serialize_compressed();
        assert_eq!(bytes(&DistinctSet::decode(&compressed).unwrap()), bytes(&ours), "{count} elements");
        let unordered = self::theirs(0..count).compact(false).serialize();
        assert_eq!(bytes(&DistinctSet::decode(&unordered).unwrap()), bytes(&ours), "{count} elements");
    }
}

#[test]
fn elements_are_hashed_as_the_other_languages_hash_them() {
    let of = |update: &dyn Fn(&mut ThetaSketch)| {
        let mut sketch = ThetaSketchBuilder::default().build().unwrap();
        update(&mut sketch);
        sketch.compact(true).serialize()
    };
    let ours = |value: DistinctSet| bytes(&value);
    // An empty text is none: the DataSketches of Java and C++ return at once for it.
    assert_eq!(ours(DistinctSet::of("")), ours(DistinctSet::identity()));
    for length in 1..40 {
        let text = "abcdefghijklmnopqrstuvwxyzäöü0123456789".chars().take(length).collect::<String>();
        let theirs = of(&|sketch| sketch.update(raw_bytes::from_str(&text)));
        assert_eq!(ours(DistinctSet::of(&text)), theirs, "{text}");
        assert_eq!(ours(DistinctSet::of(text.as_bytes())), theirs, "{text}");
    }
    let seven = of(&|sketch| sketch.update(7i64));
    assert_eq!(ours(DistinctSet::of(7u8)), seven);
    assert_eq!(ours(DistinctSet::of(Some(&7u64))), seven);
    assert_eq!(ours(DistinctSet::of(Timestamp::from_micros(7))), seven);
    assert_eq!(ours(DistinctSet::of(true)), of(&|sketch| sketch.update(1i64)));
    assert_eq!(ours(DistinctSet::of(0.5f32)), of(&|sketch| sketch.update(0.5f64.to_bits() as i64)));
    assert_eq!(ours(DistinctSet::of(-0.0)), ours(DistinctSet::of(0.0)));
    assert_eq!(ours(DistinctSet::of(-f64::NAN)), ours(DistinctSet::of(f64::NAN)));
}

#[test]
fn what_spark_made_of_the_same_elements_is_read_as_ours() {
    let texts = fold((0..200).map(|n| DistinctSet::of(format!("text {n}"))));
    let numbers = of((0..20).map(|n| if n % 2 == 0 { n } else { -n }));
    for (spark, ours) in [
        (include_bytes!("../golden/distinctset_single.bin").as_slice(), DistinctSet::of("a")),
        (include_bytes!("../golden/distinctset_texts_200.bin"), texts),
        (include_bytes!("../golden/distinctset_numbers_20.bin"), numbers),
    ] {
        assert_eq!(bytes(&DistinctSet::decode(spark).unwrap()), bytes(&ours));
    }
}

#[test]
fn sets_are_united_intersected_and_subtracted_as_by_the_datasketches() {
    for (a, b) in [(0..1_000, 500..2_000), (0..50_000, 30_000..31_000), (0..30_000, 20_000..90_000), (0..0, 0..9_000)] {
        let (ours_a, ours_b) = (of(a.clone()), of(b.clone()));
        let (theirs_a, theirs_b) = (theirs(a.clone()), theirs(b.clone()));
        let mut union = ThetaUnionBuilder::default().lg_k(12).build().unwrap();
        union.update(&theirs_a).unwrap();
        union.update(&theirs_b).unwrap();
        assert_eq!(bytes(&ours_a.union(&ours_b)), union.to_sketch(true).serialize(), "{a:?} {b:?}");
        let mut both = ThetaIntersection::with_seed(murmur3::SEED).unwrap();
        both.update(&theirs_a).unwrap();
        both.update(&theirs_b).unwrap();
        let both = both.to_sketch(true).unwrap();
        assert_eq!(bytes(&ours_a.intersection(&ours_b)), both.serialize(), "{a:?} {b:?}");
        let less = ThetaANotB::with_seed(murmur3::SEED).unwrap().compute(&theirs_a, &theirs_b, true).unwrap();
        assert_eq!(bytes(&ours_a.difference(&ours_b)), less.serialize(), "{a:?} {b:?}");
        let inside = a.clone().filter(|n| b.contains(n)).count() as f64;
        let Estimate { lower, upper, .. } = estimate(&ours_a.intersection(&ours_b));
        assert!(lower <= inside && inside <= upper, "{a:?} {b:?}: {lower} to {upper}, truly {inside}");
        let outside = a.clone().count() as f64 - inside;
        let Estimate { lower, upper, .. } = estimate(&ours_a.difference(&ours_b));
        assert!(lower <= outside && outside <= upper, "{a:?} {b:?}: {lower} to {upper}, truly {outside}");
    }
}

#[test]
fn a_set_that_may_have_a_few_elements_is_not_the_empty_one() {
    let nothing = of(0..30_000).intersection(&of(50_000..80_000));
    let Estimate { value, lower, upper } = estimate(&nothing);
    assert_eq!((value, lower), (0.0, 0.0));
    assert!(upper > 0.0);
    assert_eq!(bytes(&DistinctSet::decode(&bytes(&nothing)).unwrap()), bytes(&nothing));
    assert_ne!(bytes(&nothing), bytes(&DistinctSet::identity()));
}

#[test]
fn it_counts_many_elements_within_its_bounds() {
    // Two standard deviations hold for about 95 of 100; a fixed set of elements either is among them or not.
    let mut outside = 0;
    for seed in 0..100i64 {
        let reply = estimate(&of((0..9_000).map(|n| seed << 32 | n)));
        outside += i32::from(!(reply.lower..=reply.upper).contains(&9_000.0));
    }
    assert!(outside <= 12, "{outside} of 100 outside of the bounds");
}

#[test]
fn foreign_sketches_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| DistinctSet::decode(bytes).unwrap_err().to_string();
    let good = bytes(&of(0..10_000));
    let change = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        refusal(&bytes)
    };
    assert!(change(2, &[2]).contains("family 2, expected 3 of 3"));
    assert!(change(1, &[2]).contains("version 2"));
    assert!(change(6, &[1]).contains("expected 0x93cc"));
    assert!(change(8, &[0xff; 4]).contains("expected at most 8192"));
    assert!(change(8, &[1, 0, 0, 0]).contains("1 hashes have 8 bytes"));
    assert!(change(16, &[0; 8]).contains("below 0"));
    assert!(change(16, &1u64.to_le_bytes()).contains("below its theta"));
    assert!(change(24, &[0; 8]).contains("below its theta"));
    let second = good[32..40].to_vec();
    assert!(change(24, &second).contains("twice"));
    assert!(refusal(&good[..good.len() - 1]).contains("32767"));
    let mut other = ThetaSketchBuilder::default().seed(7).build().unwrap();
    other.update(1i64);
    assert!(refusal(&other.compact(true).serialize()).contains("seed"));
    // A count of four billion in a few bytes.
    let mut compressed = theirs(0..3).compact(true).serialize_compressed();
    compressed[4] = 4;
    compressed.splice(8..9, [0xff; 4]);
    assert!(refusal(&compressed).contains("4294967295 hashes"));
}
