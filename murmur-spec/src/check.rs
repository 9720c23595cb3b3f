//! Rules over more than one item: what only the build step can see.

mod aggregates;

use std::collections::HashMap;

use proc_macro2::Ident;

use crate::attr::text;
use crate::codes::{self, Code};
use crate::ctxt::suggest;
use crate::dedup::Dedup;
use crate::event::{Event, Field};
use crate::item::{Item, Part};
use crate::model::{Kind, Label, Monoid, Window};
use crate::names;
use crate::pipeline::{Function, Pipeline, Source};
use crate::types::{Typed, show};
use crate::value::{Holds, Shape, Value};

/// A finding about a package, said of a part of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Which of the items given to [`package`].
    pub item: usize,
    /// Which part of it.
    pub part: Part,
    /// Which kind.
    pub code: Code,
    /// What, in a sentence that names the thing and the way out.
    pub message: String,
}

/// Whether a field can be part of a key.
pub fn is_key(typed: &Typed) -> bool {
    typed.label == Label::Plain && is_key_kind(&typed.kind)
}

fn is_key_kind(kind: &Kind) -> bool {
    use Kind::{Bool, I8, I16, I32, I64, String, Timestamp, U8, U16, U32, U64};
    matches!(kind, Bool | U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | String | Timestamp)
}

pub(crate) fn not_a_key(name: &str, shown: &str) -> String {
    let way = if shown.starts_with("Option<") {
        "; return an iterator of `(Key, Aggregate)` that is empty when there is none"
    } else {
        ""
    };
    format!("`{name}` is `{shown}`; keys are made of `String`, integers, `bool` and `Timestamp`{way}")
}

pub(crate) fn no_field(name: &str, event: &str, fields: &[String]) -> String {
    match suggest(name, fields.iter().map(String::as_str)) {
        Some(near) => format!("`{event}` has no field `{name}`; did you mean `{near}`?"),
        None => {
            let list = fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
            format!("`{event}` has no field `{name}`; its fields are {list}")
        }
    }
}

/// What is wrong with the fields that identify an event, with the user's tokens.
pub(crate) fn identity<'a>(dedup: &'a Dedup, event: &'a Event) -> impl Iterator<Item = (&'a Ident, Code, String)> {
    dedup.identity.iter().filter_map(|name| {
        let Some(field) = event.fields.iter().find(|field| text(&field.ident) == text(name)) else {
            let fields: Vec<String> = event.fields.iter().map(|field| text(&field.ident)).collect();
            return Some((name, codes::UNKNOWN_FIELD, no_field(&text(name), &text(&event.ident), &fields)));
        };
        let fits = is_key_kind(&field.typed.kind) && matches!(field.typed.label, Label::Plain | Label::Optional);
        (!fits || field.converted).then(|| {
            let shown = show(&field.ty);
            let message = format!(
                "`{name}` is `{shown}`; what identifies an event is a `String`, an integer, a `bool`, a `Timestamp`, or \
                 an `Option` of one"
            );
            (name, codes::DEDUP, message)
        })
    })
}

/// What is wrong with the items of a crate as a whole, each with the file it stands in.
pub fn package(items: &[(&Item, &str)]) -> Vec<Remark> {
    let mut check = Check { items, remarks: Vec::new() };
    check.names();
    check.packages();
    for (at, (item, _)) in items.iter().enumerate() {
        if let Some(event) = item.event() {
            check.fields(at, &event.fields);
        }
        for (monoid, part) in item.aggregates() {
            check.aggregate(at, part, monoid);
        }
        match item {
            Item::Value(value) => match &value.shape {
                Shape::Newtype(ty, kind) => {
                    check.value(at, Part::Type(String::new()), kind, &show(ty));
                    check.endless(at, &item.name(), kind);
                }
                Shape::Message(fields) => check.fields(at, fields),
                Shape::Enum(_) => {}
                Shape::OneOf(variants) => variants.iter().for_each(|variant| match &variant.holds {
                    Holds::Nothing => {}
                    Holds::One(ty, kind) => check.value(at, Part::Type(text(&variant.ident)), kind, &show(ty)),
                    Holds::Fields(fields) => check.fields(at, fields),
                }),
            },
            Item::Pipeline(pipeline) => check.pipeline(at, pipeline),
            Item::Event(_) | Item::Aggregate(_) => {}
        }
    }
    check.remarks
}

