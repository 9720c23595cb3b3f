use std::cmp::Ordering;

use super::{DecodeError, Form, Given, Monoid, Question, Value};
use crate::Error;

/// The encoding of a value that may be missing: nothing, or a byte 1 and the value.
fn encode<T: Value>(value: Option<&T>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        out.push(1);
        value.encode(out);
    }
}

fn decode<T: Value>(bytes: &[u8]) -> Result<Option<T>, DecodeError> {
    match bytes {
        [] => Ok(None),
        [1, value @ ..] => T::decode(value).map(Some),
        [tag, ..] => Err(DecodeError(format!("a kept value begins with 1, not {tag}"))),
    }
}

macro_rules! extreme {
    ($(#[$doc:meta])* $name:ident, $replaces:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name<T: Value>(Option<T>);

        impl<T: Value> $name<T> {
            /// The value of one event; nothing when it is `None`.
            pub fn of(value: impl Given<T>) -> Self {
                Self(value.given())
            }
        }

        impl<T: Value> Monoid for $name<T> {
            const FORM: Form = Form::Put;
            const MAX_BYTES: usize = 1 + T::MAX_BYTES;
            const COMMUTATIVE: bool = true;
            const IDEMPOTENT: bool = true;
            type Reply = Option<T>;

            fn identity() -> Self {
                Self(None)
            }

            fn combine(&mut self, later: Self) {
                let replaces = match (&self.0, &later.0) {
                    (Some(present), Some(later)) => later.order(present) == $replaces,
                    (present, _) => present.is_none(),
                };
                if replaces {
                    *self = later;
                }
            }

            fn refusal(&self) -> Option<String> {
                self.0.as_ref()?.refusal()
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

            fn reply(&self, _: &Question) -> Result<Option<T>, Error> {
                Ok(self.0.clone())
            }
        }
    };
}

extreme! {
    /// The smallest value; texts by their bytes, `-0.0` below `0.0`. NaN is refused, as is a text over 1 KiB.
    Min, Ordering::Less
}

extreme! {
    /// The largest value; texts by their bytes, `-0.0` below `0.0`. NaN is refused, as is a text over 1 KiB.
    Max, Ordering::Greater
}
