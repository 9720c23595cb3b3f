//! A sum of floats in which neither order nor grouping shows.

use super::DecodeError;

/// The three highest places of a sum in the system of base 2^64, each a sum of its own.
///
/// The digits of an amount are bits of it, so they depend on nothing else. The highest place is that of the largest amount
/// that ever came, whatever the amounts add up to, and no place is carried into another one before the sum is rounded. So a
/// place that is dropped, for all time, loses just what the amounts have there: a sum depends on the set of its amounts
/// alone. (Binned sums with bins of 40 bits: Ahrens, Demmel, Nguyen, "Algorithms for Efficient Reproducible Floating Point
/// Summation", ACM TOMS 2020.)
///
/// The lowest of three places is worth 2^-128 of the largest amount at most. So much each amount loses at most: 2^64 of them
/// lose 2^-64 of the largest one. A place of 128 bits holds 2^63 digits of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    /// The number of the highest place: a digit of the place `n` counts 2^64n.
    top: i64,
    /// From the highest place down.
    digits: [i128; 3],
}

impl Digits {
    /// The sum of nothing, and of zeros. Its place is below all others.
    pub(super) const ZERO: Self = Self { top: -(1 << 39), digits: [0; 3] };
    /// What infinities, NaN, and whatever they are added to come to. Its place is above all others.
    const NO_NUMBER: Self = Self { top: (1 << 39) - 1, digits: [0; 3] };
    /// The most bytes that it is encoded in.
    pub(super) const MAX_BYTES: usize = 5 + 3 * (1 + 16);

    /// `value * 2^exponent`, for exponents up to 2^40.
    pub(super) fn of(value: f64, exponent: i64) -> Self {
        if value == 0.0 {
            return Self::ZERO;
        }
        if !value.is_finite() {
            return Self::NO_NUMBER;
        }
        let bits = value.to_bits();
        let (power, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
        // The smallest numbers have no bit in front of those that are stored.
        let bits = if power == 0 { fraction } else { fraction | 1 << 52 };
        let exponent = exponent + power.max(1).cast_signed() - 1_075;
        let (place, shift) = (exponent.div_euclid(64), exponent.rem_euclid(64));
        let bits = i128::from(bits) << shift;
        let (high, low) = (bits >> 64, bits & i128::from(u64::MAX));
        let (top, digits) = if high == 0 { (place, [low, 0, 0]) } else { (place + 1, [high, low, 0]) };
        Self { top, digits: if value < 0.0 { digits.map(|digit| -digit) } else { digits } }
    }

    /// Add another sum.
    #[inline]
    pub(super) fn add(&mut self, other: &Self) {
        // In place, for it is done for every event: a copy of all digits takes longer than the additions.
        if self.top < other.top {
            let [a, b, _] = self.digits;
            self.digits = match self.top.abs_diff(other.top) {
                1 => [0, a, b],
                2 => [0, 0, a],
                _ => [0; 3],
            };
            self.top = other.top;
        }
        let [a, b, c] = other.digits;
        match self.top.abs_diff(other.top) {
            0 => self.add_digits([a, b, c]),
            1 => self.add_digits([0, a, b]),
            2 => self.add_digits([0, 0, a]),
            _ => {}
        }
    }

    #[inline]
    fn add_digits(&mut self, digits: [i128; 3]) {
        for (sum, digit) in self.digits.iter_mut().zip(digits) {
            // Only forged bytes can come to the end of a place.
            *sum = sum.wrapping_add(digit);
        }
    }

    /// Whether it is a number.
    pub(super) fn is_number(&self) -> bool {
        self.top != Self::NO_NUMBER.top
    }

    /// Whether the sum of both, times `2^exponent`, has a place in the range of `f64`.
    pub(super) fn fits_with(&self, other: &Self, exponent: i64) -> bool {
        // A place full to its end still is less than the next but one.
        let top = self.top.max(other.top);
        64 * (top + 2) + exponent < 1_000 || {
            let mut both = *self;
            both.add(other);
            both.times_power(exponent).is_some()
        }
    }

    /// The sum times `2^exponent`, rounded to the nearest `f64`; `None` when it leaves the range.
    pub(super) fn times_power(&self, exponent: i64) -> Option<f64> {
        if !self.is_number() {
            return None;
        }
        // Carried over: 128 bits without a sign below 128 with it.
        let [a, b, c] = self.digits;
        let b = b.wrapping_add(c >> 64);
        let a = a.wrapping_add(b >> 64);
        let low = (u128::from(b as u64) << 64) | u128::from(c as u64);
        let (high, low) = if a < 0 {
            ((!a).cast_unsigned() + u128::from(low == 0), low.wrapping_neg())
        } else {
            (a.cast_unsigned(), low)
        };
        // 128 bits from the leading one on. The last of them is set where any below it is: it only tells the side of a tie.
        let (leading, dropped) = match high.leading_zeros() {
            128 => (low, 0),
            0 => (high | u128::from(low != 0), 128),
            zeros => {
                let below = u128::from(low << zeros != 0);
                (high << zeros | low >> (128 - zeros) | below, 128 - i64::from(zeros))
            }
        };
        let size = power_of_two(leading as f64, dropped + 64 * (self.top - 2) + exponent);
        size.is_finite().then_some(if a < 0 { -size } else { size })
    }

    /// The highest place in 5 bytes, then for each of the three digits the number of its bytes and these.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.top.to_le_bytes()[..5]);
        for digit in self.digits {
            let bytes = bytes_of(digit);
            out.push(bytes as u8);
            out.extend_from_slice(&digit.to_le_bytes()[..bytes]);
        }
    }