struct Check<'a> {
    items: &'a [(&'a Item, &'a str)],
    remarks: Vec<Remark>,
}

impl<'a> Check<'a> {
    fn say(&mut self, item: usize, part: Part, code: Code, message: String) {
        self.remarks.push(Remark { item, part, code, message });
    }

    fn find<T>(&self, of: impl Fn(&'a Item) -> Option<T>) -> Vec<T> {
        self.items.iter().filter_map(|(item, _)| of(item)).collect()
    }

    /// Messages and services of one package have names of their own.
    fn names(&mut self) {
        let mut taken: HashMap<String, (usize, String)> = HashMap::new();
        let mut pipelines: HashMap<String, usize> = HashMap::new();
        for (at, (item, _)) in self.items.iter().enumerate() {
            let mut made: Vec<(String, String, Part)> = Vec::new();
            if !matches!(item, Item::Pipeline(Pipeline { source: Source::Function(_), .. })) {
                made.push((item.name(), format!("`{}`", item.name()), Part::Item));
            }
            if let Item::Value(value) = item {
                made.extend(crate::package::variant_messages(value).map(|name| {
                    let what = format!("`{name}`, which a variant of `{}` makes,", item.name());
                    (name, what, Part::Item)
                }));
                made.extend(enum_values(value).map(|(variant, name)| {
                    let what = format!("`{name}`, which `{}::{variant}` makes,", item.name());
                    (name, what, Part::Field(variant))
                }));
            }
            made.extend(item.aggregates().into_iter().filter_map(|(monoid, part)| {
                let Monoid::Map(key, of, _) = monoid else { return None };
                let name = names::map(*key, of);
                // The same words where it is the same message.
                let of =
                    if let Monoid::Custom { reply, .. } = &**of { format!(" of `{reply}`") } else { String::new() };
                let what = format!("`{name}`, which a `Map`{of} makes,");
                Some((name, what, part))
            }));
            if let Item::Pipeline(pipeline) = item {
                if let Some(first) = pipelines.insert(pipeline.name.clone(), at) {
                    let (other, file) = (self.items[first].0.name(), self.items[first].1);
                    let message = format!(
                        "`{other}` in {file} is the pipeline `{}` already; give this one another name by `name = \"...\"`",
                        pipeline.name
                    );
                    self.say(at, Part::Name, codes::DUPLICATE_PIPELINE, message);
                    continue;
                }
                made.extend(generated(pipeline).into_iter().map(|name| {
                    let what = format!("`{name}`, which the pipeline `{}` makes,", pipeline.name);
                    (name, what, Part::Name)
                }));
            }
            for (name, what, part) in made {
                // All maps of the same types share one message.
                if let Some((first, other)) =
                    taken.get(&name).filter(|(_, other)| *other != what || !what.contains("`Map`"))
                {
                    let file = self.items[*first].1;
                    let message = format!("{what} is the name of {other} in {file} too; rename one");
                    self.say(at, part, codes::DUPLICATE_NAME, message);
                } else {
                    taken.insert(name, (at, what));
                }
            }
        }
    }

    fn packages(&mut self) {
        let mut first: Option<&String> = None;
        for (at, (item, _)) in self.items.iter().enumerate() {
            let Item::Pipeline(pipeline) = item else { continue };
            let Some(package) = pipeline.package.get() else { continue };
            match first {
                Some(first) if first != package => {
                    let message = format!("another pipeline of this crate says `{first}`; all share one package");
                    self.say(at, Part::Package, codes::TWO_PACKAGES, message);
                }
                _ => first = Some(package),
            }
        }
    }

    fn fields(&mut self, at: usize, fields: &[Field]) {
        for field in fields {
            self.value(at, Part::Type(text(&field.ident)), &field.typed.kind, &show(&field.ty));
        }
    }

    /// A type that is not of the table is a value of this package.
    fn value(&mut self, at: usize, part: Part, kind: &Kind, shown: &str) {
        let Kind::Value(name) = kind else { return };
        let values = self.find(|item| matches!(item, Item::Value(_)).then(|| item.name()));
        if values.contains(name) {
            return;
        }
        let near = suggest(name, values.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        let way = near.unwrap_or_else(|| {
            "; aliases are not followed, so write the type itself, and put `#[murmur::value]` on a type of your own"
                .into()
        });
        self.say(
            at,
            part,
            codes::UNKNOWN_VALUE,
            format!("`{shown}` is no type of Murmur and no `#[murmur::value]` of this package{way}"),
        );
    }

    /// A newtype is what it wraps, so it cannot wrap itself, not even through others.
    fn endless(&mut self, at: usize, name: &str, kind: &Kind) {
        let values = self.find(|item| if let Item::Value(value) = item { Some(value) } else { None });
        let inside = |kind: &Kind| -> Option<&Kind> {
            let Kind::Value(name) = kind else { return None };
            let value = values.iter().find(|value| text(&value.ident) == *name)?;
            if let Shape::Newtype(_, kind) = &value.shape { Some(kind) } else { None }
        };
        let chain = std::iter::successors(Some(kind), |kind| inside(kind));
        // As many steps as there are values see each of them.
        if chain.take(values.len()).any(|kind| *kind == Kind::Value(name.to_owned())) {
            let message = format!("`{name}` wraps nothing but itself; give it a field, or wrap another type");
            self.say(at, Part::Type(String::new()), codes::VALUE_SHAPE, message);
        }
    }

    fn pipeline(&mut self, at: usize, pipeline: &Pipeline) {
        let Source::Function(function) = &pipeline.source else { return };
        let Some(event) = self.event(at, function) else { return };
        if pipeline.window != Window::AllTime && !event.fields.iter().any(|field| field.time.is_given()) {
            let message = crate::pipeline::without_time(&text(&event.ident));
            self.say(at, Part::Window, codes::WINDOW_WITHOUT_TIME, message);
        }
        for (name, code, message) in pipeline.dedup.iter().flat_map(|dedup| identity(dedup, event)) {
            self.say(at, Part::Dedup(text(name)), code, message);
        }
        for (place, name) in pipeline.key.iter().map(text).enumerate() {
            if let Some(ty) = function.key_types.get(place) {
                let ctxt = crate::ctxt::Ctxt::new();
                let typed = crate::types::read(ty, &ctxt);
                if !ctxt.finish().is_empty() || !typed.is_some_and(|typed| is_key(&typed)) {
                    self.say(at, Part::Key(name.clone()), codes::KEY_TYPE, not_a_key(&name, &show(ty)));
                }
                continue;
            }
            match event.fields.iter().find(|field| text(&field.ident) == name) {
                Some(field) if !is_key(&field.typed) || field.converted => {
                    self.say(at, Part::Key(name.clone()), codes::KEY_TYPE, not_a_key(&name, &show(&field.ty)));
                }
                Some(_) => {}
                None => {
                    let fields: Vec<String> = event.fields.iter().map(|field| text(&field.ident)).collect();
                    let message = no_field(&name, &text(&event.ident), &fields);
                    self.say(at, Part::Key(name), codes::UNKNOWN_FIELD, message);
                }
            }
        }
    }

    fn event(&mut self, at: usize, function: &Function) -> Option<&'a Event> {
        let name = crate::types::last_segment(&function.event).map(|segment| text(&segment.ident))?;
        let events = self.find(Item::event);
        if let Some(event) = events.iter().find(|event| text(&event.ident) == name) {
            return Some(event);
        }
        let names: Vec<String> = events.iter().map(|event| text(&event.ident)).collect();
        let way = match suggest(&name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("put `#[murmur::event]` on `struct {name}`"),
        };
        self.say(at, Part::Event, codes::UNKNOWN_EVENT, format!("this package has no event `{name}`; {way}"));
        None
    }
}

/// The name of the aggregate struct that a function returns.
pub(crate) fn output_name(function: &Function) -> String {
    crate::types::last_segment(&function.output).map(|segment| text(&segment.ident)).unwrap_or_default()
}

/// The messages and the service that a pipeline makes.
fn generated(pipeline: &Pipeline) -> Vec<String> {
    let name = &pipeline.name;
    let mut made =
        vec![names::marker(name), names::key(name), names::entry(name), names::point(name), names::service(name)];
    if pipeline.has_totals() {
        made.push(names::totals(name));
    }
    made.extend(names::calls(name));
    made
}

/// The variants of an enum, each with the value it makes. Protobuf puts these beside the enum, not inside of it.
fn enum_values(value: &Value) -> impl Iterator<Item = (String, String)> {
    let variants = if let Shape::Enum(variants) = &value.shape { variants.as_slice() } else { &[] };
    let owner = text(&value.ident);
    variants.iter().map(move |variant| {
        let variant = text(&variant.ident);
        let name = names::enum_value(&owner, &variant);
        (variant, name)
    })
}
