//! Cardinality and type of a field, with the one text form that lock and proto share.

use std::fmt;

use crate::model::MapKey;

/// Cardinality and type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// How often it stands.
    pub cardinality: Cardinality,
    /// What stands there.
    pub ty: Type,
}

/// How often a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Once, the default when absent. Messages know whether they are there.
    Plain,
    /// Once, and a reader knows whether it was there.
    Optional,
    /// Any number of times.
    Repeated,
    /// Once per key.
    Map(MapKey),
    /// One of several, see [`oneof`](crate::emit).
    OneOf,
}

/// A type of protobuf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `uint64`, `string`, ...
    Scalar(String),
    /// A message of this package.
    Message(String),
    /// An enum of this package.
    Enum(String),
    /// A message of another package, with its full name.
    Foreign(String),
}

impl Type {
    /// A scalar.
    pub fn scalar(name: &str) -> Self {
        Self::Scalar(name.to_owned())
    }

    /// A message of another package.
    pub fn foreign(name: &str) -> Self {
        Self::Foreign(name.to_owned())
    }

    /// Whether it is a message, of any package.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Foreign(_))
    }

    /// Its name as the `.proto` writes it.
    pub fn name(&self) -> &str {
        match self {
            Self::Scalar(name) | Self::Message(name) | Self::Enum(name) | Self::Foreign(name) => name,
        }
    }
}

impl Shape {
    /// A shape; `optional` before a message is dropped, as it says nothing there.
    pub fn new(cardinality: Cardinality, ty: Type) -> Self {
        let cardinality = match cardinality {
            Cardinality::Optional if ty.is_message() => Cardinality::Plain,
            other => other,
        };
        Self { cardinality, ty }
    }

    /// Once, the default when absent.
    pub fn plain(ty: Type) -> Self {
        Self::new(Cardinality::Plain, ty)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ty = self.ty.name();
        match self.cardinality {
            Cardinality::Plain => f.write_str(ty),
            Cardinality::Optional => write!(f, "optional {ty}"),
            Cardinality::Repeated => write!(f, "repeated {ty}"),
            Cardinality::Map(key) => write!(f, "map<{}, {ty}>", map_key(key)),
            Cardinality::OneOf => write!(f, "oneof {ty}"),
        }
    }
}

/// The protobuf type of a map's key.
pub fn map_key(key: MapKey) -> &'static str {
    match key {
        MapKey::Bool => "bool",
        MapKey::U32 => "uint32",
        MapKey::U64 => "uint64",
        MapKey::I32 => "int32",
        MapKey::I64 => "int64",
        MapKey::String => "string",
    }
}
