//! `#[murmur::value]`: newtypes, enums and structs that stand as fields of events.

use proc_macro2::{Ident, TokenStream};
use syn::{Fields, Item};

use crate::attr::{CratePath, Slot, docs, entries, helpers, text, unknown};
use crate::codes;
use crate::ctxt::Ctxt;
use crate::event::{self, Field, Owner};
use crate::model::{Kind, Label};
use crate::names;
use crate::types::{self, Typed};

/// A value, with the user's tokens.
#[derive(Clone)]
pub struct Value {
    /// Its name.
    pub ident: Ident,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// What it is.
    pub shape: Shape,
    /// `crate = path`.
    pub krate: CratePath,
}

/// What a value is.
#[derive(Clone)]
pub enum Shape {
    /// `struct Id(u64)`.
    Newtype(Box<syn::Type>, Kind),
    /// `enum Color { Red, Green }`.
    Enum(Vec<Variant>),
    /// `enum Payment { Card(Card), Cash { amount: u64 } }`.
    OneOf(Vec<Variant>),
    /// `struct Money { .. }`.
    Message(Vec<Field>),
}

/// A variant of an enum.
#[derive(Clone)]
pub struct Variant {
    /// Its name.
    pub ident: Ident,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// What it holds.
    pub holds: Holds,
    /// `#[murmur(was = "Old")]`.
    pub was: Slot<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Slot<u32>,
}

/// What a variant holds.
#[derive(Clone)]
pub enum Holds {
    /// Nothing. In a `oneof` it is an empty message.
    Nothing,
    /// `Card(Card)`.
    One(Box<syn::Type>, Kind),
    /// `Cash { amount: u64 }`: a message of its own, named by enum and variant.
    Fields(Vec<Field>),
}

/// Read `#[murmur::value(arguments)] item`.
pub fn parse(arguments: TokenStream, item: TokenStream, ctxt: &Ctxt) -> Option<Value> {
    let mut krate = CratePath::default();
    for entry in entries(arguments, ctxt) {
        match entry.name().as_str() {
            "crate" => krate.set(&entry, ctxt),
            _ => unknown(&entry, "a value", &["crate"], ctxt),
        }
    }
    let wrong = "a value is `struct Id(u64);`, a struct with named fields, or an enum";
    let parsed = match syn::parse2::<Item>(item.clone()) {
        Ok(parsed @ (Item::Struct(_) | Item::Enum(_))) => parsed,
        _ => {
            ctxt.say(codes::VALUE_SHAPE, &item, wrong);
            return None;
        }
    };
    let (attributes, ident, generics, shape) = match &parsed {
        Item::Struct(item) => (&item.attrs, &item.ident, &item.generics, structure(item, wrong, ctxt)),
        Item::Enum(item) => (&item.attrs, &item.ident, &item.generics, enumeration(item, ctxt)),
        _ => return None,
    };
    event::refuse_generics(generics, ctxt);
    event::message_name(ident, ctxt);
    for entry in helpers(attributes, ctxt) {
        unknown(&entry, "the value itself", &[], ctxt);
    }
    Some(Value { ident: ident.clone(), docs: docs(attributes), shape: shape?, krate })
}

fn structure(item: &syn::ItemStruct, wrong: &str, ctxt: &Ctxt) -> Option<Shape> {
    match &item.fields {
        Fields::Named(named) if named.named.is_empty() => {
            ctxt.say(codes::EMPTY, &item.ident, format!("`{}` has no fields", item.ident));
            None
        }
        Fields::Named(named) => Some(Shape::Message(message(named, ctxt))),
        Fields::Unnamed(unnamed) => match unnamed.unnamed.first() {
            Some(only) if unnamed.unnamed.len() == 1 => {
                for entry in helpers(&only.attrs, ctxt) {
                    unknown(&entry, "the inside of a newtype", &[], ctxt);
                }
                Some(Shape::Newtype(Box::new(only.ty.clone()), types::single(&only.ty, ctxt)?))
            }
            _ => {
                ctxt.say(codes::VALUE_SHAPE, &unnamed, format!("{wrong}; give these fields names"));
                None
            }
        },
        Fields::Unit => {
            ctxt.say(codes::VALUE_SHAPE, &item.ident, wrong);
            None
        }
    }
}

