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
/// Numerische Mathematik 1971), and subtracted so (`sum(x^2) - sum(x)^2 / n`, König and Huygens): the relative error of
/// the variance stays below `2^-90 (mean / deviation)^2`, for a mean of a billion deviations below `2^-30`.
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
            // Below zero only by rounding.
            let around = around.ok_or_else(|| overflow("the variance"))?.max(0.0);
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
