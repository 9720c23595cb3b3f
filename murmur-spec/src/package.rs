//! From the items of a crate to its model.

use crate::attr::text;
use crate::check::{self, Remark};
use crate::codes::Code;
use crate::ctxt::{At, Finding};
use crate::event::{Event, Field};
use crate::fingerprint;
use crate::item::{Item, Part};
use crate::model::{self, Kind, Label, Monoid, Output, Returns};
use crate::names;
use crate::pipeline::{Keeps, Pipeline, Source};
use crate::value::{self, Holds, Shape, Variant};

/// An item with the file it stands in.
#[derive(Clone)]
pub struct Located {
    /// The item.
    pub item: Item,
    /// Its file, as it is to be shown.
    pub file: String,
}

/// A crate, read.
pub struct Lowered {
    /// The model of the items without findings.
    pub package: model::Package,
    /// What is wrong, each at an item.
    pub findings: Vec<Placed>,
    /// What was seen: the name of each item, and its fingerprint.
    pub seen: Vec<(String, u64)>,
    /// For each message and service of the package, the item it comes from and how to point into it.
    pub origins: Vec<Origin>,
}

/// Where a message, enum or service comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name within the package: `PageTrafficKey`.
    pub name: String,
    /// The item it was made of: `page_traffic`.
    pub item: String,
    /// Which of the item's parts its fields are.
    pub role: Role,
}

/// Which parts of an item the fields of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of an event, a value, an aggregate: its own fields or variants.
    Fields,
    /// Of a pipeline: the fields of its key.
    Key,
    /// Of a pipeline that makes an aggregate of its own: that one's fields.
    Totals,
    /// Of a pipeline: nothing a user wrote.
    Whole,
}

impl Origin {
    /// The part of the item that is the field `field` of this message; without a field, the name.
    pub fn part(&self, field: Option<&str>) -> Part {
        match (self.role, field) {
            (Role::Fields, Some(field)) => Part::Field(field.into()),
            (Role::Key, Some(field)) => Part::Key(field.into()),
            (Role::Totals, Some(field)) => Part::Total(field.into()),
            (Role::Fields, None) => Part::Item,
            (Role::Key | Role::Totals | Role::Whole, _) => Part::Name,
        }
    }
}

/// A finding of the build step, at a part of an item.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The item's name.
    pub item: String,
    /// The part of it.
    pub part: Part,
    /// Which kind.
    pub code: Code,
    /// What, in a sentence.
    pub message: String,
    /// More, where the sentence is not enough.
    pub help: Option<String>,
    /// The file, as it is to be shown.
    pub file: String,
    /// The place in it.
    pub at: At,
}

impl Placed {
    /// As the collector knows findings.
    pub fn finding(&self) -> Finding {
        Finding { code: self.code, at: self.at, message: self.message.clone(), help: self.help.clone() }
    }
}

/// Check the items of a crate together and make its model. `default_package` is used when no pipeline gives one.
///
/// Items that a finding is about are still part of the model when they can be: one bad key does not take the other
/// contracts away. Whoever emits must look at `findings` first.
pub fn lower(items: &[Located], default_package: &str) -> Lowered {
    let view: Vec<(&Item, &str)> = items.iter().map(|located| (&located.item, located.file.as_str())).collect();
    let remarks = check::package(&view);
    let mut lowered = Lowered {
        package: model::Package { name: default_package.into(), ..model::Package::default() },
        findings: remarks.into_iter().map(|remark| placed(items, remark)).collect(),
        seen: Vec::new(),
        origins: Vec::new(),
    };
    for located in items {
        let item = &located.item;
        lowered.seen.push((item.name(), fingerprint::of(item)));
        match item {
            Item::Event(event) => lowered.package.events.push(self::event(event)),
            Item::Value(value) => lowered.package.values.extend(values(value)),
            Item::Aggregate(aggregate) => lowered.package.aggregates.push(self::aggregate(aggregate)),
            Item::Pipeline(pipeline) => {
                if let Some(name) = pipeline.package.get() {
                    lowered.package.name.clone_from(name);
                }
                if let Source::Struct(event) = &pipeline.source {
                    lowered.package.events.push(self::event(event));
                }
                lowered.package.aggregates.extend(totals(pipeline));
                lowered.package.pipelines.extend(self::pipeline(pipeline, items));
            }
        }
        lowered.origins.extend(origins(item));
    }
    lowered
}

