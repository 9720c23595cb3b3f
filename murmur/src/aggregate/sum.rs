use super::number::{two_product, two_sum};
use super::{Column, DecodeError, Form, Given, Monoid, Number, Question};
use crate::wire::WireField;
use crate::{Error, ErrorKind};

/// The sum of `i64`, `u64`, `f64` or [`Decimal`](super::Decimal).
///
/// Whole numbers are added in 128 bits, which no stream can overflow; a sum that does not fit its type shows in the
/// reply, as an error. Floats are added with what rounding lost beside them (about 106 bits; Knuth's two-sum, "The Art
/// of Computer Programming" 2, 4.2.2); infinities and NaN are refused. Before it is rounded for the answer, a sum of `n`
/// floats lacks less than `5 n 2^-106` of the sum of their absolute values, in whatever order and groups they are added.
/// So order and grouping seldom show: in the last digit, where that much decides a tie, and beyond it where nearly all
/// cancels. Multiples of one power of two (as whole numbers, halves or quarters are) whose absolute values add up to no
/// more than 2^104 of it are added exactly.
///
/// Beside a sketch, an extreme, a first or a last value, an event that would take the stored sum of its slot and partition
/// out of its type is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum<T: Addend>(T::Total);

impl<T: Addend> Sum<T> {
    /// The value of one event; nothing when it is `None`.
    pub fn of(value: impl Given<T>) -> Self {
        Self(value.given().map_or(T::Total::ZERO, T::total))
    }
}

/// A type that [`Sum`] adds.
#[diagnostic::on_unimplemented(
    message = "`Sum<{Self}>` does not exist",
    label = "sums are of `i64`, `u64`, `f64` or `Decimal<2>`",
    note = "narrower numbers can be given to a wider sum as they are: `Sum<u64>` takes a `u32`"
)]
pub trait Addend: WireField + Copy {
    /// What sums are kept in.
    type Total: Total;

    /// As a sum of one.
    fn total(self) -> Self::Total;

    /// The sum as a value again; `None` when it does not fit.
    fn from_total(total: Self::Total) -> Option<Self>;

    /// What the stored number means.
    fn name() -> String {
        Self::PROTO.to_owned()
    }
}

/// What sums are kept in: `i128`, or a [`FloatTotal`].
pub trait Total: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The sum of nothing.
    const ZERO: Self;
    /// Their sum.
    fn plus(self, other: Self) -> Self;
    /// Why a single value cannot be added.
    fn refusal(self) -> Option<String>;
    /// For the store.
    fn number(self) -> Number;
    /// From the store; `None` when it is of another kind.
    fn from_number(number: Number) -> Option<Self>;
    /// 16 bytes.
    fn to_bytes(self) -> [u8; 16];
    /// What [`to_bytes`](Self::to_bytes) wrote.
    fn from_bytes(bytes: [u8; 16]) -> Self;
}

impl Total for i128 {
    const ZERO: Self = 0;

    fn plus(self, other: Self) -> Self {
        // 2^64 values of 64 bits fit; only forged bytes can come here with more.
        self.saturating_add(other)
    }

    fn refusal(self) -> Option<String> {
        None
    }

    fn number(self) -> Number {
        Number::Int(self)
    }

    fn from_number(number: Number) -> Option<Self> {
        match number {
            Number::Int(n) => Some(n),
            Number::Float { .. } => None,
        }
    }

    fn to_bytes(self) -> [u8; 16] {
        self.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

/// A float sum and what rounding lost of it. Not finite once it left the range, and so for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatTotal {
    sum: f64,
    rest: f64,
}

impl FloatTotal {
    const OVERFLOW: Self = Self { sum: f64::INFINITY, rest: 0.0 };

    /// One value with all its digits: what an `f64` cannot hold goes to the rest.
    pub fn of_integer(n: i128) -> Self {
        match i64::try_from(n) {
            // Up to 53 bits there is nothing to hold, and conversion is quick.
            Ok(n) if n.unsigned_abs() >> 53 == 0 => Self { sum: n as f64, rest: 0.0 },
            _ => {
                let sum = n as f64;
                Self { sum, rest: (n - sum as i128) as f64 }
            }
        }
    }

    fn or_overflow(self) -> Self {
        if self.sum.is_finite() && self.rest.is_finite() { self } else { Self::OVERFLOW }
    }

