use std::collections::HashMap as Exact;

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

use super::*;
use crate::aggregate::laws;
use crate::wire::types;

fn fold<const N: usize>(values: impl IntoIterator<Item = TopK<N>>) -> TopK<N> {
    let mut whole = TopK::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn bytes<const N: usize>(value: &TopK<N>) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

/// A skewed stream: item `n` about `1 / n` as often as item 1, in an order without pattern.
fn stream(length: u64) -> impl Iterator<Item = String> {
    (0..length).map(|n| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let uniform = (mixed >> 11) as f64 / (1u64 << 53) as f64;
        format!("item {}", 5_000f64.powf(uniform) as u64)
    })
}

fn exact(length: u64) -> Exact<String, u64> {
    stream(length).fold(Exact::new(), |mut counts, item| {
        *counts.entry(item).or_insert(0) += 1;
        counts
    })
}

/// Bounds that hold, for every item.
fn holds<const N: usize>(topk: &TopK<N>, exact: &Exact<String, u64>) {
    let reply = topk.reply(&Question::default()).unwrap();
    assert_eq!(reply.total, exact.values().sum::<u64>());
    for item in &reply.items {
        assert!((item.lower..=item.upper).contains(&exact[&item.item]), "{item:?}, truly {}", exact[&item.item]);
        assert_eq!((item.count, item.upper - item.lower), (item.upper, reply.maximum_error));
    }
    let last = reply.items.last().map_or(0, |item| item.upper);
    for (item, &count) in exact {
        let listed = reply.items.iter().any(|row| row.item == *item);
        assert!(
            listed || reply.items.len() < N && count <= reply.maximum_error || count <= last.max(reply.maximum_error)
        );
    }
    assert!(reply.items.is_sorted_by_key(|item| Reverse(item.count)));
    let places = 1u64 << TopK::<N>::LG_PLACES;
    assert!(reply.maximum_error as f64 <= 3.5 / places as f64 * reply.total as f64, "{reply:?}");
}

/// Two results of the same events: their bounds overlap for every item that both list, and what one lists surely belongs
/// into the other as well, unless that is full of items which may be as frequent.
pub(in crate::aggregate) fn same<const N: usize>(a: &TopK<N>, b: &TopK<N>) -> bool {
    let (a, b) = (a.reply(&Question::default()).unwrap(), b.reply(&Question::default()).unwrap());
    let is_in = |x: &TopItem, reply: &types::TopItems| match reply.items.iter().find(|y| x.item == y.item) {
        Some(y) => x.lower <= y.upper && y.lower <= x.upper,
        None if reply.items.len() < N => x.lower <= reply.maximum_error,
        None => reply.items.last().is_some_and(|last| x.lower <= last.upper.max(reply.maximum_error)),
    };
    a.total == b.total && a.items.iter().all(|x| is_in(x, &b)) && b.items.iter().all(|y| is_in(y, &a))
}

/// The law would be kept by one that drops what comes later, did it not look at what only one lists.
#[test]
fn an_item_that_is_missing_is_seen() {
    let all: TopK<3> = fold(["a", "a", "b", "b"].map(TopK::of));
    let dropped: TopK<3> = fold(["a", "a", "a", "a"].map(TopK::of));
    assert!(same(&all, &all.clone()));
    assert!(!same(&all, &dropped));
}

#[test]
fn it_keeps_the_laws_by_bytes_while_exact() {
    let values: Vec<_> = ["a", "b", "", "é", "a long item that does not fit inline"].map(TopK::<3>::of).into();
    laws::check(&values);
    laws::check(&[TopK::<1>::of(Some("x")), TopK::of(None::<String>), TopK::of(Some(&String::from("y")))]);
}

#[test]
fn it_keeps_the_laws_within_its_bounds_beyond() {
    let values: Vec<_> = stream(900).map(TopK::<2>::of).collect();
    laws::check_by(&values, same);
}

#[test]
fn its_bounds_always_hold_however_the_stream_is_split() {
    let exact = exact(20_000);
    let values: Vec<_> = stream(20_000).map(TopK::<10>::of).collect();
    holds(&fold(values.clone()), &exact);
    for parts in [2, 7, 100, 3_000] {
        holds(&fold(values.chunks(20_000 / parts).map(|part| fold(part.iter().cloned()))), &exact);
    }
}

#[test]
fn storing_in_between_changes_nothing() {
    let mut kept = TopK::<5>::identity();
    let mut stored = TopK::<5>::identity();
    for (n, item) in stream(5_000).enumerate() {
        kept.combine(TopK::of(&item));
        stored.combine(TopK::of(&item));
        if n % 100 == 0 {
            stored = TopK::decode(&bytes(&stored)).unwrap();
        }
    }
    assert_eq!(bytes(&kept), bytes(&stored));
    assert!(kept.reply(&Question::default()).unwrap().maximum_error > 0, "the stream is too short to show anything");
}

#[test]
fn few_items_are_counted_exactly() {
    let reply = fold(["b", "a", "b", "c", "b", "a"].map(TopK::<2>::of)).reply(&Question::default()).unwrap();
    let rows: Vec<_> = reply.items.iter().map(|i| (i.item.as_str(), i.count, i.lower, i.upper)).collect();
    assert_eq!(rows, [("b", 3, 3, 3), ("a", 2, 2, 2)]);
    assert_eq!((reply.maximum_error, reply.total), (0, 6));
}

