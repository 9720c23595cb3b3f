//! Messages and enums as schemas, by [protobuf's JSON mapping](https://protobuf.dev/programming-guides/json/).
//!
//! | protobuf | JSON |
//! |---|---|
//! | `int32`, `uint32` | number |
//! | `int64`, `uint64` | string of digits |
//! | `float`, `double` | number, or `NaN`, `Infinity`, `-Infinity` |
//! | `bytes` | string in base64 |
//! | enum | the name of the value |
//! | `Timestamp` | RFC 3339 |
//! | `Duration` | seconds, up to nine digits behind the point, and `s` |
//! | `map` | object; keys that are no text are written as one |
//!
//! What a reply always has is `required` there: everything but messages, `optional` fields and members of a `oneof`. What
//! is part of a request has nothing that is required but the keys that it is about, as other fields may be left out, and
//! nothing that is not known, as the server refuses that. Both hold for a message that stands in requests and replies, such as a key.

use std::collections::{BTreeMap, BTreeSet};

use super::super::file::{Enum, Field, File, Message, Rule};
use super::paths::Served;
use super::{Json, prose, schema};
use crate::names;

/// Every message and enum by its full name.
pub(super) struct Types<'a> {
    messages: BTreeMap<String, (&'a File, &'a Message)>,
    enums: BTreeMap<String, &'a Enum>,
}

impl<'a> Types<'a> {
    pub(super) fn of(files: &'a [File]) -> Self {
        let named = |file: &'a File, name: &str| full(file, name);
        let messages = files.iter().flat_map(|file| file.messages.iter().map(move |message| (file, message)));
        let enums = files.iter().flat_map(|file| file.enums.iter().map(move |item| (file, item)));
        Self {
            messages: messages.map(|(file, message)| (named(file, &message.name), (file, message))).collect(),
            enums: enums.map(|(file, item)| (named(file, &item.name), item)).collect(),
        }
    }

