//! What the key structs of all pipelines share: encoding, decoding, parsing and showing, over their fields as parts.

use std::fmt;
use std::ops::Range;

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType};

use super::{KeyBuf, KeyField, Mark};
use crate::wire::{WireField, WireValue, refused};

/// A field of a key struct: `F`, or `Option<F>` when not every rollup has it.
pub trait Part {
    /// Whether it belongs to the key.
    fn is_present(&self) -> bool;

    /// Append the stored text; nothing when absent.
    fn write_part(&self, out: &mut String);

    /// Become what the stored text says.
    fn read_part(&mut self, text: &str) -> Result<(), String>;

    /// Become what a person typed.
    fn parse_part(&mut self, text: &str) -> Result<(), String>;

    /// As a person reads it; `None` when absent.
    fn show_part(&self) -> Option<String>;
}

/// A [`Part`] as a field of the key's message.
pub trait PartField: Part {
    /// As [`WireField::PROTO`].
    const PROTO: &'static str;

    /// As [`WireField::encode_field`].
    fn encode_part(&self, number: u32, buf: &mut impl BufMut);

    /// As [`WireField::merge_field`].
    fn merge_part(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError>;

    /// As [`WireField::field_len`].
    fn part_len(&self, number: u32) -> usize;
}

impl<F: KeyField> Part for F {
    fn is_present(&self) -> bool {
        true
    }

    fn write_part(&self, out: &mut String) {
        KeyField::write(self, out);
    }

    fn read_part(&mut self, text: &str) -> Result<(), String> {
        *self = <F as KeyField>::read(text)?;
        Ok(())
    }

    fn parse_part(&mut self, text: &str) -> Result<(), String> {
        *self = <F as KeyField>::parse(text)?;
        Ok(())
    }

    fn show_part(&self) -> Option<String> {
        Some(KeyField::show(self))
    }
}

impl<F: KeyField> Part for Option<F> {
    fn is_present(&self) -> bool {
        self.is_some()
    }

    fn write_part(&self, out: &mut String) {
        if let Some(field) = self {
            KeyField::write(field, out);
        }
    }

    fn read_part(&mut self, text: &str) -> Result<(), String> {
        *self = Some(<F as KeyField>::read(text)?);
        Ok(())
    }

    fn parse_part(&mut self, text: &str) -> Result<(), String> {
        *self = Some(<F as KeyField>::parse(text)?);
        Ok(())
    }

    fn show_part(&self) -> Option<String> {
        self.as_ref().map(KeyField::show)
    }
}

/// Read one occurrence of a field over what `present` holds.
fn merge<F: KeyField>(
    present: &F,
    wire_type: WireType,
    buf: &mut impl Buf,
    context: DecodeContext,
) -> Result<F, DecodeError> {
    let mut wire = present.to_wire();
    wire.merge_field(wire_type, buf, context)?;
    F::from_wire(wire).map_err(refused)
}

impl<F: KeyField> PartField for F {
    const PROTO: &'static str = F::Wire::PROTO;

    fn encode_part(&self, number: u32, buf: &mut impl BufMut) {
        self.to_wire().encode_field(number, buf);
    }

    fn merge_part(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        *self = merge(self, wire_type, buf, context)?;
        Ok(())
    }

    fn part_len(&self, number: u32) -> usize {
        self.to_wire().field_len(number)
    }
}

impl<F: KeyField> PartField for Option<F> {
    const PROTO: &'static str = F::Wire::OPTIONAL;

    fn encode_part(&self, number: u32, buf: &mut impl BufMut) {
        if let Some(field) = self {
            field.to_wire().encode_value(number, buf);
        }
    }

    fn merge_part(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        *self = Some(merge(&self.clone().unwrap_or_default(), wire_type, buf, context)?);
        Ok(())
    }

