//! What there is to know of a message type to write its JSON.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use prost_reflect::{Cardinality, FieldDescriptor, Kind as Described, MessageDescriptor};

use super::wire::Wire;

/// Seconds since 1970 that have a text: the years 1 to 9999.
pub(super) const TIMESTAMPS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Seconds of a length of time that has a text: 10,000 years either way.
pub(super) const DURATIONS: RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;

/// A message type, and those that lie in it.
#[derive(Debug)]
pub(in crate::grpc) struct Plan {
    /// That of the message itself is the first.
    shapes: Vec<Shape>,
}

/// The fields of a message type, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// `"name":`
    pub(super) name: Vec<u8>,
    pub(super) presence: Presence,
    pub(super) kind: Kind,
}

/// What it means that a field is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has its default.
    Implicit,
    /// Nothing is written.
    Explicit,
    /// It has no elements.
    List,
}

#[derive(Debug)]
pub(super) enum Kind {
    Bool,
    Int32,
    Uint32,
    Sint32,
    Int64,
    Uint64,
    Sint64,
    Fixed32,
    Sfixed32,
    Float,
    Fixed64,
    Sfixed64,
    Double,
    Text,
    Bytes,
    /// The names of its values, in quotes.
    Enum(HashMap<i32, Vec<u8>>),
    Timestamp,
    Duration,
    /// Its place among the shapes.
    Message(usize),
}

impl Kind {
    /// The default, as it would stand in a message.
    pub(super) fn zero(&self) -> Wire<'static> {
        match self {
            Self::Bool | Self::Int32 | Self::Uint32 | Self::Sint32 => Wire::Varint(0),
            Self::Int64 | Self::Uint64 | Self::Sint64 | Self::Enum(_) => Wire::Varint(0),
            Self::Fixed32 | Self::Sfixed32 | Self::Float => Wire::Fixed32(0),
            Self::Fixed64 | Self::Sfixed64 | Self::Double => Wire::Fixed64(0),
            Self::Text | Self::Bytes | Self::Timestamp | Self::Duration | Self::Message(_) => Wire::Bytes(&[]),
        }
    }

    /// Whether a list of it may stand in one field.
    pub(super) fn is_packable(&self) -> bool {
        !matches!(self.zero(), Wire::Bytes(_))
    }
}

impl Shape {
    /// Most fields of a message with a plan.
    pub(super) const MOST: usize = 24;

    /// The place of a field by its number.
    pub(super) fn place(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }
}

impl Plan {
    /// Of a message type, if all that lies in it is of the kind that most are.
    pub(in crate::grpc) fn of(message: &MessageDescriptor) -> Option<Self> {
        // Placed before their fields are looked at: a message may hold itself.
        let mut messages = vec![message.clone()];
        let mut shapes = Vec::new();
        while let Some(message) = messages.get(shapes.len()).cloned() {
            shapes.push(shape(&message, &mut messages)?);
        }
        Some(Self { shapes })
    }

    pub(super) fn root(&self) -> &Shape {
        &self.shapes[0]
    }

    /// All types, that of the message itself first.
    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

fn shape(message: &MessageDescriptor, messages: &mut Vec<MessageDescriptor>) -> Option<Shape> {
    let is_known = !message.full_name().starts_with("google.protobuf.");
    let is_plain = message.extension_ranges().len() == 0 && message.oneofs().all(|oneof| oneof.is_synthetic());
    if !is_known || !is_plain || message.fields().len() > Shape::MOST {
        return None;
    }
    let fields = message.fields().map(|field| self::field(&field, messages));
    Some(Shape { fields: fields.collect::<Option<_>>()? })
}

fn field(field: &FieldDescriptor, messages: &mut Vec<MessageDescriptor>) -> Option<Field> {
    if field.is_map() || field.is_group() || field.cardinality() == Cardinality::Required {
        return None;
    }
    let presence = match (field.is_list(), field.supports_presence()) {
        (true, _) => Presence::List,
        (false, true) => Presence::Explicit,
        (false, false) => Presence::Implicit,
    };
    let name = format!("{}:", serde_json::to_string(field.json_name()).ok()?).into_bytes();
    Some(Field { number: field.number(), name, presence, kind: kind(&field.kind(), messages)? })
}

fn kind(kind: &Described, messages: &mut Vec<MessageDescriptor>) -> Option<Kind> {
    Some(match kind {
        Described::Bool => Kind::Bool,
        Described::Int32 => Kind::Int32,
        Described::Uint32 => Kind::Uint32,
        Described::Sint32 => Kind::Sint32,
        Described::Int64 => Kind::Int64,
        Described::Uint64 => Kind::Uint64,
        Described::Sint64 => Kind::Sint64,
        Described::Fixed32 => Kind::Fixed32,
        Described::Sfixed32 => Kind::Sfixed32,
        Described::Float => Kind::Float,
        Described::Fixed64 => Kind::Fixed64,
        Described::Sfixed64 => Kind::Sfixed64,
        Described::Double => Kind::Double,
        Described::String => Kind::Text,
        Described::Bytes => Kind::Bytes,
        Described::Enum(of) if of.full_name() == "google.protobuf.NullValue" => return None,
        Described::Enum(of) => {
            let name = |name: &str| Some(serde_json::to_string(name).ok()?.into_bytes());
            // Of names for the same number, the one that is found by it.
            let numbers = of.values().map(|value| value.number());
            let names = numbers.map(|number| Some((number, name(of.get_value(number)?.name())?)));
            Kind::Enum(names.collect::<Option<_>>()?)
        }
        Described::Message(of) => match of.full_name() {
            "google.protobuf.Timestamp" => Kind::Timestamp,
            "google.protobuf.Duration" => Kind::Duration,
            _ => {
                let at = messages.iter().position(|known| known == of);
                Kind::Message(at.unwrap_or_else(|| {
                    messages.push(of.clone());
                    messages.len() - 1
                }))
            }
        },
    })
}
