use super::sum::{FloatTotal, Total};
use super::{Column, Count, DecodeError, Form, Monoid, Number, Question, Term};
use crate::wire::types;
use crate::{Error, ErrorKind};

/// The mean, variance and standard deviation of integers or floats, as their count, sum and sum of squares.
///
/// The store can only add, so these are sums around zero, which lose what the mean has in common with the numbers:
/// kept in plain floats, a variance would be wrong by about `2^-53 (mean / deviation)^2`. Sum and squares are kept with
/// what rounding lost of them instead (about 106 bits, see [`Number::Float`]: Knuth's two-sum, "The Art of Computer
/// Programming" 2, 4.2.2, and Dekker's product, "A Floating-Point Technique for Extending the Available Precision",
/// Numerische Mathematik 1971), and subtracted so (`sum(x^2) - sum(x)^2 / n`, König and Huygens).
///
/// Of `n` numbers the relative error of the variance stays below `2^-102 (n + 3) (1 + (mean / deviation)^2)`, beside the
/// rounding of the answer: for a million numbers with a mean of a billion deviations below `2^-21`. A variance that is no
/// more than that error is told as 0, so that of equal numbers it always is. Within the error, order and grouping may
/// show: two answers about the same numbers are [near](types::Moments::is_near), and seldom differ in a digit. Whole
/// numbers up to 2^53 whose squares add up to no more than 2^104 are added exactly, and there nothing shows.
///
/// A number whose square leaves the range of `f64` (above 1.3e154) is refused, as are infinities and NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: Count,
    sum: FloatTotal,
    squares: FloatTotal,
}

impl Moments {
    /// The number of one event; nothing when it is `None`.
    pub fn of(number: impl Term) -> Self {
        match number.term() {
            Some(sum) => Self { count: Count::one(), sum, squares: sum.times(sum) },
            None => Self::identity(),
        }
    }
}

impl Monoid for Moments {
    const FORM: Form = Form::Add;
    const MAX_BYTES: usize = 48;
    type Reply = types::Moments;

    fn identity() -> Self {
        Self { count: Count::identity(), sum: FloatTotal::ZERO, squares: FloatTotal::ZERO }
    }

    fn combine(&mut self, later: Self) {
        self.count.combine(later.count);
        self.sum = self.sum.plus(later.sum);
        self.squares = self.squares.plus(later.squares);
    }

    fn refusal(&self) -> Option<String> {
        self.sum.refusal().or_else(|| {
            let number = self.sum.rounded();
            self.squares.refusal().map(|_| format!("the square of {number} cannot be added to a sum"))
        })
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        let mut whole = *self;
        whole.combine(*later);
        // Numbers with such squares have moments, so only what lies at the end of the range is looked at as a whole.
        if whole.squares.rounded() < f64::MAX / 4.0 {
            return self.count.refuses(&later.count);
        }
        let error = whole.reply(&Question::default()).err();
        error.map(|_| "the moments would leave the range of `double`".into())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(&self.sum.to_bytes());
        out.extend_from_slice(&self.squares.to_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = || DecodeError(format!("moments have 40 bytes, not {}", bytes.len()));
        let (count, sums) = bytes.split_at_checked(8).ok_or_else(wrong)?;
        let (sum, squares) = sums.split_first_chunk().ok_or_else(wrong)?;
        let squares = FloatTotal::from_bytes(squares.try_into().map_err(|_| wrong())?);
        Ok(Self { count: Count::decode(count)?, sum: FloatTotal::from_bytes(*sum), squares })
    }

    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        self.count.numbers(field, visit);
        visit(Column { field, part: 1 }, self.sum.number());
        visit(Column { field, part: 2 }, self.squares.number());
    }

