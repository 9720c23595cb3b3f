//! Files as a `google.protobuf.FileDescriptorSet`, written by hand: seven kinds of messages, varints and
//! length-delimited fields. The numbers are those of `google/protobuf/descriptor.proto`.

use super::file::{Enum, Field, File, Message, Reserved, Rule, SCALARS, Service, Value};
use crate::names;

/// The bytes of the set; a file stands after those it imports.
pub(super) fn set(files: &[File]) -> Vec<u8> {
    let mut out = Writer::default();
    for file in files {
        out.message(1, |out| write_file(out, file, files, false));
    }
    out.bytes
}

/// The bytes of a `CodeGeneratorRequest` for all files but protobuf's own, with their comments. The numbers are those of
/// `google/protobuf/compiler/plugin.proto`.
pub(super) fn request(files: &[File], parameter: &str) -> Vec<u8> {
    let mut out = Writer::default();
    for file in files.iter().filter(|file| !file.path.starts_with("google/")) {
        out.text(1, &file.path);
    }
    out.text(2, parameter);
    for file in files {
        out.message(15, |out| write_file(out, file, files, true));
    }
    out.bytes
}

/// Protobuf's wire format, as far as descriptors need it.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn number(&mut self, field: u32, value: u32) {
        self.varint(u64::from(field) << 3);
        self.varint(u64::from(value));
    }

    fn text(&mut self, field: u32, text: &str) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.varint(u64::from(field) << 3 | 2);
        self.varint(inner.bytes.len() as u64);
        self.bytes.append(&mut inner.bytes);
    }
}

fn write_file(out: &mut Writer, file: &File, all: &[File], with_comments: bool) {
    out.text(1, &file.path);
    out.text(2, &file.package);
    for import in &file.imports {
        out.text(3, import);
    }
    for message in &file.messages {
        out.message(4, |out| write_message(out, message, file, all));
    }
    for item in &file.enums {
        out.message(5, |out| write_enum(out, item));
    }
    for service in &file.services {
        out.message(6, |out| write_service(out, service, file));
    }
    if !file.options.is_empty() {
        out.message(8, |out| write_options(out, &file.options));
    }
    if with_comments {
        out.message(9, |out| write_comments(out, file));
    }
    out.text(12, "proto3");
}

/// A `SourceCodeInfo`: what stands before each thing, found by the numbers and places of the fields that lead to it. Where
/// in a file that is, nobody knows, as there is none.
fn write_comments(out: &mut Writer, file: &File) {
    let mut say = |path: &[usize], docs: &[String]| {
        if docs.is_empty() {
            return;
        }
        let lines: String =
            docs.iter().map(|line| if line.is_empty() { "\n".into() } else { format!(" {line}\n") }).collect();
        out.message(1, |out| {
            let packed = |out: &mut Writer, field, numbers: &[usize]| {
                out.message(field, |out| numbers.iter().for_each(|number| out.varint(*number as u64)));
            };
            packed(out, 1, path);
            packed(out, 2, &[0, 0, 0]);
            out.text(3, &lines);
        });
    };
    for (at, message) in file.messages.iter().enumerate() {
        say(&[4, at], &message.docs);
        in_order(message).enumerate().for_each(|(of, field)| say(&[4, at, 2, of], &field.docs));
    }
    for (at, item) in file.enums.iter().enumerate() {
        say(&[5, at], &item.docs);
        item.values.iter().enumerate().for_each(|(of, value)| say(&[5, at, 2, of], &value.docs));
    }
    for (at, service) in file.services.iter().enumerate() {
        say(&[6, at], &service.docs);
        service.methods.iter().enumerate().for_each(|(of, method)| say(&[6, at, 2, of], &method.docs));
    }
}

fn write_options(out: &mut Writer, options: &[(String, Value)]) {
    let number = |name: &str| match name {
        "java_package" => 1,
        "java_outer_classname" => 8,
        "java_multiple_files" => 10,
        "go_package" => 11,
        "cc_enable_arenas" => 31,
        "objc_class_prefix" => 36,
        "csharp_namespace" => 37,
        _ => unreachable!("the templates use no other option, and tests read them all"),
    };
    for (name, value) in options {
        match value {
            Value::Text(text) => out.text(number(name), text),
            Value::Bool(on) => out.number(number(name), u32::from(*on)),
        }
    }
}

/// A type's full name with the leading dot.
fn full(ty: &str, file: &File) -> String {
    // Names of the same package are written without it.
    if ty.contains('.') { format!(".{ty}") } else { format!(".{}.{ty}", file.package) }
}

