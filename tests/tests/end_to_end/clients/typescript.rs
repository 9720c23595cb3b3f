use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::{self, command};
use murmur_tests::{tools, workspace};
use serde_json::Value;

use super::{assert_answers, assert_by_tls, assert_one_call, made};

/// The folder of the client, built as npm does it, with what asks by it.
pub(super) fn built() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let package = made("typescript");
        let modules = package.join("node_modules");
        if !modules.exists() {
            std::os::unix::fs::symlink(tools::client_typescript(), &modules).unwrap();
        }
        let output = command("npm", &["run", "build"]).current_dir(&package).output();
        let output = output.unwrap_or_else(|error| panic!("`npm` is missing on this machine: {error}"));
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        for file in ["asking.mjs", "ask.mjs", "page.mjs"] {
            std::fs::copy(workspace().join("tests/clients/made/typescript").join(file), package.join(file)).unwrap();
        }
        package
    })
}

fn ask(url: &str, question: &str) -> Value {
    process::json("node", &[built().join("ask.mjs").to_str().unwrap(), url, question])
}

#[test]
fn the_client_in_typescript_asks_everything() {
    assert_answers(ask);
}

#[test]
fn a_call_in_typescript_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask(url, "one"));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_typescript() {
    assert_by_tls(|url, authorities| {
        let mut command = command("node", &[built().join("ask.mjs").to_str().unwrap(), url, "one"]);
        let output = command.env("NODE_EXTRA_CA_CERTS", authorities).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
}

/// What is installed for the tests is what the package asks for.
#[test]
fn the_client_in_typescript_is_tested_with_the_versions_that_it_names() {
    let read = |path: PathBuf| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let [package, tested] =
        [made("typescript"), workspace().join("tests/clients/made/typescript")].map(|at| read(at.join("package.json")));
    assert_eq!(package["devDependencies"], tested["devDependencies"]);
    for (name, version) in package["dependencies"].as_object().unwrap() {
        assert_eq!(version.as_str().unwrap().trim_start_matches('^'), tested["dependencies"][name], "{name}");
    }
}
