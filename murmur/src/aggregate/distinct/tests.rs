use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::hll::{HllSketch, HllType, HllUnion};

use super::*;
use crate::aggregate::laws;
use crate::time::Timestamp;

fn fold(values: impl IntoIterator<Item = Distinct>) -> Distinct {
    let mut whole = Distinct::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn bytes(value: &Distinct) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// The same elements in a sketch of the datasketches crate, merged once so that its estimate is that of merged ones.
fn theirs(elements: impl IntoIterator<Item = i64>) -> HllSketch {
    let mut sketch = HllSketch::new(LG_K, HllType::Hll8).unwrap();
    elements.into_iter().for_each(|element| sketch.update(element));
    let mut union = HllUnion::new(LG_K).unwrap();
    union.update(&sketch);
    union.update(&sketch);
    union.to_sketch(HllType::Hll8)
}

#[test]
fn it_keeps_the_laws_by_bytes() {
    laws::check(&(0..20).map(Distinct::of).collect::<Vec<_>>());
    // Parts of every size, so that lists, sets and registers meet.
    laws::check(&(0..30).map(|n| fold((n * 7..n * 7 + n * n).map(Distinct::of))).collect::<Vec<_>>());
}

#[test]
fn it_estimates_as_the_datasketches_do() {
    for count in [0, 1, 2, 7, 8, 9, 24, 25, 100, 383, 384, 385, 386, 1_000, 5_000, 20_000, 300_000] {
        let ours = fold((0..count).map(Distinct::of));
        let theirs = theirs(0..count);
        let reply = ours.reply(&Question::default()).unwrap();
        assert_eq!(reply.value, theirs.estimate(), "{count} elements");
        assert_eq!(reply.lower, theirs.lower_bound(NumStdDev::Two), "{count} elements");
        assert_eq!(reply.upper, theirs.upper_bound(NumStdDev::Two), "{count} elements");
        assert!(reply.lower <= count as f64 && count as f64 <= reply.upper, "{count} elements: {reply:?}");
        // Their decoder reads ours as their own, and ours reads theirs.
        let read = HllSketch::deserialize(&bytes(&ours)).unwrap();
        assert_eq!((read.estimate(), read.target_type()), (theirs.estimate(), HllType::Hll8), "{count} elements");
        assert_eq!(Distinct::decode(&theirs.serialize()).unwrap(), ours, "{count} elements");
        assert_eq!(bytes(&ours).len(), theirs.serialize().len(), "{count} elements");
    }
}

#[test]
fn elements_are_hashed_as_the_other_languages_hash_them() {
    let coupon = |sketch: &HllSketch| u32::from_le_bytes(sketch.serialize()[8..12].try_into().unwrap());
    let of = |update: &dyn Fn(&mut HllSketch)| {
        let mut sketch = HllSketch::new(LG_K, HllType::Hll8).unwrap();
        update(&mut sketch);
        Some(Coupon::of_raw(coupon(&sketch)))
    };
    assert_eq!("abc".coupon(), of(&|s| s.update(raw_bytes::from_str("abc"))));
    assert_eq!(Some(&String::from("abc")).coupon(), "abc".coupon());
    assert_eq!(b"abc".to_vec().coupon(), "abc".coupon());
    assert_eq!(7u8.coupon(), of(&|s| s.update(7i64)));
    assert_eq!((-7i16).coupon(), of(&|s| s.update(-7i64)));
    assert_eq!(u64::MAX.coupon(), of(&|s| s.update(-1i64)));
    assert_eq!(true.coupon(), of(&|s| s.update(1i64)));
    assert_eq!(Timestamp::from_micros(9).coupon(), of(&|s| s.update(9i64)));
    assert_eq!(0.5f32.coupon(), of(&|s| s.update(canonical_float::from_f64(0.5))));
    assert_eq!((-0.0).coupon(), 0.0.coupon());
    assert_eq!(None::<&str>.coupon(), None);
    // The DataSketches of Java and C++ return at once for these; see also the round trip through Spark.
    assert_eq!(("".coupon(), Vec::<u8>::new().coupon()), (None, None));
    // The trap that the trait is there for.
    assert_ne!("abc".coupon(), of(&|s| s.update("abc")));
}

#[test]
fn it_counts_many_elements_within_its_bounds() {
    // Two standard deviations hold for about 95 of 100; a fixed set of elements either is among them or not.
    let mut outside = 0;
    for seed in 0..100i64 {
        let reply = fold((0..3_000).map(|n| Distinct::of(seed << 32 | n))).reply(&Question::default()).unwrap();
        outside += i32::from(!(reply.lower..=reply.upper).contains(&3_000.0));
        assert!((reply.value / 3_000.0 - 1.0).abs() < 0.08, "{reply:?}");
    }
    assert!(outside <= 12, "{outside} of 100 outside of the bounds");
}

#[test]
fn the_updatable_form_of_java_and_spark_is_read() {
    // As `HllSketch.toUpdatableByteArray` lays it out: places instead of coupons, no compact flag.
    let compact = bytes(&fold((0..5).map(Distinct::of)));
    let mut list = compact.clone();
    list[5] &= !8;
    list.resize(8 + 4 * 8, 0);
    assert_eq!(bytes(&Distinct::decode(&list).unwrap()), compact);

    let compact = bytes(&fold((0..20).map(Distinct::of)));
    let mut set = compact.clone();
    set[5] &= !8;
    set.resize(12 + 4 * 32, 0);
    // Coupons stand anywhere in the table.
    set[12..].rotate_right(4 * 5);
    assert_eq!(bytes(&Distinct::decode(&set).unwrap()), compact);
}

#[test]
fn what_spark_made_of_the_same_elements_is_read_as_ours() {
    let texts = |count: u32| fold((0..count).map(|n| Distinct::of(format!("text {n}"))));
    let numbers = fold((0..20i64).map(|n| Distinct::of(if n % 2 == 0 { n } else { -n })));
    for (spark, ours) in [
        (include_bytes!("../golden/distinct_texts_7.bin").as_slice(), texts(7)),
        (include_bytes!("../golden/distinct_texts_200.bin"), texts(200)),
        (include_bytes!("../golden/distinct_texts_5000.bin"), texts(5_000)),
        (include_bytes!("../golden/distinct_numbers_20.bin"), numbers),
    ] {
        assert_eq!(Distinct::decode(spark).unwrap(), ours);
        assert_ne!(spark, bytes(&ours), "Spark writes its own spelling; this test shows that it is read");
    }
}

#[test]
fn foreign_sketches_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| Distinct::decode(bytes).unwrap_err().to_string();
    let other = |lg_k, kind| {
        let mut sketch = HllSketch::new(lg_k, kind).unwrap();
        (0..10_000).for_each(|n: i64| sketch.update(n));
        sketch.serialize()
    };
    assert!(refusal(&other(11, HllType::Hll8)).contains("its lgK is 11, that of `Distinct` is 12"));
    assert!(refusal(&other(12, HllType::Hll4)).contains("HLL_4, expected HLL_8"));
    assert!(refusal(&[]).contains("0 bytes"));
    let good = bytes(&fold((0..5_000).map(Distinct::of)));
    let mut bad = good.clone();
    bad[2] = 10;
    assert!(refusal(&bad).contains("family 10"));
    bad = good.clone();
    bad[100] = 64;
    assert!(refusal(&bad).contains("a register holds more than 63"));
    bad = good.clone();
    bad.pop();
    assert!(refusal(&bad).contains("4135 bytes"));
    // What it says of itself beyond the registers is not believed.
    bad = good.clone();
    bad[8..40].fill(0xff);
    assert_eq!(bytes(&Distinct::decode(&bad).unwrap()), good);
}

#[test]
fn impossible_coupons_are_refused() {
    let good = bytes(&fold((0..20).map(Distinct::of)));
    let change = |at: usize, with: [u8; 4]| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&with);
        Distinct::decode(&bytes).unwrap_err().to_string()
    };
    let second = good[16..20].try_into().unwrap();
    assert!(change(12, second).contains("19 different coupons where it says 20"));
    assert!(change(12, [1, 0, 0, 0]).contains("0x1 is not a coupon"));
    assert!(change(8, [0xff; 4]).contains("more than 384"));
    assert!(change(8, [21, 0, 0, 0]).contains("84 bytes, not 80"));
}
