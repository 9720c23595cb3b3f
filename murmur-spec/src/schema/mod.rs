//! A package in the terms of protobuf and tables, still without numbers: between the model, which speaks Rust, and
//! the [lock](crate::lock), which gives every field its number.

mod lower;
mod shape;

use crate::item::Part;
use crate::names;

pub use shape::{Cardinality, Shape, Type, map_key};

/// Everything that a package promises to clients and stores. Each list is in order of names, so that moving code
/// changes no contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The protobuf package.
    pub package: String,
    /// Messages of events, aggregates, values and keys.
    pub messages: Vec<Message>,
    /// Enums of values.
    pub enums: Vec<Enum>,
    /// One service per pipeline.
    pub services: Vec<Service>,
    /// One table per pipeline.
    pub tables: Vec<Table>,
}

/// What a finding is about, in words of the contract. Where that stands in the source, [`crate::package`] knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nothing that is still in the source.
    Gone,
    /// A message or enum.
    Whole(String),
    /// A field of a message, or the variant of an enum.
    Field(String, String),
    /// The type of a field of a message.
    Type(String, String),
    /// A part of the pipeline with this service.
    Pipeline(String, Part),
}

/// A message without numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub name: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// Its fields, in order of declaration.
    pub fields: Vec<Field>,
}

/// A field without its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// Cardinality and type.
    pub shape: Shape,
    /// Of aggregates: the monoid, as text. Two monoids of equal wire type are still two different states.
    pub kept: Option<String>,
    /// The former name.
    pub was: Option<String>,
    /// The number that the user fixed.
    pub pin: Option<u32>,
}

/// An enum without numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enum {
    /// Its name.
    pub name: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// Its values without the zero one.
    pub values: Vec<EnumValue>,
}

impl Enum {
    /// `COLOR_UNSPECIFIED`: what stands for "not given", number 0.
    pub fn zero(&self) -> String {
        names::enum_value(&self.name, "Unspecified")
    }
}

/// A value of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// `COLOR_RED`.
    pub name: String,
    /// `Red`.
    pub variant: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// `COLOR_CRIMSON`, the former name.
    pub was: Option<String>,
    /// The number that the user fixed.
    pub pin: Option<u32>,
}

/// The typed service of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The pipeline, in snake case.
    pub pipeline: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// The message of its key.
    pub key: String,
    /// Cardinality and type of its values.
    pub value: Shape,
}

/// The table of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, with the generation.
    pub name: String,
    /// The pipeline, in snake case.
    pub pipeline: String,
    /// Its service.
    pub service: String,
    /// Comment, a line each.
    pub docs: Vec<String>,
    /// The message of its key.
    pub key: String,
    /// The fields of each rollup, by name; empty without rollups.
    pub rollup: Vec<Vec<String>>,
    /// What is kept: an aggregate's name or a monoid.
    pub value: String,
    /// How it is stored.
    pub form: Form,
    /// `sliding 90d 1m`, `tumbling 1h 30d` or `all`.
    pub window: WindowText,
}

/// How the values of a table are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Numbers that the store adds to: every field of the aggregate is such a number.
    Add,
    /// Encoded folds.
    Put,
}

/// A window as text, the layout apart from how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowText {
    /// `all`, `tumbling 1h`, `sliding 1m`: how tiles are cut.
    pub layout: String,
    /// `30d`: how long they are kept; `always` without a window.
    pub keep: String,
}
