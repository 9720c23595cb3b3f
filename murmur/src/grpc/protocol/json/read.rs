//! JSON of a request into its message, and where it is wrong.
//!
//! prost-reflect reads the values. What it reads from is `serde_json` behind a layer that knows of each value which field it is of:
//! so a field that is given twice is seen, and one that there is not; and when a value is refused, each level around it says its
//! name on the way out. Where all is well that costs a look at the names, and no second pass.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use smallvec::SmallVec;
use tonic::Status;

use super::mistake::{Step, Trail, What};

/// The message of a JSON text.
///
/// Errors: a status, without details yet, that says what is wrong and where, and nothing of a value.
pub(in crate::grpc::protocol) fn read(json: &[u8], message: &MessageDescriptor) -> Result<DynamicMessage, Status> {
    let trail = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let watched = Watched { inner: &mut reader, place: Place::of_one(&Kind::Message(message.clone())), trail: &trail };
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(message.clone(), watched, &options);
    let read = read.and_then(|read| reader.end().map(|()| read));
    read.map_err(|error| trail.into_inner().status(message, &error))
}

/// What a value is of, as far as it has names in it.
#[derive(Debug, Clone)]
enum Place {
    Message(MessageDescriptor),
    List(Kind),
    Map(Kind),
    /// A whole number.
    Whole,
    /// Of a type that has a JSON of its own, or none with others in it.
    Other,
}

impl Place {
    fn of_field(field: &FieldDescriptor) -> Self {
        match field.kind() {
            kind if field.is_list() => Self::List(kind),
            Kind::Message(entry) if field.is_map() => Self::Map(entry.map_entry_value_field().kind()),
            kind => Self::of_one(&kind),
        }
    }

    fn of_one(kind: &Kind) -> Self {
        match kind {
            Kind::Message(message) if message.package_name() != "google.protobuf" => Self::Message(message.clone()),
            // They are written as the number alone.
            Kind::Message(message) if matches!(message.name(), "Int64Value" | "UInt64Value") => Self::Whole,
            Kind::Message(_) | Kind::Enum(_) | Kind::Bool | Kind::String | Kind::Bytes => Self::Other,
            Kind::Float | Kind::Double => Self::Other,
            _ => Self::Whole,
        }
    }
}

/// A part of a reader, or of what reads from it, that knows its place.
struct Watched<'t, T> {
    inner: T,
    place: Place,
    trail: &'t RefCell<Trail>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Self { inner, place, trail } = self;
        inner.deserialize_any(Watched { inner: visitor, place, trail })
    }

    // `null` is no value where a field is.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Self { inner, place, trail } = self;
        inner.deserialize_option(Watched { inner: visitor, place, trail })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Hand on what has nothing in it.
macro_rules! handed_on {
    ($($visit:ident($ty:ty))*) => {$(
        fn $visit<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.inner.$visit(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    handed_on! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_str(&str) visit_borrowed_str(&'de str)
        visit_string(String)
    }

    /// What has a point or an exponent, or is beyond all whole numbers, arrives as the nearest float. From 2^53 on that may be
    /// of another number than the one which was written, and prost-reflect would take it.
    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        const EXACT_BELOW: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        if matches!(self.place, Place::Whole) && value.abs() >= EXACT_BELOW {
            return Err(E::invalid_value(Unexpected::Float(value), &self.inner));
        }
        self.inner.visit_f64(value)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Watched { inner, place: self.place, trail: self.trail })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let Self { inner: visitor, place, trail } = self;
        visitor.visit_map(Named { inner, place, trail, next: (Place::Other, Step::Entry), seen: SmallVec::new() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let place = match &self.place {
            Place::List(kind) => Place::of_one(kind),
            _ => Place::Other,
        };
        self.inner.visit_seq(Elements { inner, place, trail: self.trail, index: 0 })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Watched { inner, place: self.place, trail: self.trail })
    }
}

/// The fields of a message, or the entries of a map.
struct Named<'t, A> {
    inner: A,
    place: Place,
    trail: &'t RefCell<Trail>,
    /// What the next value is of, and what it is called.
    next: (Place, Step),
    /// Numbers of the fields that were there.
    seen: SmallVec<[u32; 8]>,
}

/// A name, which is copied where it is written with escapes only.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<A> Named<'_, A> {
    fn find(&mut self, name: &str) -> Result<(Place, Step), What> {
        let message = match &self.place {
            Place::Message(message) => message,
            Place::Map(kind) => return Ok((Place::of_one(kind), Step::Entry)),
            Place::List(_) | Place::Whole | Place::Other => return Ok((Place::Other, Step::Entry)),
        };
        let Some(field) = message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name)) else {
            return match message.get_extension_by_json_name(name) {
                Some(_) => Ok((Place::Other, Step::Entry)),
                None => Err(What::Unknown(name.to_owned(), message.clone())),
            };
        };
        // By its other name, too.
        if self.seen.contains(&field.number()) {
            return Err(What::Twice(field));
        }
        self.seen.push(field.number());
        Ok((Place::of_field(&field), Step::Field(field)))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Named<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(Name(name)) = self.inner.next_key()? else { return Ok(None) };
        self.next = self.find(&name).map_err(|what| {
            self.trail.borrow_mut().what = Some(what);
            A::Error::custom("a name is wrong")
        })?;
        let name: StrDeserializer<'_, A::Error> = (&*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let (place, step) = std::mem::replace(&mut self.next, (Place::Other, Step::Entry));
        let value = self.inner.next_value_seed(Watched { inner: seed, place, trail: self.trail });
        value.inspect_err(|_| self.trail.borrow_mut().steps.push(step))
    }
}

struct Elements<'t, A> {
    inner: A,
    /// Of each of them.
    place: Place,
    trail: &'t RefCell<Trail>,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element =
            self.inner.next_element_seed(Watched { inner: seed, place: self.place.clone(), trail: self.trail });
        let step = Step::Element(self.index);
        self.index += 1;
        element.inspect_err(|_| self.trail.borrow_mut().steps.push(step))
    }
}
