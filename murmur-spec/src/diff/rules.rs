//! When two shapes of a field can stand under one number.
//!
//! These are the rules that buf calls `WIRE_JSON`: what old readers and new writers, and the reverse, understand of
//! each other in binary and in JSON.
//!
//! | may change into each other | because |
//! |---|---|
//! | `int32`, `uint32` | equal as varints and as numbers in JSON |
//! | `int64`, `uint64` | equal as varints, and as strings in JSON |
//! | once, `optional` | written alike when present |

use crate::codes::{self, Code};
use crate::lock::Fact;

/// A shape's text, taken apart.
struct Parts<'a> {
    cardinality: Cardinality<'a>,
    ty: &'a str,
}

#[derive(PartialEq, Eq)]
enum Cardinality<'a> {
    Once,
    Repeated,
    Map(&'a str),
    OneOf,
}

fn parts(shape: &str) -> Parts<'_> {
    if let Some(ty) = shape.strip_prefix("optional ") {
        Parts { cardinality: Cardinality::Once, ty }
    } else if let Some(ty) = shape.strip_prefix("repeated ") {
        Parts { cardinality: Cardinality::Repeated, ty }
    } else if let Some(ty) = shape.strip_prefix("oneof ") {
        Parts { cardinality: Cardinality::OneOf, ty }
    } else if let Some((key, ty)) =
        shape.strip_prefix("map<").and_then(|rest| rest.strip_suffix('>')).and_then(|inner| inner.split_once(", "))
    {
        Parts { cardinality: Cardinality::Map(key), ty }
    } else {
        Parts { cardinality: Cardinality::Once, ty: shape }
    }
}

/// The type in a shape's text: `Money` of `optional Money`.
pub fn type_of(shape: &str) -> &str {
    parts(shape).ty
}

/// Scalars of one group are written alike.
fn group(ty: &str) -> &str {
    match ty {
        "uint32" => "int32",
        "uint64" => "int64",
        other => other,
    }
}

/// Whether readers of one shape understand the other.
pub fn compatible(before: &str, after: &str) -> bool {
    shape_break(before, after).is_none()
}

fn shape_break(before: &str, after: &str) -> Option<Code> {
    let (before, after) = (parts(before), parts(after));
    if (before.cardinality == Cardinality::OneOf) != (after.cardinality == Cardinality::OneOf) {
        Some(codes::ONEOF_CHANGED)
    } else if before.cardinality != after.cardinality {
        Some(codes::CARDINALITY_CHANGED)
    } else if group(before.ty) != group(after.ty) {
        Some(codes::TYPE_CHANGED)
    } else {
        None
    }
}

/// Which rule a change of a field breaks, and the change in words; the name is not looked at.
pub fn field_break(before: &Fact, after: &Fact) -> Option<(Code, String)> {
    if let Some(code) = shape_break(&before.shape, &after.shape) {
        return Some((code, format!("{} -> {}", before.shape, after.shape)));
    }
    match (&before.kept, &after.kept) {
        (Some(old), Some(new)) if old != new => Some((codes::AGGREGATE_CHANGED, format!("{old} -> {new}"))),
        _ => None,
    }
}

/// Whether a field can keep its number.
pub fn same_number(before: &Fact, after: &Fact) -> bool {
    field_break(before, after).is_none()
}
