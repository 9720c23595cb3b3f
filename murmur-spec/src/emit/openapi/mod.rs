//! The surface that HTTP with JSON reaches, as OpenAPI 3.1.
//!
//! ```text
//! POST /<package>.<Service>/<Method>       the request's message in, the reply's message out
//! GET  the same ?connect=v1&encoding=json&message=<JSON>      for reads with one reply
//! GET  /, /healthz, /readyz                what there is, and whether it serves
//! ```
//!
//! Messages are written by protobuf's JSON mapping, as the server does it: see [`schemas`]. An error is the object that
//! [Connect](https://connectrpc.com/docs/protocol#error-end-stream) has for it: see [`errors`]. gRPC, gRPC-Web and
//! protobuf on the same paths are not described.

mod errors;
mod paths;
mod schemas;

use super::Json;
use super::file::File;

/// The document. Files stand after those they import; the last one is the package's own. `contract` is another one where
/// something is that clients rely on.
pub(super) fn document(files: &[File], title: &str, contract: &str) -> Json {
    let types = schemas::Types::of(files);
    let services: Vec<_> =
        files.iter().rev().flat_map(|file| file.services.iter().map(move |service| (file, service))).collect();
    let tags = services.iter().map(|(file, service)| {
        // Where a file has nothing else in it, its own words are about the service.
        let docs = if service.docs.is_empty() { &file.docs } else { &service.docs };
        let name = ("name", Json::from(format!("{}.{}", file.package, service.name)));
        Json::object([name, ("description", prose(docs).into())])
    });
    let tags: Vec<Json> = tags.collect();
    Json::object([
        ("openapi", Json::from("3.1.0")),
        ("info", info(files, title, contract)),
        ("servers", Json::List(vec![server()])),
        // A server on the machine itself asks for none.
        ("security", Json::List(vec![Json::object::<&str>([]), Json::object([("bearer", Json::List(Vec::new()))])])),
        ("tags", Json::List(tags)),
        ("paths", paths::paths(&services)),
        ("components", components(&types, &services)),
    ])
}

fn info(files: &[File], title: &str, contract: &str) -> Json {
    let package = files.last().map(|file| file.package.clone()).unwrap_or_default();
    let version = format!("{}+{contract}", package.rsplit('.').next().unwrap_or_default());
    let about = format!(
        "The typed query services of the pipelines of `{title}`, in JSON: 64-bit integers are strings, durations are \
         seconds such as `604800s`, bytes are base64, and `NaN`, `Infinity` and `-Infinity` are strings. Fields that are \
         not set are left out."
    );
    Json::object([("title", Json::from(package)), ("version", version.into()), ("description", about.into())])
}

fn server() -> Json {
    Json::object([
        ("url", Json::from("http://127.0.0.1:50051")),
        ("description", "Where a server listens when nobody said otherwise: this machine alone can reach it.".into()),
    ])
}

fn components(types: &schemas::Types<'_>, services: &[paths::Served<'_>]) -> Json {
    let mut all = types.schemas(services);
    all.extend(errors::schemas());
    all.extend(paths::pages());
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let bearer = Json::object([
        ("type", Json::from("http")),
        ("scheme", "bearer".into()),
        ("description", "Where whoever runs the server, or a proxy before it, asks for a token.".into()),
    ]);
    Json::object([
        ("schemas", Json::Object(all)),
        ("parameters", paths::parameters()),
        ("responses", errors::responses()),
        ("securitySchemes", Json::object([("bearer", bearer)])),
    ])
}

/// A comment as a text.
fn prose(docs: &[String]) -> String {
    docs.join("\n")
}

/// The name of a schema in a reference to it.
fn schema(name: &str) -> Json {
    reference("schemas", name)
}

fn reference(kind: &str, name: &str) -> Json {
    Json::object([("$ref", Json::from(format!("#/components/{kind}/{name}")))])
}

/// The body of a request or response in JSON.
fn content(kind: &str, of: Json) -> Json {
    Json::object([(kind, Json::object([("schema", of)]))])
}
