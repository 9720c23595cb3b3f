use datasketches::bloom::{BloomFilter, BloomFilterBuilder};
use datasketches::hash::value::raw_bytes;
use proptest::prelude::*;

use super::*;
use crate::aggregate::laws;

fn fold<const N: u32>(values: impl IntoIterator<Item = Membership<N>>) -> Membership<N> {
    let mut whole = Membership::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn bytes<const N: u32>(value: &Membership<N>) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn theirs(elements: u32) -> BloomFilter {
    BloomFilterBuilder::with_accuracy(elements.into(), 0.01).build().unwrap()
}

#[test]
fn it_keeps_the_laws_by_bytes() {
    laws::check(&(0..20).map(Membership::<1_000>::of).collect::<Vec<_>>());
    laws::check(&["a", "", "é"].map(Membership::<1>::of));
    laws::check(&[Membership::<3>::of(None::<&str>), Membership::of("a")]);
    // Parts of every size, so that both forms meet.
    laws::check(&(0..30).map(|n| fold::<100>((n * 7..n * 7 + n).map(Membership::of))).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn it_is_the_filter_of_the_datasketches(
        texts in prop::collection::vec(".{1,70}", 0..20),
        numbers in prop::collection::vec(any::<i64>(), 0..20),
    ) {
        let mut filter = theirs(50);
        texts.iter().for_each(|text| filter.insert(raw_bytes::from_str(text)));
        numbers.iter().for_each(|number| filter.insert(*number));
        let mut ours = fold::<50>(texts.iter().map(Membership::of));
        ours.combine(fold(numbers.iter().map(Membership::of)));
        prop_assert_eq!(&Membership::<50>::decode(&filter.serialize()).unwrap(), &ours);
        if matches!(ours.0, State::Many(_)) {
            prop_assert_eq!(bytes(&ours), filter.serialize());
        }
        prop_assert_eq!(ours.0.count(), filter.bits_used());
        prop_assert!(texts.iter().all(|text| ours.contains(text)) && numbers.iter().all(|n| ours.contains(n)));
    }

    #[test]
    fn bytes_of_any_origin_are_refused_or_read(places in prop::collection::vec(any::<u8>(), 0..40)) {
        let bytes = [&bytes(&Membership::<9>::identity()), places.as_slice()].concat();
        if let Ok(read) = Membership::<9>::decode(&bytes) {
            prop_assert!(read.0.count() <= 2);
        }
    }
}

#[test]
fn an_empty_text_is_no_element() {
    assert_eq!(Membership::<9>::of(""), Membership::identity());
    assert!(!Membership::<9>::of("a").contains(""));
}

#[test]
fn its_size_is_that_of_the_datasketches() {
    for elements in (1..200).chain((200..MOST_MEMBERS).step_by(7_919)).chain([MOST_MEMBERS]) {
        let theirs = theirs(elements);
        assert_eq!((64 * words(elements), HASHES), (theirs.capacity(), theirs.num_hashes()), "{elements} elements");
    }
    // With what stands around a value it has to fit into 400 KB.
    const { assert!(Membership::<MOST_MEMBERS>::MAX_BYTES < 360_000) };
    assert_eq!(Membership::<10_000>::MAX_BYTES, 32 + 11_984);
}

#[test]
fn nothing_is_missed_and_one_in_a_hundred_is_a_false_alarm() {
    let filter = fold::<2_000>((0..2_000).map(Membership::of));
    assert!((0..2_000).all(|n| filter.contains(n)));
    let alarms = (2_000..102_000).filter(|n| filter.contains(*n)).count();
    let rate = filter.reply(&Question::default()).unwrap().false_positive_rate;
    assert!((800..1_200).contains(&alarms), "{alarms} of 100,000");
    // Three standard deviations of so many tries.
    assert!((alarms as f64 / 1e5 - rate).abs() < 3.0 * (rate / 1e5).sqrt(), "{alarms} of 100,000, said {rate}");
}

#[test]
fn it_answers_for_each_element_that_is_asked_for() {
    let mut filter = fold::<100>(["a", "7"].map(Membership::of));
    filter.combine(Membership::of(8u8));
    let elements = vec![Probe::from("a"), Probe::from("b"), Probe::from(7), Probe::from(8)];
    let reply = filter.reply(&Question { elements, ..Question::default() }).unwrap();
    let rows: Vec<_> = reply.members.iter().map(|m| (m.text.as_deref(), m.integer, m.contained)).collect();
    let (no, yes) = (false, true);
    assert_eq!(rows, [(Some("a"), None, yes), (Some("b"), None, no), (None, Some(7), no), (None, Some(8), yes)]);
    assert_eq!((reply.bits_set, reply.bits), (21, 960));
    assert_eq!(Membership::<100>::identity().reply(&Question::default()).unwrap().false_positive_rate, 0.0);
}

#[test]
fn stored_bytes_never_change() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&bytes(&Membership::<100>::identity())), "000107000f000000");
    assert_eq!(hex(&bytes(&Membership::<100>::of("abc"))), "000107000f0000004f8a015e89028a015e8901");
    let many = "0401150007000000292300000000000001000000000000000d00000000000000042100018a412428";
    assert_eq!(hex(&bytes(&fold::<5>([1, 2].map(Membership::of)))), many);
}

#[test]
fn foreign_filters_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| Membership::<100>::decode(bytes).unwrap_err().to_string();
    let many = bytes(&fold::<100>((0..50).map(Membership::of)));
    let few = bytes(&Membership::<100>::of("abc"));
    let change = |bytes: &[u8], at: usize, with: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        refusal(&bytes)
    };
    let other = bytes(&fold::<200>((0..50).map(Membership::of)));
    assert!(refusal(&other).contains("7 hashes and 30 words, expected 7 and 15"), "{}", refusal(&other));
    assert!(refusal(&bytes(&Membership::<200>::of(1))).contains("30 words, expected 7 and 15"));
    assert!(refusal(&theirs(200).serialize()).contains("30 words"));
    assert!(refusal(&[]).contains("0 bytes"));
    assert!(refusal(&many[..many.len() - 1]).contains("120 bytes, not 119"));
    assert!(change(&many, 2, &[7]).contains("family 7"));
    assert!(change(&many, 8, &[1]).contains("its seed is"));
    assert!(change(&many, 3, &[4]).contains("flags 4"));
    assert!(change(&many, 24, &[0; 8]).contains("287 bits where it says 0"));
    assert!(change(&few, 1, &[2]).contains("version 2"));
    assert!(refusal(&[&few, [0].as_slice()].concat()).contains("twice"));
    assert!(refusal(&[&few, [0xff, 0x7f].as_slice()].concat()).contains("outside of 15 words"));
    assert!(refusal(&[&few, [0xff].as_slice()].concat()).contains("cut off"));
    assert!(refusal(&[&few, [1; 9].as_slice()].concat()).contains("are not few"));
    // Java leaves the bits uncounted.
    let mut uncounted = many.clone();
    uncounted[24..32].fill(0xff);
    assert_eq!(bytes(&Membership::<100>::decode(&uncounted).unwrap()), many);
}