fn placed(items: &[Located], remark: Remark) -> Placed {
    let located = &items[remark.item];
    Placed {
        item: located.item.name(),
        at: located.item.at(&remark.part),
        part: remark.part,
        code: remark.code,
        message: remark.message,
        help: None,
        file: located.file.clone(),
    }
}

fn origins(item: &Item) -> Vec<Origin> {
    let origin = |name: String, role: Role| Origin { name, item: item.name(), role };
    let maps = |role: Role| -> Vec<Origin> {
        let made = item.aggregates().into_iter().filter_map(|(monoid, _)| match monoid {
            Monoid::Map(key, of, _) => Some(names::map(*key, of)),
            _ => None,
        });
        made.map(|name| origin(name, role)).collect()
    };
    let Item::Pipeline(pipeline) = item else {
        let mut out = vec![origin(item.name(), Role::Fields)];
        if let Item::Value(value) = item {
            out.extend(variant_messages(value).map(|name| origin(name, Role::Fields)));
        }
        out.extend(maps(Role::Fields));
        return out;
    };
    let mut out = vec![origin(names::key(&pipeline.name), Role::Key)];
    for name in [names::service(&pipeline.name), names::entry(&pipeline.name), names::point(&pipeline.name)] {
        out.push(origin(name, Role::Whole));
    }
    if matches!(pipeline.source, Source::Struct(_)) {
        out.push(origin(item.name(), Role::Fields));
    }
    if pipeline.has_totals() {
        out.push(origin(names::totals(&pipeline.name), Role::Totals));
    }
    out.extend(maps(Role::Whole));
    out
}

fn event(event: &Event) -> model::Event {
    let (beside, fields): (Vec<_>, Vec<_>) = event.fields.iter().partition(|field| field.beside.is_given());
    model::Event {
        name: text(&event.ident),
        docs: event.docs.clone(),
        fields: fields.into_iter().map(field).collect(),
        beside: beside.into_iter().map(field).collect(),
        time: event.fields.iter().find(|field| field.time.is_given()).map(|field| text(&field.ident)),
    }
}

fn field(field: &Field) -> model::Field {
    model::Field {
        name: text(&field.ident),
        docs: field.docs.clone(),
        kind: field.typed.kind.clone(),
        label: field.typed.label,
        was: field.was.get().cloned(),
        number: field.number.get().copied(),
    }
}

/// A value, and the messages of the variants that hold fields of their own.
fn values(value: &value::Value) -> Vec<model::Value> {
    let name = text(&value.ident);
    let mut made = Vec::new();
    let shape = match &value.shape {
        Shape::Newtype(_, kind) => model::Shape::Newtype(kind.clone()),
        Shape::Message(fields) => model::Shape::Message(fields.iter().map(field).collect()),
        Shape::Enum(variants) => model::Shape::Enum(variants.iter().map(variant).collect()),
        Shape::OneOf(variants) => {
            for variant in variants {
                let fields = match &variant.holds {
                    Holds::One(..) => continue,
                    Holds::Nothing => Vec::new(),
                    Holds::Fields(fields) => fields.iter().map(field).collect(),
                };
                let name = names::variant(&name, &text(&variant.ident));
                made.push(model::Value { name, docs: variant.docs.clone(), shape: model::Shape::Message(fields) });
            }
            model::Shape::OneOf(variants.iter().map(|variant| case(&name, variant)).collect())
        }
    };
    made.insert(0, model::Value { name, docs: value.docs.clone(), shape });
    made
}

/// The messages that the variants of a `oneof` make.
pub(crate) fn variant_messages(value: &value::Value) -> impl Iterator<Item = String> {
    let variants = if let Shape::OneOf(variants) = &value.shape { variants.as_slice() } else { &[] };
    let made = variants.iter().filter(|variant| !matches!(variant.holds, Holds::One(..)));
    made.map(|variant| names::variant(&text(&value.ident), &text(&variant.ident)))
}

/// A variant as a field of a `oneof`.
fn case(value: &str, variant: &Variant) -> model::Field {
    let name = text(&variant.ident);
    let kind = match &variant.holds {
        Holds::One(_, kind) => kind.clone(),
        Holds::Nothing | Holds::Fields(_) => Kind::Value(names::variant(value, &name)),
    };
    model::Field {
        name: names::snake(&name),
        docs: variant.docs.clone(),
        kind,
        label: Label::Plain,
        was: variant.was.get().map(|was| names::snake(was)),
        number: variant.number.get().copied(),
    }
}

