use datasketches::common::SearchCriteria::Inclusive;
use datasketches::kll::{KllFloat, KllSketch};

use super::*;
use crate::aggregate::{Question, laws};

type Theirs = KllSketch<KllFloat<f64>>;

fn fold(values: impl IntoIterator<Item = Quantiles>) -> Quantiles {
    let mut whole = Quantiles::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn bytes(value: &Quantiles) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// `count` different numbers from 0 on, in an order without pattern.
fn shuffled(count: u64, seed: u64) -> Vec<f64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    let mixed =
        |n: u64| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    numbers.sort_by_key(|n| mixed(*n));
    numbers.into_iter().map(|n| n as f64).collect()
}

fn asked(quantiles: &[f64], ranks: &[f64]) -> Question {
    Question { quantiles: quantiles.to_vec(), ranks: ranks.to_vec(), ..Question::default() }
}

/// The largest error of any rank, for a sketch of the numbers from 0 to `count - 1`.
fn worst(sketch: &Quantiles, count: u64) -> f64 {
    let values: Vec<f64> = (0..100).map(|n| (count * n / 100) as f64).collect();
    let reply = sketch.reply(&asked(&[], &values)).unwrap();
    assert_eq!((reply.count, reply.min, reply.max), (count, Some(0.0), Some((count - 1) as f64)));
    let error = |point: &RankPoint| (point.rank - (point.value + 1.0) / count as f64).abs();
    reply.ranks.iter().map(error).fold(0.0, f64::max)
}

fn same(a: &Quantiles, b: &Quantiles) -> bool {
    let shares: Vec<f64> = (0..=20).map(|n| f64::from(n) / 20.0).collect();
    let (a, b) = (a.reply(&asked(&shares, &[])).unwrap(), b.reply(&asked(&shares, &[])).unwrap());
    let overlap = |(a, b): (&QuantilePoint, &QuantilePoint)| a.lower <= b.upper && b.lower <= a.upper;
    (a.count, a.min, a.max) == (b.count, b.min, b.max) && a.quantiles.iter().zip(&b.quantiles).all(overlap)
}

#[test]
fn they_keep_the_laws_by_bytes_while_exact() {
    laws::check(&[
        Quantiles::of(3u64),
        Quantiles::of(-0.0),
        Quantiles::of(0.0),
        Quantiles::of(f64::NEG_INFINITY),
        Quantiles::of(None::<f64>),
        Quantiles::of(2.5f32),
    ]);
}

#[test]
fn they_keep_the_laws_within_their_bounds_beyond() {
    laws::check_by(&shuffled(300, 1).into_iter().map(Quantiles::of).collect::<Vec<_>>(), same);
    let parts: Vec<Vec<f64>> = (0..40).map(|n| shuffled(40 * n, n)).collect();
    let parts: Vec<_> = parts.into_iter().map(|part| fold(part.into_iter().map(Quantiles::of))).collect();
    laws::check_by(&parts, same);
}

#[test]
fn storing_in_between_changes_nothing() {
    let (mut kept, mut stored) = (Quantiles::identity(), Quantiles::identity());
    for (n, number) in shuffled(20_000, 3).into_iter().enumerate() {
        kept.combine(Quantiles::of(number));
        stored.combine(Quantiles::of(number));
        if n % 37 == 0 {
            stored = Quantiles::decode(&bytes(&stored)).unwrap();
        }
    }
    assert_eq!(bytes(&kept), bytes(&stored));
    assert!(kept.reply(&Question::default()).unwrap().rank_error > 0.0, "too few to show anything");
}

#[test]
fn up_to_two_hundred_numbers_everything_is_exact() {
    let reply = fold(shuffled(200, 1).into_iter().map(|n| Quantiles::of(n + 1.0)));
    let reply = reply.reply(&asked(&[0.0, 0.5, 0.501, 0.99, 1.0], &[0.5, 50.0, 200.0, f64::NEG_INFINITY])).unwrap();
    assert_eq!((reply.count, reply.rank_error), (200, 0.0));
    let values: Vec<_> = reply.quantiles.iter().map(|point| (point.value, point.lower, point.upper)).collect();
    assert_eq!(values, [1.0, 100.0, 101.0, 198.0, 200.0].map(|value| (value, value, value)));
    let ranks: Vec<_> = reply.ranks.iter().map(|point| (point.rank, point.lower, point.upper)).collect();
    assert_eq!(ranks, [0.0, 0.25, 1.0, 0.0].map(|rank| (rank, rank, rank)));
}

