//! A sum that fades: what counts is what happened lately.

use super::sum::{FloatTotal, Total};
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
/// Time is cut into periods of one half-life, counted from 1970. The state is the period of the newest amount and the
/// sum as of the beginning of that period, so that older sums are taken in by halving, which loses nothing; they are
/// added with what rounding lost beside them (about 106 bits), as in [`Sum<f64>`](super::Sum), so that the order does
/// not show. An instant before that period is answered as of its beginning: from there backwards the numbers would only
/// grow, without bound, and say nothing about what was there. So an amount counts less than twofold at most. Infinities
/// and NaN are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decayed<const HALF_LIFE: u32>(Option<Score>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Score {
    /// The number of the period: 0 begins in 1970.
    period: i64,
    /// As of the beginning of the period.
    value: FloatTotal,
}

impl<const HALF_LIFE: u32> Decayed<HALF_LIFE> {
    /// The half-life in microseconds.
    const MICROS: i64 = {
        assert!(HALF_LIFE > 0, "`Decayed<HALF_LIFE>` needs a half-life of at least one second: `Decayed<3600>`");
        HALF_LIFE as i64 * 1_000_000
    };
    const ENCODED: usize = 8 + 16;

    /// An amount, and when it came; nothing when the amount is `None`.
    pub fn of(amount: impl Given<f64>, at: Timestamp) -> Self {
        Self(amount.given().map(|amount| {
            let (period, into) = Self::period(at);
            Score { period, value: FloatTotal::from(amount * into.exp2()) }
        }))
    }

    /// The period that an instant lies in, and how far into it, as a share of the half-life.
    fn period(at: Timestamp) -> (i64, f64) {
        let micros = at.as_micros();
        (micros.div_euclid(Self::MICROS), micros.rem_euclid(Self::MICROS) as f64 / Self::MICROS as f64)
    }
}

impl<const HALF_LIFE: u32> Monoid for Decayed<HALF_LIFE> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = Self::ENCODED;
    const COMMUTATIVE: bool = true;
    type Reply = types::Decayed;

    fn identity() -> Self {
        Self(None)
    }

    fn combine(&mut self, later: Self) {
        self.0 = match (self.0, later.0) {
            (Some(a), Some(b)) => {
                let (old, new) = if a.period < b.period { (a, b) } else { (b, a) };
                let value = new.value.plus(old.value.halved(new.period.abs_diff(old.period)));
                Some(Score { period: new.period, value })
            }
            (a, b) => a.or(b),
        };
    }

    fn refusal(&self) -> Option<String> {
        let amount = self.0?.value.get();
        amount.is_none().then(|| "an amount that is no number, or infinite, cannot be added to a score".to_owned())
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        let mut whole = *self;
        whole.combine(*later);
        let score = whole.0?.value.get();
        score.is_none().then(|| "the score would leave the range of `double`".into())
    }

    /// Nothing, or the period (8 bytes) and the sum (16 bytes).
    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(Score { period, value }) = self.0 {
            out.extend_from_slice(&period.to_le_bytes());
            out.extend_from_slice(&value.to_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        let wrong = || DecodeError(format!("a score has {} bytes, not {}", Self::ENCODED, bytes.len()));
        let (period, value) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (period, value) = (i64::from_le_bytes(*period), value.try_into().map_err(|_| wrong())?);
        let possible = Self::period(Timestamp::MIN).0..=Self::period(Timestamp::MAX).0;
        if !possible.contains(&period) {
            return Err(DecodeError("the half-life of a score lies outside the years 1 to 9999".into()));
        }
        Ok(Self(Some(Score { period, value: FloatTotal::from_bytes(value) })))
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Decayed<{HALF_LIFE} s>")));
    }

    fn reply(&self, question: &Question) -> Result<types::Decayed, Error> {
        let half_life = Some(Span::from_seconds(HALF_LIFE.into()));
        let Some(Score { period, value }) = self.0 else {
            return Ok(types::Decayed { value: 0.0, as_of: Some(question.as_of), half_life });
        };
        let as_of = question.as_of.max(Timestamp::from_micros(period * Self::MICROS));
        let (now, into) = Self::period(as_of);
        let value = value.halved(now.abs_diff(period)).get();
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

    /// One unit in the last place of the largest part: sums may lie on the two sides of a tie.
    pub(in crate::aggregate) fn same(a: &Hourly, b: &Hourly) -> bool {
        let of = |score: &Hourly| score.0.map(|score| (score.period, score.value.get()));
        match (of(a), of(b)) {
            (Some((a, Some(x))), Some((b, Some(y)))) => a == b && (x - y).abs() <= f64::EPSILON * x.abs() + 1e-18,
            (a, b) => a == b,
        }
    }

    #[test]
    fn it_keeps_the_laws_to_the_last_digit() {
        let values: Vec<_> =
            [(0, 1.0), (1, 0.1), (3_599, -0.3), (3_600, 1e9), (-5, 7.7), (86_400, 2.5), (40_000_000, 1e-3)]
                .map(|(seconds, amount)| Hourly::of(amount, at(seconds)))
                .into();
        laws::check_by(&values, same);
        laws::check_by(&[Hourly::of(None::<f64>, at(9)), Hourly::of(3u8, Timestamp::MIN)], same);
        laws::check_by(&[Hourly::of(1.0, Timestamp::MAX), Hourly::of(1.0, Timestamp::MIN)], same);
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
            prop_assert!(same(&ordered, &split), "{ordered:?} {split:?}");
            prop_assert!((value(&ordered, as_of) - exact).abs() <= 1e-12 * exact, "{} {exact}", value(&ordered, as_of));
        }

        #[test]
        fn bytes_of_any_origin_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 24)) {
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
        // Also when it has faded, for what it was is not known any more.
        let faded = fold([over, Hourly::of(1.0, Timestamp::MAX)]);
        assert_eq!(faded.reply(&Question::default()).unwrap_err().kind(), ErrorKind::Overflow);
    }

    #[test]
    fn stored_bytes_never_change() {
        let score = fold([Hourly::of(8.0, at(0)), Hourly::of(0.25, at(2 * 3_600))]);
        assert_eq!(bytes(&score), [[2, 0, 0, 0, 0, 0, 0, 0], 2.25f64.to_le_bytes(), [0; 8]].concat());
        assert_eq!(Hourly::decode(&bytes(&score)).unwrap(), score);
        assert!(Hourly::decode(&[0; 23]).unwrap_err().0.contains("24 bytes, not 23"));
        assert!(Hourly::decode(&[0x7f; 24]).unwrap_err().0.contains("outside the years"));
    }
}
