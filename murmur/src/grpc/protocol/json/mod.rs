//! JSON of a message: of a request into it, by [`read`], and of a reply from its bytes, without a value of it in between.
//!
//! What there is to know of a message type is put together when a server starts, as a [`Plan`]; then a reply is written in
//! one pass over its bytes, field by field in the order of their numbers. A type with something that few have (a map, a
//! oneof, an `Any`) has no plan, and bytes that are not what the plan expects are given up: prost-reflect writes these,
//! or says what is wrong with them. What is written is the same, which tests show.

mod mistake;
mod out;
mod plan;
mod read;
#[cfg(test)]
mod tests;
mod wire;

use std::io::Write;
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;

pub(super) use self::out::Out;
pub(super) use self::plan::Plan;
use self::plan::{Field, Kind, Presence, Shape};
pub(super) use self::read::read;
use self::wire::{Fields, Wire};

/// How deep messages may lie in each other, which is as deep as prost reads them.
const DEEPEST: usize = 100;

/// What was found of a field.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    /// The value of one that is no list.
    Value(Wire<'a>),
    /// Of a list, the bytes from its first element on, and how many there are.
    From(&'a [u8], usize),
}

/// Of each type of message the last one, and of times: from which bytes, how deep, and where it was written.
///
/// The answers about many keys say the same of how fresh they are, and a step of a series begins when the one before it ends.
struct Last<'a>(Vec<(&'a [u8], usize, Range<usize>)>);

impl<'a> Last<'a> {
    fn of(plan: &Plan) -> Self {
        Self(vec![(&[][..], 0, 0..0); plan.shapes().len() + 1])
    }

    /// Write these bytes of a type, by `write` unless they are those of the last one.
    fn again(
        &mut self,
        of: usize,
        (bytes, depth): (&'a [u8], usize),
        out: &mut Out,
        write: impl FnOnce(&mut Self, &mut Out) -> Option<()>,
    ) -> Option<()> {
        let (last, last_depth, written) = self.0.get(of)?;
        if *last == bytes && *last_depth == depth && !written.is_empty() {
            return out.again(written.clone());
        }
        let start = out.len();
        write(self, out)?;
        *self.0.get_mut(of)? = (bytes, depth, start..out.len());
        Some(())
    }
}

impl Plan {
    /// Append the JSON of a message; `None` where it is not as expected, or [there is no room](Out::is_full) for it, and what was
    /// appended then is of no use.
    pub(super) fn write(&self, message: &[u8], out: &mut Out) -> Option<()> {
        self.message(self.root(), message, DEEPEST, &mut Last::of(self), out)
    }

    fn message<'a>(
        &self,
        shape: &Shape,
        bytes: &'a [u8],
        depth: usize,
        last: &mut Last<'a>,
        out: &mut Out,
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut found = [Found::Nothing; Shape::MOST];
        let found = found.get_mut(..shape.fields.len())?;
        let mut fields = Fields(bytes);
        while let Some((rest, number, value)) = fields.next()? {
            let Some(at) = shape.place(number) else { continue };
            found[at] = match (shape.fields[at].presence, found[at]) {
                (Presence::List, Found::From(first, count)) => Found::From(first, count + 1),
                (Presence::List, _) => Found::From(rest, 1),
                // The second of a message would have to be merged into the first, and the first of any other has to be read, too.
                (_, Found::Value(_)) => return None,
                _ => Found::Value(value),
            };
        }
        out.push(b'{')?;
        let mut is_first = true;
        for (field, found) in shape.fields.iter().zip(found) {
            if matches!((field.presence, &found), (Presence::Explicit, Found::Nothing)) {
                continue;
            }
            if !std::mem::take(&mut is_first) {
                out.push(b',')?;
            }
            out.extend(&field.name)?;
            match (field.presence, *found) {
                (Presence::List, Found::From(first, count)) => self.list(field, (first, count), depth, last, out)?,
                (Presence::List, _) => out.extend(b"[]")?,
                (_, Found::Value(value)) => self.value(&field.kind, value, depth, last, out)?,
                (_, _) => self.value(&field.kind, field.kind.zero(), depth, last, out)?,
            }
        }
        out.push(b'}')
    }

    /// The elements of a list, of which so many fields hold one each, or several that are packed.
    fn list<'a>(
        &self,
        field: &Field,
        (first, count): (&'a [u8], usize),
        depth: usize,
        last: &mut Last<'a>,
        out: &mut Out,
    ) -> Option<()> {
        out.push(b'[')?;
        let (mut fields, mut left) = (Fields(first), count);
        let start = out.len();
        while left > 0 {
            let (_, number, value) = fields.next()??;
            if number != field.number {
                continue;
            }
            left -= 1;
            match value {
                Wire::Bytes(packed) if field.kind.is_packable() => {
                    let mut packed = packed;
                    while !packed.is_empty() {
                        let value = field.kind.zero().read(&mut packed)?;
                        comma(start, out)?;
                        self.value(&field.kind, value, depth, last, out)?;
                    }
                }
                value => {
                    comma(start, out)?;
                    self.value(&field.kind, value, depth, last, out)?;
                }
            }
        }
        out.push(b']')
    }

