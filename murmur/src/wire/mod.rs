//! Protobuf without generated code: how single fields are written, and messages made of them.
//!
//! [`message!`](crate::message) makes messages, [`types`] holds those that all pipelines share; `Timestamp` and
//! `Span` are `google.protobuf.Timestamp` and `google.protobuf.Duration`.

use std::fmt;

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

mod enums;
mod message;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
mod time;
pub mod types;

/// A type that can stand as a field of a protobuf message.
pub trait WireField: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The field's type as the `.proto` writes it: `uint64`, `optional uint64`, `murmur.v1.Estimate`, `repeated string`.
    const PROTO: &'static str;

    /// Append the field under its number. Nothing for the default of a field without presence.
    fn encode_field(&self, number: u32, buf: &mut impl BufMut);

    /// Read one occurrence of the field.
    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError>;

    /// Bytes that [`encode_field`](Self::encode_field) will append.
    fn field_len(&self, number: u32) -> usize;

    /// Whether it is the absence of a value, which nothing can stand for where a value must be.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A single value: what can stand in an `Option`, with presence of its own.
pub trait WireValue: WireField {
    /// [`PROTO`](WireField::PROTO) of `Option<Self>`. Messages have presence anyway and need no `optional`.
    const OPTIONAL: &'static str;

    /// Append the value under its number, also when it is the default.
    fn encode_value(&self, number: u32, buf: &mut impl BufMut);

    /// Bytes that [`encode_value`](Self::encode_value) will append.
    fn value_len(&self, number: u32) -> usize;
}

impl<V: WireValue> WireField for Option<V> {
    const PROTO: &'static str = V::OPTIONAL;

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        if let Some(value) = self {
            value.encode_value(number, buf);
        }
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.get_or_insert_default().merge_field(wire_type, buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        self.as_ref().map_or(0, |value| value.value_len(number))
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// A protobuf message that knows its own description.
pub trait WireMessage: prost::Message + Clone + Default + PartialEq + fmt::Debug + 'static {
    /// `package.Message`.
    const NAME: &'static str;
    /// `repeated package.Message`.
    const REPEATED: &'static str;
    /// Its fields, in order of declaration.
    const SHAPE: &'static [FieldShape];
}

/// One field of a message, as the `.proto` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldShape {
    /// Name.
    pub name: &'static str,
    /// Number.
    pub number: u32,
    /// Type, as [`WireField::PROTO`].
    pub proto: &'static str,
}

impl FieldShape {
    /// The shape of a field of type `F`; `name` may be a raw identifier.
    pub const fn of<F: WireField>(name: &'static str, number: u32) -> Self {
        Self { name: plain_name(name), number, proto: F::PROTO }
    }
}

/// A Rust identifier without `r#`.
pub const fn plain_name(name: &str) -> &str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// What stands before the words of an error that is about a value.
const REFUSED: &str = "not possible: ";

/// An error for bytes that are protobuf, but say something impossible.
pub(crate) fn refused(why: impl fmt::Display) -> DecodeError {
    #[allow(deprecated, reason = "prost offers no other way to refuse a value, and keeps this one for the 0.14 series")]
    DecodeError::new(format!("{REFUSED}{why}"))
}

/// Of an error by [`refused`], the path of the field that has the value, and why it cannot be. `None` for bytes that are no message.
///
/// prost shows what it has of the path in the text alone: `Message.field: ` for each level, the innermost first.
#[cfg(feature = "grpc")]
pub(crate) fn refusal(error: &DecodeError) -> Option<(String, String)> {
    let text = error.to_string();
    let (places, why) = text.split_once(REFUSED)?;
    let places = places.trim_end_matches(": ").rsplit(": ");
    let fields: Vec<&str> = places.filter_map(|place| Some(place.rsplit_once('.')?.1)).collect();
    Some((fields.join("."), why.to_owned()))
}

/// Whether two type texts are equal, at compile time.
pub const fn same_proto(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
