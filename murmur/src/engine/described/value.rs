//! A message as serde reads it. The table is at [`Described`](super::Described).

use std::borrow::Cow;
use std::fmt;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use serde::de::value::{Error, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

/// A message of any type.
#[derive(Clone, Copy)]
pub(super) struct Message<'a>(pub(super) &'a DynamicMessage);

/// What the messages of protobuf itself stand for.
enum WellKnown {
    Timestamp {
        seconds: i64,
        nanos: i32,
    },
    Duration {
        seconds: i64,
        nanos: i32,
    },
    /// The field with the value.
    Wrapper(FieldDescriptor),
}

impl Message<'_> {
    fn well_known(self) -> Option<WellKnown> {
        let descriptor = self.0.descriptor();
        let name = descriptor.full_name().strip_prefix("google.protobuf.")?;
        let number = |number: u32| self.0.get_field_by_number(number);
        let seconds = || number(1).and_then(|value| value.as_i64()).unwrap_or_default();
        let nanos = || number(2).and_then(|value| value.as_i32()).unwrap_or_default();
        match name {
            "Timestamp" => Some(WellKnown::Timestamp { seconds: seconds(), nanos: nanos() }),
            "Duration" => Some(WellKnown::Duration { seconds: seconds(), nanos: nanos() }),
            "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value" | "StringValue"
            | "UInt32Value" | "UInt64Value" => descriptor.get_field(1).map(WellKnown::Wrapper),
            _ => None,
        }
    }

    /// The fields that have a value.
    fn fields<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let fields = self.0.descriptor().fields().collect::<Vec<_>>().into_iter();
        visitor.visit_map(Fields { message: self.0, fields, next: None })
    }
}

impl<'de> Deserializer<'de> for Message<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.well_known() {
            None => self.fields(visitor),
            Some(WellKnown::Timestamp { seconds, nanos }) => {
                let at = jiff::Timestamp::new(seconds, nanos).map_err(Error::custom)?;
                visitor.visit_str(&at.to_string())
            }
            Some(WellKnown::Duration { seconds, nanos }) => visitor.visit_map(parts(seconds, nanos, "secs", "nanos")?),
            Some(WellKnown::Wrapper(field)) => {
                Scalar { value: self.0.get_field(&field), kind: field.kind() }.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (self.well_known(), name) {
            (Some(WellKnown::Timestamp { seconds, nanos }), "SystemTime") => {
                visitor.visit_map(parts(seconds, nanos, "secs_since_epoch", "nanos_since_epoch")?)
            }
            (Some(WellKnown::Duration { .. }), "Duration") => self.deserialize_any(visitor),
            // A struct of the user's own.
            _ => self.fields(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.fields(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    // Only wrappers have a say in what they are read as.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.well_known() {
            Some(WellKnown::Wrapper(field)) => {
                Scalar { value: self.0.get_field(&field), kind: field.kind() }.deserialize_seq(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier
    }
}

/// As the standard library's times are written.
fn parts<'de>(
    seconds: i64,
    nanos: i32,
    of_seconds: &'static str,
    of_nanos: &'static str,
) -> Result<impl MapAccess<'de, Error = Error>, Error> {
    let before = || Error::custom(format!("{seconds} s and {nanos} ns lie before what the field can be"));
    let (seconds, nanos) = (u64::try_from(seconds), u64::try_from(nanos));
    let parts = [(of_seconds, seconds.map_err(|_| before())?), (of_nanos, nanos.map_err(|_| before())?)];
    Ok(MapDeserializer::<'de, _, Error>::new(parts.into_iter()))
}

/// The fields of a message, one after the other.
struct Fields<'a> {
    message: &'a DynamicMessage,
    fields: std::vec::IntoIter<FieldDescriptor>,
    next: Option<FieldDescriptor>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let message = self.message;
        let Some(field) = self.fields.find(|field| !field.supports_presence() || message.has_field(field)) else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = field.name().into_deserializer();
        let key = seed.deserialize(key)?;
        self.next = Some(field);
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(field) = self.next.take() else { return Err(Error::custom("a value without a key")) };
        let value = Scalar { value: self.message.get_field(&field), kind: field.kind() };
        seed.deserialize(value).map_err(|error| Error::custom(In(field.name(), error)))
    }
}

/// Where an error is.
struct In<'a>(&'a str, Error);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.0, self.1)
    }
}