    /// The schemas of everything that the services take and give.
    pub(super) fn schemas(&self, services: &[Served<'_>]) -> Vec<(String, Json)> {
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for (file, service) in services {
            for method in &service.methods {
                self.reach(&full(file, &method.request), &mut asked);
                self.reach(&full(file, &method.response), &mut answered);
            }
        }
        let all: BTreeSet<&String> = asked.union(&answered).collect();
        let schema = |name: &String| match (self.messages.get(name), self.enums.get(name)) {
            (Some((file, message)), _) => self.message(file, message, asked.contains(name)),
            (None, Some(item)) => enumeration(item),
            (None, None) => Json::object::<&str>([]),
        };
        all.into_iter().map(|name| (name.clone(), schema(name))).collect()
    }

    /// Add a type and all that it has in it.
    fn reach(&self, name: &str, into: &mut BTreeSet<String>) {
        if well_known(name).is_some() || !into.insert(name.to_owned()) {
            return;
        }
        if let Some((file, message)) = self.messages.get(name) {
            let types = message.fields.iter().map(|field| full(file, &field.ty));
            types.filter(|ty| self.messages.contains_key(ty) || self.enums.contains_key(ty)).for_each(|ty| {
                self.reach(&ty, into);
            });
        }
    }

    fn message(&self, file: &File, message: &Message, asked: bool) -> Json {
        let json = |field: &Field| field.json.clone().unwrap_or_else(|| names::json(&field.name));
        let properties = message.fields.iter().map(|field| (json(field), self.field(file, field)));
        let always = |field: &&Field| match field.rule {
            Rule::Plain => !self.messages.contains_key(&full(file, &field.ty)),
            Rule::Repeated | Rule::Map(_) => true,
            Rule::Optional | Rule::OneOf => false,
        };
        let mut out = vec![("type".to_owned(), Json::from("object"))];
        describe(&mut out, &message.docs);
        out.push(("properties".into(), Json::object(properties)));
        // A call says which keys it is about; all else has a default.
        let says_keys = |field: &&Field| {
            let is_named = matches!((&*field.name, &field.rule), ("key", Rule::Plain) | ("keys", Rule::Repeated));
            is_named && self.messages.contains_key(&full(file, &field.ty))
        };
        let is_required = |field: &&Field| if asked { says_keys(field) } else { always(field) };
        let required: Vec<Json> = message.fields.iter().filter(is_required).map(|field| json(field).into()).collect();
        if !required.is_empty() {
            out.push(("required".into(), Json::List(required)));
        }
        if asked {
            out.push(("additionalProperties".into(), false.into()));
        }
        if !message.fields.is_empty() && message.fields.iter().all(|field| field.rule == Rule::OneOf) {
            out.push(("maxProperties".into(), Json::Number(1)));
        }
        Json::Object(out)
    }

    fn field(&self, file: &File, field: &Field) -> Json {
        let one = self.one(file, &field.ty);
        let whole = match &field.rule {
            Rule::Plain | Rule::Optional | Rule::OneOf => one,
            Rule::Repeated => Json::object([("type", Json::from("array")), ("items", one)]),
            Rule::Map(key) => {
                let object = [("type", Json::from("object")), ("additionalProperties", one)];
                Json::object(object.into_iter().chain(map_keys(key).map(|keys| ("propertyNames", keys))))
            }
        };
        let Json::Object(mut out) = whole else { unreachable!("schemas are built as objects") };
        describe(&mut out, &field.docs);
        Json::Object(out)
    }

    fn one(&self, file: &File, ty: &str) -> Json {
        if let Some(scalar) = scalar(ty) {
            return scalar;
        }
        let name = full(file, ty);
        well_known(&name).unwrap_or_else(|| schema(&name))
    }
}

/// A type's full name, as a field of the file means it.
fn full(file: &File, ty: &str) -> String {
    if ty.contains('.') { ty.to_owned() } else { format!("{}.{ty}", file.package) }
}

fn describe(out: &mut Vec<(String, Json)>, docs: &[String]) {
    if !docs.is_empty() {
        out.push(("description".into(), prose(docs).into()));
    }
}

fn enumeration(of: &Enum) -> Json {
    let names = of.values.iter().map(|value| Json::from(&*value.name)).collect();
    let mut docs = of.docs.clone();
    for value in of.values.iter().filter(|value| !value.docs.is_empty()) {
        docs.push(String::new());
        docs.push(format!("`{}`: {}", value.name, value.docs.join(" ")));
    }
    let mut out = vec![("type".to_owned(), Json::from("string")), ("enum".to_owned(), Json::List(names))];
    describe(&mut out, &docs);
    Json::Object(out)
}

fn text(more: impl IntoIterator<Item = (&'static str, &'static str)>) -> Json {
    let more = more.into_iter().map(|(name, value)| (name, Json::from(value)));
    Json::object([("type", Json::from("string"))].into_iter().chain(more))
}

fn scalar(ty: &str) -> Option<Json> {
    let whole = |format: &str, least: i64, most: i64| {
        Json::object([
            ("type", Json::from("integer")),
            ("format", format.into()),
            ("minimum", Json::Signed(least)),
            ("maximum", Json::Signed(most)),
        ])
    };
    let float = |format: &str| {
        let names = ["NaN", "Infinity", "-Infinity"].map(Json::from).to_vec();
        Json::object([(
            "oneOf",
            Json::List(vec![
                Json::object([("type", Json::from("number")), ("format", format.into())]),
                Json::object([("type", Json::from("string")), ("enum", Json::List(names))]),
            ]),
        )])
    };
    Some(match ty {
        "bool" => Json::object([("type", Json::from("boolean"))]),
        "string" => text([]),
        "bytes" => text([("contentEncoding", "base64")]),
        "int32" | "sint32" | "sfixed32" => whole("int32", i32::MIN.into(), i32::MAX.into()),
        "uint32" | "fixed32" => whole("uint32", 0, u32::MAX.into()),
        "int64" | "sint64" | "sfixed64" => text([("format", "int64"), ("pattern", "^-?[0-9]{1,19}$")]),
        "uint64" | "fixed64" => text([("format", "uint64"), ("pattern", "^[0-9]{1,20}$")]),
        "float" | "double" => float(ty),
        _ => return None,
    })
}

fn well_known(name: &str) -> Option<Json> {
    Some(match name {
        "google.protobuf.Timestamp" => text([("format", "date-time")]),
        "google.protobuf.Duration" => text([("pattern", "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$")]),
        _ => return None,
    })
}

/// How keys that are no text are written.
fn map_keys(key: &str) -> Option<Json> {
    let pattern = |pattern: &str| Some(Json::object([("pattern", Json::from(pattern))]));
    match key {
        "bool" => pattern("^(true|false)$"),
        "uint32" | "uint64" => pattern("^[0-9]+$"),
        "int32" | "int64" => pattern("^-?[0-9]+$"),
        _ => None,
    }
}
