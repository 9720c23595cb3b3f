//! `#[murmur::pipeline]`: on a function, or on the struct of an event.

use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, PathArguments, ReturnType, Signature, Token, Type, Visibility,
};

use crate::aggregate;
use crate::attr::{CratePath, Entry, Slot, docs, entries, text, unknown};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::dedup::{self, Dedup};
use crate::event::{self, Event, Owner};
use crate::model::{Monoid, Returns, Window};
use crate::names;
use crate::types::{self, show};
use crate::window;

/// A pipeline, with the user's tokens.
#[derive(Clone)]
pub struct Pipeline {
    /// The name of the function or struct.
    pub ident: Ident,
    /// Its visibility, which what is made takes over.
    pub vis: Visibility,
    /// The pipeline's name, in snake case.
    pub name: String,
    /// Where the name was said.
    pub name_at: At,
    /// Doc comment, a line each.
    pub docs: Vec<String>,
    /// The fields of the key, in order.
    pub key: Vec<Ident>,
    /// Rollups as positions in `key`, each in order; empty without `rollup`.
    pub rollup: Vec<Vec<usize>>,
    /// Its window.
    pub window: Window,
    /// Where the window was said; `None` without one.
    pub window_at: Option<At>,
    /// Which events are the same one.
    pub dedup: Option<Dedup>,
    /// `package = "..."`.
    pub package: Slot<String>,
    /// What it is on.
    pub source: Source,
    /// `crate = path`.
    pub krate: CratePath,
}

/// What the attribute stands on.
#[derive(Clone)]
pub enum Source {
    /// A function from an event to an aggregate.
    Function(Box<Function>),
    /// The event itself; its fields say what is kept.
    Struct(Box<Event>),
}

/// The signature of a pipeline's function.
#[derive(Clone)]
pub struct Function {
    /// The event's type, without the reference.
    pub event: Type,
    /// The aggregate's type.
    pub output: Type,
    /// What the aggregate was read as; a name that is not known is an aggregate struct's.
    pub monoid: Monoid,
    /// Whether it filters or fans out.
    pub returns: Returns,
    /// The types of the key's fields, for a fan-out.
    pub key_types: Vec<Type>,
}

const KEYS: &[&str] = &["key", "window", "rollup", "dedup", "name", "package", "crate"];
const KEY_FORM: &str = "`key = page_id` or `key = (shop_id, sku)`, without quotes";
const ROLLUP_FORM: &str = "`rollup = [(post_id, country), (post_id), ()]`";

/// The arguments of the attribute.
#[derive(Default)]
struct Arguments {
    key: Slot<Vec<Ident>>,
    window: Slot<Window>,
    rollup: Slot<Vec<Vec<Ident>>>,
    dedup: Slot<Dedup>,
    name: Slot<String>,
    package: Slot<String>,
    krate: CratePath,
}

/// Read `#[murmur::pipeline(arguments)] item`.
pub fn parse(arguments: TokenStream, item: TokenStream, ctxt: &Ctxt) -> Option<Pipeline> {
    let mut given = Arguments::default();
    for entry in entries(arguments, ctxt) {
        match entry.name().as_str() {
            "key" => given.key.set(&entry, entry.parse(KEY_FORM, fields, ctxt), ctxt),
            "window" => given.window.set(&entry, window::parse(&entry, ctxt), ctxt),
            "rollup" => given.rollup.set(&entry, entry.parse(ROLLUP_FORM, grains, ctxt), ctxt),
            "dedup" => given.dedup.set(&entry, dedup::parse(&entry, ctxt), ctxt),
            "name" => given.name.set(&entry, name(&entry, ctxt), ctxt),
            "package" => given.package.set(&entry, package(&entry, ctxt), ctxt),
            "crate" => given.krate.set(&entry, ctxt),
            _ => unknown(&entry, "a pipeline", KEYS, ctxt),
        }
    }
    let head = match Head::parse.parse2(item.clone()) {
        Ok(head) => head,
        Err(_) => {
            let message =
                "a pipeline is a function `fn page_traffic(view: &PageView) -> Traffic`, or the struct of an event";
            ctxt.say(codes::SHAPE, &item, message);
            return None;
        }
    };
    match head.signature {
        Some(signature) => on_function(given, head.attributes, head.vis, &signature, ctxt),
        None => on_struct(given, item, head.vis, ctxt),
    }
}

/// What stands before the body. The body is never parsed: a half-typed one must not lose the function.
struct Head {
    attributes: Vec<Attribute>,
    vis: Visibility,
    signature: Option<Signature>,
}

