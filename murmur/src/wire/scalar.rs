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

impl WireField for Vec<String> {
    const PROTO: &'static str = "repeated string";

    fn encode_field(&self, number: u32, buf: &mut impl BufMut) {
        prost::encoding::string::encode_repeated(number, self, buf);
    }

    fn merge_field(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::string::merge_repeated(wire_type, self, buf, context)
    }

    fn field_len(&self, number: u32) -> usize {
        prost::encoding::string::encoded_len_repeated(number, self)
    }
}
