//! Keys: typed fields, and the one text that they are stored under.
//!
//! ```text
//! [<grain>]=<field>\0<field>...
//! ```
//!
//! The text is unambiguous (`a|b` never collides with `a`,`b`), orders as the typed fields do, is never empty, and
//! can be read by a person. `grain` is there with rollups only: the numbers of the fields present, joined by `.`.
//! Every text has one reading, and is refused when it is not exactly what [`KeyBuf`] writes.
//!
//! | type | form |
//! |---|---|
//! | `String` | itself; `\0` becomes `\x01\x01`, `\x01` becomes `\x01\x02` |
//! | unsigned | a letter for the number of digits (`a` = 1), then the digits: `42` is `b42` |
//! | signed | as above for `>= 0`; below, `-`, a letter that falls with the digits (`z` = 1), and the digits' nines' complement: `-42` is `-y57` |
//! | `bool` | `0` or `1` |
//! | `Timestamp` | microseconds, as signed |
//!
//! [`key!`](crate::key!) makes a key struct with all that belongs to it.

use std::fmt;
use std::hash::Hash;
use std::ops::Range;

use crate::wire::{WireMessage, WireValue};

mod field;
mod make;
mod mark;
mod part;
#[cfg(test)]
mod tests;

pub use mark::Mark;
pub use part::{Part, PartField, decode, encode, parse, show};

/// Most bytes that an encoded key may have.
pub const MAX_KEY_BYTES: usize = 1024;

/// The typed key of a pipeline; a protobuf message too. Its methods share names with those of `prost::Message`: call
/// them as `Key::encode(&key, ..)` and `<K as Key>::decode(..)`.
pub trait Key: WireMessage + Eq + Hash {
    /// Names of the fields, in order.
    const FIELDS: &'static [&'static str];

    /// The rollups: for each, which fields it has. Without rollups one entry with all fields.
    const GRAINS: &'static [&'static [&'static str]];

    /// Append the stored form. An error names the field that is missing or too much.
    fn encode(&self, out: &mut KeyBuf) -> Result<Range<usize>, String>;

    /// Read the stored form.
    fn decode(text: &str) -> Result<Self, String>;

    /// From texts as a person types them: values in the order of the fields, or `name=value`.
    fn parse(arguments: &[String]) -> Result<Self, String>;

    /// As a person reads it: the values of the fields that are present, in order.
    fn show(&self) -> Vec<(&'static str, String)>;
}

/// A type that can be a field of a key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "not a key type",
    note = "keys are made of `String`, integers, `bool` and `Timestamp`; floats have no exact equality"
)]
pub trait KeyField: Clone + Default + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The protobuf type that carries it.
    type Wire: WireValue;

    /// Append the order-preserving text.
    fn write(&self, out: &mut String);

    /// Read the text that [`write`](Self::write) wrote. This error, like the others, goes to logs and callers, and has nothing of the
    /// text.
    fn read(text: &str) -> Result<Self, String>;

    /// From a text that a person typed. An error says what it is not: "not a whole number from 0 to 255".
    fn parse(text: &str) -> Result<Self, String>;

    /// As a person reads it.
    fn show(&self) -> String;

    /// To the protobuf type.
    fn to_wire(&self) -> Self::Wire;

    /// From the protobuf type; an error when out of range.
    fn from_wire(wire: Self::Wire) -> Result<Self, String>;
}

/// Encoded keys, one after the other in one buffer.
#[derive(Debug, Default, Clone)]
pub struct KeyBuf {
    text: String,
    start: usize,
    fields: usize,
}

impl KeyBuf {
    /// Forget all keys.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forget what lies beyond the key that ends at `end`.
    pub(crate) fn truncate(&mut self, end: usize) {
        self.text.truncate(end);
        self.start = end;
        self.fields = 0;
    }

    /// Begin a key of this grain; empty without rollups.
    pub fn begin(&mut self, grain: &str) {
        self.start = self.text.len();
        self.fields = 0;
        self.text.push_str(grain);
        self.text.push('=');
    }

    /// Add the next field; a part that is absent adds nothing.
    pub fn field<P: Part + ?Sized>(&mut self, field: &P) {
        if !field.is_present() {
            return;
        }
        if self.fields > 0 {
            self.text.push('\0');
        }
        self.fields += 1;
        field.write_part(&mut self.text);
    }

    /// Where the finished key stands; an error when it is too long.
    pub fn finish(&mut self) -> Result<Range<usize>, String> {
        let range = self.start..self.text.len();
        let bytes = range.len();
        if bytes > MAX_KEY_BYTES {
            self.text.truncate(self.start);
            return Err(format!("the key has {bytes} bytes; at most {MAX_KEY_BYTES} are possible"));
        }
        Ok(range)
    }

    /// The text of a finished key.
    pub fn slice(&self, range: Range<usize>) -> &str {
        &self.text[range]
    }
}
