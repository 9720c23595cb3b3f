//! From schema and lock to the files of a package.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::file::{self, EnumValue, Field, File, Message, Reserved, Rule};
use super::read;
use crate::lock::{Lock, Numbered};
use crate::names;
use crate::schema::{self, Cardinality, Schema, Shape, map_key};

const PIPELINE: &str = include_str!("../../templates/pipeline.proto.template");

/// Murmur's own files and those of protobuf, each after those it imports.
const FIXED: [(&str, &str); 4] = [
    ("google/protobuf/duration.proto", include_str!("../../templates/google/protobuf/duration.proto")),
    ("google/protobuf/timestamp.proto", include_str!("../../templates/google/protobuf/timestamp.proto")),
    ("murmur/v1/types.proto", include_str!("../../templates/murmur/v1/types.proto")),
    ("murmur/v1/query.proto", include_str!("../../templates/murmur/v1/query.proto")),
];

/// Counts the changes of the messages in `proto-templates/`: one more with each field or method that is new there. A server
/// of an earlier one would overlook the field in a request.
pub const REVISION: u32 = 2;

/// The files that are the same for everyone.
pub(super) fn fixed() -> Vec<File> {
    FIXED.iter().map(|(path, text)| template(path, text)).collect()
}

fn template(path: &str, text: &str) -> File {
    match read::read(path, text) {
        Ok(file) => file,
        // The templates are part of this crate, and the tests read them all.
        Err(message) => unreachable!("{message}"),
    }
}

/// The file of the package.
pub(super) fn package(schema: &Schema, lock: &Lock, path: &str) -> File {
    let mut file = File {
        path: path.to_owned(),
        docs: vec![
            "Written by Murmur from the pipelines of the crate; numbers are those of `proto/murmur.lock`.".into(),
        ],
        package: schema.package.clone(),
        ..File::default()
    };
    for service in &schema.services {
        let made = pipeline(service);
        file.services.extend(made.services);
        let key = schema.messages.iter().filter(|message| message.name == service.key);
        file.messages.extend(key.map(|key| message(key, lock)));
        file.messages.extend(made.messages);
    }
    let keys: Vec<&str> = schema.services.iter().map(|service| service.key.as_str()).collect();
    let others = schema.messages.iter().filter(|message| !keys.contains(&message.name.as_str()));
    file.messages.extend(others.map(|other| message(other, lock)));
    file.enums.extend(schema.enums.iter().map(|item| enumeration(item, lock)));
    file.imports = file.find_imports();
    file
}

/// The service of a pipeline with the messages of its methods.
fn pipeline(service: &schema::Service) -> File {
    static TEMPLATE: LazyLock<File> = LazyLock::new(|| template("pipeline.proto.template", PIPELINE));
    let (entry, point) = (names::entry(&service.pipeline), names::point(&service.pipeline));
    let blanks = [
        ("{{service}}", service.name.as_str()),
        ("{{key}}", &service.key),
        ("{{entry}}", &entry),
        ("{{point}}", &point),
    ];
    let mut file = TEMPLATE.clone();
    file.each_text(&mut |text| {
        for (blank, filled) in blanks {
            // Most texts have no blank at all, and looking is cheaper than replacing.
            if !text.contains(read::OPEN) {
                return;
            }
            *text = text.replace(blank, filled);
        }
    });
    for field in file.messages.iter_mut().flat_map(|message| &mut message.fields).filter(|field| field.ty == VALUE) {
        field.rule = rule(&service.value);
        field.ty = service.value.ty.name().to_owned();
    }
    for made in &mut file.services {
        made.docs.clone_from(&service.docs);
    }
    file
}

/// The blank for the type of a pipeline's value, which may be optional.
const VALUE: &str = "{{value}}";

fn rule(shape: &Shape) -> Rule {
    match shape.cardinality {
        Cardinality::Plain => Rule::Plain,
        Cardinality::Optional => Rule::Optional,
        Cardinality::Repeated => Rule::Repeated,
        Cardinality::Map(key) => Rule::Map(map_key(key).to_owned()),
        Cardinality::OneOf => Rule::OneOf,
    }
}

/// The methods of a pipeline's service as the lock records them.
pub(crate) fn rpcs(service: &schema::Service) -> BTreeMap<String, String> {
    let made = pipeline(service);
    let methods = made.services.into_iter().flat_map(|service| service.methods);
    methods
        .map(|method| {
            let stream = if method.streams { "stream " } else { "" };
            (method.name, format!("{} -> {stream}{}", method.request, method.response))
        })
        .collect()
}

fn reserved(numbered: &Numbered) -> Reserved {
    // A name that is in use again cannot be reserved; its old number still is.
    let mut names: Vec<String> =
        numbered.reserved().map(|(_, name)| name.to_owned()).filter(|name| numbered.field(name).is_none()).collect();
    names.sort();
    names.dedup();
    Reserved { numbers: numbered.reserved().map(|(number, _)| number).collect(), names }
}

fn message(of: &schema::Message, lock: &Lock) -> Message {
    let empty = Numbered::default();
    let numbered = lock.messages.get(&of.name).unwrap_or(&empty);
    let fields = numbered.fields().filter_map(|(number, fact)| {
        let field = of.fields.iter().find(|field| field.name == fact.name)?;
        Some(Field {
            name: field.name.clone(),
            docs: field.docs.clone(),
            number,
            rule: rule(&field.shape),
            ty: field.shape.ty.name().to_owned(),
            json: fact.json.clone(),
        })
    });
    Message { name: of.name.clone(), docs: of.docs.clone(), fields: fields.collect(), reserved: reserved(numbered) }
}

fn enumeration(of: &schema::Enum, lock: &Lock) -> file::Enum {
    let empty = Numbered::default();
    let numbered = lock.enums.get(&of.name).unwrap_or(&empty);
    let values = numbered.fields().map(|(number, fact)| {
        let known = of.values.iter().find(|value| value.name == fact.name);
        EnumValue { name: fact.name.clone(), docs: known.map(|v| v.docs.clone()).unwrap_or_default(), number }
    });
    file::Enum { name: of.name.clone(), docs: of.docs.clone(), values: values.collect(), reserved: reserved(numbered) }
}
