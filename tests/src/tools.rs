//! Tools of other languages, installed by `scripts/tools.sh`.

use std::path::PathBuf;
use std::process::Command;

use crate::process::target;
use crate::workspace;

/// The folder of the tools, with this one installed.
fn tool(name: &str) -> PathBuf {
    let script = workspace().join("scripts/tools.sh");
    let output = Command::new(&script).arg(name).output();
    let output = output.unwrap_or_else(|error| panic!("cannot start `{}`: {error}", script.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`scripts/tools.sh {name}` failed:\n{said}");
    target().join("tools")
}

/// Python with gRPC's tools.
pub fn python() -> PathBuf {
    tool("python").join("python/bin/python")
}

/// The folder whose `node_modules` has gRPC's JavaScript client.
pub fn node_modules() -> PathBuf {
    tool("node").join("node/node_modules")
}

/// gRPC on the command line.
pub fn grpcurl() -> PathBuf {
    tool("grpcurl").join("bin/grpcurl")
}

/// Python with what builds a client and what it runs on.
pub fn client_python() -> PathBuf {
    tool("client-python").join("client-python/bin/python")
}

/// The `node_modules` that build a client in TypeScript and that it runs on.
pub fn client_typescript() -> PathBuf {
    tool("client-typescript").join("client-typescript/node_modules")
}

/// buf, which comes with what builds a client in TypeScript.
pub fn buf() -> PathBuf {
    client_typescript().join(".bin/buf")
}

/// Chromium.
pub fn chromium() -> PathBuf {
    tool("chromium").join("bin/chromium")
}

/// Python with validators of OpenAPI.
pub fn openapi() -> PathBuf {
    tool("openapi").join("openapi/bin/python")
}

/// A server that has DynamoDB's calls for tables.
pub fn moto() -> PathBuf {
    tool("moto").join("moto/bin/moto_server")
}

/// Connect's conformance suite, and the descriptor set of its service.
pub fn conformance() -> (PathBuf, PathBuf) {
    let tools = tool("conformance");
    (tools.join("bin/connectconformance"), tools.join("conformance/service.binpb"))
}

/// Python with Spark.
pub fn spark() -> PathBuf {
    tool("spark").join("spark/bin/python")
}
