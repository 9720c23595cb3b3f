//! A crate, with its protobuf code made by its build script, without protoc.

use super::files::Made;
use super::model::{Field, Package, Service};
use super::template::{Blanks, fill};
use crate::Failure;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../clients/rust/", $name))
    };
}

pub(super) fn files(package: &Package) -> Result<Vec<Made>, Failure> {
    let mut all = package.blanks();
    all.insert("snake", package.file.clone());
    all.insert("rust_path", package.package.replace('.', "::"));
    let services: Vec<Blanks> = package.services.iter().map(blanks).collect();
    let made = |path: &str, template: &str| Made { path: path.into(), text: fill(template, &all, &services) };
    let mut files = vec![
        made("Cargo.toml", template!("Cargo.toml.in")),
        made("build.rs", template!("build.rs.in")),
        made("README.md", template!("README.md.in")),
        made(".gitignore", template!("gitignore.in")),
        made("src/lib.rs", template!("src/lib.rs.in")),
        made("src/asking.rs", template!("src/asking.rs.in")),
    ];
    files.extend(package.protos("proto"));
    Ok(files)
}

fn blanks(service: &Service) -> Blanks {
    let key: Vec<String> = service.key_fields.iter().filter_map(example).collect();
    let rest = if key.len() < service.key_fields.len() { ", ..Default::default()" } else { "" };
    let mut blanks = service.blanks(str::to_owned, key.join(", ") + rest);
    blanks.insert("client_module", murmur_spec::names::snake(&service.service) + "_client");
    blanks
}

/// `page_id: "...".into()`
fn example(field: &Field) -> Option<String> {
    let value = match field.shape.ty.name() {
        _ if !field.is_plain() => return None,
        "string" => "\"...\".into()",
        "bytes" => "Vec::new()",
        "bool" => "true",
        "float" | "double" => "1.5",
        _ => "7",
    };
    Some(format!("{}: {value}", ident(&field.name)))
}

/// The name of a field as prost writes it.
fn ident(name: &str) -> String {
    match name {
        "self" | "super" | "crate" => format!("{name}_"),
        _ if syn::parse_str::<syn::Ident>(name).is_err() => format!("r#{name}"),
        _ => name.to_owned(),
    }
}
