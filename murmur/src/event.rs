//! What `#[murmur::event]` implements.

use crate::time::Timestamp;

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

    /// When it happened: the field with `#[murmur(time)]`; `None` when there is no such field.
    fn time(&self) -> Option<Timestamp>;
}

/// One field of an event, found by the hash of its name ([`field_hash`]).
///
/// The pipeline's macro sees only names; this is how the compiler tells it the types.
#[diagnostic::on_unimplemented(
    message = "the event `{Self}` has no such field",
    label = "no field of this name in `{Self}`",
    note = "the names after `key =` and `rollup =` are fields of the event"
)]
pub trait Field<const NAME: u64> {
    /// Its type.
    type Type;

    /// Its value.
    fn get(&self) -> &Self::Type;
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
