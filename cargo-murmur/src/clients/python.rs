//! A distribution for pip, with its protobuf modules made by its build.

use super::files::Made;
use super::model::{Field, Package, Service};
use super::template::{Blanks, fill};
use crate::Failure;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../clients/python/", $name))
    };
}

pub(super) fn files(package: &Package) -> Result<Vec<Made>, Failure> {
    let mut all = package.blanks();
    let clients: Vec<String> = package.services.iter().map(|service| format!("{}Client", service.name)).collect();
    all.insert("clients", clients.join(", "));
    let quoted: Vec<String> = clients.iter().map(|client| format!("{client:?}")).collect();
    all.insert("clients_quoted", quoted.join(", "));
    let source = format!("src/{}", package.folder());
    let plain: Vec<Blanks> = package.services.iter().map(|service| blanks(service, str::to_owned)).collect();
    let escaped: Vec<Blanks> = package.services.iter().map(|service| blanks(service, in_docstring)).collect();
    let made = |path: String, template: &str, services: &[Blanks]| Made { path, text: fill(template, &all, services) };
    let mut files = vec![
        made("pyproject.toml".into(), template!("pyproject.toml.in"), &plain),
        made("setup.py".into(), template!("setup.py.in"), &plain),
        made("MANIFEST.in".into(), template!("MANIFEST.in.in"), &plain),
        made(".gitignore".into(), template!("gitignore.in"), &plain),
        made("README.md".into(), template!("README.md.in"), &plain),
        made(format!("{source}/__init__.py"), template!("init.py.in"), &plain),
        made(format!("{source}/client.py"), template!("client.py.in"), &escaped),
        made(format!("{source}/_asking.py"), template!("_asking.py.in"), &plain),
        Made { path: format!("{source}/py.typed"), text: String::new() },
        // The build looks for packages before it has made their modules.
        Made { path: format!("{source}/murmur/__init__.py"), text: String::new() },
    ];
    files.extend(package.protos("proto").map(with_docstrings));
    files.push(package.refused("proto"));
    Ok(files)
}

fn blanks(service: &Service, docs: impl Fn(&str) -> String) -> Blanks {
    let key: Vec<String> = service.key_fields.iter().filter_map(example).collect();
    let mut blanks = service.blanks(&docs, key.join(", "));
    // The stubs that grpcio-tools makes have no comments.
    let list = |title: &str, fields: &[Field]| -> String {
        let line = |field: &Field| {
            let about = if field.docs.is_empty() { String::new() } else { format!(": {}", field.docs.join(" ")) };
            // In a client these messages lie below its own package.
            let shape = field.shape.to_string().replace("murmur.v1.", "murmur.");
            docs(&format!("- `{}` ({shape}){about}", field.name)) + "\n"
        };
        let lines: String = fields.iter().map(line).collect();
        if lines.is_empty() { lines } else { format!("{title}\n\n{lines}") }
    };
    let lists = [list("Key:", &service.key_fields), list("Value:", &service.value)];
    let lists: Vec<String> = lists.into_iter().filter(|list| !list.is_empty()).collect();
    blanks.insert("fields", lists.join("\n"));
    blanks
}

/// What a docstring would read as something else.
fn in_docstring(line: &str) -> String {
    line.replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"")
}

/// `page_id="..."`
fn example(field: &Field) -> Option<String> {
    if !field.is_simple() {
        return None;
    }
    let value = match (field.shape.ty.name(), &field.value) {
        (_, Some(value)) => value.clone(),
        ("string", _) => "\"...\"".into(),
        ("bytes", _) => "b\"...\"".into(),
        ("bool", _) => "True".into(),
        ("float" | "double", _) => "1.5".into(),
        _ => "7".into(),
    };
    // A keyword cannot name an argument.
    let key = &field.name;
    Some(if KEYWORDS.contains(&key.as_str()) { format!("**{{\"{key}\": {value}}}") } else { format!("{key}={value}") })
}

/// Those of Python that a field can be called.
const KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
];

/// A `.proto` with comments that docstrings can be made of: the generator of grpcio-tools takes them as they are.
fn with_docstrings(proto: Made) -> Made {
    let line =
        |line: &str| if line.trim_start().starts_with("//") { in_docstring(line) } else { line.to_owned() } + "\n";
    Made { text: proto.text.lines().map(line).collect(), ..proto }
}