    fn add_number(&mut self, field: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        let total = match column.part {
            1 if column.field == field => &mut self.sum,
            2 if column.field == field => &mut self.squares,
            _ => return self.count.add_number(field, column, number),
        };
        let added = FloatTotal::from_number(number)
            .ok_or_else(|| DecodeError("a sum of moments is a float, and this is none".into()))?;
        *total = total.plus(added);
        Ok(())
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some("Moments".into()));
    }

    fn reply(&self, question: &Question) -> Result<types::Moments, Error> {
        let count = self.count.reply(question)?;
        let overflow = |what| Error::new(ErrorKind::Overflow, format!("{what} of the moments left the range of f64"));
        let sum = self.sum.get().ok_or_else(|| overflow("the sum"))?;
        if self.squares.get().is_none() {
            return Err(overflow("the sum of squares"));
        }
        let mut reply = types::Moments { count, sum, ..types::Moments::default() };
        if count > 0 {
            // sum(x^2) - sum(x) mean is the sum of the squared distances from the mean (König and Huygens).
            let n = FloatTotal::of_integer(count.into());
            let mean = sum / count as f64;
            // The mean with all its digits: the quotient, and that of what it left over.
            let left = self.sum.plus(FloatTotal::from(mean).times(n).negated()).rounded();
            let exact = FloatTotal::from(mean).plus((left / count as f64).into());
            let around = self.squares.plus(self.sum.times(exact).negated()).get();
            let around = around.ok_or_else(|| overflow("the variance"))?;
            // Rounding can have made it of equal numbers, or have brought it below zero.
            let around = if around <= slack(count, self.squares.rounded()) { 0.0 } else { around };
            reply.mean = Some(mean);
            reply.population_variance = Some(around / count as f64);
            if count > 1 {
                let variance = around / (count - 1) as f64;
                reply.variance = Some(variance);
                reply.standard_deviation = Some(variance.sqrt());
            }
        }
        Ok(reply)
    }
}

/// By how much rounding can have moved the sum of the squared distances from the mean of `count` numbers, `squares` being
/// the sum of their squares.
///
/// With `u = 2^-53`, two pairs are added with an error below `5 u^2 (|a| + |b|)`: two additions are rounded, of numbers
/// below `2 u (|a| + |b|)` and `3 u (|a| + |b|)`. So `n` numbers in any order and grouping are added with an error below
/// `5 n u^2 sum(|x|)`, and `n` squares below `5 n u^2 squares`. The square of a sum, divided by `n`, is moved by `2 / n` of
/// the sum times its error: below `10 n u^2 squares`, as `sum(|x|)^2 <= n squares` (Cauchy and Schwarz). What the product
/// of each number and the last steps of the answer lose stays below `40 u^2 squares`. Together that is less than
/// `16 (n + 3) u^2 squares`. Products of the smallest numbers have no digits below 2^-1074, and lose 2^-1070 at most.
fn slack(count: u64, squares: f64) -> f64 {
    (count as f64 + 3.0) * (squares * ERROR + SMALLEST)
}

/// 2^-102.
const ERROR: f64 = f64::from_bits((1_023 - 102) << 52);
/// 2^-1070.
const SMALLEST: f64 = f64::from_bits(1 << 4);

