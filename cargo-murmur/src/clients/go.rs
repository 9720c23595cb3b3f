//! A module for Go, with its protobuf code in it: what others get with `go get` is what lies in the repository.

use std::io::Write;
use std::process::{Command, Stdio};

use prost::Message;
use prost_types::compiler::CodeGeneratorResponse;

use super::files::Made;
use super::model::{Field, Package, Service};
use super::template::{Blanks, fill};
use crate::Failure;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../clients/go/", $name))
    };
}

/// The generators, each at the version that the templates are made for.
const GENERATORS: [&str; 2] =
    ["google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0"];

/// `module` is the path of the module; the package's name without one.
pub(super) fn files(package: &Package, module: Option<&str>) -> Result<Vec<Made>, Failure> {
    let module = module.map_or_else(|| format!("{}-client", package.name), str::to_owned);
    let mut all = package.blanks();
    all.insert("module", module.clone());
    // Names of packages are one word.
    let word = package.file.replace('_', "");
    all.insert("go_package", word.clone());
    let services: Vec<Blanks> = package.services.iter().map(blanks).collect();
    let made = |path: &str, template: &str| Made { path: path.into(), text: fill(template, &all, &services) };
    let mut files = vec![
        made("go.mod", template!("go.mod.in")),
        Made { path: "go.sum".into(), text: template!("go.sum.in").into() },
        made("README.md", template!("README.md.in")),
        made("asking.go", template!("asking.go.in")),
        made("client.go", template!("client.go.in")),
    ];
    files.extend(package.protos("proto"));
    let folder = package.folder();
    let mut parameter = format!("module={module}");
    for (proto, of, name) in [
        (format!("{folder}/{}.proto", package.file), folder.clone(), package.package.replace(['.', '_'], "")),
        (format!("{folder}/murmur/types.proto"), format!("{folder}/murmur"), "murmur".to_owned()),
    ] {
        parameter.push_str(&format!(",M{proto}={module}/{of};{name}"));
    }
    let request = package.client.request(&parameter);
    for generator in GENERATORS {
        files.extend(generate(generator, &request)?);
    }
    Ok(files)
}

/// Run a generator as protoc would.
fn generate(generator: &str, request: &[u8]) -> Result<Vec<Made>, Failure> {
    let failed = |why: &dyn std::fmt::Display| format!("`go run {generator}` has not made the protobuf code: {why}");
    let mut command = Command::new("go");
    // A module around the current folder has no say in which version that is.
    command.args(["run", generator]).env("GOFLAGS", "-mod=mod").env("GOWORK", "off");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        format!("`go` cannot be started ({error}); it makes the protobuf code of the module: install Go 1.24 or newer")
    })?;
    let mut input = child.stdin.take();
    let request = request.to_vec();
    // Beside the reading of what it says, as neither side waits for the other then.
    let writing = std::thread::spawn(move || input.as_mut().map_or(Ok(()), |input| input.write_all(&request)));
    let output = child.wait_with_output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    match writing.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed(&error)),
        Err(_) => return Err(failed(&"it was not told what to make")),
    }
    let response = CodeGeneratorResponse::decode(&*output.stdout).map_err(|error| failed(&error))?;
    if let Some(error) = response.error {
        return Err(failed(&error));
    }
    let files = response.file.into_iter();
    Ok(files.map(|file| Made { path: file.name().to_owned(), text: file.content().to_owned() }).collect())
}

fn blanks(service: &Service) -> Blanks {
    let key: Vec<String> = service.key_fields.iter().filter_map(example).collect();
    service.blanks(str::to_owned, key.join(", "))
}

/// `PageId: "..."`
fn example(field: &Field) -> Option<String> {
    let value = match field.shape.ty.name() {
        _ if !field.is_plain() => return None,
        "string" => "\"...\"",
        "bytes" => "[]byte{}",
        "bool" => "true",
        "float" | "double" => "1.5",
        _ => "7",
    };
    let name = murmur_spec::names::marker(&field.name);
    // Names of methods that each message has.
    let taken = [
        "Reset",
        "String",
        "ProtoMessage",
        "Marshal",
        "Unmarshal",
        "ExtensionRangeArray",
        "ExtensionMap",
        "Descriptor",
    ];
    let rest = if taken.contains(&name.as_str()) { "_" } else { "" };
    Some(format!("{name}{rest}: {value}"))
}