    /// What [`encode`](Self::encode) wrote, if its highest place lies in `places`.
    pub(super) fn decode(mut bytes: &[u8], places: std::ops::RangeInclusive<i64>) -> Result<Self, DecodeError> {
        let top = read_signed(&mut bytes, 5)? as i64;
        let mut digits = [0; 3];
        for digit in &mut digits {
            let length = read_signed(&mut bytes, 1)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= 16);
            let length = length.ok_or_else(|| DecodeError("a digit of a sum has at most 16 bytes".into()))?;
            *digit = read_signed(&mut bytes, length)?;
            if bytes_of(*digit) != length {
                return Err(DecodeError("a digit of a sum is longer than it has to be".into()));
            }
        }
        if !bytes.is_empty() {
            return Err(DecodeError(format!("{} bytes follow the digits of a sum", bytes.len())));
        }
        let read = Self { top, digits };
        if read != Self::ZERO && !places.contains(&top) {
            return Err(DecodeError("the highest place of a sum is none that an amount can have".into()));
        }
        Ok(read)
    }

    /// The places that the highest digit of an amount can have, with these exponents.
    pub(super) fn places(exponents: std::ops::RangeInclusive<i64>) -> std::ops::RangeInclusive<i64> {
        (exponents.start() - 1_074).div_euclid(64)..=(exponents.end() + 1_023).div_euclid(64)
    }
}

/// How many bytes a digit needs.
fn bytes_of(digit: i128) -> usize {
    match digit {
        0 => 0,
        _ => (128 - digit.leading_zeros().max(digit.leading_ones()) as usize) / 8 + 1,
    }
}

/// A whole number of so many bytes, 16 at most.
pub(super) fn read_signed(bytes: &mut &[u8], length: usize) -> Result<i128, DecodeError> {
    let (read, rest) = bytes.split_at_checked(length).ok_or_else(|| DecodeError("a sum is cut off".into()))?;
    *bytes = rest;
    let sign = if read.last().is_some_and(|last| *last >= 0x80) { 0xff } else { 0 };
    let mut whole = [sign; 16];
    whole[..length].copy_from_slice(read);
    Ok(i128::from_le_bytes(whole))
}