#[test]
fn ranks_are_within_the_error_however_the_numbers_are_split() {
    // 99 of 100 lie within the bounds, for each rank; here are the worst ranks of 20 streams.
    let mut outside = 0;
    for seed in 0..20 {
        let numbers = shuffled(30_000, seed);
        let whole = fold(numbers.iter().map(|number| Quantiles::of(*number)));
        let parts = numbers.chunks(500 + 400 * seed as usize);
        let split = fold(parts.map(|part| fold(part.iter().map(|number| Quantiles::of(*number)))));
        for sketch in [whole, split] {
            let worst = worst(&sketch, 30_000);
            assert!(worst < 1.6 * RANK_ERROR, "seed {seed}: {worst}");
            outside += i32::from(worst > RANK_ERROR);
        }
    }
    assert!(outside <= 6, "{outside} of 40");
}

#[test]
fn tiles_of_equal_counts_do_not_add_up_their_errors() {
    // As the hours of a month: each sorted, each of the same count, none of the same numbers.
    let tile = |n: u64| fold((0..1_000).map(|at| Quantiles::of(at * 720 + n)));
    let worst = worst(&fold((0..720).map(tile)), 720_000);
    assert!(worst < RANK_ERROR, "{worst}");
}

#[test]
fn the_datasketches_read_and_write_the_same_bytes() {
    for count in [0, 1, 2, 7, 200, 201, 333, 5_000, 100_000] {
        let numbers = shuffled(count, 7);
        let ours = fold(numbers.iter().map(|number| Quantiles::of(*number)));
        let read = Theirs::deserialize(&bytes(&ours)).unwrap();
        assert_eq!((read.n(), read.k(), read.min_k()), (count, 200, 200));
        assert_eq!(read.serialize(), bytes(&ours), "{count} numbers");
        let mut theirs = Theirs::new(200).unwrap();
        numbers.iter().for_each(|number| theirs.update(KllFloat::<f64>::new(*number).unwrap()));
        let taken = Quantiles::decode(&theirs.serialize()).unwrap();
        for (theirs, ours) in [(&read, &ours), (&theirs, &taken)] {
            let shares = [0.0, 0.001, 0.25, 0.5, 0.75, 0.999, 1.0];
            let ranks = [-1.0, 0.0, 77.0, 2_500.0, 1e9];
            let reply = ours.reply(&asked(&shares, &ranks)).unwrap();
            assert_eq!(reply.max, theirs.max_item().map(|item| **item));
            for point in &reply.quantiles {
                let quantile = theirs.quantile(point.quantile, Inclusive).unwrap().unwrap();
                assert_eq!(point.value, *quantile, "{count} numbers");
            }
            for point in &reply.ranks {
                let rank = theirs.rank(&KllFloat::<f64>::new(point.value).unwrap(), Inclusive).unwrap();
                assert_eq!(point.rank, rank, "{count} numbers");
            }
            if count > 200 {
                assert_eq!(reply.rank_error, theirs.normalized_rank_error());
            }
        }
        // Both merge what the other wrote.
        let mut merged = Theirs::deserialize(&bytes(&ours)).unwrap();
        merged.merge(&theirs).unwrap();
        let mut whole = Quantiles::decode(&merged.serialize()).unwrap();
        whole.combine(taken);
        assert_eq!(whole.reply(&Question::default()).unwrap().count, 3 * count);
    }
}

#[test]
fn what_spark_made_of_the_same_numbers_is_read() {
    let read = |bytes: &[u8]| Quantiles::decode(bytes).unwrap();
    assert_eq!(bytes(&read(include_bytes!("../golden/quantiles_single.bin"))), bytes(&Quantiles::of(0.1)));
    let few = fold((0..20).map(|n| Quantiles::of(f64::from(n) / 4.0)));
    assert_eq!(bytes(&read(include_bytes!("../golden/quantiles_numbers_20.bin"))), bytes(&few));
    let many = read(include_bytes!("../golden/quantiles_numbers_300.bin"));
    assert!(many.reply(&Question::default()).unwrap().rank_error > 0.0, "nothing had to go");
    let worst = worst(&many, 300);
    assert!(worst < RANK_ERROR, "{worst}");
}

