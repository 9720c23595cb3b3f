//! Finding the annotated items of a module.
//!
//! An attribute is ours when it is written with the crate's name (`#[murmur::event]`), or by a name that a `use` of
//! the same module brings (`use murmur::event`, `use murmur::event as kept`, `use murmur::prelude::*`), or inside a
//! `cfg_attr` whose condition holds.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Path, Token, UseTree};

use crate::attr::{CratePath, text};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::item::Marker;

/// What the build step knows about the crate it reads.
pub struct Scope<'a> {
    /// The names by which the crate calls the runtime: `murmur`, and others after a rename in `Cargo.toml`.
    pub runtimes: &'a [String],
    /// Whether a condition of `cfg` or `cfg_attr` holds.
    pub cfg: &'a dyn Fn(&Meta) -> bool,
}

/// An annotated item, not yet read.
#[derive(Clone)]
pub struct Annotated {
    /// Which attribute.
    pub marker: Marker,
    /// What stands in its parentheses.
    pub arguments: TokenStream,
    /// The item without the attribute.
    pub item: TokenStream,
    /// The attribute.
    pub at: At,
}

/// The annotated items among the items of one module; modules inside are the caller's to follow.
pub fn annotated(items: &[Item], scope: &Scope<'_>, ctxt: &Ctxt) -> Vec<Annotated> {
    let names = imported(items, scope);
    let mut out = Vec::new();
    for item in items {
        let Some(attributes) = attributes(item) else { continue };
        if !attributes.iter().all(|attribute| holds(attribute, scope)) {
            continue;
        }
        let mut marks = attributes.iter().enumerate().filter_map(|(place, attribute)| {
            let (marker, arguments) = marker(&attribute.meta, &names, scope)?;
            Some((place, marker, arguments, At::of(attribute)))
        });
        let Some((place, marker, arguments, at)) = marks.next() else { continue };
        if let Some((_, second, _, _)) = marks.next() {
            ctxt.push(twice(marker, second, at));
            continue;
        }
        out.push(Annotated { marker, arguments, item: without(item, place), at });
    }
    out
}

fn twice(first: Marker, second: Marker, at: At) -> Finding {
    let message =
        format!("`#[murmur::{}]` and `#[murmur::{}]` stand on one item; leave one", first.name(), second.name());
    Finding::new(codes::SHAPE, at, message)
}

/// For a macro, which gets its item with the other attributes on it: the item without further ones of ours, and what
/// there is to say about them. `krate` is how the user calls the runtime.
pub fn alone(marker: Marker, item: TokenStream, krate: &CratePath, ctxt: &Ctxt) -> TokenStream {
    let runtime = krate.0.get().and_then(|path| path.segments.last()).map(|segment| text(&segment.ident));
    let runtimes = [runtime.unwrap_or_else(|| "murmur".into())];
    let scope = Scope { runtimes: &runtimes, cfg: &|_| false };
    let head = |input: ParseStream| Ok((input.call(Attribute::parse_outer)?, input.parse::<TokenStream>()?));
    // What has no attributes that can be read has none of ours.
    let Ok((attributes, rest)) = head.parse2(item.clone()) else { return item };
    let mut alone = TokenStream::new();
    for attribute in attributes {
        match self::marker(&attribute.meta, &HashMap::new(), &scope) {
            Some((second, _)) => ctxt.push(twice(marker, second, At::of(&attribute))),
            None => attribute.to_tokens(&mut alone),
        }
    }
    alone.extend(rest);
    alone
}

/// Attributes of the items that can be annotated, and of those that are refused with a reason.
fn attributes(item: &Item) -> Option<&[Attribute]> {
    match item {
        Item::Struct(item) => Some(&item.attrs),
        Item::Enum(item) => Some(&item.attrs),
        Item::Fn(item) => Some(&item.attrs),
        Item::Union(item) => Some(&item.attrs),
        Item::Type(item) => Some(&item.attrs),
        Item::Trait(item) => Some(&item.attrs),
        Item::Const(item) => Some(&item.attrs),
        Item::Static(item) => Some(&item.attrs),
        Item::Impl(item) => Some(&item.attrs),
        _ => None,
    }
}