#[test]
fn items_over_the_limit_are_refused() {
    let long = "x".repeat(MAX_ITEM_BYTES + 1);
    assert!(TopK::<3>::of(&long).refusal().unwrap().contains("257 bytes"));
    assert_eq!(TopK::<3>::of(&long[1..]).refusal(), None);
    let bytes = bytes(&TopK::<3>::of(&long));
    assert!(TopK::<3>::decode(&bytes).unwrap_err().to_string().contains("257 bytes"));
}

#[test]
fn counts_beyond_all_bounds_stay_readable_and_have_no_answer() {
    let image = |counts: [u64; 2]| {
        let mut many = fold(["a", "b"].map(TopK::<3>::of));
        let State::Many(sketch) = &mut many.0 else { unreachable!("two items") };
        sketch.total = counts.iter().sum();
        for (item, count) in [&b"a"[..], b"b"].into_iter().zip(counts) {
            sketch.counts.insert(item.into(), count);
        }
        many
    };
    let large = image([1 << 63, 1 << 62]);
    let mut twice = large.clone();
    twice.combine(large.clone());
    assert_eq!(TopK::<3>::decode(&bytes(&twice)).as_ref(), Ok(&twice));
    assert_eq!(twice.reply(&Question::default()).unwrap_err().kind(), crate::ErrorKind::Overflow);
    // It stays as it is, however it came about.
    let mut more = twice.clone();
    more.combine(TopK::of("c"));
    assert_eq!(more, twice);
    let mut other = TopK::of("c");
    other.combine(twice.clone());
    assert_eq!(other, twice);
}

#[test]
fn the_datasketches_read_and_write_the_same_bytes() {
    for length in [0, 1, 5, 6, 7, 50, 96, 97, 3_000] {
        let ours = fold(stream(length).map(TopK::<10>::of));
        let read = FrequentItemsSketch::<String>::deserialize(&bytes(&ours)).unwrap();
        let reply = ours.reply(&Question::default()).unwrap();
        assert_eq!((read.total_weight(), read.maximum_error()), (reply.total, reply.maximum_error), "{length} items");
        assert_eq!(read.max_map_size(), 128);
        for item in &reply.items {
            let theirs = (read.estimate(&item.item), read.lower_bound(&item.item), read.upper_bound(&item.item));
            assert_eq!(theirs, (item.count, item.lower, item.upper));
        }
        assert_eq!(bytes(&TopK::<10>::decode(&read.serialize()).unwrap()), bytes(&ours), "{length} items");

        let mut theirs = FrequentItemsSketch::<String>::new(128).unwrap();
        stream(length).for_each(|item| theirs.update(item));
        let ours = TopK::<10>::decode(&theirs.serialize()).unwrap();
        holds(&ours, &exact(length));
        let rows = theirs.frequent_items(ErrorType::NoFalseNegatives);
        assert_eq!(ours.reply(&Question::default()).unwrap().items.len(), rows.len().min(10));
    }
}

#[test]
fn what_spark_made_of_the_same_items_is_read() {
    // The first item comes `3 items` times, the second half as often, and so on.
    let truth = |items: u64| (1..=items).map(|n| (format!("item {n}"), 3 * items / n)).collect::<Exact<_, _>>();
    let few = TopK::<10>::decode(include_bytes!("../golden/topk_items_6.bin")).unwrap();
    let ours = truth(6).into_iter().flat_map(|(item, count)| std::iter::repeat_n(item, count as usize));
    assert_eq!(bytes(&few), bytes(&fold(ours.map(TopK::<10>::of))));
    let many = TopK::<10>::decode(include_bytes!("../golden/topk_items_300.bin")).unwrap();
    assert!(many.reply(&Question::default()).unwrap().maximum_error > 0, "nothing had to go");
    holds(&many, &truth(300));
}

#[test]
fn foreign_sketches_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| TopK::<10>::decode(bytes).unwrap_err().to_string();
    let larger = bytes(&TopK::<20>::of("a"));
    assert!(refusal(&larger).contains("up to 2^8 places, expected 2^7"), "{}", refusal(&larger));
    let good = bytes(&fold(["a", "b"].map(TopK::<10>::of)));
    let change = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        refusal(&bytes)
    };
    assert!(change(2, &[7]).contains("family 7"));
    assert!(change(0, &[1]).contains("disagree"));
    assert!(change(8, &[0xff; 4]).contains("more than 96"));
    assert!(change(8, &[96]).contains("too early"));
    assert!(change(24, &[1]).contains("do not add up"));
    assert!(change(32, &[0xff; 8]).contains("do not add up"));
    assert!(change(53 - 1, b"\xff").contains("not UTF-8"));
    assert!(refusal(&[good.as_slice(), b"x"].concat()).contains("follow its end"));
    let twice = [&good[..good.len() - 1], b"a"].concat();
    assert!(refusal(&twice).contains("twice"), "{}", refusal(&twice));
}