fn write_message(out: &mut Writer, message: &Message, file: &File, all: &[File]) {
    out.text(1, &message.name);
    let real = message.oneof();
    // Each `optional` field has a `oneof` of its own, which stands after the real one.
    let mut synthetic = u32::from(real.is_some());
    for field in in_order(message) {
        let oneof = match field.rule {
            Rule::OneOf => Some(0),
            Rule::Optional => {
                synthetic += 1;
                Some(synthetic - 1)
            }
            _ => None,
        };
        out.message(2, |out| write_field(out, field, oneof, message, file, all));
    }
    for field in in_order(message) {
        if let Rule::Map(key) = &field.rule {
            out.message(3, |out| write_map_entry(out, field, key, file, all));
        }
    }
    if let Some(oneof) = real {
        out.message(8, |out| out.text(1, oneof));
    }
    for field in in_order(message).filter(|field| field.rule == Rule::Optional) {
        out.message(8, |out| out.text(1, &format!("_{}", field.name)));
    }
    write_reserved(out, (9, 10), &message.reserved, 1);
}

/// The order of the text: members of the `oneof` come last.
fn in_order(message: &Message) -> impl Iterator<Item = &Field> {
    let plain = message.fields.iter().filter(|field| field.rule != Rule::OneOf);
    plain.chain(message.fields.iter().filter(|field| field.rule == Rule::OneOf))
}

fn write_field(out: &mut Writer, field: &Field, oneof: Option<u32>, owner: &Message, file: &File, all: &[File]) {
    out.text(1, &field.name);
    out.number(3, field.number);
    match &field.rule {
        Rule::Map(_) => {
            out.number(4, 3);
            out.number(5, 11);
            out.text(6, &format!(".{}.{}.{}", file.package, owner.name, entry_name(field)));
        }
        Rule::Repeated => {
            out.number(4, 3);
            write_type(out, &field.ty, file, all);
        }
        Rule::Plain | Rule::Optional | Rule::OneOf => {
            out.number(4, 1);
            write_type(out, &field.ty, file, all);
        }
    }
    if let Some(oneof) = oneof {
        out.number(9, oneof);
    }
    let json = field.json.clone().unwrap_or_else(|| names::json(&field.name));
    out.text(10, &json);
    if field.rule == Rule::Optional {
        out.number(17, 1);
    }
}

fn write_type(out: &mut Writer, ty: &str, file: &File, all: &[File]) {
    // The scalars stand in the order of their numbers, without 10 (group) and 11 (message) and 14 (enum).
    if let Some(at) = SCALARS.iter().position(|scalar| *scalar == ty) {
        let number = match at {
            0..=8 => at + 1,
            9 => 12,
            10 => 13,
            _ => at + 4,
        };
        out.number(5, number as u32);
        return;
    }
    let name = full(ty, file);
    let is_enum =
        all.iter().any(|file| file.enums.iter().any(|item| name == format!(".{}.{}", file.package, item.name)));
    out.number(5, if is_enum { 14 } else { 11 });
    out.text(6, &name);
}

/// `tag_counts` to `TagCountsEntry`.
fn entry_name(field: &Field) -> String {
    format!("{}Entry", names::marker(&field.name))
}

fn write_map_entry(out: &mut Writer, field: &Field, key: &str, file: &File, all: &[File]) {
    out.text(1, &entry_name(field));
    for (number, name, ty) in [(1, "key", key), (2, "value", field.ty.as_str())] {
        out.message(2, |out| {
            out.text(1, name);
            out.number(3, number);
            out.number(4, 1);
            write_type(out, ty, file, all);
            out.text(10, name);
        });
    }
    out.message(7, |out| out.number(7, 1));
}

/// Messages count the end of a range as outside, enums as inside.
fn write_reserved(out: &mut Writer, (ranges, texts): (u32, u32), reserved: &Reserved, past: u32) {
    for number in &reserved.numbers {
        out.message(ranges, |out| {
            out.number(1, *number);
            out.number(2, *number + past);
        });
    }
    for name in &reserved.names {
        out.text(texts, name);
    }
}

fn write_enum(out: &mut Writer, item: &Enum) {
    out.text(1, &item.name);
    for value in &item.values {
        out.message(2, |out| {
            out.text(1, &value.name);
            out.number(2, value.number);
        });
    }
    write_reserved(out, (4, 5), &item.reserved, 0);
}

fn write_service(out: &mut Writer, service: &Service, file: &File) {
    out.text(1, &service.name);
    for method in &service.methods {
        out.message(2, |out| {
            out.text(1, &method.name);
            out.text(2, &full(&method.request, file));
            out.text(3, &full(&method.response, file));
            if method.reads {
                out.message(4, |out| out.number(34, 1));
            }
            if method.streams {
                out.number(6, 1);
            }
        });
    }
}