fn without(item: &Item, place: usize) -> TokenStream {
    let mut item = item.clone();
    let attributes = match &mut item {
        Item::Struct(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Fn(item) => &mut item.attrs,
        Item::Union(item) => &mut item.attrs,
        Item::Type(item) => &mut item.attrs,
        Item::Trait(item) => &mut item.attrs,
        Item::Const(item) => &mut item.attrs,
        Item::Static(item) => &mut item.attrs,
        Item::Impl(item) => &mut item.attrs,
        _ => return item.to_token_stream(),
    };
    attributes.remove(place);
    item.to_token_stream()
}

/// Whether a `#[cfg(...)]` lets the item be; other attributes do.
fn holds(attribute: &Attribute, scope: &Scope<'_>) -> bool {
    let condition = attribute.path().is_ident("cfg").then(|| attribute.parse_args::<Meta>().ok()).flatten();
    condition.is_none_or(|condition| (scope.cfg)(&condition))
}

fn marker(meta: &Meta, names: &HashMap<String, Marker>, scope: &Scope<'_>) -> Option<(Marker, TokenStream)> {
    if meta.path().is_ident("cfg_attr") {
        let Meta::List(list) = meta else { return None };
        let inside = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
        let mut inside = inside.iter();
        let condition = inside.next().is_some_and(|condition| (scope.cfg)(condition));
        return inside.filter(|_| condition).find_map(|meta| marker(meta, names, scope));
    }
    let marker = named(meta.path(), names, scope)?;
    let arguments = match meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    Some((marker, arguments))
}

fn named(path: &Path, names: &HashMap<String, Marker>, scope: &Scope<'_>) -> Option<Marker> {
    let words: Vec<String> = path.segments.iter().map(|segment| text(&segment.ident)).collect();
    match words.as_slice() {
        [name] => names.get(name).copied(),
        [runtime, name] if scope.runtimes.contains(runtime) => by_name(name),
        [runtime, prelude, name] if scope.runtimes.contains(runtime) && prelude == "prelude" => by_name(name),
        _ => None,
    }
}

fn by_name(name: &str) -> Option<Marker> {
    Marker::ALL.into_iter().find(|marker| marker.name() == name)
}

/// The names that the module's `use` items bring for our attributes.
fn imported(items: &[Item], scope: &Scope<'_>) -> HashMap<String, Marker> {
    let mut names = HashMap::new();
    for item in items {
        if let Item::Use(item) = item {
            import(&item.tree, &mut Vec::new(), scope, &mut names);
        }
    }
    names
}

fn import(tree: &UseTree, path: &mut Vec<String>, scope: &Scope<'_>, names: &mut HashMap<String, Marker>) {
    let ours = |path: &[String]| match path {
        [runtime] => scope.runtimes.contains(runtime),
        [runtime, prelude] => scope.runtimes.contains(runtime) && prelude == "prelude",
        _ => false,
    };
    match tree {
        UseTree::Path(inner) => {
            path.push(text(&inner.ident));
            import(&inner.tree, path, scope, names);
            path.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| import(tree, path, scope, names)),
        UseTree::Name(name) if ours(path) => {
            names.extend(by_name(&text(&name.ident)).map(|marker| (text(&name.ident), marker)));
        }
        UseTree::Rename(rename) if ours(path) => {
            names.extend(by_name(&text(&rename.ident)).map(|marker| (text(&rename.rename), marker)));
        }
        UseTree::Glob(_) if ours(path) => {
            for marker in Marker::ALL {
                names.entry(marker.name().to_owned()).or_insert(marker);
            }
        }
        _ => {}
    }
}