impl types::Moments {
    /// Whether both can be answers about the same numbers, put together in another order or in other groups: all they have
    /// is equal, or as near as the errors of [`Moments`] allow.
    pub fn is_near(&self, other: &Self) -> bool {
        let count = self.count as f64;
        let mean_square = |of: &Self| of.mean.unwrap_or_default().powi(2) + of.population_variance.unwrap_or_default();
        let mean_square = mean_square(self).max(mean_square(other));
        // Where one is told as 0 the true one may be twice the error, and the other another error above it. What is told is
        // near enough to what is true for the last factor.
        let of_variance = 3.0 * (count + 3.0) * (ERROR * mean_square + SMALLEST / count.max(1.0)) * 1.001;
        // Each sum lacks up to `5 n u^2 sum(|x|)`, and that sum is no more than `n` times the root of the mean square.
        let of_mean = count * (mean_square + of_variance).sqrt() * ERROR;
        let near = |a: Option<f64>, b: Option<f64>, error: f64| match (a, b) {
            (Some(a), Some(b)) => a == b || (a - b).abs() <= error + 2.0 * f64::EPSILON * a.abs().max(b.abs()),
            (a, b) => a == b,
        };
        let is_root = |of: &Self| of.standard_deviation == of.variance.map(f64::sqrt);
        self.count == other.count
            && near(Some(self.sum), Some(other.sum), count * of_mean)
            && near(self.mean, other.mean, of_mean)
            && near(self.population_variance, other.population_variance, of_variance)
            && near(self.variance, other.variance, of_variance * count / (count - 1.0).max(1.0))
            && is_root(self)
            && is_root(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fold(values: impl IntoIterator<Item = Moments>) -> Moments {
        let mut whole = Moments::identity();
        values.into_iter().for_each(|value| whole.combine(value));
        whole
    }

    fn told(moments: &Moments) -> types::Moments {
        moments.reply(&Question::default()).unwrap()
    }

    /// The numbers in order of `places`, in groups of the lengths that `cuts` says, which are put together by twos.
    fn grouped(numbers: &[f64], places: &[u32], cuts: &[usize]) -> Moments {
        let mut order: Vec<_> = numbers.iter().zip(places).collect();
        order.sort_by_key(|(_, place)| **place);
        let (mut parts, mut rest) = (Vec::new(), order.as_slice());
        for cut in cuts {
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            parts.push(fold(part.iter().map(|(number, _)| Moments::of(**number))));
            rest = after;
        }
        while parts.len() > 1 {
            parts = parts.chunks(2).map(|two| fold(two.iter().copied())).collect();
        }
        parts[0]
    }

    /// Numbers that are equal or nearly so, cancel, lie on ties, or are far from each other.
    fn number() -> impl Strategy<Value = f64> {
        let near = (0u64..4).prop_map(|ulps| f64::from_bits(31.796_226_191_169_293_f64.to_bits() + ulps));
        prop_oneof![
            near,
            Just(-31.796_226_191_169_293),
            Just(1.0 + f64::EPSILON),
            (-60i32..60).prop_map(|power| 2f64.powi(power)),
            (-500i32..500, 1f64..2.0).prop_map(|(power, bits)| bits * 2f64.powi(power)),
            (1u64..1_000).prop_map(|n| (n as f64).sqrt()),
        ]
    }

    proptest! {
        #[test]
        fn answers_in_any_order_and_grouping_are_near(
            numbers in prop::collection::vec(number(), 1..40),
            places in prop::collection::vec(any::<u32>(), 40),
            cuts in prop::collection::vec(1usize..8, 40),
        ) {
            let straight = told(&fold(numbers.iter().map(Moments::of)));
            let other = told(&grouped(&numbers, &places, &cuts));
            prop_assert!(straight.is_near(&other) && other.is_near(&straight), "{straight:?} {other:?}");
            prop_assert!(straight.population_variance >= Some(0.0) && other.population_variance >= Some(0.0));
        }

        #[test]
        fn equal_numbers_have_no_variance(
            number in number(), small in -600i32..100, count in 1usize..300, cuts in prop::collection::vec(1usize..40, 300),
        ) {
            let numbers = vec![number * 2f64.powi(small.min(0)); count];
            let reply = told(&grouped(&numbers, &vec![0; count], &cuts));
            prop_assert_eq!(reply.population_variance, Some(0.0), "{:?}", reply);
            let ids = told(&fold((0..count).map(|_| Moments::of(number.abs() as u64))));
            prop_assert_eq!(ids.population_variance, Some(0.0), "{:?}", ids);
        }

        #[test]
        fn whole_numbers_are_added_exactly(
            numbers in prop::collection::vec(0u64..1 << 48, 1..40),
            places in prop::collection::vec(any::<u32>(), 40),
            cuts in prop::collection::vec(1usize..8, 40),
        ) {
            let numbers: Vec<_> = numbers.into_iter().map(|n| n as f64).collect();
            prop_assert_eq!(fold(numbers.iter().map(Moments::of)), grouped(&numbers, &places, &cuts));
        }

        #[test]
        fn a_variance_is_as_near_to_the_true_one_as_is_said(
            numbers in prop::collection::vec((0i128..1 << 30, 0u32..27), 2..32),
        ) {
            let numbers: Vec<_> = numbers.into_iter().map(|(bits, up)| bits << up).collect();
            let n = numbers.len() as i128;
            let squares = numbers.iter().map(|x| x * x).sum::<i128>();
            let around = n * squares - numbers.iter().sum::<i128>().pow(2);
            let told = told(&fold(numbers.iter().map(|x| Moments::of(*x as f64)))).population_variance.unwrap();
            let (n, true_one) = (n as f64, around as f64 / (n * n) as f64);
            let error = 2.0 * slack(numbers.len() as u64, squares as f64) / n + 2.0 * f64::EPSILON * true_one;
            prop_assert!((told - true_one).abs() <= error, "{} {} {}", told, true_one, error);
        }
    }

    #[test]
    fn what_is_not_the_same_is_not_near() {
        let numbers = [1.5, 2.25, 1e3];
        let reply = told(&fold(numbers.map(Moments::of)));
        for at in 0..numbers.len() {
            let mut others = numbers;
            others[at] *= 1.0 + 1e-12;
            assert!(!reply.is_near(&told(&fold(others.map(Moments::of)))), "{others:?}");
        }
        assert!(!reply.is_near(&told(&fold(numbers[1..].iter().map(Moments::of)))));
        assert!(!reply.is_near(&types::Moments { standard_deviation: Some(1.0), ..reply.clone() }));
        assert!(!told(&Moments::identity()).is_near(&told(&Moments::of(0.0))));
    }
}