    fn value<'a>(&self, kind: &Kind, value: Wire<'a>, depth: usize, last: &mut Last<'a>, out: &mut Out) -> Option<()> {
        match (kind, value) {
            (Kind::Bool, Wire::Varint(n)) => out.extend(if n == 0 { b"false" } else { b"true" })?,
            // Of a varint that is too long for its type the lower bits count.
            (Kind::Int32, Wire::Varint(n)) => json(out, &(n as i32))?,
            (Kind::Uint32, Wire::Varint(n)) => json(out, &(n as u32))?,
            (Kind::Sint32, Wire::Varint(n)) => {
                let n = n as u32;
                json(out, &((n >> 1) as i32 ^ -((n & 1) as i32)))?;
            }
            (Kind::Int64, Wire::Varint(n)) => quoted(out, &(n as i64))?,
            (Kind::Uint64, Wire::Varint(n)) => quoted(out, &n)?,
            (Kind::Sint64, Wire::Varint(n)) => quoted(out, &((n >> 1) as i64 ^ -((n & 1) as i64)))?,
            (Kind::Fixed32, Wire::Fixed32(n)) => json(out, &n)?,
            (Kind::Sfixed32, Wire::Fixed32(n)) => json(out, &(n as i32))?,
            (Kind::Float, Wire::Fixed32(n)) => match f32::from_bits(n) {
                n if n.is_finite() => json(out, &n)?,
                n => not_finite(out, n.into())?,
            },
            (Kind::Fixed64, Wire::Fixed64(n)) => quoted(out, &n)?,
            (Kind::Sfixed64, Wire::Fixed64(n)) => quoted(out, &(n as i64))?,
            (Kind::Double, Wire::Fixed64(n)) => match f64::from_bits(n) {
                n if n.is_finite() => json(out, &n)?,
                n => not_finite(out, n)?,
            },
            (Kind::Text, Wire::Bytes(bytes)) => json(out, str::from_utf8(bytes).ok()?)?,
            (Kind::Bytes, Wire::Bytes(bytes)) => {
                out.push(b'"')?;
                out.extend(BASE64_STANDARD.encode(bytes).as_bytes())?;
                out.push(b'"')?;
            }
            (Kind::Enum(names), Wire::Varint(n)) => {
                let n = n as i32;
                match names.get(&n) {
                    Some(name) => out.extend(name)?,
                    None => json(out, &n)?,
                }
            }
            (Kind::Timestamp, Wire::Bytes(bytes)) => {
                last.again(self.shapes().len(), (bytes, 0), out, |_, out| timestamp(out, bytes))?;
            }
            (Kind::Duration, Wire::Bytes(bytes)) => {
                let duration = prost_types::Duration::decode(bytes).ok()?;
                if !plan::DURATIONS.contains(&duration.seconds) || duration.nanos.unsigned_abs() >= 1_000_000_000 {
                    return None;
                }
                write!(out, "\"{duration}\"").ok()?;
            }
            (Kind::Message(at), Wire::Bytes(bytes)) => {
                let shape = self.shapes().get(*at)?;
                last.again(*at, (bytes, depth), out, |last, out| self.message(shape, bytes, depth, last, out))?;
            }
            // Not of the type that it has to be.
            _ => return None,
        }
        Some(())
    }
}

fn comma(start: usize, out: &mut Out) -> Option<()> {
    if out.len() > start { out.push(b',') } else { Some(()) }
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Out, value: &T) -> Option<()> {
    serde_json::to_writer(out, value).ok()
}

/// As JSON has integers of 64 bits, which are more than its numbers hold exactly.
fn quoted<T: serde::Serialize>(out: &mut Out, value: &T) -> Option<()> {
    out.push(b'"')?;
    json(&mut *out, value)?;
    out.push(b'"')
}

fn timestamp(out: &mut Out, bytes: &[u8]) -> Option<()> {
    let timestamp = prost_types::Timestamp::decode(bytes).ok()?;
    if !plan::TIMESTAMPS.contains(&timestamp.seconds) {
        return None;
    }
    write!(out, "\"{timestamp}\"").ok()
}

fn not_finite(out: &mut Out, value: f64) -> Option<()> {
    out.extend(match value {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    })
}
