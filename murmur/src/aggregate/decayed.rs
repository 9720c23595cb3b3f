//! A sum that fades: what counts is what happened lately.

use super::digits::{Digits, read_signed};
use super::{DecodeError, Form, Given, Monoid, Question};
use crate::time::{Span, Timestamp};
use crate::wire::types;
use crate::{Error, ErrorKind};

/// A sum in which every amount loses half of its weight within each `HALF_LIFE` seconds: a score of what is trending.
///
/// An amount `x` of the time `t` counts `x * 2^-((as_of - t) / HALF_LIFE)`: exponential decay, "forward decay" with an
/// exponential function in Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for
/// Streaming Systems" (ICDE 2009). `as_of` is that of the [`Question`]: the end of the interval, or now.
///
/// Time is cut into periods of one half-life, counted from 1970. The state is the period of the newest amount and the sum
/// of all amounts as they would count in 1970. From one period to the next that is a power of two, so the only rounding of
/// an amount is that of its weight within its own period. The sum has the 129 to 192 highest bits, counted from the amount
/// that weighs most of all that ever came, and drops of each amount what lies below: `n` amounts lose less than
/// `n * 2^-128` of that one. So it depends on the amounts and their times alone: neither order nor grouping shows, not in
/// the last digit and not after hundreds of half-lives.
///
/// An instant before the newest period is answered as of its beginning: from there backwards the numbers would only
/// grow, without bound, and say nothing about what was there. So an amount counts less than twofold at most. Infinities
/// and NaN are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decayed<const HALF_LIFE: u32> {
    /// The period of the newest amount; that number 0 begins in 1970. `None` when there was no amount.
    newest: Option<i64>,
    /// As of the beginning of period 0.
    score: Digits,
}

impl<const HALF_LIFE: u32> Decayed<HALF_LIFE> {
    /// The half-life in microseconds.
    const MICROS: i64 = {
        assert!(HALF_LIFE > 0, "`Decayed<HALF_LIFE>` needs a half-life of at least one second: `Decayed<3600>`");
        HALF_LIFE as i64 * 1_000_000
    };

    /// An amount, and when it came; nothing when the amount is `None`.
    pub fn of(amount: impl Given<f64>, at: Timestamp) -> Self {
        amount.given().map_or_else(Self::identity, |amount| {
            let (period, into) = Self::period(at);
            Self { newest: Some(period), score: Digits::of(amount * into.exp2(), period) }
        })
    }

    /// The period that an instant lies in, and how far into it, as a share of the half-life.
    fn period(at: Timestamp) -> (i64, f64) {
        let micros = at.as_micros();
        (micros.div_euclid(Self::MICROS), micros.rem_euclid(Self::MICROS) as f64 / Self::MICROS as f64)
    }

    /// All periods that there can be.
    fn periods() -> std::ops::RangeInclusive<i64> {
        Self::period(Timestamp::MIN).0..=Self::period(Timestamp::MAX).0
    }
}