impl Head {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let signature = if input.peek(Token![struct]) { None } else { Some(input.parse()?) };
        input.parse::<TokenStream>()?;
        Ok(Self { attributes, vis, signature })
    }
}

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
fn grains(input: ParseStream) -> syn::Result<Vec<Vec<Ident>>> {
    let inside;
    syn::bracketed!(inside in input);
    Ok(inside.parse_terminated(fields, Token![,])?.into_iter().collect())
}

fn name(entry: &Entry, ctxt: &Ctxt) -> Option<String> {
    let name = entry.string("page_traffic", ctxt)?;
    if names::marker(&name) == "Self" {
        let message = format!("`{name}` makes the type `Self`, which is Rust's own; give another");
        ctxt.push(Finding::new(codes::PIPELINE_NAME, entry.at(), message));
        return None;
    }
    if names::is_snake(&name) {
        return Some(name);
    }
    let better = names::snake(&name);
    let hint = if names::is_snake(&better) { format!("; write `{better}`") } else { String::new() };
    ctxt.push(Finding::new(codes::PIPELINE_NAME, entry.at(), format!("`{name}` is not in snake_case{hint}")));
    None
}

fn package(entry: &Entry, ctxt: &Ctxt) -> Option<String> {
    let package = entry.string("shop.orders.v1", ctxt)?;
    if names::is_own_package(&package) {
        return Some(package);
    }
    let message = if names::is_package(&package) {
        format!("`{package}` belongs to the files that contracts import; choose a package of your own")
    } else {
        format!("`{package}` is not a protobuf package; write lower-case words and a version: `shop.orders.v1`")
    };
    ctxt.push(Finding::new(codes::PACKAGE_NAME, entry.at(), message));
    None
}

fn on_function(
    given: Arguments,
    attributes: Vec<Attribute>,
    vis: Visibility,
    signature: &Signature,
    ctxt: &Ctxt,
) -> Option<Pipeline> {
    let ident = signature.ident.clone();
    let event = argument(signature, ctxt);
    let output = output(&signature.output, &ident, ctxt);
    let (key, rollup) = key(&given, None, &ident, ctxt)?;
    let name = match (given.name.is_given(), given.name.get()) {
        (true, name) => name.cloned(),
        (false, _) if names::is_snake(&text(&ident)) => Some(text(&ident)),
        (false, _) => {
            let message = format!("`{ident}` is not in snake_case; rename it, or give `name = \"...\"`");
            ctxt.say(codes::PIPELINE_NAME, &ident, message);
            None
        }
    };
    let (output, key_types) = output?;
    if let Some(types) = key_types.as_ref().filter(|types| types.len() != key.len()) {
        let names = key.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the key has {} here, and {} in `key`: {names}", parts(types.len()), parts(key.len()));
        let ReturnType::Type(_, ty) = &signature.output else { return None };
        ctxt.say(codes::FAN_OUT_KEY, ty, message);
    }
    let (event, name) = (event?, name?);
    let ours = Function {
        event,
        returns: output.returns,
        output: output.ty,
        monoid: output.monoid,
        key_types: key_types.unwrap_or_default(),
    };
    Some(Pipeline {
        name_at: given.name.at().unwrap_or_else(|| At::of(&ident)),
        ident,
        vis,
        name,
        docs: docs(&attributes),
        key,
        rollup,
        window: given.window.get().copied().unwrap_or(Window::AllTime),
        window_at: given.window.at(),
        dedup: given.dedup.take(),
        package: given.package,
        source: Source::Function(Box::new(ours)),
        krate: given.krate,
    })
}

fn parts(count: usize) -> String {
    if count == 1 { "1 part".into() } else { format!("{count} parts") }
}

