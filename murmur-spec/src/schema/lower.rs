//! From the model to the schema: every rule of how Rust becomes protobuf and tables stands here.
//!
//! | Rust | protobuf |
//! |---|---|
//! | `bool u32 u64 i32 i64 f32 f64 String Vec<u8>` | the scalar of that meaning |
//! | `u8 u16`, `i8 i16` | `uint32`, `int32` |
//! | `Uuid` | `string` |
//! | `Timestamp`, `Duration` | `google.protobuf.Timestamp`, `google.protobuf.Duration` |
//! | newtype value | what it wraps |
//! | other values | the message or enum of that name |
//!
//! | aggregate | reply |
//! |---|---|
//! | `Count` | `uint64` |
//! | `Sum<i64>`, `Sum<u64>`, `Sum<f64>` | `int64`, `uint64`, `double` |
//! | `Sum<Decimal<N>>` | `string` |
//! | `Average` | `murmur.v1.Average` |
//! | `Moments` | `murmur.v1.Moments` |
//! | `Quantiles` | `murmur.v1.Quantiles` |
//! | `Min<T>`, `Max<T>`, `Latest<T>` | `optional` T; a `Decimal<N>` is a `string` |
//! | `First<T>`, `Last<T>` | `murmur.v1.TimedString`, `TimedUint64`, ... |
//! | `Set<T, N>` | `murmur.v1.StringSet`, `Uint64Set`, `Int64Set`, `TimestampSet` |
//! | `Distinct`, `DistinctSet` | `murmur.v1.Estimate` |
//! | `TopK<N>` | `murmur.v1.TopItems` |
//! | `Decayed<SECONDS>` | `murmur.v1.Decayed` |
//! | `Membership<N>` | `murmur.v1.Membership` |
//! | `Frequency` | `murmur.v1.Frequencies` |
//! | `Map<K, A, N>` | a message with `map<K, V> entries = 1; bool truncated = 2;`, V the reply of A without `optional` |
//! | a struct of aggregates, as the A of a `Map` | the message of that name |
//! | the user's own | the scalar it names |

use super::{Cardinality, Enum, EnumValue, Field, Form, Message, Schema, Service, Shape, Table, Type, WindowText};
use crate::model;
use crate::model::{Kind, Label, Monoid, Output, Package, Pipeline};
use crate::{names, written};

impl Schema {
    /// The schema of a package.
    pub fn of(package: &Package) -> Self {
        let lower = Lower { package };
        let mut schema = Self { package: package.name.clone(), ..Self::default() };
        for event in &package.events {
            schema.messages.push(lower.message(&event.name, &event.docs, &event.fields, Label::cardinality));
        }
        for value in &package.values {
            match &value.shape {
                model::Shape::Newtype(_) => {}
                model::Shape::Message(fields) => {
                    schema.messages.push(lower.message(&value.name, &value.docs, fields, Label::cardinality));
                }
                model::Shape::OneOf(fields) => {
                    schema.messages.push(lower.message(&value.name, &value.docs, fields, |_| Cardinality::OneOf));
                }
                model::Shape::Enum(variants) => schema.enums.push(enumeration(value, variants)),
            }
        }
        for aggregate in &package.aggregates {
            schema.messages.push(lower.aggregate(aggregate));
        }
        for message in lower.maps() {
            if schema.messages.iter().all(|known| known.name != message.name) {
                schema.messages.push(message);
            }
        }
        for pipeline in &package.pipelines {
            schema.messages.push(lower.key(pipeline));
            schema.services.push(lower.service(pipeline));
            schema.tables.push(lower.table(pipeline));
        }
        schema.messages.sort_by(|a, b| a.name.cmp(&b.name));
        schema.enums.sort_by(|a, b| a.name.cmp(&b.name));
        schema.services.sort_by(|a, b| a.name.cmp(&b.name));
        schema.tables.sort_by(|a, b| a.name.cmp(&b.name));
        schema
    }
}

impl Label {
    fn cardinality(self) -> Cardinality {
        match self {
            Self::Plain => Cardinality::Plain,
            Self::Optional => Cardinality::Optional,
            Self::Repeated => Cardinality::Repeated,
            Self::Map(key) => Cardinality::Map(key),
        }
    }
}

struct Lower<'a> {
    package: &'a Package,
}

