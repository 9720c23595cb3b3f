//! A package for npm, with its protobuf modules made and compiled by its build.

use super::files::Made;
use super::model::{Field, Package, Service};
use super::template::{Blanks, fill};
use crate::Failure;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../clients/typescript/", $name))
    };
}

pub(super) fn files(package: &Package) -> Result<Vec<Made>, Failure> {
    let mut all = package.blanks();
    let clients: Vec<String> = package.services.iter().map(|service| format!("{}Client", service.name)).collect();
    all.insert("clients", clients.join(", "));
    let plain: Vec<Blanks> = package.services.iter().map(|service| blanks(service, str::to_owned)).collect();
    let escaped: Vec<Blanks> = package.services.iter().map(|service| blanks(service, in_comment)).collect();
    let made = |path: &str, template: &str, services: &[Blanks]| Made {
        path: path.into(),
        text: fill(template, &all, services),
    };
    let mut files = vec![
        made("package.json", template!("package.json.in"), &plain),
        made("buf.gen.yaml", template!("buf.gen.yaml.in"), &plain),
        made("tsconfig.json", template!("tsconfig.json.in"), &plain),
        made(".gitignore", template!("gitignore.in"), &plain),
        made("README.md", template!("README.md.in"), &plain),
        made("src/index.ts", template!("index.ts.in"), &plain),
        made("src/asking.ts", template!("asking.ts.in"), &plain),
        made("src/client.ts", template!("client.ts.in"), &escaped),
    ];
    files.extend(package.protos("proto"));
    files.push(package.refused("proto"));
    Ok(files)
}

fn blanks(service: &Service, docs: impl Fn(&str) -> String) -> Blanks {
    let key: Vec<String> = service.key_fields.iter().filter_map(example).collect();
    service.blanks(docs, key.join(", "))
}

/// What would end a comment.
fn in_comment(line: &str) -> String {
    line.replace("*/", "*\\/")
}

/// `pageId: "..."`
fn example(field: &Field) -> Option<String> {
    let value = match field.shape.ty.name() {
        _ if !field.is_simple() || field.value.is_some() => return None,
        "string" => "\"...\"",
        "bytes" => "new Uint8Array()",
        "bool" => "true",
        "float" | "double" => "1.5",
        "int64" | "uint64" => "7n",
        _ => "7",
    };
    Some(format!("{}: {value}", murmur_spec::names::json(&field.name)))
}
