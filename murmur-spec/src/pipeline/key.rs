use proc_macro2::Ident;
use syn::Token;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;

use super::Arguments;
use crate::attr::text;
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};

/// `a`, `(a)`, `(a, b)` or `()`.
pub(crate) fn fields(input: ParseStream) -> syn::Result<Vec<Ident>> {
    if input.peek(syn::token::Paren) {
        let inside;
        syn::parenthesized!(inside in input);
        Ok(Punctuated::<Ident, Token![,]>::parse_terminated(&inside)?.into_iter().collect())
    } else {
        Ok(vec![input.parse()?])
    }
}

/// `[fields, fields]`.
pub(super) fn grains(input: ParseStream) -> syn::Result<Vec<Vec<Ident>>> {
    let inside;
    syn::bracketed!(inside in input);
    Ok(inside.parse_terminated(fields, Token![,])?.into_iter().collect())
}

/// The fields of the key, and the rollups as positions in them. `marked` are the fields with `#[murmur(key)]`.
pub(super) fn key(
    given: &Arguments,
    marked: Option<Vec<Ident>>,
    ident: &Ident,
    ctxt: &Ctxt,
) -> Option<(Vec<Ident>, Vec<Vec<usize>>)> {
    let lost = |slot_given: bool, there: bool| slot_given && !there;
    if lost(given.key.is_given(), given.key.get().is_some())
        || lost(given.rollup.is_given(), given.rollup.get().is_some())
    {
        return None;
    }
    let marked = marked.filter(|fields| !fields.is_empty());
    if let (Some(at), Some(_)) = (given.key.at(), &marked) {
        ctxt.push(Finding::new(codes::DUPLICATE_KEY, at, "the key is said by `#[murmur(key)]` already; leave one"));
    }
    let said = given.key.get().cloned().or(marked);
    let grains = given.rollup.get();
    let key = match (said, grains) {
        (Some(key), _) => key,
        (None, Some(grains)) => {
            let mut key: Vec<Ident> = Vec::new();
            for name in grains.iter().flatten() {
                if !key.contains(name) {
                    key.push(name.clone());
                }
            }
            key
        }
        (None, None) => {
            let message = format!("`{ident}` has no key; say what to count by: `key = page_id`");
            ctxt.say(codes::NO_KEY, ident, message);
            return None;
        }
    };
    if key.is_empty() {
        let at = given.key.at().or(given.rollup.at()).unwrap_or_else(|| At::of(ident));
        ctxt.push(Finding::new(codes::NO_KEY, at, "the key has no fields; name at least one: `key = page_id`"));
        return None;
    }
    let before = ctxt.len();
    for (at, name) in key.iter().enumerate() {
        if key[..at].contains(name) {
            ctxt.say(codes::DUPLICATE_FIELD, name, format!("`{name}` is in the key already"));
        }
    }
    let rollup = grains.map(|grains| positions(grains, &key, given.rollup.at(), ctxt)).unwrap_or_default();
    (ctxt.len() == before).then_some((key, rollup))
}

fn positions(grains: &[Vec<Ident>], key: &[Ident], at: Option<At>, ctxt: &Ctxt) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    for grain in grains {
        let mut places = Vec::new();
        for name in grain {
            match key.iter().position(|field| field == name) {
                Some(place) if places.contains(&place) => {
                    ctxt.say(codes::DUPLICATE_FIELD, name, format!("`{name}` is in this set already"));
                }
                Some(place) => places.push(place),
                None => ctxt.say(codes::ROLLUP, name, format!("`{name}` is not a field of the key; add it to `key`")),
            }
        }
        places.sort_unstable();
        if out.contains(&places) {
            let shown = grain.iter().map(text).collect::<Vec<_>>().join(", ");
            let message = format!("`({shown})` is listed twice; leave one");
            match grain.first() {
                Some(first) => ctxt.say(codes::ROLLUP, first, message),
                None => ctxt.push(Finding::new(codes::ROLLUP, at.unwrap_or_else(|| At::of(&key[0])), message)),
            }
        }
        out.push(places);
    }
    for (place, name) in key.iter().enumerate() {
        if !out.iter().any(|places| places.contains(&place)) {
            ctxt.say(
                codes::ROLLUP,
                name,
                format!("`{name}` is in no set of `rollup`; add it to one, or leave it out of `key`"),
            );
        }
    }
    out
}
