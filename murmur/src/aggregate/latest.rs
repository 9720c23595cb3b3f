use std::cmp::Ordering;

use super::{DecodeError, Form, Given, Monoid, Question, Value};
use crate::Error;
use crate::time::Timestamp;

/// The value of the greatest version: "set if newer".
///
/// Of equal versions the greater value stays, so that neither order nor repetition of events shows. Versions are whole
/// numbers or times; those of one pipeline should be of one type, as whole numbers are compared with the microseconds of
/// times.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest<T: Value>(Option<(i128, T)>);

impl<T: Value> Latest<T> {
    /// The value of one event and its version; nothing when the value is `None`.
    pub fn of(version: impl Version, value: impl Given<T>) -> Self {
        Self(value.given().map(|value| (version.version(), value)))
    }
}

/// What [`Latest`] compares: whole numbers, `Timestamp`, and references to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a version",
    label = "versions are whole numbers or `Timestamp`"
)]
pub trait Version {
    /// As a number; greater is newer.
    fn version(self) -> i128;
}

macro_rules! version {
    ($($ty:ty)*) => {$(
        impl Version for $ty {
            fn version(self) -> i128 {
                self.into()
            }
        }

        impl Version for &$ty {
            fn version(self) -> i128 {
                (*self).into()
            }
        }
    )*};
}

version!(u8 u16 u32 u64 i8 i16 i32 i64);

impl Version for Timestamp {
    fn version(self) -> i128 {
        self.as_micros().into()
    }
}

impl Version for &Timestamp {
    fn version(self) -> i128 {
        (*self).version()
    }
}

/// The encoding: nothing, or the version (16 bytes) and the value.
impl<T: Value> Monoid for Latest<T> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = size_of::<i128>() + T::MAX_BYTES;
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = Option<T>;

    fn identity() -> Self {
        Self(None)
    }

    fn combine(&mut self, later: Self) {
        let replaces = match (&self.0, &later.0) {
            (Some((present, value)), Some((later, newer))) => {
                later.cmp(present).then_with(|| newer.order(value)) == Ordering::Greater
            }
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
        if let Some((version, value)) = &self.0 {
            out.extend_from_slice(&version.to_le_bytes());
            value.encode(out);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first_chunk() {
            Some((version, value)) => Ok(Self(Some((i128::from_le_bytes(*version), T::decode(value)?)))),
            None if bytes.is_empty() => Ok(Self(None)),
            None => Err(DecodeError(format!("a value with its version has more than {} bytes", bytes.len()))),
        }
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Latest<{}>", T::name())));
    }

    fn reply(&self, _: &Question) -> Result<Option<T>, Error> {
        Ok(self.0.as_ref().map(|(_, value)| value.clone()))
    }
}