/// The value of a field, with the kind of its elements.
struct Scalar<'a> {
    value: Cow<'a, Value>,
    kind: Kind,
}

impl Scalar<'_> {
    fn name_of(&self, number: i32) -> Option<String> {
        let Kind::Enum(descriptor) = &self.kind else { return None };
        descriptor.get_value(number).map(|value| value.name().to_owned())
    }
}

/// An integer is wanted: enums are their numbers. Everything else is what it is.
macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match *self.value {
                Value::EnumNumber(number) => visitor.visit_i32(number),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Scalar<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::I32(value) => visitor.visit_i32(*value),
            Value::I64(value) => visitor.visit_i64(*value),
            Value::U32(value) => visitor.visit_u32(*value),
            Value::U64(value) => visitor.visit_u64(*value),
            Value::F32(value) => visitor.visit_f32(*value),
            Value::F64(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Bytes(value) => visitor.visit_bytes(value),
            Value::EnumNumber(number) => match self.name_of(*number) {
                Some(name) => visitor.visit_str(&name),
                None => visitor.visit_i32(*number),
            },
            Value::Message(message) => Message(message).deserialize_any(visitor),
            Value::List(list) => visitor.visit_seq(List { rest: list.iter(), kind: &self.kind }),
            Value::Map(map) => {
                let Kind::Message(entry) = &self.kind else { return Err(Error::custom("a map without entries")) };
                visitor.visit_map(Map { rest: map.iter(), next: None, kind: entry.map_entry_value_field().kind() })
            }
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            Value::Message(message) => Message(message).deserialize_seq(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Message(message) => Message(message).deserialize_struct(name, fields, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &*self.value {
            Value::Message(message) => Message(message).deserialize_map(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (&*self.value, &self.kind) {
            (Value::EnumNumber(number), Kind::Enum(descriptor)) => match descriptor.get_value(*number) {
                Some(value) => visitor.visit_enum(Variant(value.name())),
                None => Err(unknown(descriptor, *number)),
            },
            (Value::String(name), _) => visitor.visit_enum(Variant(name)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

fn unknown(descriptor: &EnumDescriptor, number: i32) -> Error {
    Error::custom(format!("{number} is no value of `{}`", descriptor.full_name()))
}

/// A variant without fields.
struct Variant<'a>(&'a str);

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(self.holds_nothing())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(self.holds_nothing())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Error> {
        Err(self.holds_nothing())
    }
}

impl Variant<'_> {
    fn holds_nothing(&self) -> Error {
        Error::custom(format!("the value `{}` of an enum of protobuf holds nothing", self.0))
    }
}

struct List<'a> {
    rest: std::slice::Iter<'a, Value>,
    kind: &'a Kind,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let next = self.rest.next().map(|value| Scalar { value: Cow::Borrowed(value), kind: self.kind.clone() });
        next.map(|value| seed.deserialize(value)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Map<'a> {
    rest: std::collections::hash_map::Iter<'a, MapKey, Value>,
    next: Option<&'a Value>,
    /// Of the values.
    kind: Kind,
}

impl<'de> MapAccess<'de> for Map<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.next = Some(value);
        let key = match key {
            MapKey::Bool(key) => seed.deserialize(de::value::BoolDeserializer::<Error>::new(*key)),
            MapKey::I32(key) => seed.deserialize(de::value::I32Deserializer::<Error>::new(*key)),
            MapKey::I64(key) => seed.deserialize(de::value::I64Deserializer::<Error>::new(*key)),
            MapKey::U32(key) => seed.deserialize(de::value::U32Deserializer::<Error>::new(*key)),
            MapKey::U64(key) => seed.deserialize(de::value::U64Deserializer::<Error>::new(*key)),
            MapKey::String(key) => seed.deserialize(StrDeserializer::<Error>::new(key)),
        };
        key.map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(value) = self.next.take() else { return Err(Error::custom("a value without a key")) };
        seed.deserialize(Scalar { value: Cow::Borrowed(value), kind: self.kind.clone() })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}
