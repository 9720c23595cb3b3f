//! Protobuf without generated code: how single fields are written, and messages made of them.

use std::fmt;

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

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
}

/// Implements [`WireField`] for scalars, with `Option` (explicit presence), from prost's encoders.
macro_rules! scalar {
    ($($ty:ty => $module:ident, $proto:literal;)*) => {$(
        impl WireField for $ty {
            const PROTO: &'static str = $proto;

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                if *self != <$ty>::default() {
                    prost::encoding::$module::encode(number, self, buf);
                }
            }

            fn merge_field(
                &mut self,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::$module::merge(wire_type, self, buf, context)
            }

            fn field_len(&self, number: u32) -> usize {
                if *self != <$ty>::default() { prost::encoding::$module::encoded_len(number, self) } else { 0 }
            }
        }

        impl WireField for Option<$ty> {
            const PROTO: &'static str = concat!("optional ", $proto);

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                if let Some(value) = self {
                    prost::encoding::$module::encode(number, value, buf);
                }
            }

            fn merge_field(
                &mut self,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::$module::merge(wire_type, self.get_or_insert_default(), buf, context)
            }

            fn field_len(&self, number: u32) -> usize {
                self.as_ref().map_or(0, |value| prost::encoding::$module::encoded_len(number, value))
            }
        }
    )*};
}

scalar! {
    bool => bool, "bool";
    u32 => uint32, "uint32";
    u64 => uint64, "uint64";
    i32 => int32, "int32";
    i64 => int64, "int64";
    f32 => float, "float";
    f64 => double, "double";
    String => string, "string";
    Vec<u8> => bytes, "bytes";
}

/// Makes a struct a protobuf message, a [`WireField`], and so are `Option` and `Vec` of it.
///
/// ```
/// murmur::message! {
///     /// An estimate with its bounds.
///     pub struct Guess: "example.v1.Guess" {
///         /// The value itself.
///         value: f64 = 1,
///         /// Names given.
///         name: Option<String> = 2,
///     }
/// }
/// ```
#[macro_export]
macro_rules! message {
    ($(
        $(#[$meta:meta])* $vis:vis struct $name:ident : $proto:literal {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty = $number:literal),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        impl $crate::__private::prost::Message for $name {
            #[allow(unused_variables, reason = "a message may have no fields")]
            fn encode_raw(&self, buf: &mut impl $crate::__private::BufMut) {
                $($crate::wire::WireField::encode_field(&self.$field, $number, buf);)*
            }

            #[allow(unused_variables, reason = "a message may have no fields")]
            fn merge_field(
                &mut self,
                tag: u32,
                wire_type: $crate::__private::WireType,
                buf: &mut impl $crate::__private::Buf,
                context: $crate::__private::DecodeContext,
            ) -> ::core::result::Result<(), $crate::__private::prost::DecodeError> {
                match tag {
                    $($number => $crate::wire::WireField::merge_field(&mut self.$field, wire_type, buf, context),)*
                    _ => $crate::__private::skip_field(wire_type, tag, buf, context),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ $crate::wire::WireField::field_len(&self.$field, $number))*
            }

            fn clear(&mut self) {
                *self = ::core::default::Default::default();
            }
        }

        $crate::message_field!($name, $proto);
    )*};
}

/// [`WireField`] for a type that is a `prost::Message`, always present, and for `Option` and `Vec` of it.
#[doc(hidden)]
#[macro_export]
macro_rules! message_field {
    ($name:ty, $proto:literal) => {
        impl $crate::wire::WireMessage for $name {
            const NAME: &'static str = $proto;
            const OPTIONAL: &'static str = ::core::concat!("optional ", $proto);
            const REPEATED: &'static str = ::core::concat!("repeated ", $proto);
        }

        impl $crate::wire::WireField for $name {
            const PROTO: &'static str = $proto;

            fn encode_field(&self, number: u32, buf: &mut impl $crate::__private::BufMut) {
                $crate::__private::prost::encoding::message::encode(number, self, buf);
            }

            fn merge_field(
                &mut self,
                wire_type: $crate::__private::WireType,
                buf: &mut impl $crate::__private::Buf,
                context: $crate::__private::DecodeContext,
            ) -> ::core::result::Result<(), $crate::__private::prost::DecodeError> {
                $crate::__private::prost::encoding::message::merge(wire_type, self, buf, context)
            }

            fn field_len(&self, number: u32) -> usize {
                $crate::__private::prost::encoding::message::encoded_len(number, self)
            }
        }
    };
}

/// A protobuf message with its full name.
pub trait WireMessage: prost::Message + Clone + Default + PartialEq + fmt::Debug + 'static {
    /// `package.Message`.
    const NAME: &'static str;
    #[doc(hidden)]
    const OPTIONAL: &'static str;
    #[doc(hidden)]
    const REPEATED: &'static str;
}

impl<M: WireMessage> WireField for Option<M> {
    const PROTO: &'static str = M::NAME;

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        if let Some(message) = self {
            prost::encoding::message::encode(number, message, buf);
        }
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::message::merge(wire_type, self.get_or_insert_default(), buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        self.as_ref().map_or(0, |message| prost::encoding::message::encoded_len(number, message))
    }
}

impl<M: WireMessage> WireField for Vec<M> {
    const PROTO: &'static str = M::REPEATED;

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        prost::encoding::message::encode_repeated(number, self, buf);
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::message::merge_repeated(wire_type, self, buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        prost::encoding::message::encoded_len_repeated(number, self)
    }
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
