//! What `#[murmur::event]` and `#[murmur::value]` implement.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use crate::source::Envelope;
use crate::time::{Span, Timestamp};

mod beside;

pub use beside::{BesideField, FromBytes, FromTimestamp, Place};

/// An event: what a source's payload decodes to.
///
/// Implemented by `#[murmur::event]` on a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "an event is a struct with `#[murmur::event]`",
    note = "put `#[murmur::event]` above `{Self}`"
)]
pub trait Event: Send + Sync + Sized + 'static {
    /// The name of the struct.
    const NAME: &'static str;

    /// Its fields, in order of declaration.
    const FIELDS: &'static [&'static str];

    /// Those of its fields that do not come from the payload.
    const BESIDE: &'static [BesideField] = &[];

    /// Set the fields of [`BESIDE`](Self::BESIDE). The error says why the event cannot be counted.
    fn fill(&mut self, envelope: &Envelope<'_>) -> Result<(), String> {
        let _ = envelope;
        Ok(())
    }

    /// When it happened: the field with `#[murmur(time)]`; `None` when there is no such field.
    fn time(&self) -> Option<Timestamp>;
}

/// One field of an event, found by the hash of its name ([`field_hash`]).
///
/// The pipeline's macro sees only names; this is how the compiler tells it the types.
#[diagnostic::on_unimplemented(
    message = "the event `{Self}` has no such field",
    label = "no field of this name in `{Self}`",
    note = "the names after `key =`, `rollup =` and `dedup =` are fields of the event"
)]
pub trait Field<const NAME: u64> {
    /// Its type.
    type Type: Is<Self::Read>;

    /// What the macro read the type as.
    type Read: ?Sized;

    /// Its value.
    fn get(&self) -> &Self::Type;
}

/// An event with a field `#[murmur(time)]`.
#[diagnostic::on_unimplemented(
    message = "a window needs the time of the event, and `{Self}` has none",
    label = "this window needs to know when `{Self}` happened",
    note = "put `#[murmur(time)]` on a `Timestamp` field of `{Self}`, or leave `window` out"
)]
pub trait Timed: Event {}

/// A type that is what its spelling says.
///
/// The macros read types by their names, and contracts are made of what they read. This has the compiler check the
/// reading: `type Id = usize;` passes for a type of the user's own, and a `String` of some other crate for the standard
/// library's, until here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the type that its name says: it was read as `{C}`",
    label = "`{Self}`, read as `{C}`",
    note = "types are read by their names, and aliases are not followed: write the type itself, put `#[murmur::value]` on a type of your own, or say `#[murmur(as = \"string\")]`"
)]
pub trait Is<C: ?Sized> {}

/// What any type with `#[murmur::value]` is read as.
#[derive(Debug)]
pub enum AnyValue {}

/// What a field with `#[murmur(as = "string")]` is read as: a type that shows itself.
#[derive(Debug)]
pub enum Shown {}

/// What a field with `#[murmur(as = "uint64")]` and the like is read as: a type that converts to it.
#[derive(Debug)]
pub struct Converted<C>(std::marker::PhantomData<C>);

/// What `Uuid` is read as: the type of the crate `uuid`, which is not named here; any type of 16 bytes will do.
#[derive(Debug)]
pub enum AnyUuid {}

/// What `DateTime<Tz>` is read as: the type of the crate `chrono`, which is not named here; any type that converts into
/// the standard library's time will do.
#[derive(Debug)]
pub enum AnyDateTime {}

macro_rules! is_itself {
    ($($ty:ty),*) => {$(impl Is<$ty> for $ty {})*};
}

is_itself!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, String, Timestamp, Span);

impl Is<Timestamp> for SystemTime {}
impl Is<Timestamp> for jiff::Timestamp {}
impl Is<Span> for std::time::Duration {}
impl Is<Vec<u8>> for bytes::Bytes {}
#[diagnostic::do_not_recommend]
impl<T: std::fmt::Display> Is<Shown> for T {}
#[diagnostic::do_not_recommend]
impl<T: Clone + Into<C>, C> Is<Converted<C>> for T {}
#[diagnostic::do_not_recommend]
impl<T: Into<[u8; 16]> + std::fmt::Display> Is<AnyUuid> for T {}
#[diagnostic::do_not_recommend]
impl<T: Clone + Into<SystemTime>> Is<AnyDateTime> for T {}
impl<T: Is<C>, C> Is<Option<C>> for Option<T> {}
impl<T: Is<C>, C> Is<Vec<C>> for Vec<T> {}
impl<T: Is<C>, C> Is<Box<C>> for Box<T> {}
impl<K: Is<L>, V: Is<W>, S, L, W> Is<HashMap<L, W>> for HashMap<K, V, S> {}
impl<K: Is<L>, V: Is<W>, L, W> Is<BTreeMap<L, W>> for BTreeMap<K, V> {}

/// A type that can be the time of an event.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the time of an event",
    label = "not a time",
    note = "times are `murmur::time::Timestamp`, `std::time::SystemTime`, `jiff::Timestamp` and `chrono::DateTime`"
)]
pub trait Instant {
    /// As a timestamp, finer digits than microseconds cut off.
    fn instant(&self) -> Timestamp;
}

impl Instant for Timestamp {
    fn instant(&self) -> Timestamp {
        *self
    }
}

impl Instant for jiff::Timestamp {
    fn instant(&self) -> Timestamp {
        Timestamp::from_micros(self.as_nanosecond().div_euclid(1_000).try_into().unwrap_or(i64::MAX))
    }
}

impl Instant for SystemTime {
    fn instant(&self) -> Timestamp {
        Timestamp::from_micros(match self.duration_since(Self::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(error) => i64::try_from(error.duration().as_nanos().div_ceil(1_000)).map_or(i64::MIN, |before| -before),
        })
    }
}

/// FNV-1a of a field's name, the number that [`Field`] is implemented for.
pub const fn field_hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_of_all_types_are_floored_to_microseconds() {
        let after = Timestamp::from_micros(1_000_001);
        assert_eq!((UNIX_EPOCH + Duration::from_nanos(1_000_001_999)).instant(), after);
        assert_eq!(jiff::Timestamp::from_nanosecond(1_000_001_999).unwrap().instant(), after);
        let before = Timestamp::from_micros(-2);
        assert_eq!((UNIX_EPOCH - Duration::from_nanos(1_001)).instant(), before);
        assert_eq!(jiff::Timestamp::from_nanosecond(-1_001).unwrap().instant(), before);
    }

    #[test]
    fn hashes_of_names_are_those_of_the_macros() {
        // FNV-1a, 64 bits: the published value for `foobar`.
        assert_eq!(field_hash("foobar"), 0x85944171f73967e8);
    }
}
