//! `#[murmur::event]`: a struct, read as an event.

use proc_macro2::{Ident, TokenStream};
use syn::{Fields, ItemStruct, Type};

use crate::attr::{CratePath, Entry, Slot, docs, entries, helpers, text, unknown};
use crate::beside::{self, Beside};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::model::{Kind, Label};
use crate::names;
use crate::totals::{self, Total};
use crate::types::{self, Typed, show};

/// An event, with the user's tokens.
#[derive(Clone)]
pub struct Event {
    /// The struct's name.
    pub ident: Ident,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its fields, in order of declaration.
    pub fields: Vec<Field>,
    /// `crate = path`.
    pub krate: CratePath,
}

/// A field, with the user's tokens.
#[derive(Clone)]
pub struct Field {
    /// Its name.
    pub ident: Ident,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// Its type as written.
    pub ty: Type,
    /// What the type was read as.
    pub typed: Typed,
    /// The type was given by `#[murmur(as = "...")]`, not by its spelling.
    pub converted: bool,
    /// `#[murmur(time)]`.
    pub time: Slot<()>,
    /// `#[murmur(header = "trace-id")]` and the like.
    pub beside: Slot<Beside>,
    /// `#[murmur(key)]`, in a pipeline's struct.
    pub key: Slot<()>,
    /// Aggregates, in a pipeline's struct.
    pub totals: Vec<Total>,
    /// `#[murmur(was = "old")]`.
    pub was: Slot<String>,
    /// `#[murmur(number = 7)]`.
    pub number: Slot<u32>,
}

/// Whose field it is; decides which keys it may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A plain event.
    Event,
    /// An event with `#[murmur::pipeline]` on it.
    Pipeline,
    /// A value.
    Value,
}

impl Owner {
    fn place(self) -> &'static str {
        match self {
            Self::Event => "a field of an event",
            Self::Pipeline => "a field of a pipeline's event",
            Self::Value => "a field of a value",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Event => &["time", "header", "record_key", "broker_time", "was", "number", "as"],
            Self::Pipeline => &[
                "key",
                "time",
                "header",
                "record_key",
                "broker_time",
                "sum",
                "average",
                "moments",
                "quantiles",
                "min",
                "max",
                "first",
                "last",
                "distinct",
                "distinct_set",
                "set",
                "top_k",
                "membership",
                "frequency",
                "was",
                "number",
                "as",
            ],
            Self::Value => &["was", "number", "as"],
        }
    }
}

/// Read `#[murmur::event(arguments)] item`. `None` when it is no struct with named fields.
pub fn parse(arguments: TokenStream, item: TokenStream, ctxt: &Ctxt) -> Option<Event> {
    let mut krate = CratePath::default();
    for entry in entries(arguments, ctxt) {
        match entry.name().as_str() {
            "crate" => krate.set(&entry, ctxt),
            _ => unknown(&entry, "an event", &["crate"], ctxt),
        }
    }
    body(item, Owner::Event, krate, ctxt)
}

/// Read the struct itself.
pub(crate) fn body(item: TokenStream, owner: Owner, krate: CratePath, ctxt: &Ctxt) -> Option<Event> {
    let item: ItemStruct = match syn::parse2(item.clone()) {
        Ok(item) => item,
        Err(_) => {
            ctxt.say(
                codes::SHAPE,
                &item,
                "an event is a struct with named fields: `struct PageView { page_id: String }`",
            );
            return None;
        }
    };
    refuse_generics(&item.generics, ctxt);
    for entry in helpers(&item.attrs, ctxt) {
        unknown(&entry, "the struct itself", &[], ctxt);
    }
    let Fields::Named(named) = &item.fields else {
        ctxt.say(
            codes::SHAPE,
            &item.ident,
            format!("`{}` has no named fields; write `struct {} {{ .. }}`", item.ident, item.ident),
        );
        return None;
    };
    if named.named.is_empty() {
        ctxt.say(codes::EMPTY, &item.ident, format!("`{}` has no fields", item.ident));
    }
    message_name(&item.ident, ctxt);
    let fields: Vec<Field> = named.named.iter().filter_map(|f| field(f, owner, ctxt)).collect();
    check_time(&fields, ctxt);
    beside::check(&fields, ctxt);
    check_fields(fields.iter().map(|f| (&f.ident, &f.number)), ctxt);
    Some(Event { ident: item.ident, docs: docs(&item.attrs), fields, krate })
}

