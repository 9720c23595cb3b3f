use datasketches::countmin::CountMinSketch;
use datasketches::hash::value::raw_bytes;
use proptest::prelude::*;

use super::*;
use crate::aggregate::laws;

fn fold(values: impl IntoIterator<Item = Frequency>) -> Frequency {
    let mut whole = Frequency::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn bytes(value: &Frequency) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn ask(sketch: &Frequency, elements: &[Probe]) -> types::Frequencies {
    sketch.reply(&Question { elements: elements.to_vec(), ..Question::default() }).unwrap()
}

/// A sketch of the datasketches crate for 1 % at 99 %.
fn theirs() -> CountMinSketch<u64> {
    let buckets = CountMinSketch::<u64>::suggest_num_buckets(0.01).unwrap();
    CountMinSketch::new(CountMinSketch::<u64>::suggest_num_hashes(0.99).unwrap(), buckets).unwrap()
}

#[test]
fn it_keeps_the_laws_by_bytes() {
    laws::check(&(0..20).map(Frequency::of).collect::<Vec<_>>());
    laws::check(&["a", "b", "", "a"].map(Frequency::of));
    laws::check(&[Frequency::of(None::<&str>), Frequency::of(7)]);
    // Parts of every size, so that both forms meet.
    laws::check(&(0..30).map(|n| fold((n * 7..n * 7 + n * n / 5).map(Frequency::of))).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn it_is_the_sketch_of_the_datasketches(
        texts in prop::collection::vec(".{1,40}", 0..60),
        numbers in prop::collection::vec(-9i64..9, 0..60),
    ) {
        let mut sketch = theirs();
        texts.iter().for_each(|text| sketch.update(raw_bytes::from_str(text)));
        numbers.iter().for_each(|number| sketch.update(*number));
        let mut ours = fold(texts.iter().map(Frequency::of));
        ours.combine(fold(numbers.iter().map(Frequency::of)));
        prop_assert_eq!(&Frequency::decode(&sketch.serialize()).unwrap(), &ours);
        if matches!(ours.0, State::Many(_)) {
            prop_assert_eq!(bytes(&ours), sketch.serialize());
        }
        let asked: Vec<_> = texts.iter().map(|text| Probe::from(text.as_str())).collect();
        let reply = ask(&ours, &asked);
        prop_assert_eq!(reply.total, sketch.total_weight());
        for (text, row) in texts.iter().zip(reply.frequencies) {
            prop_assert_eq!(row.count, sketch.estimate(raw_bytes::from_str(text)));
            prop_assert_eq!(row.text.as_ref(), Some(text));
        }
    }

    #[test]
    fn bytes_of_any_origin_are_refused_or_read(counters in prop::collection::vec(0u8..5, 0..40)) {
        let bytes = [&bytes(&Frequency::identity()), counters.as_slice()].concat();
        if let Ok(read) = Frequency::decode(&bytes) {
            drop(read.reply(&Question::default()));
        }
    }
}

#[test]
fn its_bounds_hold_as_often_as_they_say() {
    // Element n occurs about 40,000 / n times.
    let counts: Vec<(i64, u64)> = (1..=4_000).map(|n| (n, 40_000 / n as u64)).collect();
    let one = |(n, count): &(i64, u64)| {
        let mut sketch = Frequency::of(*n);
        let State::Few(counters) = &mut sketch.0 else { panic!("one element is few") };
        counters.iter_mut().for_each(|counter| counter.1 = *count);
        sketch
    };
    let sketch = fold(counts.iter().map(one));
    let mut below = 0;
    for part in counts.chunks(Question::MOST) {
        let reply = ask(&sketch, &part.iter().map(|(n, _)| Probe::from(*n)).collect::<Vec<_>>());
        assert_eq!(reply.total, counts.iter().map(|(_, count)| count).sum::<u64>());
        for ((n, exact), row) in part.iter().zip(&reply.frequencies) {
            assert_eq!((row.integer, row.count), (Some(*n), row.upper));
            assert!(row.upper >= *exact, "{row:?}, truly {exact}");
            below += u32::from(row.lower > *exact);
        }
    }
    // 0.7 % may lie below the lower bound.
    assert!(below <= 28, "{below} of 4,000");
}

#[test]
fn few_elements_are_counted_exactly() {
    let sketch = fold(["a", "b", "a"].map(Frequency::of));
    let reply = ask(&sketch, &["a".into(), "c".into(), 1.into()]);
    let rows: Vec<_> = reply.frequencies.iter().map(|row| (row.count, row.lower, row.upper)).collect();
    assert_eq!(rows, [(2, 1, 2), (0, 0, 0), (0, 0, 0)]);
    assert_eq!((reply.total, reply.maximum_error), (3, 1));
}

#[test]
fn an_empty_text_is_no_element() {
    assert_eq!(Frequency::of(""), Frequency::identity());
    assert_eq!(ask(&Frequency::of("a"), &["".into()]).frequencies[0].count, 0);
}

#[test]
fn counters_that_overflow_show_only_in_the_reply() {
    let mut sketch = Frequency::of("a");
    for _ in 0..64 {
        sketch.combine(sketch.clone());
    }
    assert_eq!(sketch.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    assert_eq!(Frequency::decode(&bytes(&sketch)).unwrap(), sketch);
}

#[test]
fn stored_bytes_never_change() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&bytes(&Frequency::identity())), "0001050010010000");
    assert_eq!(hex(&bytes(&fold(["abc", "abc"].map(Frequency::of)))), "0001050010010000f001025602d903021902e50302");
    let many = bytes(&fold((0..400).map(Frequency::of)));
    assert_eq!((many.len(), crc32fast::hash(&many)), (10_904, 0xf557_6051));
}