impl Lower<'_> {
    fn kind(&self, kind: &Kind) -> Type {
        // More newtypes than there are values: one wraps itself, which is a finding of its own.
        self.kind_within(kind, self.package.values.len() + 1)
    }

    fn kind_within(&self, kind: &Kind, steps: usize) -> Type {
        match kind {
            Kind::Value(name) if steps == 0 => Type::Message(name.clone()),
            Kind::Bool => Type::scalar("bool"),
            Kind::U8 | Kind::U16 | Kind::U32 => Type::scalar("uint32"),
            Kind::I8 | Kind::I16 | Kind::I32 => Type::scalar("int32"),
            Kind::U64 => Type::scalar("uint64"),
            Kind::I64 => Type::scalar("int64"),
            Kind::F32 => Type::scalar("float"),
            Kind::F64 => Type::scalar("double"),
            Kind::String | Kind::Uuid | Kind::Decimal(_) => Type::scalar("string"),
            Kind::Bytes => Type::scalar("bytes"),
            Kind::Timestamp => Type::foreign("google.protobuf.Timestamp"),
            Kind::Duration => Type::foreign("google.protobuf.Duration"),
            Kind::Value(name) => {
                match self.package.values.iter().find(|value| value.name == *name).map(|value| &value.shape) {
                    Some(model::Shape::Newtype(inner)) => self.kind_within(inner, steps.saturating_sub(1)),
                    Some(model::Shape::Enum(_)) => Type::Enum(name.clone()),
                    _ => Type::Message(name.clone()),
                }
            }
        }
    }

    fn message(
        &self,
        name: &str,
        docs: &[String],
        fields: &[model::Field],
        cardinality: impl Fn(Label) -> Cardinality,
    ) -> Message {
        let fields = fields
            .iter()
            .map(|field| Field {
                name: field.name.clone(),
                docs: field.docs.clone(),
                shape: Shape::new(cardinality(field.label), self.kind(&field.kind)),
                kept: None,
                was: field.was.clone(),
                pin: field.number,
            })
            .collect();
        Message { name: name.to_owned(), docs: docs.to_vec(), fields }
    }

    fn aggregate(&self, aggregate: &model::Aggregate) -> Message {
        let fields = aggregate
            .fields
            .iter()
            .map(|field| Field {
                name: field.name.clone(),
                docs: field.docs.clone(),
                shape: self.reply(&field.monoid),
                kept: Some(written::monoid(&field.monoid)),
                was: field.was.clone(),
                pin: field.number,
            })
            .collect();
        Message { name: aggregate.name.clone(), docs: aggregate.docs.clone(), fields }
    }

    fn reply(&self, monoid: &Monoid) -> Shape {
        match monoid {
            Monoid::Count => Shape::plain(Type::scalar("uint64")),
            Monoid::Sum(kind) => Shape::plain(self.kind(kind)),
            Monoid::DecimalSum(_) => Shape::plain(Type::scalar("string")),
            Monoid::Average => Shape::plain(Type::foreign("murmur.v1.Average")),
            Monoid::Moments => Shape::plain(Type::foreign("murmur.v1.Moments")),
            Monoid::Quantiles => Shape::plain(Type::foreign("murmur.v1.Quantiles")),
            Monoid::Min(kind) | Monoid::Max(kind) | Monoid::Latest(kind) => {
                Shape::new(Cardinality::Optional, self.kind(kind))
            }
            Monoid::Set(kind, _) => Shape::plain(Type::foreign(set(&self.kind(kind)))),
            Monoid::First(kind) | Monoid::Last(kind) => Shape::plain(Type::foreign(timed(&self.kind(kind)))),
            Monoid::Distinct | Monoid::DistinctSet => Shape::plain(Type::foreign("murmur.v1.Estimate")),
            Monoid::TopK(_) => Shape::plain(Type::foreign("murmur.v1.TopItems")),
            Monoid::Decayed(_) => Shape::plain(Type::foreign("murmur.v1.Decayed")),
            Monoid::Membership(_) => Shape::plain(Type::foreign("murmur.v1.Membership")),
            Monoid::Frequency => Shape::plain(Type::foreign("murmur.v1.Frequencies")),
            Monoid::Map(key, of, _) => Shape::plain(Type::Message(names::map(*key, of))),
            Monoid::Struct(name) => Shape::plain(Type::Message(name.clone())),
            Monoid::Custom { reply, .. } => Shape::plain(Type::scalar(reply)),
        }
    }

    /// The messages of all maps.
    fn maps(&self) -> impl Iterator<Item = Message> {
        let fields = self.package.aggregates.iter().flat_map(|aggregate| &aggregate.fields).map(|field| &field.monoid);
        let single = self.package.pipelines.iter().filter_map(|pipeline| match &pipeline.output {
            Output::Single(monoid) => Some(monoid),
            Output::Struct(_) => None,
        });
        fields.chain(single).filter_map(|monoid| self.map(monoid))
    }

    /// The message of a map. Its numbers are fixed, as one Rust type answers for all maps.
    fn map(&self, monoid: &Monoid) -> Option<Message> {
        let Monoid::Map(key, of, _) = monoid else { return None };
        let field = |name: &str, docs: &str, shape, number| Field {
            name: name.into(),
            docs: vec![docs.into()],
            shape,
            kept: None,
            was: None,
            pin: Some(number),
        };
        let entries = Shape::new(Cardinality::Map(*key), self.reply(of).ty);
        let flag = Shape::plain(Type::scalar("bool"));
        Some(Message {
            name: names::map(*key, of),
            docs: vec!["An aggregate's answer for each key.".into()],
            fields: vec![
                field("entries", "A key without a value is not listed.", entries, 1),
                field(
                    "truncated",
                    "There were more keys than are kept: the largest ones are missing. Those that are here are complete.",
                    flag,
                    2,
                ),
            ],
        })
    }

    fn key(&self, pipeline: &Pipeline) -> Message {
        let fields = pipeline
            .key
            .iter()
            .enumerate()
            .map(|(at, field)| {
                // A rollup that leaves the field out must be told from one where it has its default.
                let always = pipeline.rollup.iter().all(|grain| grain.contains(&at));
                let cardinality = if always { Cardinality::Plain } else { Cardinality::Optional };
                Field {
                    name: field.name.clone(),
                    docs: self.event_docs(&pipeline.event, &field.name),
                    shape: Shape::new(cardinality, self.kind(&field.kind)),
                    kept: None,
                    was: field.was.clone(),
                    pin: None,
                }
            })
            .collect();
        Message { name: names::key(&pipeline.name), docs: vec![format!("The key of `{}`.", pipeline.name)], fields }
    }

    fn event_docs(&self, event: &str, field: &str) -> Vec<String> {
        let event = self.package.events.iter().find(|known| known.name == event);
        let field = event.and_then(|event| event.fields.iter().chain(&event.beside).find(|known| known.name == field));
        field.map(|field| field.docs.clone()).unwrap_or_default()
    }

    fn service(&self, pipeline: &Pipeline) -> Service {
        Service {
            name: names::service(&pipeline.name),
            pipeline: pipeline.name.clone(),
            docs: pipeline.docs.clone(),
            key: names::key(&pipeline.name),
            value: match &pipeline.output {
                Output::Single(monoid) => self.reply(monoid),
                Output::Struct(name) => Shape::plain(Type::Message(name.clone())),
            },
        }
    }

    fn table(&self, pipeline: &Pipeline) -> Table {
        let name_of = |at: &usize| pipeline.key[*at].name.clone();
        Table {
            name: names::table(&pipeline.name),
            pipeline: pipeline.name.clone(),
            service: names::service(&pipeline.name),
            docs: pipeline.docs.clone(),
            key: names::key(&pipeline.name),
            rollup: pipeline.rollup.iter().map(|grain| grain.iter().map(name_of).collect()).collect(),
            value: match &pipeline.output {
                Output::Single(monoid) => written::monoid(monoid),
                Output::Struct(name) => name.clone(),
            },
            form: self.form(&pipeline.output),
            window: window_text(pipeline.window),
        }
    }

    fn form(&self, output: &Output) -> Form {
        let adds = |monoid: &Monoid| {
            use Monoid::{Average, Count, DecimalSum, Moments, Sum};
            matches!(monoid, Count | Sum(_) | DecimalSum(_) | Average | Moments)
        };
        let all = match output {
            Output::Single(monoid) => adds(monoid),
            Output::Struct(name) => self
                .package
                .aggregates
                .iter()
                .filter(|aggregate| aggregate.name == *name)
                .flat_map(|aggregate| &aggregate.fields)
                .all(|field| adds(&field.monoid)),
        };
        if all { Form::Add } else { Form::Put }
    }
}