impl<const HALF_LIFE: u32> Monoid for Decayed<HALF_LIFE> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 5 + Digits::MAX_BYTES;
    const COMMUTATIVE: bool = true;
    type Reply = types::Decayed;

    fn identity() -> Self {
        Self { newest: None, score: Digits::ZERO }
    }

    fn combine(&mut self, later: Self) {
        self.newest = self.newest.max(later.newest);
        self.score.add(&later.score);
    }

    fn refusal(&self) -> Option<String> {
        let why = || "an amount that is no number, or infinite, cannot be added to a score".to_owned();
        (!self.score.is_number()).then(why)
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        // As of the beginning of the newest period a score is largest.
        let newest = self.newest.max(later.newest)?;
        (!self.score.fits_with(&later.score, -newest)).then(|| "the score would leave the range of `double`".into())
    }

    /// Nothing, or the newest period (5 bytes) and the digits of the score.
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(newest) = self.newest {
            out.extend_from_slice(&newest.to_le_bytes()[..5]);
            self.score.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self::identity());
        }
        let mut rest = bytes;
        let newest = read_signed(&mut rest, 5)? as i64;
        let periods = Self::periods();
        if !periods.contains(&newest) {
            return Err(DecodeError("the half-life of a score lies outside the years 1 to 9999".into()));
        }
        let score = Digits::decode(rest, Digits::places(*periods.start()..=newest))?;
        Ok(Self { newest: Some(newest), score })
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Decayed<{HALF_LIFE} s> 2")));
    }

    fn reply(&self, question: &Question) -> Result<types::Decayed, Error> {
        let half_life = Some(Span::from_seconds(HALF_LIFE.into()));
        let Some(newest) = self.newest else {
            return Ok(types::Decayed { value: 0.0, as_of: Some(question.as_of), half_life });
        };
        let as_of = question.as_of.max(Timestamp::from_micros(newest * Self::MICROS));
        let (now, into) = Self::period(as_of);
        let value = self.score.times_power(-now);
        let value = value.ok_or_else(|| Error::new(ErrorKind::Overflow, "the score left the range of f64"))?;
        // Forward through the period: `into` of it has passed.
        Ok(types::Decayed { value: value * (-into).exp2(), as_of: Some(as_of), half_life })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::laws;

    pub(in crate::aggregate) type Hourly = Decayed<3600>;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn fold(values: impl IntoIterator<Item = Hourly>) -> Hourly {
        let mut whole = Hourly::identity();
        values.into_iter().for_each(|value| whole.combine(value));
        whole
    }

    fn value(score: &Hourly, as_of: Timestamp) -> f64 {
        score.reply(&Question::at(as_of)).unwrap().value
    }

    fn bytes(value: &Hourly) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    #[test]
    fn it_keeps_the_laws_to_the_last_bit() {
        let values: Vec<_> =
            [(0, 1.0), (1, 0.1), (3_599, -0.3), (3_600, 1e9), (-5, 7.7), (86_400, 2.5), (40_000_000, 1e-3)]
                .map(|(seconds, amount)| Hourly::of(amount, at(seconds)))
                .into();
        laws::check(&values);
        laws::check(&[Hourly::of(None::<f64>, at(9)), Hourly::of(3u8, Timestamp::MIN), Hourly::of(0.0, at(9))]);
        laws::check(&[Hourly::of(1.0, Timestamp::MAX), Hourly::of(1.0, Timestamp::MIN)]);
        laws::check(&[Decayed::<1>::of(1.0, Timestamp::MAX), Decayed::of(-1e-300, Timestamp::MIN)]);
    }

    /// Whole numbers of a power of two apart lie on ties, and of hundreds of half-lives the oldest decide them.
    fn amount() -> impl Strategy<Value = (i64, f64)> {
        let amount = prop_oneof![
            (1u32..1_000).prop_map(f64::from),
            Just(1.0),
            Just(-1.0),
            (-60i32..60).prop_map(|power| 2f64.powi(power)),
            any::<f64>().prop_filter("no number", |amount| amount.abs() < 1e300),
        ];
        (prop_oneof![0i64..3_600 * 900, (0i64..900).prop_map(|hour| hour * 3_600)], amount)
    }

    proptest! {
        #[test]
        fn neither_order_nor_grouping_shows_after_hundreds_of_half_lives(
            mut events in prop::collection::vec((amount(), any::<u32>()), 1..30),
            cut in 0usize..30,
        ) {
            let one = |((t, x), _): &((i64, f64), u32)| Hourly::of(*x, at(*t));
            let straight = fold(events.iter().map(one));
            events.sort_by_key(|(_, place)| *place);
            let (front, back) = events.split_at(cut.min(events.len()));
            let split = fold([fold(back.iter().map(one)), fold(front.iter().map(one))]);
            prop_assert_eq!(bytes(&straight), bytes(&split));
        }
    }

    proptest! {
        #[test]
        fn it_is_the_formula_however_events_are_ordered_and_split(
            events in prop::collection::vec((0i64..400_000, 0.0f64..1e6), 1..60),
            later in 0i64..400_000,
            cut in 0usize..60,
        ) {
            let as_of = at(400_000 + later);
            let exact: f64 = events.iter().map(|(t, x)| x * (-((400_000 + later - t) as f64) / 3600.0).exp2()).sum();
            let one = |(t, x): &(i64, f64)| Hourly::of(*x, at(*t));
            let (front, back) = events.split_at(cut.min(events.len()));
            let ordered = fold(events.iter().map(one));
            let mut split = fold(back.iter().rev().map(one));
            split.combine(fold(front.iter().map(one)));
            prop_assert_eq!(ordered, split);
            prop_assert!((value(&ordered, as_of) - exact).abs() <= 1e-12 * exact, "{} {exact}", value(&ordered, as_of));
        }

        #[test]
        fn bytes_of_any_origin_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..Hourly::MAX_BYTES + 1)) {
            if let Ok(read) = Hourly::decode(&bytes) {
                drop(read.reply(&Question::default()));
            }
        }
    }

    #[test]
    fn half_is_left_after_a_half_life() {
        let score = fold([Hourly::of(8u8, at(0)), Hourly::of(Some(4.0), at(3_600))]);
        assert_eq!(value(&score, at(3_600)), 8.0);
        assert_eq!(value(&score, at(3 * 3_600)), 2.0);
        let reply = score.reply(&Question::at(at(7_200))).unwrap();
        assert_eq!(
            (reply.value, reply.as_of, reply.half_life),
            (4.0, Some(at(7_200)), Some(Span::from_seconds(3_600)))
        );
        assert_eq!(value(&score, Timestamp::MAX), 0.0);
        // In the middle of a period too: 2^-0.5 and 2^0.5 cancel.
        assert!((value(&Hourly::of(5.0, at(1_800)), at(1_800)) - 5.0).abs() < 1e-15);
    }

    #[test]
    fn an_instant_before_the_newest_amount_does_not_explode() {
        let score = Hourly::of(1.0, at(36_000_000 + 1_800));
        let question = Question::at(at(0));
        let reply = score.reply(&question).unwrap();
        assert_eq!((reply.value, reply.as_of), (2f64.sqrt(), Some(at(36_000_000))));
        let nothing = Hourly::identity().reply(&question).unwrap();
        assert_eq!((nothing.value, nothing.as_of), (0.0, Some(at(0))));
    }

    #[test]
    fn what_is_no_amount_is_refused_and_an_overflow_says_so() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Hourly::of(bad, at(0)).refusal().unwrap().contains("cannot be added to a score"), "{bad}");
        }
        assert_eq!(Hourly::of(f64::MAX, at(0)).refusal(), None);
        assert_eq!(Hourly::of(None::<f64>, at(0)).refusal(), None);
        let most = Hourly::of(f64::MAX, at(0));
        assert!(most.refuses(&most).unwrap().contains("the score would leave"));
        assert_eq!(most.refuses(&Hourly::of(f64::MAX / 2.0, at(3_600))), None, "half of it is left");
        let over = fold([most, most]);
        assert_eq!(over.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
        // Half of it each is left an hour later.
        assert_eq!(value(&over, at(3_600)), f64::MAX);
    }

    #[test]
    fn stored_bytes_never_change() {
        let score = fold([Hourly::of(8.0, at(0)), Hourly::of(0.25, at(2 * 3_600))]);
        // 0.25 counts as 1 two half-lives before.
        assert_eq!(bytes(&score), [&[2, 0, 0, 0, 0][..], &[0; 5], &[1, 9], &[0, 0]].concat());
        assert_eq!(Hourly::decode(&bytes(&score)).unwrap(), score);
        let before = Hourly::of(-1.0, at(-3_600));
        let half = [&[0xff, 0xff, 0xff, 0xff, 0xff, 8][..], &[0, 0, 0, 0, 0, 0, 0, 0x80], &[0, 0]].concat();
        assert_eq!(bytes(&before), [&[0xff; 5][..], &half].concat());
        assert_eq!(bytes(&Hourly::of(0.0, at(0))), [&[0; 5][..], &[0, 0, 0, 0, 0x80], &[0; 3]].concat());
        assert!(bytes(&Hourly::identity()).is_empty());
        assert!(Hourly::decode(&[0; 4]).unwrap_err().0.contains("cut off"));
        assert!(Hourly::decode(&[0x7f; 24]).unwrap_err().0.contains("outside the years"));
    }
}