#[test]
fn foreign_sketches_are_refused_with_both_values() {
    let refusal = |bytes: &[u8]| Frequency::decode(bytes).unwrap_err().to_string();
    let many = bytes(&fold((0..400).map(Frequency::of)));
    let few = bytes(&Frequency::of("abc"));
    let change = |bytes: &[u8], at: usize, with: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        refusal(&bytes)
    };
    let mut other = CountMinSketch::<u64>::new(3, 100).unwrap();
    other.update(1i64);
    assert!(refusal(&other.serialize()).contains("3 rows of 100 counters, expected 5 of 272"));
    let mut other = CountMinSketch::<u64>::with_seed(5, 272, 1).unwrap();
    other.update(1i64);
    assert!(refusal(&other.serialize()).contains("expected 0x93cc"));
    assert_eq!(Frequency::decode(&theirs().serialize()).unwrap(), Frequency::identity());
    assert!(refusal(&[]).contains("0 bytes"));
    assert!(refusal(&many[..many.len() - 1]).contains("10880 bytes, not 10879"));
    assert!(change(&many, 2, &[7]).contains("family 7"));
    assert!(change(&many, 3, &[1]).contains("flags 1"));
    assert!(change(&many, 16, &[0]).contains("400 elements where it says"), "{}", change(&many, 16, &[0]));
    assert!(change(&many, many.len() - 8, &[9]).contains("400 elements and another one"));
    assert!(change(&few, 1, &[2]).contains("version 2"));
    assert!(change(&few, 2, &[4]).contains("4 rows"));
    assert!(change(&few, few.len() - 1, &[0]).contains("that is 0"));
    assert!(change(&few, few.len() - 1, &[2]).contains("1 elements and another one 2"));
    assert!(refusal(&[&few, [0, 1].as_slice()].concat()).contains("twice"));
    assert!(refusal(&[&few, [0xff, 0x7f, 1].as_slice()].concat()).contains("outside of 1360"));
    assert!(refusal(&[&few, [1].as_slice()].concat()).contains("cut off"));
    assert!(refusal(&[&bytes(&Frequency::identity()), [0, 1].as_slice(), &[1; 800]].concat()).contains("are not few"));
}
