use proc_macro2::{Ident, TokenStream};
use syn::Visibility;

use super::key::key;
use super::{Arguments, Pipeline, Source};
use crate::attr::{CratePath, text};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::event::{self, Event, Owner};
use crate::model::{Monoid, Window};
use crate::names;
use crate::types::show;

/// The pipeline that the struct of an event is.
pub(super) fn read(given: Arguments, item: TokenStream, vis: Visibility, ctxt: &Ctxt) -> Option<Pipeline> {
    let event = event::body(item, Owner::Pipeline, CratePath::default(), ctxt)?;
    let marked: Vec<Ident> = event.fields.iter().filter(|f| f.key.is_given()).map(|f| f.ident.clone()).collect();
    let key = key(&given, Some(marked), &event.ident, ctxt);
    if let Some((key, _)) = &key {
        check_key_of_struct(key, &event, ctxt);
    }
    for remark in given.dedup.get().iter().flat_map(|dedup| crate::check::identity(dedup, &event)) {
        let (name, code, message) = remark;
        ctxt.say(code, name, message);
    }
    let timed = event.fields.iter().any(|field| field.time.is_given());
    if let Some(at) = given.window.at().filter(|_| !timed) {
        ctxt.push(Finding::new(codes::WINDOW_WITHOUT_TIME, at, without_time(&text(&event.ident))));
    }
    for total in event.fields.iter().flat_map(|field| &field.totals).filter(|_| !timed) {
        if matches!(total.monoid, Monoid::First(_) | Monoid::Last(_)) {
            let message =
                format!("`{}` needs the time of the event; put `#[murmur(time)]` on a `Timestamp` field", total.key);
            ctxt.say(codes::FIELD_AGGREGATE, &total.key, message);
        }
    }
    if let Some(at) = given.fields.at() {
        let message = format!(
            "`fields` names the members of a tuple, and the fields of `{}` have names; leave it out",
            event.ident
        );
        ctxt.push(Finding::new(codes::TUPLE_NAMES, at, message));
    }
    let name = given.name.get().cloned();
    match &name {
        Some(name) if names::marker(name) == text(&event.ident) => {
            let message = format!("`{name}` makes the type `{}`, which is the event's name; give another", event.ident);
            let at = given.name.at().unwrap_or_else(|| At::of(&event.ident));
            ctxt.push(Finding::new(codes::PIPELINE_NAME, at, message));
        }
        None if !given.name.is_given() => {
            let example = names::snake(&text(&event.ident)) + "s";
            let message =
                format!("a pipeline on a struct needs a name: `#[murmur::pipeline(name = \"{example}\", ...)]`");
            ctxt.say(codes::PIPELINE_NAME, &event.ident, message);
        }
        _ => {}
    }
    let ((key, rollup), name) = (key?, name?);
    Some(Pipeline {
        ident: event.ident.clone(),
        vis,
        name_at: given.name.at().unwrap_or_else(|| At::of(&event.ident)),
        name,
        docs: event.docs.clone(),
        key,
        rollup,
        window: given.window.get().copied().unwrap_or(Window::AllTime),
        window_at: given.window.at(),
        dedup: given.dedup.take().map(Box::new),
        unbounded: given.unbounded.is_given(),
        package: given.package,
        source: Source::Struct(Box::new(event)),
        krate: given.krate,
    })
}

/// The sentence about a window on an event without a time.
pub(crate) fn without_time(event: &str) -> String {
    format!("a window needs the time of the event; put `#[murmur(time)]` on a `Timestamp` field of `{event}`")
}

fn check_key_of_struct(key: &[Ident], event: &Event, ctxt: &Ctxt) {
    for name in key {
        match event.fields.iter().find(|field| field.ident == *name) {
            Some(field) if !crate::check::is_key(&field.typed) => {
                ctxt.say(codes::KEY_TYPE, &field.ty, crate::check::not_a_key(&text(name), &show(&field.ty)));
            }
            Some(_) => {}
            None => {
                let names: Vec<String> = event.fields.iter().map(|field| text(&field.ident)).collect();
                let message = crate::check::no_field(&text(name), &text(&event.ident), &names);
                ctxt.say(codes::UNKNOWN_FIELD, name, message);
            }
        }
    }
}
