//! `fields(views, visitors)`: the names of what a function returns as a tuple.
//!
//! With them a tuple is what a struct with `#[murmur::aggregate]` is: a message whose fields have numbers by their names.
//! It has the name of its pipeline ([`names::totals`](crate::names::totals)), like the one that an event's struct makes.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Type, TypeTuple};

use super::Keeps;
use crate::aggregate::{self, Field};
use crate::attr::{Entry, Slot};
use crate::codes;
use crate::ctxt::{Ctxt, Finding};
use crate::event;
use crate::types::{self, show};

const FORM: &str = "`fields(views, visitors)`, or `fields(views, visitors(was = \"fans\"))`";

/// Read `fields(...)`.
pub(super) fn fields(entry: &Entry, ctxt: &Ctxt) -> Option<Vec<Entry>> {
    entry.list(FORM, ctxt)
}

/// What a function keeps that returns this type.
pub(super) fn keeps(ty: &Type, given: &Slot<Vec<Entry>>, ctxt: &Ctxt) -> Option<Keeps> {
    match types::bare(ty) {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => members(tuple, given, ctxt).map(Keeps::Tuple),
        single => {
            if let Some(at) = given.at() {
                let message =
                    format!("`fields` names the members of a tuple, and `{}` is none; leave it out", show(ty));
                ctxt.push(Finding::new(codes::TUPLE_NAMES, at, message));
            }
            aggregate::read(single, ctxt).map(Keeps::One)
        }
    }
}

/// The members of a tuple, each with its name.
fn members(tuple: &TypeTuple, given: &Slot<Vec<Entry>>, ctxt: &Ctxt) -> Option<Vec<Field>> {
    let (shown, count) = (show(tuple), tuple.elems.len());
    let Some(names) = given.get() else {
        if !given.is_given() {
            let message = format!(
                "the members of `{shown}` have no names; give {count}, in their order, as in `fields(views, visitors)` beside \
                 `key`, or return a struct with `#[murmur::aggregate]`"
            );
            ctxt.say(codes::TUPLE_NAMES, tuple, message);
        }
        return None;
    };
    if names.len() != count {
        let message =
            format!("`fields` names {} of the {count} members of `{shown}`; name each, in their order", names.len());
        ctxt.push(Finding::new(codes::TUPLE_NAMES, given.at()?, message));
        return None;
    }
    let before = ctxt.len();
    let named = names.iter().zip(&tuple.elems).enumerate();
    let read = named.map(|(place, (entry, ty))| {
        let said = entry.list(FORM, ctxt)?;
        let name = name(entry, &names[..place], ctxt)?;
        aggregate::named(name, Vec::new(), ty, said, ctxt)
    });
    // All of them, for all that is wrong.
    let fields: Vec<Field> = read.collect::<Vec<_>>().into_iter().flatten().collect();
    event::check_fields(fields.iter().map(|field| (&field.ident, &field.number)), ctxt);
    (ctxt.len() == before).then_some(fields)
}

/// A name that can be that of a field, and that no member before has.
fn name(entry: &Entry, before: &[Entry], ctxt: &Ctxt) -> Option<Ident> {
    let name = entry.name();
    if before.iter().any(|other| other.name() == name) {
        ctxt.say(
            codes::TUPLE_NAMES,
            &entry.key,
            format!("`{name}` is the name of another member; give each one of its own"),
        );
        return None;
    }
    let ident = syn::parse2::<Ident>(entry.key.to_token_stream()).ok();
    if ident.is_none() {
        ctxt.say(
            codes::TUPLE_NAMES,
            &entry.key,
            format!("`{name}` is a word of Rust's own; give the member another name"),
        );
    }
    ident
}
