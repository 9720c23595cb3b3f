use std::cmp::Ordering;

use super::{DecodeError, Form, Given, Monoid, Question, Value};
use crate::Error;
use crate::time::Timestamp;

/// The encoding: nothing, or the time (8 bytes) and the value.
fn encode<T: Value>(kept: Option<&(Timestamp, T)>, out: &mut Vec<u8>) {
    if let Some((at, value)) = kept {
        at.encode(out);
        value.encode(out);
    }
}

fn decode<T: Value>(bytes: &[u8]) -> Result<Option<(Timestamp, T)>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (at, value) = bytes
        .split_at_checked(Timestamp::MAX_BYTES)
        .ok_or_else(|| DecodeError(format!("a value with its time has more than {} bytes", bytes.len())))?;
    Ok(Some((Timestamp::decode(at)?, T::decode(value)?)))
}

macro_rules! timed {
    ($(#[$doc:meta])* $name:ident, $replaces:pat) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name<T: Value>(Option<(Timestamp, T)>);

        impl<T: Value> $name<T> {
            /// The value of one event and its time; nothing when the value is `None`.
            pub fn at(time: Timestamp, value: impl Given<T>) -> Self {
                Self(value.given().map(|value| (time, value)))
            }
        }

        impl<T: Value> Monoid for $name<T> {
            const FORM: Form = Form::Put;
            const MAX_BYTES: usize = Timestamp::MAX_BYTES + T::MAX_BYTES;
            const IDEMPOTENT: bool = true;
            type Reply = Option<T::Timed>;

            fn identity() -> Self {
                Self(None)
            }

            fn combine(&mut self, later: Self) {
                let replaces = match (&self.0, &later.0) {
                    (Some((present, _)), Some((later, _))) => matches!(later.cmp(present), $replaces),
                    (present, _) => present.is_none(),
                };
                if replaces {
                    *self = later;
                }
            }

            fn refusal(&self) -> Option<String> {
                self.0.as_ref()?.1.refusal()
            }

            fn encode(&self, out: &mut Vec<u8>) {
                encode(self.0.as_ref(), out);
            }

            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                decode(bytes).map(Self)
            }

            fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
                visit(field, Some(format!("{}<{}>", stringify!($name), T::name())));
            }

            fn reply(&self, _: &Question) -> Result<Option<T::Timed>, Error> {
                Ok(self.0.as_ref().map(|(at, value)| value.timed(*at)))
            }
        }
    };
}

timed! {
    /// The value of the earliest time; of equal times, the one that comes first in the order of combining: what came in
    /// time before what came late, then partitions by their names, then offsets.
    First, Ordering::Less
}

timed! {
    /// The value of the latest time; of equal times, the one that comes last in the order of combining, as
    /// [`First`] has it.
    Last, Ordering::Greater | Ordering::Equal
}
