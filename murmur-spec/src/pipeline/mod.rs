//! `#[murmur::pipeline]`: on a function, or on the struct of an event.

mod function;
mod key;
mod structure;
mod tuple;

use proc_macro2::{Ident, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Signature, Token, Type, Visibility};

use crate::aggregate;
use crate::attr::{CratePath, Entry, Slot, entries, unknown};
use crate::codes;
use crate::ctxt::{At, Ctxt, Finding};
use crate::dedup::{self, Dedup};
use crate::event::Event;
use crate::model::{Monoid, Returns, Window};
use crate::names;
use crate::window;
pub(crate) use key::fields;
pub(crate) use structure::without_time;

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
    pub dedup: Option<Box<Dedup>>,
    /// `unbounded`: its items may grow over what a store takes.
    pub unbounded: bool,
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
    /// The type of what is kept.
    pub output: Type,
    /// What it was read as.
    pub keeps: Keeps,
    /// Whether it filters or fans out.
    pub returns: Returns,
    /// The types of the key's fields, for a fan-out.
    pub key_types: Vec<Type>,
}

/// What a function keeps of an event.
#[derive(Clone)]
pub enum Keeps {
    /// An aggregate; a name that is not known is an aggregate struct's.
    One(Monoid),
    /// A tuple of them, whose members have the names in `fields(...)`.
    Tuple(Vec<aggregate::Field>),
}

impl Pipeline {
    /// The members of the tuple that its function returns; none of anything else.
    pub fn members(&self) -> &[aggregate::Field] {
        match &self.source {
            Source::Function(function) => match &function.keeps {
                Keeps::Tuple(members) => members,
                Keeps::One(_) => &[],
            },
            Source::Struct(_) => &[],
        }
    }

    /// Whether what it keeps is an aggregate of its own, named after it.
    pub fn has_totals(&self) -> bool {
        matches!(self.source, Source::Struct(_)) || !self.members().is_empty()
    }
}

const KEYS: &[&str] = &["key", "window", "rollup", "fields", "dedup", "unbounded", "name", "package", "crate"];
const KEY_FORM: &str = "`key = page_id` or `key = (shop_id, sku)`, without quotes";
const ROLLUP_FORM: &str = "`rollup = [(post_id, country), (post_id), ()]`";

/// The arguments of the attribute.
#[derive(Default)]
struct Arguments {
    key: Slot<Vec<Ident>>,
    window: Slot<Window>,
    rollup: Slot<Vec<Vec<Ident>>>,
    fields: Slot<Vec<Entry>>,
    dedup: Slot<Dedup>,
    unbounded: Slot<()>,
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
            "rollup" => given.rollup.set(&entry, entry.parse(ROLLUP_FORM, key::grains, ctxt), ctxt),
            "fields" => given.fields.set(&entry, tuple::fields(&entry, ctxt), ctxt),
            "unbounded" => given.unbounded.set(&entry, entry.word(ctxt), ctxt),
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
        Some(signature) => function::read(given, head.attributes, head.vis, &signature, ctxt),
        None => structure::read(given, item, head.vis, ctxt),
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
