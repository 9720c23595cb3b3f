//! The number by which macro and build step see that they read the same item.
//!
//! It is made of what was read, not of the source text: the build step sees an item before other attributes changed
//! it, and with other spaces. Bodies and doc comments are left out, as they are no part of the contract.

use std::fmt::Write;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

use crate::aggregate::{self, Aggregate};
use crate::attr::{Slot, text};
use crate::dedup::Dedup;
use crate::event::{Event, Field};
use crate::item::Item;
use crate::pipeline::{Pipeline, Source};
use crate::value::{Holds, Shape, Value, Variant};

/// The fingerprint of an item.
pub fn of(item: &Item) -> u64 {
    hash(&canonical(item))
}

/// FNV-1a, 64 bits.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The text that the fingerprint is of: a line for the item, and one for each part.
pub fn canonical(item: &Item) -> String {
    let mut out = String::new();
    match item {
        Item::Event(event) => self::event(&mut out, event),
        Item::Value(value) => self::value(&mut out, value),
        Item::Aggregate(aggregate) => self::aggregate(&mut out, aggregate),
        Item::Pipeline(pipeline) => self::pipeline(&mut out, pipeline),
    }
    out
}

/// Add a line; writing to a string cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {
        let _ = writeln!($out, $($arg)*);
    };
}

fn event(out: &mut String, event: &Event) {
    line!(out, "event {}", text(&event.ident));
    event.fields.iter().for_each(|f| field(out, f));
}

fn field(out: &mut String, field: &Field) {
    let as_ = if field.converted { format!(" as {:?}", field.typed.kind) } else { String::new() };
    let time = if field.time.is_given() { " time" } else { "" };
    let beside = field.beside.get().map(|beside| format!(" {beside:?}")).unwrap_or_default();
    let key = if field.key.is_given() { " key" } else { "" };
    let totals: String = field.totals.iter().map(|total| format!(" {}={:?}", total.name, total.monoid)).collect();
    let history = history(&field.was, &field.number);
    line!(out, " {}: {}{as_}{time}{beside}{key}{totals}{history}", text(&field.ident), tokens(&field.ty));
}

fn history(was: &Slot<String>, number: &Slot<u32>) -> String {
    let was = was.get().map(|was| format!(" was {was}")).unwrap_or_default();
    let number = number.get().map(|number| format!(" = {number}")).unwrap_or_default();
    was + &number
}

fn value(out: &mut String, value: &Value) {
    line!(out, "value {}", text(&value.ident));
    match &value.shape {
        Shape::Newtype(ty, _) => {
            line!(out, " {}", tokens(ty));
        }
        Shape::Message(fields) => fields.iter().for_each(|f| field(out, f)),
        Shape::Enum(variants) | Shape::OneOf(variants) => variants.iter().for_each(|v| variant(out, v)),
    }
}

fn variant(out: &mut String, variant: &Variant) {
    let history = history(&variant.was, &variant.number);
    let holds = match &variant.holds {
        Holds::One(ty, _) => format!("({})", tokens(ty)),
        Holds::Nothing | Holds::Fields(_) => String::new(),
    };
    line!(out, " {}{holds}{history}", text(&variant.ident));
    if let Holds::Fields(fields) = &variant.holds {
        fields.iter().for_each(|f| field(out, f));
    }
}

fn aggregate(out: &mut String, aggregate: &Aggregate) {
    line!(out, "aggregate {}", text(&aggregate.ident));
    aggregates(out, &aggregate.fields);
}

fn aggregates(out: &mut String, fields: &[aggregate::Field]) {
    for field in fields {
        let history = history(&field.was, &field.number);
        line!(out, " {}: {:?}{history}", text(&field.ident), field.monoid);
    }
}

fn pipeline(out: &mut String, pipeline: &Pipeline) {
    line!(out, "pipeline {} {}", text(&pipeline.ident), pipeline.name);
    let key: Vec<String> = pipeline.key.iter().map(text).collect();
    line!(out, " key {}", key.join(","));
    line!(out, " rollup {:?}", pipeline.rollup);
    line!(out, " window {:?}", pipeline.window);
    if let Some(Dedup { identity, within }) = pipeline.dedup.as_deref() {
        let identity: Vec<String> = identity.iter().map(text).collect();
        line!(out, " dedup {within} {}", identity.join(","));
    }
    if pipeline.unbounded {
        line!(out, " unbounded");
    }
    line!(out, " package {}", pipeline.package.get().map_or("", String::as_str));
    match &pipeline.source {
        Source::Struct(event) => self::event(out, event),
        Source::Function(function) => {
            let key: Vec<String> = function.key_types.iter().map(tokens).collect();
            let (event, output) = (tokens(&function.event), tokens(&function.output));
            line!(out, " fn {event} {:?} {output} {}", function.returns, key.join(","));
            aggregates(out, pipeline.members());
        }
    }
}

/// Tokens with one space between any two, which is the same in a compiler and in a build script.
fn tokens(tokens: &impl ToTokens) -> String {
    fn push(out: &mut String, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                        proc_macro2::Delimiter::Brace => ("{", "}"),
                        proc_macro2::Delimiter::Bracket => ("[", "]"),
                        proc_macro2::Delimiter::None => ("", ""),
                    };
                    out.push_str(open);
                    push(out, group.stream());
                    out.push_str(close);
                }
                TokenTree::Punct(punct) => out.push(punct.as_char()),
                other => {
                    out.push_str(&other.to_string());
                    out.push(' ');
                }
            }
        }
    }
    let mut out = String::new();
    push(&mut out, tokens.to_token_stream());
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hash_is_that_of_the_runtime() {
        // FNV-1a, 64 bits: the published value for `foobar`.
        assert_eq!(super::hash("foobar"), 0x85944171f73967e8);
    }
}