/// `value * 2^exponent`, rounded once; `value` is not between 0 and 1.
fn power_of_two(mut value: f64, exponent: i64) -> f64 {
    // Beyond that there is nothing but zero and infinity.
    let mut left = exponent.clamp(-3_000, 3_000);
    while left != 0 {
        let step = left.clamp(-1_000, 1_000);
        value *= f64::from_bits((1_023 + step).cast_unsigned() << 52);
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bytes(digits: Digits) -> Vec<u8> {
        let mut out = Vec::new();
        digits.encode(&mut out);
        out
    }

    fn fold(all: impl IntoIterator<Item = Digits>) -> Digits {
        let mut sum = Digits::ZERO;
        all.into_iter().for_each(|digits| sum.add(&digits));
        sum
    }

    fn sum(amounts: &[(f64, i64)]) -> Digits {
        fold(amounts.iter().map(|(value, exponent)| Digits::of(*value, *exponent)))
    }

    /// All places of a sum, none dropped.
    fn whole(amounts: &[(f64, i64)]) -> BTreeMap<i64, i128> {
        let mut places = BTreeMap::new();
        for (value, exponent) in amounts {
            let Digits { top, digits } = Digits::of(*value, *exponent);
            for (place, digit) in (0..).map(|down| top - down).zip(digits) {
                *places.entry(place).or_default() += digit;
            }
        }
        places
    }

    /// How much a sum lost, in units of its lowest place, rounded down.
    fn lost(amounts: &[(f64, i64)]) -> i128 {
        let kept = sum(amounts);
        let mut left = whole(amounts);
        for (place, digit) in (0..).map(|down| kept.top - down).zip(kept.digits) {
            *left.entry(place).or_default() -= digit;
        }
        let lowest = kept.top - 2;
        assert!(left.range(lowest..).all(|(_, digit)| *digit == 0), "what is kept is whole: {left:?}");
        let (mut carry, mut at) = (0i128, None);
        for (place, digit) in left.range(..lowest) {
            let gap = at.map_or(0, |at| place - at);
            // Down there a carry of less than 2^64 places fades to 0 or -1.
            carry = if gap > 2 { carry.signum().min(0) } else { (0..gap).fold(carry, |carry, _| carry >> 64) };
            carry += digit;
            at = Some(*place);
        }
        (0..(lowest - at.unwrap_or(lowest)).min(2)).fold(carry, |carry, _| carry >> 64)
    }

    /// Amounts that lie on ties, cancel, are equal, or lie hundreds of half-lives apart.
    fn amount() -> impl Strategy<Value = (f64, i64)> {
        let value = prop_oneof![
            Just(1.0),
            Just(-1.0),
            Just(f64::EPSILON / 2.0),
            Just(1.0 + f64::EPSILON),
            Just(-f64::from_bits(1)),
            (1u64..1 << 53, 0i32..60).prop_map(|(bits, down)| bits as f64 * 2f64.powi(-down)),
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
        ];
        let exponent = prop_oneof![Just(0i64), -3i64..3, 100i64..112, -400i64..400, Just(-2_000_000_000)];
        (value, exponent)
    }

    proptest! {
        #[test]
        fn neither_order_nor_grouping_shows(
            amounts in prop::collection::vec(amount(), 1..40),
            order in prop::collection::vec(any::<u32>(), 40),
            cuts in prop::collection::vec(1usize..8, 40),
        ) {
            let straight = sum(&amounts);
            let mut other: Vec<_> = amounts.iter().copied().zip(order).collect();
            other.sort_by_key(|(_, place)| *place);
            let other: Vec<_> = other.into_iter().map(|(amount, _)| amount).collect();
            let (mut parts, mut rest) = (Vec::new(), other.as_slice());
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                parts.push(sum(part));
                rest = after;
            }
            while parts.len() > 1 {
                // By twos, so that sums meet sums.
                parts = parts.chunks(2).map(|two| fold(two.iter().copied())).collect();
            }
            prop_assert_eq!(parts[0], straight);
            prop_assert_eq!(bytes(parts[0]), bytes(straight));
        }

        #[test]
        fn each_amount_loses_less_than_the_lowest_place(amounts in prop::collection::vec(amount(), 1..40)) {
            let most = amounts.len() as i128;
            prop_assert!((-most..=most).contains(&lost(&amounts)), "{}", lost(&amounts));
        }

        #[test]
        fn whole_numbers_are_rounded_as_they_are(numbers in prop::collection::vec(any::<i64>(), 1..20), up in 0u32..60) {
            let total: i128 = numbers.iter().map(|n| i128::from(n >> 11) << up).sum();
            let digits = fold(numbers.iter().map(|n| Digits::of((n >> 11) as f64, up.into())));
            prop_assert_eq!(digits.times_power(0), Some(total as f64));
            prop_assert_eq!(digits.times_power(-40), Some(total as f64 * 2f64.powi(-40)));
        }

        #[test]
        fn one_number_comes_back(value in any::<f64>(), exponent in -100_000i64..100_000) {
            let digits = Digits::of(value, exponent);
            let back = digits.times_power(-exponent);
            prop_assert_eq!(back, value.is_finite().then_some(value));
            if value.is_finite() {
                let again = Digits::decode(&bytes(digits), Digits::places(-100_000..=100_000));
                prop_assert_eq!(again, Ok(digits));
                prop_assert!(bytes(digits).len() <= Digits::MAX_BYTES);
            }
        }
    }

    #[test]
    fn a_tie_is_decided_by_what_is_far_below_whenever_that_comes() {
        let tie = [(1.0, 0), (f64::EPSILON / 2.0, 0), (1.0, -110)];
        let above = Some(1.0 + f64::EPSILON);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(sum(&order.map(|at| tie[at])).times_power(0), above, "{order:?}");
        }
        assert_eq!(sum(&tie[..2]).times_power(0), Some(1.0));
        assert_eq!(sum(&tie.map(|(value, exponent)| (-value, exponent))).times_power(0), above.map(|sum| -sum));
    }

    #[test]
    fn a_sum_that_left_the_range_comes_back_into_it() {
        let much = sum(&[(f64::MAX, 0), (f64::MAX, 0)]);
        assert_eq!((much.times_power(0), much.times_power(-1)), (None, Some(f64::MAX)));
        assert!(!Digits::of(f64::MAX, 0).fits_with(&Digits::of(f64::MAX, 0), 0));
        assert!(Digits::of(f64::MAX, 0).fits_with(&Digits::of(-f64::MAX, 0), 0));
        assert!(!sum(&[(f64::NAN, 0), (1.0, 0)]).is_number());
    }

    #[test]
    fn bytes_of_another_kind_are_refused() {
        let places = || Digits::places(0..=0);
        let refusal = |bytes: &[u8]| Digits::decode(bytes, places()).unwrap_err().0;
        assert!(refusal(&[]).contains("cut off"));
        assert!(refusal(&[0, 0, 0, 0, 0, 17]).contains("at most 16 bytes"));
        assert!(refusal(&[0, 0, 0, 0, 0, 1, 0, 0, 0]).contains("longer than it has to be"));
        assert!(refusal(&[0, 0, 0, 0, 0, 0, 0, 0, 0]).contains("1 bytes follow"));
        assert!(refusal(&bytes(Digits::of(1.0, 5_000))).contains("highest place"));
        assert!(refusal(&bytes(Digits::NO_NUMBER)).contains("highest place"));
        assert_eq!(Digits::decode(&bytes(Digits::ZERO), places()), Ok(Digits::ZERO));
    }
}