fn variant(variant: &Variant) -> model::Variant {
    model::Variant {
        name: text(&variant.ident),
        docs: variant.docs.clone(),
        number: variant.number.get().copied(),
        was: variant.was.get().cloned(),
    }
}

fn aggregate(aggregate: &crate::aggregate::Aggregate) -> model::Aggregate {
    let fields = aggregate.fields.iter().map(aggregate_field);
    model::Aggregate { name: text(&aggregate.ident), docs: aggregate.docs.clone(), fields: fields.collect() }
}

fn aggregate_field(field: &crate::aggregate::Field) -> model::AggregateField {
    model::AggregateField {
        name: text(&field.ident),
        docs: field.docs.clone(),
        monoid: field.monoid.clone(),
        was: field.was.get().cloned(),
        number: field.number.get().copied(),
    }
}

/// The aggregate that a pipeline makes, of the fields of its event or of the members of a tuple; `None` where it has one.
pub fn totals(pipeline: &Pipeline) -> Option<model::Aggregate> {
    let fields = match &pipeline.source {
        Source::Struct(event) => totals_of(event),
        Source::Function(_) => pipeline.members().iter().map(aggregate_field).collect(),
    };
    let (name, docs) = (names::totals(&pipeline.name), pipeline.docs.clone());
    pipeline.has_totals().then_some(model::Aggregate { name, docs, fields })
}

/// What the fields of a pipeline's struct keep.
fn totals_of(event: &Event) -> Vec<model::AggregateField> {
    let count = model::AggregateField {
        name: "count".into(),
        docs: vec!["How many events.".into()],
        monoid: Monoid::Count,
        was: None,
        number: None,
    };
    let totals = event.fields.iter().flat_map(|field| {
        field.totals.iter().map(|total| model::AggregateField {
            name: total.name.clone(),
            docs: field.docs.clone(),
            monoid: total.monoid.clone(),
            was: field.was.get().map(|was| names::field_aggregate(was, &text(&total.key))),
            number: None,
        })
    });
    std::iter::once(count).chain(totals).collect()
}

/// `None` when the event is not there, or a key has no type: a finding says so already.
fn pipeline(pipeline: &Pipeline, items: &[Located]) -> Option<model::Pipeline> {
    let (event, output, returns) = match &pipeline.source {
        Source::Struct(event) => (text(&event.ident), Output::Struct(names::totals(&pipeline.name)), Returns::One),
        Source::Function(function) => {
            let event = crate::types::last_segment(&function.event).map(|segment| text(&segment.ident))?;
            let output = match &function.keeps {
                Keeps::One(Monoid::Custom { .. }) => Output::Struct(check::output_name(function)),
                Keeps::One(known) => Output::Single(known.clone()),
                Keeps::Tuple(_) => Output::Struct(names::totals(&pipeline.name)),
            };
            (event, output, function.returns)
        }
    };
    let fields = &items.iter().filter_map(|located| located.item.event()).find(|e| text(&e.ident) == event)?.fields;
    let key = pipeline.key.iter().enumerate().map(|(place, name)| key_field(pipeline, place, &text(name), fields));
    Some(model::Pipeline {
        name: pipeline.name.clone(),
        docs: pipeline.docs.clone(),
        key: key.collect::<Option<Vec<_>>>()?,
        event,
        rollup: pipeline.rollup.clone(),
        output,
        returns,
        window: pipeline.window,
    })
}

fn key_field(pipeline: &Pipeline, place: usize, name: &str, fields: &[Field]) -> Option<model::KeyField> {
    if let Source::Function(function) = &pipeline.source
        && let Some(ty) = function.key_types.get(place)
    {
        let ctxt = crate::ctxt::Ctxt::new();
        let kind = crate::types::single(ty, &ctxt);
        ctxt.finish();
        let was = fields.iter().find(|field| text(&field.ident) == name).and_then(|field| field.was.get().cloned());
        return Some(model::KeyField { name: name.into(), kind: kind?, was });
    }
    let field = fields.iter().find(|field| text(&field.ident) == name)?;
    Some(model::KeyField { name: name.into(), kind: field.typed.kind.clone(), was: field.was.get().cloned() })
}
