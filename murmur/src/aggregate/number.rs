use std::fmt;

/// Which number of an aggregate: the field's number in the aggregate struct (0 for a single aggregate), and which of
/// the numbers of that field. Renaming a Rust field changes nothing stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column {
    /// The field's number; 0 when the aggregate is not a struct.
    pub field: u32,
    /// Which number of the field, from 0.
    pub part: u8,
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f{}.{}", self.field, self.part)
    }
}

/// A number that a store can add to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole, from `-`[`MAX_INT`](Self::MAX_INT) to [`MAX_INT`](Self::MAX_INT): no sum of 64-bit values of a realistic
    /// stream can overflow.
    Int(i128),
    /// A float sum as an unevaluated pair, the value and what rounding lost (Knuth's two-sum, error-free): about 106
    /// bits of significand. An addition loses less than `5 * 2^-106` of the absolute values of its two terms.
    Float {
        /// The rounded sum.
        sum: f64,
        /// What rounding lost so far.
        rest: f64,
    },
}

impl Number {
    /// The largest whole number that every store keeps exactly: 38 digits, which is what DynamoDB's numbers have.
    pub const MAX_INT: i128 = 10i128.pow(38) - 1;

    /// Whether a store can keep it.
    pub fn is_in_range(self) -> bool {
        match self {
            Self::Int(n) => n.unsigned_abs() <= Self::MAX_INT.unsigned_abs(),
            Self::Float { sum, rest } => sum.is_finite() && rest.is_finite(),
        }
    }

    /// The sum; `None` when it leaves the range, or when the two are of different kinds.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.checked_add(b).map(Self::Int),
            (Self::Float { sum: a, rest: a_rest }, Self::Float { sum: b, rest: b_rest }) => {
                let (sum, rest) = two_sum((a, a_rest), (b, b_rest));
                Some(Self::Float { sum, rest })
            }
            _ => None,
        };
        sum.filter(|sum| sum.is_in_range())
    }

    /// Whether adding it changes nothing.
    pub fn is_zero(self) -> bool {
        match self {
            Self::Int(n) => n == 0,
            Self::Float { sum, rest } => sum == 0.0 && rest == 0.0,
        }
    }
}

/// Product of two numbers, and what rounding lost of it: exactly, unless that lies below the smallest numbers. Halves
/// of 26 bits (Veltkamp's split) have products without rounding.
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let split = |x: f64| {
        let far = x * 134_217_729.0;
        let high = far - (far - x);
        (high, x - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    let lost = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    // Only factors beyond 1e300 have no halves; their products have no digits to lose.
    (product, if lost.is_finite() { lost } else { 0.0 })
}

/// Sum of two unevaluated pairs `(sum, rest)`, itself such a pair; not finite when the sum left the range.
pub(super) fn two_sum((a, a_rest): (f64, f64), (b, b_rest): (f64, f64)) -> (f64, f64) {
    let (sum, lost) = exactly(a, b);
    // Also where almost all of the sum was lost: then the pair is one that adding nothing changes no more.
    exactly(sum, lost + a_rest + b_rest)
}

/// Knuth's two-sum: the rounded sum, and what rounding lost, exactly, whichever of the two is the larger.
fn exactly(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_seen = sum - a;
    (sum, (a - (sum - b_seen)) + (b - b_seen))
}
