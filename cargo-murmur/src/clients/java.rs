//! An artifact for Maven, with its protobuf code made by its build.

use super::files::Made;
use super::model::{Field, Package, Service};
use super::template::{Blanks, fill};
use crate::Failure;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../clients/java/", $name))
    };
}

/// `group` is the group of the artifact; the protobuf package without one.
pub(super) fn files(package: &Package, group: Option<&str>) -> Result<Vec<Made>, Failure> {
    let mut all = package.blanks();
    all.insert("group", group.unwrap_or(&package.package).to_owned());
    let plain: Vec<Blanks> = package.services.iter().map(|service| blanks(service, str::to_owned)).collect();
    let made = |path: String, template: &str| Made { path, text: fill(template, &all, &plain) };
    let source = format!("src/main/java/{}", package.folder());
    let in_pom: Blanks = all.iter().map(|(name, value)| (*name, in_xml(value))).collect();
    let mut files = vec![
        Made { path: "pom.xml".into(), text: fill(template!("pom.xml.in"), &in_pom, &[]) },
        made("README.md".into(), template!("README.md.in")),
        made(".gitignore".into(), template!("gitignore.in")),
        made(format!("{source}/Asking.java"), template!("Asking.java.in")),
    ];
    for service in &package.services {
        // One class a file, so the whole template is about one service.
        let mut own = all.clone();
        own.extend(blanks(service, in_javadoc));
        let text = fill(template!("Client.java.in"), &own, &[]);
        files.push(Made { path: format!("{source}/{}Client.java", service.name), text });
    }
    files.extend(package.protos("src/main/proto"));
    Ok(files)
}

fn blanks(service: &Service, docs: impl Fn(&str) -> String) -> Blanks {
    let key: String = service.key_fields.iter().filter_map(example).collect();
    service.blanks(docs, key)
}

/// What XML would read as something else.
fn in_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What Javadoc would read as something else.
fn in_javadoc(line: &str) -> String {
    let line = in_xml(line).replace('@', "&#64;");
    line.replace("*/", "*&#47;").replace('\\', "&#92;")
}

/// `.setPageId("...")`
fn example(field: &Field) -> Option<String> {
    let value = match field.shape.ty.name() {
        _ if !field.is_simple() || field.value.is_some() => return None,
        "string" => "\"...\"",
        "bytes" => "com.google.protobuf.ByteString.EMPTY",
        "bool" => "true",
        "float" => "1.5f",
        "double" => "1.5",
        "int64" | "uint64" => "7L",
        _ => "7",
    };
    Some(format!(".set{}({value})", setter(&field.name)))
}

/// What a field is called in its setter. Names of methods that each message has get an underscore.
fn setter(field: &str) -> String {
    let name = murmur_spec::names::marker(field);
    let taken = [
        "Class",
        "DefaultInstanceForType",
        "ParserForType",
        "SerializedSize",
        "AllFields",
        "DescriptorForType",
        "InitializationErrorString",
        "UnknownFields",
        "CachedSize",
    ];
    if taken.contains(&name.as_str()) { name + "_" } else { name }
}