/// The event's type: the one argument, by reference.
fn argument(signature: &Signature, ctxt: &Ctxt) -> Option<Type> {
    let name = &signature.ident;
    let form = format!("write `fn {name}(event: &PageView) -> Traffic`");
    let refuse = |tokens: &dyn quote::ToTokens, what: &str| {
        ctxt.say(codes::SIGNATURE, &quote::quote!(#tokens), format!("{what}; {form}"));
    };
    let mut plain = true;
    for (token, what) in [
        (signature.constness.as_ref().map(|t| t as &dyn quote::ToTokens), "a pipeline is not `const`"),
        (
            signature.asyncness.as_ref().map(|t| t as _),
            "a pipeline is not `async`: the same event always gives the same aggregate",
        ),
        (signature.abi.as_ref().map(|t| t as _), "a pipeline is not `extern`"),
        (signature.variadic.as_ref().map(|t| t as _), "a pipeline has one argument"),
    ] {
        if let Some(token) = token {
            refuse(token, what);
            plain = false;
        }
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        refuse(&signature.safety, "a pipeline is not `unsafe`");
        plain = false;
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            ctxt.say(
                codes::GENERIC,
                parameter,
                format!("a pipeline cannot have the parameter `{}`; name the type", show(parameter)),
            );
            plain = false;
        }
    }
    let mut inputs = signature.inputs.iter();
    let (first, second) = (inputs.next(), inputs.next());
    let event = match (first, second) {
        (Some(FnArg::Typed(argument)), None) => match types::bare(&argument.ty) {
            Type::Reference(reference)
                if reference.mutability.is_none() && types::last_segment(&reference.elem).is_some() =>
            {
                Some(types::bare(&reference.elem).clone())
            }
            other => {
                refuse(other, "a pipeline takes its event by reference");
                None
            }
        },
        (None, _) => {
            refuse(&signature.ident, "a pipeline takes an event");
            None
        }
        (Some(receiver @ FnArg::Receiver(_)), _) => {
            refuse(receiver, "a pipeline is a function, not a method");
            None
        }
        (Some(_), Some(_)) => {
            refuse(&signature.inputs, "a pipeline has one argument");
            None
        }
    };
    event.filter(|_| plain)
}

/// What a function returns.
struct Output {
    returns: Returns,
    ty: Type,
    monoid: Monoid,
}

/// The aggregate, how often it comes, and the key's types of a fan-out.
fn output(output: &ReturnType, ident: &Ident, ctxt: &Ctxt) -> Option<(Output, Option<Vec<Type>>)> {
    let refuse = |tokens: &dyn quote::ToTokens, what: String| {
        let way = "return an aggregate, `Option` of one, or `impl Iterator<Item = (Key, Aggregate)>`";
        ctxt.say(codes::RETURNS, &quote::quote!(#tokens), format!("{what}; {way}"));
        None
    };
    let ty = match output {
        ReturnType::Default => return refuse(ident, format!("`{ident}` returns nothing")),
        ReturnType::Type(_, ty) => types::bare(ty),
    };
    if let Some(item) = iterator_item(ty) {
        let Type::Tuple(pair) = types::bare(item) else {
            return refuse(item, format!("`{}` has no key", show(item)));
        };
        let (Some(key), Some(aggregate), 2) = (pair.elems.first(), pair.elems.last(), pair.elems.len()) else {
            return refuse(item, format!("`{}` is not a key and an aggregate", show(item)));
        };
        let key_types = match types::bare(key) {
            Type::Tuple(tuple) => tuple.elems.iter().cloned().collect(),
            single => vec![single.clone()],
        };
        let monoid = aggregate::read(aggregate, ctxt)?;
        return Some((Output { returns: Returns::Many, ty: aggregate.clone(), monoid }, Some(key_types)));
    }
    let (returns, ty) = match types::last_segment(ty).map(|s| (text(&s.ident), types::arguments(s))) {
        Some((name, arguments)) if name == "Option" && arguments.len() == 1 => (Returns::Optional, arguments[0]),
        Some(_) => (Returns::One, ty),
        None => return refuse(ty, format!("`{}` is not an aggregate", show(ty))),
    };
    let monoid = aggregate::read(ty, ctxt)?;
    Some((Output { returns, ty: ty.clone(), monoid }, None))
}

/// The items of `Vec<T>`, `[T; N]` or `impl Iterator<Item = T>` (or `IntoIterator`).
fn iterator_item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Array(array) => Some(&array.elem),
        Type::ImplTrait(bounds) => bounds.bounds.iter().find_map(|bound| {
            let syn::TypeParamBound::Trait(bound) = bound else { return None };
            let segment = bound.path.segments.last()?;
            let iterates = segment.ident == "Iterator" || segment.ident == "IntoIterator";
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
            arguments.args.iter().filter(|_| iterates).find_map(|argument| match argument {
                GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
                _ => None,
            })
        }),
        _ => {
            let segment = types::last_segment(ty)?;
            let arguments = types::arguments(segment);
            (segment.ident == "Vec" && arguments.len() == 1).then(|| arguments[0])
        }
    }
}

fn on_struct(given: Arguments, item: TokenStream, vis: Visibility, ctxt: &Ctxt) -> Option<Pipeline> {
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
        dedup: given.dedup.take(),
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

/// The fields of the key, and the rollups as positions in them. `marked` are the fields with `#[murmur(key)]`.
fn key(
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