fn message(named: &syn::FieldsNamed, ctxt: &Ctxt) -> Vec<Field> {
    let fields: Vec<Field> = named.named.iter().filter_map(|f| event::field(f, Owner::Value, ctxt)).collect();
    event::check_fields(fields.iter().map(|f| (&f.ident, &f.number)), ctxt);
    fields
}

fn enumeration(item: &syn::ItemEnum, ctxt: &Ctxt) -> Option<Shape> {
    if item.variants.is_empty() {
        ctxt.say(codes::EMPTY, &item.ident, format!("`{}` has no variants", text(&item.ident)));
        return None;
    }
    let variants: Vec<Variant> = item.variants.iter().filter_map(|v| variant(v, ctxt)).collect();
    event::check_fields(variants.iter().map(|v| (&v.ident, &v.number)), ctxt);
    let empty = variants.iter().all(|variant| matches!(variant.holds, Holds::Nothing));
    check_variants(&variants, empty, ctxt);
    Some(if empty { Shape::Enum(variants) } else { Shape::OneOf(variants) })
}

/// Protobuf writes variants in another case than Rust, where two of them can become one.
fn check_variants(variants: &[Variant], empty: bool, ctxt: &Ctxt) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for variant in variants {
        let name = text(&variant.ident);
        let proto = if empty { names::screaming(&name) } else { names::snake(&name) };
        if empty && proto == "UNSPECIFIED" {
            let message = format!("`{name}` is what protobuf calls a value that was not given; rename it");
            ctxt.say(codes::NAME_FORM, &variant.ident, message);
        }
        // Names that are equal in JSON are told already.
        let same = |(other, known): &&(String, String)| *known == proto && names::json(other) != names::json(&name);
        if let Some((other, _)) = seen.iter().find(same) {
            let message = format!("`{name}` and `{other}` are both `{proto}` in protobuf; rename one");
            ctxt.say(codes::NAME_FORM, &variant.ident, message);
        }
        seen.push((name, proto));
    }
}

fn variant(variant: &syn::Variant, ctxt: &Ctxt) -> Option<Variant> {
    event::conditional(&variant.attrs, ctxt);
    let (mut was, mut number) = (Slot::default(), Slot::default());
    for entry in helpers(&variant.attrs, ctxt) {
        match entry.name().as_str() {
            "was" => was.set(&entry, entry.string("OldName", ctxt), ctxt),
            "number" => number.set(&entry, entry.number(ctxt), ctxt),
            _ => unknown(&entry, "a variant", &["was", "number"], ctxt),
        }
    }
    let holds = match &variant.fields {
        Fields::Unit => Holds::Nothing,
        Fields::Named(named) => Holds::Fields(message(named, ctxt)),
        Fields::Unnamed(unnamed) => match unnamed.unnamed.first() {
            Some(only) if unnamed.unnamed.len() == 1 => {
                let Typed { kind, label } = types::read(&only.ty, ctxt)?;
                if label != Label::Plain {
                    let message =
                        "a `oneof` holds one plain thing; put the container into a struct with `#[murmur::value]`";
                    ctxt.say(codes::NESTED, &only.ty, message);
                    return None;
                }
                Holds::One(Box::new(only.ty.clone()), kind)
            }
            _ => {
                let message = format!("give the fields of `{}` names, or leave one", text(&variant.ident));
                ctxt.say(codes::VALUE_SHAPE, unnamed, message);
                return None;
            }
        },
    };
    Some(Variant { ident: variant.ident.clone(), docs: docs(&variant.attrs), holds, was, number })
}
