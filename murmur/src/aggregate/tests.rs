//! Every aggregate under the laws, and what each promises beside them.

mod numbers;

use super::*;
use crate::ErrorKind;
use crate::source::Offset;
use crate::time::Timestamp;

#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) views: Count,
    pub(super) slowest: Max<u64>,
    pub(super) last: Last<String>,
    pub(super) mean: Average,
}

crate::aggregate_struct! {
    impl Traffic;
    pub(super) struct TrafficReply: "test.v1.Traffic" {
        views: Count = 1,
        slowest: Max<u64> = 4,
        last: Last<String> = 3,
        mean: Average = 200,
    }
    retired [2, 7];
}

/// All fields of Form A, so the struct is.
#[derive(Clone, Debug)]
struct Totals {
    r#type: Count,
    sum: Sum<i64>,
    mean: Average,
}

crate::aggregate_struct! {
    impl Totals;
    struct TotalsReply: "test.v1.Totals" {
        r#type: Count = 2,
        sum: Sum<i64> = 1,
        mean: Average = 3,
    }
    retired [];
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn bytes<M: Monoid>(value: &M) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

fn fold<M: Monoid>(values: impl IntoIterator<Item = M>) -> M {
    let mut whole = M::identity();
    values.into_iter().for_each(|value| whole.combine(value));
    whole
}

fn traffic() -> Vec<Traffic> {
    let one = |n: u64| Traffic {
        views: Count::one(),
        slowest: Max::of(n.is_multiple_of(3).then_some(n)),
        last: Last::at(at(n as i64 % 4), n.to_string()),
        mean: Average::of(n),
    };
    (0..20).map(one).collect()
}

#[test]
fn count_keeps_the_laws() {
    laws::check(&[Count::one(), Count::of(0), Count::of(1 << 40)]);
}

#[test]
fn sums_keep_the_laws() {
    laws::check(&[Sum::<i64>::of(i64::MIN), Sum::of(i64::MAX), Sum::of(-1i64), Sum::of(7i32), Sum::of(None::<i64>)]);
    laws::check(&[Sum::<u64>::of(u64::MAX), Sum::of(1u8), Sum::of(0u64)]);
}

#[test]
fn float_sums_keep_the_laws_to_the_last_digit() {
    let values = [0.1, 1e16, -1e16, 3.3e-9, -0.7, 1e9, 2.5].map(Sum::<f64>::of);
    laws::check_by(&values, same_sum);
}

/// Two sums may lie on the two sides of a tie: one unit in the last place.
pub(super) fn same_sum(a: &Sum<f64>, b: &Sum<f64>) -> bool {
    let (a, b) = (a.reply(&Question::default()).unwrap(), b.reply(&Question::default()).unwrap());
    (a - b).abs() <= f64::EPSILON * a.abs() + 1e-15
}

#[test]
fn averages_keep_the_laws() {
    let values = [Average::of(3u64), Average::of(-2i64), Average::of(Some(0.25f32)), Average::of(None::<i32>)];
    laws::check(&values);
}

#[test]
fn extremes_keep_the_laws() {
    laws::check(&[Max::<u64>::of(3u32), Max::of(u64::MAX), Max::of(None::<u64>)]);
    laws::check(&[Min::<i32>::of(-3i8), Min::of(i32::MIN), Min::of(0)]);
    laws::check(&[Min::<String>::of("b"), Min::of(""), Min::of(None::<&str>), Min::of("é".to_owned())]);
    laws::check(&[Max::<f64>::of(0.0), Max::of(-0.0), Max::of(f64::INFINITY), Max::of(1.5f32)]);
    laws::check(&[Min::<bool>::of(true), Min::of(false)]);
    laws::check(&[Max::<Timestamp>::of(at(-5)), Max::of(Timestamp::MIN), Max::of(Timestamp::MAX)]);
    laws::check(&[Min::<u32>::of(1u16), Min::of(7u32)]);
    laws::check(&[Max::<i64>::of(1u32), Max::of(i64::MIN)]);
}

#[test]
fn first_and_last_keep_the_laws() {
    let values: Vec<_> = (0..12).map(|n| First::<String>::at(at(n % 3), n.to_string())).collect();
    laws::check(&values);
    let values: Vec<_> = (0..12i64).map(|n| Last::<i64>::at(at(n % 3), (n != 5).then_some(n))).collect();
    laws::check(&values);
    laws::check(&[Last::<bool>::at(at(1), true), Last::at(at(1), false)]);
}

#[test]
fn moments_keep_the_laws() {
    laws::check(&[Moments::of(3u64), Moments::of(-2i64), Moments::of(Some(0.25f32)), Moments::of(None::<i32>)]);
    let values = [0.1, 1e8, -1e8, 3.3e-9, -0.7, 1e9, 2.5].map(Moments::of);
    laws::check_by(&values, same_moments);
}

pub(super) fn same_moments(a: &Moments, b: &Moments) -> bool {
    match (a.reply(&Question::default()), b.reply(&Question::default())) {
        (Ok(a), Ok(b)) => a.is_near(&b),
        // Made of damaged bytes: both are out of range, or neither is.
        (a, b) => a.is_err() && b.is_err(),
    }
}

#[test]
fn latest_keeps_the_laws() {
    laws::check(&(0..12u64).map(|n| Latest::<String>::of(n % 3, n.to_string())).collect::<Vec<_>>());
    laws::check(&[Latest::<f64>::of(u64::MAX, -0.0), Latest::of(i64::MIN, 1.0), Latest::of(0, None::<f64>)]);
    laws::check(&[Latest::<bool>::of(at(1), true), Latest::of(at(1), false), Latest::of(at(-7), true)]);
}

#[test]
fn sets_keep_the_laws() {
    laws::check(&["b", "a", "", "é", "b"].map(Set::<String, 3>::of));
    laws::check(&(0..12u64).map(|n| Set::<u64, 4>::of((n != 5).then_some(n * 7 % 10))).collect::<Vec<_>>());
    laws::check(&[Set::<i32, 1>::of(-3i8), Set::of(i32::MAX), Set::of(-3)]);
    laws::check(&[Set::<Timestamp, 1000>::of(at(-5)), Set::of(Timestamp::MAX)]);
    laws::check(&[Set::<u32, 2>::of(7u16), Set::of(1u32), Set::of(u32::MAX)]);
    laws::check(&[Set::<i64, 2>::of(i64::MIN), Set::of(0i64), Set::of(1i64)]);
}

#[test]
fn structs_keep_the_laws() {
    laws::check(&traffic());
    let totals = |n: i64| Totals { r#type: Count::one(), sum: Sum::of(-n), mean: Average::of(n) };
    laws::check(&[totals(1), totals(-5), totals(1 << 40)]);
}

#[test]
fn broken_aggregates_are_caught() {
    /// Subtracts: neither associative nor with an identity in front. Or worse, as told.
    #[derive(Clone, Debug)]
    struct Broken<const HOW: u8>(u8);

    impl<const HOW: u8> Monoid for Broken<HOW> {
        const FORM: Form = Form::Put;
        const MAX_BYTES: usize = if HOW == 1 { 0 } else { 1 };
        const COMMUTATIVE: bool = true;
        const IDEMPOTENT: bool = HOW == 2;
        type Reply = u32;

        fn identity() -> Self {
            Self(0)
        }

        fn combine(&mut self, later: Self) {
            self.0 = match HOW {
                0 => self.0.wrapping_sub(later.0),
                4 if self.0 != 0 => self.0,
                4 => later.0,
                5 => (self.0 / 2).wrapping_add(later.0 / 2).wrapping_mul(2),
                _ => self.0.wrapping_add(later.0),
            }
        }

        fn encode(&self, out: &mut Vec<u8>) {
            if HOW == 6 {
                out.clear();
            }
            out.push(self.0);
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            match bytes {
                [byte] if HOW == 3 => Ok(Self(byte / 2)),
                [byte] => Ok(Self(*byte)),
                _ => Err(DecodeError("not one byte".into())),
            }
        }

        fn reply(&self, _: &Question) -> Result<u32, crate::Error> {
            if HOW == 7 && self.0 > 200 {
                return Err(crate::Error::new(ErrorKind::Overflow, "too much"));
            }
            Ok(self.0.into())
        }
    }

    fn broken<const HOW: u8>() -> String {
        laws::verify(&[1, 3, 8, 200].map(Broken::<HOW>), &|a, b| a.0 == b.0).unwrap_err()
    }

    assert!(broken::<0>().starts_with("the identity in front"), "{}", broken::<0>());
    assert!(broken::<1>().contains("MAX_BYTES"), "{}", broken::<1>());
    assert!(broken::<2>().starts_with("IDEMPOTENT"), "{}", broken::<2>());
    assert!(broken::<3>().contains("decode(bytes)"), "{}", broken::<3>());
    assert!(broken::<4>().starts_with("any order"), "{}", broken::<4>());
    assert!(broken::<5>().contains("identity"), "{}", broken::<5>());
    assert!(broken::<6>().contains("encode appends"), "{}", broken::<6>());
    assert!(broken::<7>().starts_with("`refuses` takes what has no answer (too much)"), "{}", broken::<7>());
    assert_eq!(laws::verify(&[1, 3, 8, 200].map(Broken::<9>), &|a, b| a.0 == b.0), Ok(()));
}

#[test]
fn what_has_no_sum_or_order_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Sum::<f64>::of(bad).refusal().unwrap().contains("cannot be added"), "{bad}");
        assert!(Average::of(bad).refusal().is_some(), "{bad}");
    }
    assert!(Max::<f64>::of(f64::NAN).refusal().unwrap().contains("NaN"));
    assert!(First::<f64>::at(at(0), f64::NAN).refusal().is_some());
    assert_eq!(Max::<f64>::of(f64::INFINITY).refusal(), None);

    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert!(Max::<String>::of(&long).refusal().unwrap().contains("1025 bytes"));
    assert_eq!(Max::<String>::of(&long[1..]).refusal(), None);
    let refused = Traffic { last: Last::at(at(0), long), ..traffic()[0].clone() };
    assert!(refused.refusal().unwrap().starts_with("in `last`, a text"));
}

