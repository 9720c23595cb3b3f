//! The values that `Min`, `Max`, `First`, `Last` and `Latest` keep.

use std::cmp::Ordering;

use super::DecodeError;
use crate::time::Timestamp;
use crate::wire::{WireMessage, WireValue, types};

/// Longest text that is kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A value that `Min`, `Max`, `First`, `Last` and `Latest` keep: `String`, integers of 32 and 64 bits, `f64`, `bool`,
/// `Timestamp`, [`Decimal`](super::Decimal).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept by `Min`, `Max`, `First`, `Last` or `Latest`",
    label = "not a value that is kept",
    note = "these are `String`, `u32`, `u64`, `i32`, `i64`, `f64`, `bool`, `Timestamp` and `Decimal<2>`; narrower numbers can be given to a wider one as they are"
)]
pub trait Value: WireValue {
    /// The most bytes that [`encode`](Self::encode) writes.
    const MAX_BYTES: usize;

    /// The reply of `First` and `Last`.
    type Timed: WireMessage;

    /// Its type, as tables record what they hold: values of one name are read as each other.
    fn name() -> String {
        Self::PROTO.to_owned()
    }

    /// A total order.
    fn order(&self, other: &Self) -> Ordering;

    /// Why it cannot be kept.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Append its bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Read what [`encode`](Self::encode) wrote.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// With the time of its event.
    fn timed(&self, at: Timestamp) -> Self::Timed;
}

/// Exactly `N` bytes.
fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError(format!("{what} has {N} bytes, not {}", bytes.len())))
}

macro_rules! number {
    ($($ty:ty, $order:expr, $timed:ident;)*) => {$(
        impl Value for $ty {
            const MAX_BYTES: usize = size_of::<$ty>();
            type Timed = types::$timed;

            fn order(&self, other: &Self) -> Ordering {
                let order: fn(&$ty, &$ty) -> Ordering = $order;
                order(self, other)
            }

            fn refusal(&self) -> Option<String> {
                // Only a NaN is not itself.
                #[allow(clippy::eq_op, reason = "the types without NaN share this line")]
                (self != self).then(|| "a NaN has no place in an order".to_owned())
            }

            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(exactly(bytes, stringify!($ty))?))
            }

            fn timed(&self, at: Timestamp) -> Self::Timed {
                types::$timed { at: Some(at), value: (*self).into() }
            }
        }
    )*};
}

number! {
    u32, Ord::cmp, TimedUint64;
    u64, Ord::cmp, TimedUint64;
    i32, Ord::cmp, TimedInt64;
    i64, Ord::cmp, TimedInt64;
    f64, f64::total_cmp, TimedDouble;
}

impl Value for bool {
    const MAX_BYTES: usize = 1;
    type Timed = types::TimedBool;

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError(format!("{} bytes that are no bool", bytes.len()))),
        }
    }

    fn timed(&self, at: Timestamp) -> Self::Timed {
        types::TimedBool { at: Some(at), value: *self }
    }
}

impl Value for Timestamp {
    const MAX_BYTES: usize = 8;
    type Timed = types::TimedTimestamp;

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.as_micros().encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let micros = i64::decode(bytes)?;
        Self::exactly(micros).ok_or_else(|| DecodeError("a kept time is outside the years 1 to 9999".into()))
    }

    fn timed(&self, at: Timestamp) -> Self::Timed {
        types::TimedTimestamp { at: Some(at), value: Some(*self) }
    }
}

impl Value for String {
    const MAX_BYTES: usize = MAX_TEXT_BYTES;
    type Timed = types::TimedString;

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn refusal(&self) -> Option<String> {
        let bytes = self.len();
        (bytes > MAX_TEXT_BYTES)
            .then(|| format!("a text of {bytes} bytes is too long; at most {MAX_TEXT_BYTES} are kept"))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(DecodeError(format!("a kept text has at most {MAX_TEXT_BYTES} bytes, not {}", bytes.len())));
        }
        let text =
            std::str::from_utf8(bytes).map_err(|error| DecodeError(format!("a kept text is not UTF-8: {error}")))?;
        Ok(text.to_owned())
    }

    fn timed(&self, at: Timestamp) -> Self::Timed {
        types::TimedString { at: Some(at), value: self.clone() }
    }
}
