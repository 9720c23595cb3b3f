//! A file as the text of a `.proto`.

use std::fmt::{self, Write};

use super::file::{Enum, Field, File, Message, Reserved, Rule, Service, Value};

/// The text.
pub(super) fn text(file: &File) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_file(&mut out, file);
    out
}

fn write_file(out: &mut String, file: &File) -> fmt::Result {
    docs(out, "", &file.docs)?;
    writeln!(out, "syntax = \"proto3\";\n\npackage {};", file.package)?;
    if !file.imports.is_empty() {
        out.push('\n');
    }
    for import in &file.imports {
        writeln!(out, "import \"{import}\";")?;
    }
    if !file.options.is_empty() {
        out.push('\n');
    }
    for (name, value) in &file.options {
        match value {
            Value::Text(text) => writeln!(out, "option {name} = \"{text}\";")?,
            Value::Bool(on) => writeln!(out, "option {name} = {on};")?,
        }
    }
    for service in &file.services {
        write_service(out, service)?;
    }
    for item in &file.enums {
        write_enum(out, item)?;
    }
    for message in &file.messages {
        write_message(out, message, &file.package)?;
    }
    Ok(())
}

fn docs(out: &mut String, indent: &str, lines: &[String]) -> fmt::Result {
    for line in lines {
        if line.is_empty() { writeln!(out, "{indent}//")? } else { writeln!(out, "{indent}// {line}")? }
    }
    Ok(())
}

fn write_service(out: &mut String, service: &Service) -> fmt::Result {
    out.push('\n');
    docs(out, "", &service.docs)?;
    writeln!(out, "service {} {{", service.name)?;
    for method in &service.methods {
        docs(out, "  ", &method.docs)?;
        let stream = if method.streams { "stream " } else { "" };
        write!(out, "  rpc {}({}) returns ({stream}{})", method.name, method.request, method.response)?;
        if method.reads {
            writeln!(out, " {{\n    option idempotency_level = NO_SIDE_EFFECTS;\n  }}")?;
        } else {
            writeln!(out, ";")?;
        }
    }
    writeln!(out, "}}")
}

fn write_message(out: &mut String, message: &Message, package: &str) -> fmt::Result {
    out.push('\n');
    docs(out, "", &message.docs)?;
    if message.fields.is_empty() && message.reserved.numbers.is_empty() {
        return writeln!(out, "message {} {{}}", message.name);
    }
    writeln!(out, "message {} {{", message.name)?;
    write_reserved(out, &message.reserved)?;
    for field in message.fields.iter().filter(|field| field.rule != Rule::OneOf) {
        write_field(out, "  ", field, package)?;
    }
    if let Some(oneof) = message.oneof() {
        writeln!(out, "  oneof {oneof} {{")?;
        for field in message.fields.iter().filter(|field| field.rule == Rule::OneOf) {
            write_field(out, "    ", field, package)?;
        }
        writeln!(out, "  }}")?;
    }
    writeln!(out, "}}")
}

/// A type as it must be written in a package. Protobuf looks a name's first word up from the inside out, so within
/// `shop.murmur.v1` the name `murmur.v1.Answer` needs a dot in front.
fn reference(ty: &str, package: &str) -> String {
    let first = ty.split('.').next().unwrap_or_default();
    let hidden = ty.contains('.') && package.split('.').skip(1).any(|word| word == first);
    if hidden { format!(".{ty}") } else { ty.to_owned() }
}

fn write_field(out: &mut String, indent: &str, field: &Field, package: &str) -> fmt::Result {
    docs(out, indent, &field.docs)?;
    let ty = reference(&field.ty, package);
    out.push_str(indent);
    match &field.rule {
        Rule::Plain | Rule::OneOf => write!(out, "{ty}")?,
        Rule::Optional => write!(out, "optional {ty}")?,
        Rule::Repeated => write!(out, "repeated {ty}")?,
        Rule::Map(key) => write!(out, "map<{key}, {ty}>")?,
    }
    write!(out, " {} = {}", field.name, field.number)?;
    if let Some(json) = &field.json {
        write!(out, " [json_name = \"{json}\"]")?;
    }
    writeln!(out, ";")
}

fn write_enum(out: &mut String, item: &Enum) -> fmt::Result {
    out.push('\n');
    docs(out, "", &item.docs)?;
    writeln!(out, "enum {} {{", item.name)?;
    write_reserved(out, &item.reserved)?;
    for value in &item.values {
        docs(out, "  ", &value.docs)?;
        writeln!(out, "  {} = {};", value.name, value.number)?;
    }
    writeln!(out, "}}")
}

fn write_reserved(out: &mut String, reserved: &Reserved) -> fmt::Result {
    if !reserved.numbers.is_empty() {
        let numbers: Vec<String> = reserved.numbers.iter().map(u32::to_string).collect();
        writeln!(out, "  reserved {};", numbers.join(", "))?;
    }
    if !reserved.names.is_empty() {
        let names: Vec<String> = reserved.names.iter().map(|name| format!("\"{name}\"")).collect();
        writeln!(out, "  reserved {};", names.join(", "))?;
    }
    Ok(())
}