fn enumeration(value: &model::Value, variants: &[model::Variant]) -> Enum {
    let full = |variant: &str| names::enum_value(&value.name, variant);
    let values = variants
        .iter()
        .map(|variant| EnumValue {
            name: full(&variant.name),
            variant: variant.name.clone(),
            docs: variant.docs.clone(),
            was: variant.was.as_deref().map(full),
            pin: variant.number,
        })
        .collect();
    Enum { name: value.name.clone(), docs: value.docs.clone(), values }
}

/// The message of a value with its time. Integers travel at full width there.
fn timed(ty: &Type) -> &'static str {
    match ty.name() {
        "uint32" | "uint64" => "murmur.v1.TimedUint64",
        "int32" | "int64" => "murmur.v1.TimedInt64",
        "float" | "double" => "murmur.v1.TimedDouble",
        "bool" => "murmur.v1.TimedBool",
        "google.protobuf.Timestamp" => "murmur.v1.TimedTimestamp",
        _ => "murmur.v1.TimedString",
    }
}

/// The message of a set of values. Integers travel at full width there.
fn set(ty: &Type) -> &'static str {
    match ty.name() {
        "uint32" | "uint64" => "murmur.v1.Uint64Set",
        "int32" | "int64" => "murmur.v1.Int64Set",
        "google.protobuf.Timestamp" => "murmur.v1.TimestampSet",
        _ => "murmur.v1.StringSet",
    }
}

fn window_text(window: model::Window) -> WindowText {
    match window {
        model::Window::AllTime => WindowText { layout: "all".into(), keep: "always".into() },
        model::Window::Tumbling { size, keep } => {
            WindowText { layout: format!("tumbling {}", span_text(size)), keep: span_text(keep) }
        }
        model::Window::Sliding { span, slot } => {
            WindowText { layout: format!("sliding {}", span_text(slot)), keep: span_text(span) }
        }
    }
}

/// Microseconds in the largest unit that divides them: `90d`, `90m`, `1500ms`.
fn span_text(micros: u64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us")];
    for (length, unit) in UNITS {
        if micros >= length && micros.is_multiple_of(length) {
            return format!("{}{unit}", micros / length);
        }
    }
    "0s".into()
}