    /// The product, with what rounding lost of it (Dekker 1971); not finite when it leaves the range.
    pub(super) fn times(self, other: Self) -> Self {
        let (sum, rest) = two_product(self.sum, other.sum);
        Self { sum: 0.0, rest: rest + self.sum * other.rest + self.rest * other.sum }.plus(sum.into()).or_overflow()
    }

    /// The quotient by a divisor that is no more than its `f64`, with what rounding lost of it.
    pub(super) fn over(self, divisor: f64) -> Self {
        let quotient = self.sum / divisor;
        let (product, lost) = two_product(quotient, divisor);
        let left = (self.sum - product) - lost + self.rest;
        Self { sum: 0.0, rest: left / divisor }.plus(quotient.into())
    }

    /// With the other sign.
    pub(super) fn negated(self) -> Self {
        Self { sum: 0.0 - self.sum, rest: 0.0 - self.rest }
    }

    /// The sum, rounded; not finite when it left the range, or was of a single value that is not.
    pub(super) fn rounded(self) -> f64 {
        self.sum
    }

    /// The sum; `None` when it left the range.
    pub fn get(self) -> Option<f64> {
        self.sum.is_finite().then_some(self.sum)
    }
}

impl From<f64> for FloatTotal {
    fn from(value: f64) -> Self {
        // `-0.0` becomes `0.0`: a sum of nothing and a sum of zeros are one state.
        Self { sum: value + 0.0, rest: 0.0 }
    }
}

impl Total for FloatTotal {
    const ZERO: Self = Self { sum: 0.0, rest: 0.0 };

    fn plus(self, other: Self) -> Self {
        let (sum, rest) = two_sum((self.sum, self.rest), (other.sum, other.rest));
        Self { sum: sum + 0.0, rest: rest + 0.0 }.or_overflow()
    }

    fn refusal(self) -> Option<String> {
        (!self.sum.is_finite()).then(|| format!("{} cannot be added to a sum", self.sum))
    }

    fn number(self) -> Number {
        Number::Float { sum: self.sum, rest: self.rest }
    }

    fn from_number(number: Number) -> Option<Self> {
        match number {
            Number::Float { sum, rest } => Some(Self { sum, rest }.or_overflow()),
            Number::Int(_) => None,
        }
    }

    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.sum.to_le_bytes());
        bytes[8..].copy_from_slice(&self.rest.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        Self { sum: f64::from_bits(bits as u64), rest: f64::from_bits((bits >> 64) as u64) }.or_overflow()
    }
}

/// The integers that are summed in 128 bits.
macro_rules! integer {
    ($($ty:ty)*) => {$(
        impl Addend for $ty {
            type Total = i128;

            fn total(self) -> i128 {
                i128::from(self)
            }

            fn from_total(total: i128) -> Option<Self> {
                total.try_into().ok()
            }
        }
    )*};
}

integer!(i64 u64);

impl Addend for f64 {
    type Total = FloatTotal;

    fn total(self) -> FloatTotal {
        self.into()
    }

    fn from_total(total: FloatTotal) -> Option<Self> {
        total.get()
    }
}

impl<T: Addend> Monoid for Sum<T> {
    const FORM: Form = Form::Add;
    const MAX_BYTES: usize = 16;
    type Reply = T;

    fn identity() -> Self {
        Self(T::Total::ZERO)
    }

    fn combine(&mut self, later: Self) {
        self.0 = self.0.plus(later.0);
    }

    fn refusal(&self) -> Option<String> {
        self.0.refusal()
    }

    fn refuses(&self, later: &Self) -> Option<String> {
        let sum = T::from_total(self.0.plus(later.0));
        sum.is_none().then(|| format!("the sum would leave the range of `{}`", T::PROTO))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes = bytes.try_into().map_err(|_| DecodeError(format!("a sum has 16 bytes, not {}", bytes.len())))?;
        Ok(Self(T::Total::from_bytes(bytes)))
    }

    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        visit(Column { field, part: 0 }, self.0.number());
    }

    fn add_number(&mut self, field: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        if column != (Column { field, part: 0 }) {
            return Ok(());
        }
        let added = T::Total::from_number(number).ok_or_else(|| {
            DecodeError(format!("a sum of {} is stored as another kind of number than this one", T::name()))
        })?;
        self.0 = self.0.plus(added);
        Ok(())
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Sum<{}>", T::name())));
    }

    fn reply(&self, _: &Question) -> Result<T, Error> {
        T::from_total(self.0).ok_or_else(|| {
            Error::new(ErrorKind::Overflow, format!("the sum {:?} does not fit in `{}`", self.0, T::name()))
        })
    }
}