#[test]
fn averages_of_nothing_have_no_mean() {
    let average = Average::of(None::<u64>);
    assert_eq!(average.reply(&Question::default()).unwrap().mean, None);
    let average = fold([Average::of(1u8), Average::of(Some(2i64)), Average::of(Some(&4.5f64))])
        .reply(&Question::default())
        .unwrap();
    assert_eq!((average.mean, average.count, average.sum), (Some(2.5), 3, 7.5));
}

#[test]
fn moments_are_those_of_the_numbers() {
    let reply = |values: &[f64]| fold(values.iter().map(Moments::of)).reply(&Question::default()).unwrap();
    let moments = reply(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    assert_eq!((moments.count, moments.sum, moments.mean), (8, 40.0, Some(5.0)));
    assert_eq!((moments.population_variance, moments.variance), (Some(4.0), Some(32.0 / 7.0)));
    assert_eq!(moments.standard_deviation, Some((32.0f64 / 7.0).sqrt()));
    let one = reply(&[0.1]);
    assert_eq!((one.mean, one.population_variance, one.variance), (Some(0.1), Some(0.0), None));
    assert_eq!(one.standard_deviation, None);
    assert_eq!(reply(&[]), crate::wire::types::Moments::default());
    // What is all the same has no variance, though 106 bits do not hold the sum of its squares.
    assert_eq!(reply(&[0.1; 1_000]).variance, Some(0.0));
}

#[test]
fn a_variance_is_right_far_from_zero() {
    // Sums in plain floats give a variance of hundreds here, or below zero.
    let far = fold((0..10_000).map(|n| Moments::of(1e9 + f64::from(n % 2)))).reply(&Question::default()).unwrap();
    assert!((far.population_variance.unwrap() - 0.25).abs() < 1e-9, "{far:?}");
    let ids = fold((0..10_000u64).map(|n| Moments::of((1 << 40) + n % 2))).reply(&Question::default()).unwrap();
    assert!((ids.population_variance.unwrap() - 0.25).abs() < 1e-4, "{ids:?}");
}

#[test]
fn what_leaves_the_range_of_squares_is_refused() {
    for bad in [f64::NAN, f64::INFINITY, 2e154, -2e154, f64::MAX] {
        assert!(Moments::of(bad).refusal().is_some_and(|why| why.contains("cannot be added")), "{bad}");
    }
    assert_eq!(Moments::of(1e154).refusal(), None);
    let much = fold([1e154; 3].map(Moments::of)).reply(&Question::default());
    assert_eq!(much.unwrap_err().kind(), ErrorKind::Overflow);
}

#[test]
fn the_greatest_version_stays_and_of_equal_ones_the_greater_value() {
    let reply = |values: &[(u64, &str)]| {
        let whole = fold(values.iter().map(|(version, value)| Latest::<String>::of(version, *value)));
        whole.reply(&Question::default()).unwrap()
    };
    assert_eq!(reply(&[(2, "a"), (1, "b")]).as_deref(), Some("a"));
    assert_eq!(reply(&[(2, "a"), (2, "b"), (2, "a"), (1, "z")]).as_deref(), Some("b"));
    assert_eq!(reply(&[]), None);
    assert_eq!(Latest::<u32>::of(9, None::<u32>).reply(&Question::default()).unwrap(), None);
    assert!(Latest::<f64>::of(1, f64::NAN).refusal().is_some());
}

#[test]
fn a_set_keeps_the_smallest_and_says_that_there_were_more() {
    let reply = |values: &[u64]| {
        let reply = fold(values.iter().map(Set::<u64, 3>::of)).reply(&Question::default()).unwrap();
        (reply.values, reply.truncated)
    };
    assert_eq!(reply(&[5, 1, 5, 3]), (vec![1, 3, 5], false));
    assert_eq!(reply(&[5, 1, 9, 3]), (vec![1, 3, 5], true));
    assert_eq!(reply(&[9, 5, 3, 1]), (vec![1, 3, 5], true));
    assert_eq!(reply(&[]), (vec![], false));
    // Of another size later: cut, or still cut.
    let four = fold([4, 2, 3, 1].map(Set::<i64, 4>::of));
    let two = Set::<i64, 2>::decode(&bytes(&four)).unwrap();
    assert_eq!(two, fold([1, 2, 3].map(Set::<i64, 2>::of)));
    let wider = Set::<i64, 4>::decode(&bytes(&two)).unwrap().reply(&Question::default()).unwrap();
    assert_eq!((wider.values, wider.truncated), (vec![1, 2], true));

    let long = "x".repeat(MAX_MEMBER_BYTES + 1);
    assert!(Set::<String, 3>::of(&long).refusal().unwrap().contains("257 bytes"));
    assert_eq!(Set::<String, 3>::of(&long[1..]).refusal(), None);
    let refusal = |bytes: &[u8]| Set::<String, 3>::decode(bytes).unwrap_err().to_string();
    assert!(refusal(&[]).contains("begin with 0 or 1"));
    assert!(refusal(b"\0\x01b\x01a").contains("not in order"));
    assert!(refusal(b"\0\x01a\x01a").contains("not in order"));
    assert!(refusal(b"\0\x02a").contains("cut off"));
    assert!(refusal(&bytes(&Set::<String, 3>::of(long))).contains("257 bytes"));
}

#[test]
fn of_equal_times_the_first_keeps_the_earlier_and_the_last_the_later() {
    let first = fold(["a", "b"].map(|v| First::<String>::at(at(1), v))).reply(&Question::default()).unwrap().unwrap();
    let last = fold(["a", "b"].map(|v| Last::<String>::at(at(1), v))).reply(&Question::default()).unwrap().unwrap();
    assert_eq!((first.value.as_str(), last.value.as_str()), ("a", "b"));
    // Time decides before order does.
    let first = fold([(2, "a"), (1, "b")].map(|(t, v)| First::<String>::at(at(t), v)))
        .reply(&Question::default())
        .unwrap()
        .unwrap();
    let last = fold([(2, "a"), (1, "b")].map(|(t, v)| Last::<String>::at(at(t), v)))
        .reply(&Question::default())
        .unwrap()
        .unwrap();
    assert_eq!((first.at, first.value.as_str()), (Some(at(1)), "b"));
    assert_eq!((last.at, last.value.as_str()), (Some(at(2)), "a"));
    assert_eq!(First::<u32>::at(at(1), None::<u32>).reply(&Question::default()).unwrap(), None);
}

#[test]
fn a_struct_answers_with_all_its_fields() {
    let reply = fold(traffic()).reply(&Question::default()).unwrap();
    assert_eq!((reply.views, reply.slowest, reply.mean.sum), (20, Some(18), 190.0));
    assert_eq!(reply.last.unwrap().value, "19");
}

#[test]
fn a_struct_is_kept_in_the_form_of_all_its_fields() {
    assert_eq!((Traffic::FORM, Totals::FORM), (Form::Put, Form::Add));
    assert_eq!(Totals::MAX_BYTES, 4 * 16);
    const { assert!(!Traffic::COMMUTATIVE && Totals::COMMUTATIVE && !Traffic::IDEMPOTENT) };
    let mut columns = Vec::new();
    Totals::identity().numbers(0, &mut |column, _| columns.push((column.field, column.part)));
    assert_eq!(columns, [(2, 0), (1, 0), (3, 0), (3, 1)]);
}

#[test]
fn fields_come_and_go() {
    // A field that is missing is the identity.
    let mut old = Vec::new();
    fields::write(1, &Count::of(3), &mut old);
    let read = Traffic::decode(&old).unwrap();
    assert_eq!((read.views.get(), read.slowest.reply(&Question::default()).unwrap()), (3, None));
    // A retired one is passed over.
    fields::write(7, &Count::of(9), &mut old);
    assert_eq!(Traffic::decode(&old).unwrap().views.get(), 3);
    // What nobody knows is an error, and so is what is there twice.
    let with = |number| {
        let mut bytes = old.clone();
        fields::write(number, &Count::of(9), &mut bytes);
        Traffic::decode(&bytes).unwrap_err().to_string()
    };
    assert!(with(5).contains("field 5, which this definition does not have"), "{}", with(5));
    assert_eq!(with(1), "field 1 is there twice");
    assert!(with(4).starts_with("in `slowest`, a kept value begins with 1"), "{}", with(4));
}

#[test]
fn sealed_values_are_opened_only_unharmed() {
    let value = fold(traffic());
    let sealed = envelope::seal(&value);
    assert_eq!(envelope::unseal(&sealed).unwrap(), bytes(&value));
    for at in 0..sealed.len() {
        let mut harmed = sealed.clone();
        harmed[at] ^= 1 << (at % 8);
        assert!(envelope::unseal(&harmed).unwrap_err().0.contains("checksum"), "byte {at}");
        assert!(envelope::unseal(&sealed[..at]).is_err(), "cut at {at}");
    }
    let mut newer = sealed[..sealed.len() - 4].to_vec();
    newer[0] = 3;
    newer.extend(crc32fast::hash(&newer).to_le_bytes());
    assert!(envelope::unseal(&newer).unwrap_err().0.contains("version 3"));
}

#[test]
fn a_sealed_value_tells_which_events_it_refused() {
    let value = fold(traffic());
    let mut refused = Refused::default();
    let [a, b, c] = [Offset::from_u64(300), Offset::from_pair(1, 2), Offset::from_words([1, 2, 3, 4])];
    refused.note("too much", a);
    refused.note("too little", b);
    refused.note("too much", c);
    refused.note("too much", c);
    let sealed = envelope::seal_with(&value, &refused);
    let (inner, read) = envelope::unseal_with(&sealed).unwrap();
    assert_eq!((inner, &read), (bytes(&value).as_slice(), &refused));
    assert_eq!(envelope::unseal(&sealed).unwrap(), inner);
    let why = [a, b, c, Offset::from_u64(301)].map(|offset| read.why(offset).map(str::to_owned));
    assert_eq!(why, [Some("too much".into()), Some("too little".into()), Some("too much".into()), None]);
    // Damage that has the right checksum is refused as well, or read as something else, and never more.
    let start = sealed.len() - 4 - inner.len();
    for at in 1..start {
        let mut cut = sealed[..at].to_vec();
        cut.extend(crc32fast::hash(&cut).to_le_bytes());
        assert!(envelope::unseal_with(&cut).unwrap_err().0.contains("refused events"), "cut at {at}");
        let mut harmed = sealed[..sealed.len() - 4].to_vec();
        harmed[at] = 0xff;
        harmed.extend(crc32fast::hash(&harmed).to_le_bytes());
        drop(envelope::unseal_with(&harmed));
    }
    // What has no refused events is what it always was.
    assert_eq!(envelope::seal_with(&value, &Refused::default()), envelope::seal(&value));
}

#[test]
fn stored_bytes_never_change() {
    fn hex<M: Monoid>(value: M) -> String {
        bytes(&value).iter().map(|byte| format!("{byte:02x}")).collect()
    }
    let time = Timestamp::from_micros(0x0102_0304);
    let stored = [
        hex(Count::of(258)),
        hex(Sum::<i64>::of(-2i64)),
        hex(Sum::<f64>::of(1.5)),
        hex(Average::of(3u8)),
        hex(Max::<String>::of("hé")),
        hex(Min::<u32>::of(7u8)),
        hex(Max::<bool>::of(None::<bool>)),
        hex(First::<f64>::at(time, 0.5)),
        hex(Last::<Timestamp>::at(time, time)),
        hex(fold(["abc", "é", ""].map(Distinct::of))),
        hex(fold(["b", "a", "b"].map(TopK::<10>::of))),
        hex(Traffic::identity()),
        hex(Quantiles::of(None::<f64>)),
        hex(Quantiles::of(2)),
        hex(fold([2.5, -1.0, 0.5].map(Quantiles::of))),
        hex(Moments::of(-3)),
        hex(Latest::<String>::of(258u64, "hé")),
        hex(fold(["b", "a", "b"].map(Set::<String, 2>::of))),
        hex(fold([3u32, 1, 2].map(Set::<u32, 2>::of))),
        hex(DistinctSet::of(None::<u8>)),
        hex(DistinctSet::of("abc")),
        hex(fold(["abc", "é", ""].map(DistinctSet::of))),
    ];
    let expected = [
        "0201000000000000",
        "feffffffffffffffffffffffffffffff",
        "000000000000f83f0000000000000000",
        "010000000000000000000000000008400000000000000000",
        "0168c3a9",
        "0107000000",
        "",
        "0403020100000000000000000000e03f",
        "04030201000000000403020100000000",
        "0201070c03080208218d87048cfde005",
        "04010a07030000000200000000000000030000000000000000000000000000000100000000000000020000000000000001000000610100000062",
        "0108000000000000000004000300c80118000000000000000000000000000000000000000000000000",
        "02010f03c8000800",
        "02020f06c80008000000000000000040",
        "05010f02c80008000300000000000000c8000100c5000000000000000000f0bf0000000000000440000000000000f0bf000000000000e03f0000000000000440",
        "010000000000000000000000000008c0000000000000000000000000000022400000000000000000",
        "0201000000000000000000000000000068c3a9",
        "0001610162",
        "0104010000000402000000",
        "01030300001e0000",
        "01030300001acc9390c643ec3689ab65",
        "02030300001acc930200000000000000c67ef0665b33013f90c643ec3689ab65",
    ];
    assert_eq!(stored.as_slice(), expected);
}