/// Read one named field. `None` when its type is no good.
pub(crate) fn field(field: &syn::Field, owner: Owner, ctxt: &Ctxt) -> Option<Field> {
    let ident = field.ident.clone()?;
    conditional(&field.attrs, ctxt);
    let (mut time, mut key, mut was, mut number, mut as_) =
        (Slot::default(), Slot::default(), Slot::default(), Slot::default(), Slot::default());
    let mut beside = Slot::default();
    let mut wanted: Vec<(Entry, totals::What)> = Vec::new();
    for entry in helpers(&field.attrs, ctxt) {
        let name = entry.name();
        if !owner.keys().contains(&name.as_str()) {
            unknown(&entry, owner.place(), owner.keys(), ctxt);
            continue;
        }
        match name.as_str() {
            "time" => time.set(&entry, entry.word(ctxt), ctxt),
            "key" => key.set(&entry, entry.word(ctxt), ctxt),
            "header" | "record_key" | "broker_time" => beside::set(&mut beside, &entry, ctxt),
            "was" => was.set(&entry, entry.string("old_name", ctxt), ctxt),
            "number" => number.set(&entry, entry.number(ctxt), ctxt),
            "as" => as_.set(&entry, as_kind(&entry, ctxt), ctxt),
            _ => wanted.extend(totals::what(&entry, ctxt).map(|what| (entry, what))),
        }
    }
    let converted = as_.is_given();
    let typed = match as_.take() {
        Some(kind) => Some(Typed { kind, label: Label::Plain }),
        None if converted => None,
        None => types::read(&field.ty, ctxt),
    }?;
    let totals = totals::of_field(&ident, &typed, wanted, ctxt);
    Some(Field {
        docs: docs(&field.attrs),
        ty: field.ty.clone(),
        ident,
        typed,
        converted,
        time,
        beside,
        key,
        totals,
        was,
        number,
    })
}

/// The kind that `as = "..."` names.
pub(crate) fn as_kind(entry: &Entry, ctxt: &Ctxt) -> Option<Kind> {
    let name = entry.string("string", ctxt)?;
    let kind = types::named(&name);
    if kind.is_none() {
        let message = format!(
            "`{name}` is not a scalar type of protobuf; write one of `string`, `bytes`, `bool`, `uint32`, `uint64`, `int32`, `int64`, `float`, `double`"
        );
        ctxt.push(Finding::new(codes::ATTRIBUTE_FORM, entry.at(), message));
    }
    kind
}

fn check_time(fields: &[Field], ctxt: &Ctxt) {
    let mut times = fields.iter().filter(|field| field.time.is_given());
    let Some(first) = times.next() else { return };
    if first.typed != (Typed { kind: Kind::Timestamp, label: Label::Plain }) {
        let shown = show(&first.ty);
        ctxt.say(codes::TIME_TYPE, &first.ty, format!("the time of an event is a `Timestamp`, not `{shown}`"));
    }
    for second in times {
        let (first, name) = (text(&first.ident), text(&second.ident));
        let message =
            format!("`{first}` is the time already; remove `#[murmur(time)]` from `{first}` or from `{name}`");
        ctxt.push(Finding::new(codes::TWO_TIMES, second.time.at().unwrap_or(At::of(&second.ident)), message));
    }
}

/// A `cfg` on a field makes two contracts of one item; an attribute macro cannot tell which one is meant.
pub(crate) fn conditional(attributes: &[syn::Attribute], ctxt: &Ctxt) {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
        ctxt.say(
            codes::CONDITIONAL,
            attribute,
            "a field of a contract cannot depend on `cfg`; remove it, or put it on the whole item",
        );
    }
}

/// Type parameters, lifetimes and constants: a contract has none.
pub(crate) fn refuse_generics(generics: &syn::Generics, ctxt: &Ctxt) {
    if let Some(first) = generics.params.first() {
        let shown = show(first);
        ctxt.say(
            codes::GENERIC,
            &generics.params,
            format!("a contract cannot have the parameter `{shown}`; name the type"),
        );
    }
}

/// A message's name: ASCII.
pub(crate) fn message_name(ident: &Ident, ctxt: &Ctxt) {
    let name = text(ident);
    if !name.is_ascii() {
        ctxt.say(codes::NAME_FORM, ident, format!("`{name}` is not ASCII, as names in protobuf must be"));
    }
}

/// Names and numbers within one message.
pub(crate) fn check_fields<'a>(fields: impl Iterator<Item = (&'a Ident, &'a Slot<u32>)>, ctxt: &Ctxt) {
    let mut seen: Vec<(String, String, Option<u32>)> = Vec::new();
    for (ident, number) in fields {
        message_name(ident, ctxt);
        let (name, number_at) = (text(ident), number.at());
        let (json, number) = (names::json(&name), number.get().copied());
        if let Some((other, ..)) = seen.iter().find(|(_, other, _)| *other == json) {
            let message = format!("`{name}` and `{other}` are both `{json}` in JSON; rename one");
            ctxt.say(codes::NAME_FORM, ident, message);
        }
        if let (Some(at), Some((other, ..))) = (number_at, seen.iter().find(|(_, _, n)| n.is_some() && *n == number)) {
            let message = format!("`{other}` has this number already; give `{name}` another");
            ctxt.push(Finding::new(codes::NUMBER, at, message));
        }
        seen.push((name, json, number));
    }
}
