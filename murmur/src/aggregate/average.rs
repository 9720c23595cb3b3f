use super::sum::{FloatTotal, Total};
use super::{Column, Count, DecodeError, Form, Monoid, Number, Question};
use crate::wire::types;
use crate::{Error, ErrorKind};

/// The mean of integers, floats or decimals, as their sum and count.
///
/// The sum is kept with what rounding lost of it, as in [`Sum`](super::Sum) of `f64`, and integers of 64 bits are added with
/// all their digits, so that only the quotient is rounded. A [`Decimal`](super::Decimal) is added with 32 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    count: Count,
    sum: FloatTotal,
}

impl Average {
    /// The value of one event; nothing when it is `None`.
    pub fn of(value: impl Term) -> Self {
        match value.term() {
            Some(sum) => Self { count: Count::one(), sum },
            None => Self::identity(),
        }
    }
}

/// A number that [`Average`], [`Moments`](super::Moments) and [`Quantiles`](super::Quantiles) take: integers, floats and
/// [`Decimal`](super::Decimal)s, references to them, and `Option` of either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number",
    label = "averages, moments and quantiles are of integers, floats and `Decimal<2>`"
)]
pub trait Term {
    /// As a sum of one, with all its digits; `None` when there is no value.
    fn term(&self) -> Option<FloatTotal>;
}

macro_rules! term {
    ($($ty:ty: $total:expr;)*) => {$(
        impl Term for $ty {
            fn term(&self) -> Option<FloatTotal> {
                let total: fn($ty) -> FloatTotal = $total;
                Some(total(*self))
            }
        }
    )*};
}

term! {
    u8: |n| f64::from(n).into();
    u16: |n| f64::from(n).into();
    u32: |n| f64::from(n).into();
    u64: |n| FloatTotal::of_integer(n.into());
    i8: |n| f64::from(n).into();
    i16: |n| f64::from(n).into();
    i32: |n| f64::from(n).into();
    i64: |n| FloatTotal::of_integer(n.into());
    f32: |x| f64::from(x).into();
    f64: |x| x.into();
}

impl<T: Term + ?Sized> Term for &T {
    fn term(&self) -> Option<FloatTotal> {
        (**self).term()
    }
}

impl<T: Term> Term for Option<T> {
    fn term(&self) -> Option<FloatTotal> {
        self.as_ref()?.term()
    }
}

impl Monoid for Average {
    const FORM: Form = Form::Add;
    const MAX_BYTES: usize = 32;
    type Reply = types::Average;

    fn identity() -> Self {
        Self { count: Count::identity(), sum: FloatTotal::ZERO }
    }

    fn combine(&mut self, later: Self) {
        self.count.combine(later.count);
        self.sum = self.sum.plus(later.sum);
    }

    fn refusal(&self) -> Option<String> {
        self.sum.refusal()
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        let sum = self.sum.plus(later.sum).get();
        let why = || sum.is_none().then(|| "the sum of the average would leave the range of `double`".into());
        self.count.refuses(&later.count).or_else(why)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(&self.sum.to_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let wrong = || DecodeError(format!("an average has 24 bytes, not {}", bytes.len()));
        let (count, sum) = bytes.split_at_checked(8).ok_or_else(wrong)?;
        let sum = FloatTotal::from_bytes(sum.try_into().map_err(|_| wrong())?);
        Ok(Self { count: Count::decode(count)?, sum })
    }

    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        self.count.numbers(field, visit);
        visit(Column { field, part: 1 }, self.sum.number());
    }

    fn add_number(&mut self, field: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        if column == (Column { field, part: 1 }) {
            let added = FloatTotal::from_number(number)
                .ok_or_else(|| DecodeError("the sum of an average is a float, and this is none".into()))?;
            self.sum = self.sum.plus(added);
        }
        self.count.add_number(field, column, number)
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some("Average".into()));
    }

    fn reply(&self, question: &Question) -> Result<types::Average, Error> {
        let count = self.count.reply(question)?;
        let sum = self.sum.get();
        let sum = sum.ok_or_else(|| Error::new(ErrorKind::Overflow, "the sum of the average left the range of f64"))?;
        Ok(types::Average { mean: (count > 0).then(|| sum / count as f64), count, sum })
    }
}
