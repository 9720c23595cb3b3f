use std::fmt;

use super::{Column, DistinctSet, Number, Question};
use crate::wire::WireField;

/// How a tile keeps an aggregate. Decides the form of its writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Form A: numbers that the store itself adds. One conditional update, no read.
    Add,
    /// Form B: bytes. The item holds the absolute fold of one partition's events.
    Put,
}

impl Form {
    /// The form of a struct with these two fields.
    pub const fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Add, Self::Add) => Self::Add,
            _ => Self::Put,
        }
    }
}

/// Bytes that are not what they should be. The error of a worker or server says it, so it has nothing of what was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(pub String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

/// An aggregate: a value with an identity and an associative combine.
///
/// Laws, checked by [`laws`](super::laws) for your own monoids too: `identity` changes nothing on either side;
/// `combine` is associative; decode of encode is the same value. Events of one partition are combined in their order,
/// slots in the order of time, partitions in the order of their names; a monoid that is not commutative has that as
/// its declared order.
///
/// One of your own, with the version of its bytes in front:
///
/// ```
/// use murmur::aggregate::{DecodeError, Form, laws};
/// use murmur::prelude::*;
///
/// /// All flags that were ever set.
/// #[derive(Clone, Debug)]
/// struct Flags(u32);
///
/// impl Monoid for Flags {
///     const FORM: Form = Form::Put;
///     const MAX_BYTES: usize = 5;
///     const COMMUTATIVE: bool = true;
///     const IDEMPOTENT: bool = true;
///     type Reply = u32;
///
///     fn identity() -> Self {
///         Self(0)
///     }
///
///     fn combine(&mut self, later: Self) {
///         self.0 |= later.0;
///     }
///
///     fn encode(&self, out: &mut Vec<u8>) {
///         out.push(1);
///         out.extend_from_slice(&self.0.to_le_bytes());
///     }
///
///     fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
///         match bytes {
///             [1, a, b, c, d] => Ok(Self(u32::from_le_bytes([*a, *b, *c, *d]))),
///             _ => Err(DecodeError("not flags of version 1".into())),
///         }
///     }
///
///     fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
///         visit(field, Some("Flags 1".into()));
///     }
///
///     fn reply(&self, _: &Question) -> murmur::Result<u32> {
///         Ok(self.0)
///     }
/// }
///
/// laws::check(&[Flags(0), Flags(1), Flags(0b110), Flags(u32::MAX)]);
/// ```
///
/// It is a field of a struct with `#[murmur::aggregate]`, which says the protobuf type of its reply:
/// `#[murmur(as = "uint32")] flags: Flags`, or a member of a tuple, `fields(flags(as = "uint32"))`; without that it is
/// `bytes`. What a [`Map`](super::Map) is of is said in the same way, and there it must be. `examples/service-health` has a
/// whole one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "aggregates are `Count`, `Sum<u64>`, `Average`, `Moments`, `Min<T>`, `Max<T>`, `First<T>`, `Last<T>`, `Latest<T>`, `Set<T, N>`, `Quantiles`, `Distinct`, `DistinctSet`, `TopK<N>`, `Decayed<SECONDS>`, `Membership<N>`, `Frequency`, `Map<K, A, N>`, structs with `#[murmur::aggregate]`, and your own `impl Monoid`"
)]
pub trait Monoid: Clone + fmt::Debug + Send + Sync + 'static {
    /// How tiles keep it.
    const FORM: Form;

    /// The most bytes that one encoded value takes; `usize::MAX` when there is no bound, which a pipeline has to accept by
    /// `unbounded`. Values of Form A count 16 bytes a number. Decides whether slots are packed into one item.
    const MAX_BYTES: usize;

    /// Of a struct: the field whose values can take the most bytes, and how many.
    const LARGEST_FIELD: Option<(&'static str, usize)> = None;

    /// Whether the order of combining changes nothing. What the store adds is added in any order.
    const COMMUTATIVE: bool = matches!(Self::FORM, Form::Add);

    /// Whether combining a value with itself changes nothing.
    const IDEMPOTENT: bool = false;

    /// What a query answers, as a protobuf field.
    type Reply: WireField;

    /// The value of no events.
    fn identity() -> Self;

    /// Put `later` after `self`.
    fn combine(&mut self, later: Self);

    /// Why this value of a single event must not be counted (NaN, an element too long); `None` when it may.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Form B: why `later`, the value of one event, must not be put after `self`, the fold of the events before it (a sum
    /// would leave its type); `None` when it may. It depends on these two alone, and the identity takes whatever
    /// [`refusal`](Self::refusal) does. Form A is not asked: nobody reads before the store adds.
    fn refuses(&self, later: &Self) -> Option<String> {
        let _ = later;
        None
    }

    /// Append the value's own bytes. What is stored around them carries a version and a checksum.
    fn encode(&self, out: &mut Vec<u8>);

    /// Read what [`encode`](Self::encode) wrote. Never panics; allocates no more than a small multiple of the input.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Form A: the numbers whose sums are the state, each with the column it is stored under. `field` is the field
    /// number to use.
    fn numbers(&self, field: u32, visit: &mut dyn FnMut(Column, Number)) {
        let _ = (field, visit);
    }

    /// Form A: take in one stored number. A column that is not this aggregate's is ignored: it belongs to another
    /// field, or to one that was removed.
    fn add_number(&mut self, field: u32, column: Column, number: Number) -> Result<(), DecodeError> {
        let _ = (field, column, number);
        Ok(())
    }

    /// What its stored values are made of, for whoever comes across them later: each field's number and what it is, or
    /// `None` for a field that was removed. `field` is the number to use. Values of one number and another text cannot
    /// be read as each other; what changes no stored byte (a name, how many items of a `TopK` are answered) is not in
    /// it. A monoid of your own says its name and version here.
    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some("custom".into()));
    }

    /// The sets in it that [set algebra](crate::query::Reader::combine_sets) works on, each with the name of its field;
    /// without a name where the value itself is one.
    fn sets(&self, visit: &mut dyn FnMut(&'static str, &DistinctSet)) {
        let _ = visit;
    }

    /// The answer, with what the question asks of it; an error when the value left the range of the reply's type.
    fn reply(&self, question: &Question) -> Result<Self::Reply, crate::Error>;
}

/// Form A: the numbers to store of a value that events were counted in: those that are not zero. Where all of them are,
/// one zero says that there were events.
pub(crate) fn stored_numbers<A: Monoid>(value: &A, mut visit: impl FnMut(Column, Number)) {
    let (mut first, mut any) = (None, false);
    value.numbers(0, &mut |column, number| {
        first.get_or_insert((column, number));
        if !number.is_zero() {
            any = true;
            visit(column, number);
        }
    });
    if let Some((column, number)) = first.filter(|_| !any) {
        visit(column, number);
    }
}
