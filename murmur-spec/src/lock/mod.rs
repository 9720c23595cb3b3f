//! `proto/murmur.lock`: which number each field has, for ever.
//!
//! A text that git can merge, one fact a line, fields in the order of their numbers: two branches that add a field
//! meet in a conflict instead of silently sharing a number.
//!
//! ```text
//! package page_traffic.v1
//!
//! [message PageView]
//! 1 page_id string
//! 2 viewer_id string json userId      renamed, the name in JSON stays
//! reserved 3 dwell                    removed, never given again
//! 4 referrer optional string
//!
//! [message Traffic]
//! 1 views uint64 as Count             of aggregates: the monoid, as it decides what is stored
//!
//! [enum Color]
//! 0 COLOR_UNSPECIFIED
//! 1 COLOR_RED
//!
//! [service PageTrafficService]
//! key PageTrafficKey
//! value Traffic
//! rpc Get PageTrafficServiceGetRequest -> PageTrafficServiceGetResponse
//! serves 4e1c0fd0a1a3c0b7             contracts whose clients are answered, the present one last
//!
//! [table page_traffic_v1]
//! key 1:string                        numbers and types: a rename moves no stored key
//! value Traffic
//! form put
//! layout sliding 1m
//! keep 90d
//!
//! [decisions]
//! accept M0610 PageView.at string -> uint64       taken by `cargo murmur accept`, not yet in force
//! accepted M0610 PageView.at string -> uint64     in force since the sync after it
//! ```
//!
//! A message or enum that is gone from the source stays, marked `gone`: should the name return, its numbers do too.

mod assign;
mod parse;
mod served;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

pub use assign::{Plan, Problem};
pub use parse::ParseError;

/// Numbers that protobuf keeps for itself.
pub const HOLE: std::ops::RangeInclusive<u32> = 19_000..=19_999;
/// The largest field number of protobuf.
pub const MAX_FIELD: u32 = 536_870_911;
/// The largest number of an enum value.
pub const MAX_ENUM: u32 = i32::MAX as u32;

/// The facts that clients and stored data rely on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// The protobuf package; empty when nothing was locked yet.
    pub package: String,
    /// Messages by name.
    pub messages: BTreeMap<String, Numbered>,
    /// Enums by name.
    pub enums: BTreeMap<String, Numbered>,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Tables by name.
    pub tables: BTreeMap<String, Table>,
    /// Breaks that were accepted, oldest first.
    pub decisions: Vec<Decision>,
}

/// A message or an enum: what stands under each number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbered {
    /// No longer in the source.
    pub gone: bool,
    /// By number.
    pub entries: BTreeMap<u32, Entry>,
}

/// What stands under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A field, or a value of an enum.
    Field(Fact),
    /// A field of this name was removed.
    Reserved(String),
}

impl Entry {
    /// The name that stands, or stood, under the number.
    pub fn name(&self) -> &str {
        match self {
            Self::Field(fact) => &fact.name,
            Self::Reserved(name) => name,
        }
    }
}

/// A field as clients know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// `optional string`; empty for enum values.
    pub shape: String,
    /// The name in JSON, where it is not the one that follows from the name.
    pub json: Option<String>,
    /// The monoid of an aggregate's field.
    pub kept: Option<String>,
}

impl Fact {
    /// Its name in JSON.
    pub fn json_name(&self) -> String {
        self.json.clone().unwrap_or_else(|| crate::names::json(&self.name))
    }
}

impl Numbered {
    /// The fields in order of number.
    pub fn fields(&self) -> impl Iterator<Item = (u32, &Fact)> {
        self.entries.iter().filter_map(|(number, entry)| match entry {
            Entry::Field(fact) => Some((*number, fact)),
            Entry::Reserved(_) => None,
        })
    }

    /// The numbers that are never given again, with the names they had.
    pub fn reserved(&self) -> impl Iterator<Item = (u32, &str)> {
        self.entries.iter().filter_map(|(number, entry)| match entry {
            Entry::Reserved(name) => Some((*number, name.as_str())),
            Entry::Field(_) => None,
        })
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<(u32, &Fact)> {
        self.fields().find(|(_, fact)| fact.name == name)
    }

    /// Whether a field of this name was removed and did not return.
    pub fn was_removed(&self, name: &str) -> bool {
        self.field(name).is_none() && self.reserved().any(|(_, reserved)| reserved == name)
    }
}

/// A service as clients know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// The message of its key.
    pub key: String,
    /// Cardinality and type of its values.
    pub value: String,
    /// By name: `Request -> Response`, `Request -> stream Response`.
    pub rpcs: BTreeMap<String, String>,
    /// Fingerprints of the contracts whose clients are answered rightly, the present one last.
    pub serves: Vec<String>,
}

/// A table as its stored items rely on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The key's fields in order, by number and type: `1:string 2:string`.
    pub key: String,
    /// The rollups as numbers of the key's fields: `1.2 1 2 -`; empty without rollups.
    pub rollup: String,
    /// An aggregate's name, or a monoid.
    pub value: String,
    /// `add` or `put`.
    pub form: String,
    /// How time is cut: `sliding 1m`.
    pub layout: String,
    /// How long tiles are kept: `90d`.
    pub keep: String,
}

/// A break that somebody accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The code of the finding, `M0610`.
    pub code: String,
    /// What it is about, `PageView.at`.
    pub subject: String,
    /// From what to what, so that it covers this change and no later one.
    pub change: String,
    /// The change is in the lock; the decision is history.
    pub done: bool,
}
