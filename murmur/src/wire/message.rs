//! Messages as fields, and the macro that makes them.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

use super::{WireField, WireMessage, WireValue};

impl<M: WireMessage> WireField for M {
    const PROTO: &'static str = M::NAME;

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        prost::encoding::message::encode(number, self, buf);
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::message::merge(wire_type, self, buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        prost::encoding::message::encoded_len(number, self)
    }
}

impl<M: WireMessage> WireValue for M {
    const OPTIONAL: &'static str = M::NAME;

    fn encode_value(&self, number: u32, buf: &mut impl BufMut) {
        self.encode_field(number, buf);
    }

    fn value_len(&self, number: u32) -> usize {
        self.field_len(number)
    }
}

/// What several messages have in common, so that it is made once.
impl<T: WireField> WireField for Arc<T> {
    const PROTO: &'static str = T::PROTO;

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        T::encode_field(self, number, buf);
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        Arc::make_mut(self).merge_field(wire_type, buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        T::field_len(self, number)
    }

    fn is_absent(&self) -> bool {
        T::is_absent(self)
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

/// Makes a struct a protobuf message, and so a [`WireField`](crate::wire::WireField), as are `Option` and `Vec` of it.
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
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::default::Default, ::core::cmp::PartialEq)]
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
                    $($number => $crate::wire::WireField::merge_field(&mut self.$field, wire_type, buf, context).map_err(|mut error| {
                        // As prost's derive does it: the error says in which field.
                        error.push(::core::stringify!($name), $crate::wire::plain_name(::core::stringify!($field)));
                        error
                    }),)*
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

        impl $crate::wire::WireMessage for $name {
            const NAME: &'static str = $proto;
            const REPEATED: &'static str = ::core::concat!("repeated ", $proto);
            const SHAPE: &'static [$crate::wire::FieldShape] =
                &[$($crate::wire::FieldShape::of::<$ty>(::core::stringify!($field), $number),)*];
        }
    )*};
}
