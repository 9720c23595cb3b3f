//! Scalars as fields, from prost's encoders.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

use super::{WireField, WireValue};

macro_rules! scalar {
    ($($ty:ty => $module:ident, $proto:literal;)*) => {$(
        impl WireField for $ty {
            const PROTO: &'static str = $proto;

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                if *self != <$ty>::default() {
                    self.encode_value(number, buf);
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
                if *self != <$ty>::default() { self.value_len(number) } else { 0 }
            }
        }

        impl WireValue for $ty {
            const OPTIONAL: &'static str = concat!("optional ", $proto);

            fn encode_value(&self, number: u32, buf: &mut impl BufMut) {
                prost::encoding::$module::encode(number, self, buf);
            }

            fn value_len(&self, number: u32) -> usize {
                prost::encoding::$module::encoded_len(number, self)
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

/// Repeated scalars: texts one by one, numbers packed.
macro_rules! repeated {
    ($($ty:ty => $module:ident, $proto:literal, $encode:ident, $len:ident;)*) => {$(
        impl WireField for Vec<$ty> {
            const PROTO: &'static str = concat!("repeated ", $proto);

            fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
                prost::encoding::$module::$encode(number, self, buf);
            }

            fn merge_field(
                &mut self,
                wire_type: WireType,
                buf: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::$module::merge_repeated(wire_type, self, buf, context)
            }

            fn field_len(&self, number: u32) -> usize {
                prost::encoding::$module::$len(number, self)
            }
        }
    )*};
}

repeated! {
    String => string, "string", encode_repeated, encoded_len_repeated;
    u64 => uint64, "uint64", encode_packed, encoded_len_packed;
    i64 => int64, "int64", encode_packed, encoded_len_packed;
    f64 => double, "double", encode_packed, encoded_len_packed;
}