    fn part_len(&self, number: u32) -> usize {
        self.as_ref().map_or(0, |field| field.to_wire().value_len(number))
    }
}

/// The grains as a sentence needs them: `(post_id, country), (post_id), ()`.
struct Listed<'a>(&'a [&'a [&'a str]]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fields) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`({})`", fields.join(", "))?;
        }
        Ok(())
    }
}

/// [`Key::encode`](super::Key::encode): write the parts that are present under the grain that has exactly those.
/// `texts` are what the grains are called in the stored form, in the order of `grains`.
pub fn encode(
    texts: &[&str],
    grains: &[&[&str]],
    parts: &[(&'static str, &dyn Part)],
    out: &mut KeyBuf,
) -> Result<Range<usize>, String> {
    let present = || parts.iter().filter(|(_, part)| part.is_present()).map(|(name, _)| *name);
    let Some((text, _)) = texts.iter().zip(grains).find(|(_, fields)| present().eq(fields.iter().copied())) else {
        let given: Vec<_> = present().collect();
        let given = given.join(", ");
        return Err(format!("no rollup has exactly the fields `({given})`; there are {}", Listed(grains)));
    };
    out.begin(text);
    for (_, part) in parts {
        out.field(*part);
    }
    out.finish()
}

/// [`Key::decode`](super::Key::decode): `parts` are those of an empty key.
pub fn decode(
    texts: &[&str],
    grains: &[&[&str]],
    text: &str,
    parts: &mut [(&'static str, &mut dyn Part)],
) -> Result<(), String> {
    let bad = |why: &str| format!("{} is not a key of this pipeline: {why}", Mark::of(text));
    let (name, values) = text.split_once('=').ok_or_else(|| bad("there is no `=`"))?;
    let grain = texts.iter().zip(grains).find(|(text, _)| **text == name);
    let (_, fields) = grain.ok_or_else(|| bad(&format!("its rollup is none of {}", Listed(grains))))?;
    let mut values = (!fields.is_empty() || !values.is_empty()).then(|| values.split('\0')).into_iter().flatten();
    for (name, part) in parts.iter_mut().filter(|(name, _)| fields.contains(name)) {
        let value = values.next().ok_or_else(|| bad(&format!("`{name}` is missing")))?;
        part.read_part(value).map_err(|error| bad(&format!("`{name}` is {error}")))?;
    }
    if values.next().is_some() {
        return Err(bad("it has too many fields"));
    }
    Ok(())
}

/// [`Key::parse`](super::Key::parse): values in the order of the fields, or `name=value`. Which fields must be there
/// is known to [`encode`], except that a part without `Option` is always required.
pub fn parse(arguments: &[String], parts: &mut [(&'static str, &mut dyn Part)]) -> Result<(), String> {
    let names = || parts.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let expected = format!("the key has the fields {}; give their values in this order, or as `name=value`", names());
    let mut given = vec![false; parts.len()];
    for argument in arguments {
        let named = argument.split_once('=').and_then(|(name, value)| {
            let at = parts.iter().position(|(known, _)| *known == name)?;
            Some((at, value))
        });
        let (at, value) = match named {
            Some(named) => named,
            None => {
                let at = given.iter().position(|given| !given);
                (at.ok_or_else(|| format!("there is a value too many: {expected}"))?, argument.as_str())
            }
        };
        let (name, part) = &mut parts[at];
        if std::mem::replace(&mut given[at], true) {
            return Err(format!("`{name}` is given twice"));
        }
        part.parse_part(value).map_err(|error| format!("`{name}` is {error}"))?;
    }
    match parts.iter().zip(&given).find(|((_, part), given)| !**given && part.is_present()) {
        Some(((name, _), _)) => Err(format!("`{name}` is missing: {expected}")),
        None => Ok(()),
    }
}

/// [`Key::show`](super::Key::show): the parts that are present.
pub fn show(parts: &[(&'static str, &dyn Part)]) -> Vec<(&'static str, String)> {
    parts.iter().filter_map(|(name, part)| Some((*name, part.show_part()?))).collect()
}