#[test]
fn what_nobody_asks_is_answered_by_four_quantiles_and_what_is_empty_by_none() {
    let shares = |value: Quantiles| {
        let reply = value.reply(&Question::default()).unwrap();
        reply.quantiles.iter().map(|point| point.quantile).collect::<Vec<_>>()
    };
    assert_eq!(shares(Quantiles::of(1)), UNASKED);
    let empty = Quantiles::of(None::<u8>).reply(&asked(&[0.5], &[1.0])).unwrap();
    assert_eq!(empty, types::Quantiles::default());
}

#[test]
fn numbers_are_taken_of_any_width_and_nan_is_refused() {
    assert!(Quantiles::of(f64::NAN).refusal().unwrap().contains("NaN"));
    for infinite in [f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Quantiles::of(infinite).refusal(), None);
        assert_eq!(Quantiles::of(infinite).reply(&Question::default()).unwrap().max, Some(infinite));
    }
    let max = |value: Quantiles| value.reply(&Question::default()).unwrap().max.unwrap();
    assert_eq!(max(Quantiles::of(u64::MAX)), 18_446_744_073_709_551_616.0);
    assert_eq!(max(Quantiles::of(Some(&-3i64))), -3.0);
}

#[test]
fn more_numbers_than_any_stream_has_show_in_the_reply() {
    let mut much = bytes(&fold(shuffled(300, 1).into_iter().map(Quantiles::of)));
    // One number more than half of the most, on a level of its own.
    let numbers = [0.0f64, 5.0, 5.0];
    much.truncate(8);
    much.extend((1u64 << 55).to_le_bytes());
    much.extend([200, 0, 56, 0]);
    let room = sketch::rooms(56) as u32;
    much.extend([room - 1; 56].iter().flat_map(|begin| begin.to_le_bytes()));
    much.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    let half = Quantiles::decode(&much).unwrap();
    let mut whole = half.clone();
    whole.combine(half.clone());
    assert_eq!(whole.reply(&Question::default()).unwrap().count, 1 << 56);
    whole.combine(Quantiles::of(1));
    assert_eq!(whole.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    let mut read = Quantiles::decode(&bytes(&whole)).unwrap();
    read.combine(half);
    assert_eq!(read.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
}

#[test]
fn foreign_sketches_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| Quantiles::decode(bytes).unwrap_err().to_string();
    let mut other = Theirs::new(128).unwrap();
    (0..1_000).for_each(|n| other.update(KllFloat::<f64>::new(f64::from(n)).unwrap()));
    assert!(refusal(&other.serialize()).contains("its k is 128 with m 8, that of `Quantiles` is 200 with 8"));
    let mut merged = Theirs::new(200).unwrap();
    merged.merge(&other).unwrap();
    assert!(refusal(&merged.serialize()).contains("k 128 was merged into it, expected 200"));
    let good = bytes(&fold(shuffled(1_000, 1).into_iter().map(Quantiles::of)));
    let change = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        refusal(&bytes)
    };
    assert!(change(2, &[7]).contains("family 7"));
    assert!(change(3, &[4]).contains("do not belong together"));
    assert!(change(8, &[0]).contains("do not stand for"));
    assert!(change(18, &[62]).contains("62 levels"));
    assert!(change(20, &[0xff; 4]).contains("not one after the other"));
    assert!(change(20, &[0; 4]).contains("numbers and the extremes have"));
    let extremes = 20 + 4 * usize::from(good[18]);
    assert!(change(extremes, &f64::NAN.to_le_bytes()).contains("lie between"));
    assert!(change(extremes, &5e9f64.to_le_bytes()).contains("lie between"));
    assert!(change(extremes + 16, &f64::NAN.to_le_bytes()).contains("lie between"));
    assert!(change(good.len() - 8, &0f64.to_le_bytes()).contains("not sorted"));
    assert!(refusal(&good[..good.len() - 1]).contains("bytes"));
}

#[test]
fn the_longest_sketch_has_as_many_bytes_as_are_promised() {
    assert!(bytes(&fold(shuffled(200_000, 1).into_iter().map(Quantiles::of))).len() < 6_000);
    const { assert!(Quantiles::MAX_BYTES < 8_400) };
}
