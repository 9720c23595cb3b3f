use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::{cargo_murmur, command, success, target};
use murmur_tests::{tools, workspace};
use serde_json::Value;

use super::{assert_answers, assert_by_tls, assert_one_call, made, made_of};
use crate::foreign_clients::served;

/// Build a client as pip does, and put it into a folder.
fn installed(package: &Path, name: &str) -> PathBuf {
    let folder = target().join("tmp/clients").join(name);
    // What pip is told to replace it leaves beside what is new.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    // The tools are those that are installed already, and not fetched for each build.
    let offline = ["--no-index", "--no-build-isolation", "--no-deps", "--target", folder.to_str().unwrap()];
    success(tools::client_python(), &[&arguments[..], &offline, &[package.to_str().unwrap()]].concat());
    folder
}

fn client() -> &'static Path {
    static CLIENT: OnceLock<PathBuf> = OnceLock::new();
    CLIENT.get_or_init(|| installed(&made("python"), "python-installed"))
}

fn ask(client: &Path, url: &str, question: &str) -> Value {
    ask_with(client, &[url, question])
}

fn ask_with(client: &Path, arguments: &[&str]) -> Value {
    let program = workspace().join("tests/clients/made/python/ask.py");
    let output = command(tools::client_python(), &[&[program.to_str().unwrap()], arguments].concat())
        .env("PYTHONPATH", client)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_client_in_python_asks_everything() {
    assert_answers(|url, question| ask(client(), url, question));
}

#[test]
fn a_call_in_python_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask(client(), url, "one"));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_python() {
    assert_by_tls(|url, authorities| ask_with(client(), &[url, "one", authorities]));
}

/// The client is made from definitions that have one field more than the server knows.
#[test]
fn a_client_of_another_contract_is_told_so() {
    let project = target().join("tmp/clients/ahead");
    for file in ["Cargo.toml", "build.rs", "src/main.rs", "src/generator.rs", "proto/murmur.lock"] {
        let to = project.join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(workspace().join("examples/page-traffic").join(file), to).unwrap();
    }
    let source = project.join("src/main.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("pub views: Count,", "pub views: Count, pub bounces: Count,")).unwrap();
    let manifest = project.join("Cargo.toml");
    success(cargo_murmur(), &["murmur", "sync", "--manifest-path", manifest.to_str().unwrap()]);

    let ahead = installed(&made_of(&project, "python", "made-ahead"), "python-ahead");
    let served = served();
    assert_eq!(ask(&ahead, &served.server.url(), "one"), "FAILED_PRECONDITION");
    // A server with that contract has all that the client of the one before knows.
    let served = |package: &Path| -> Vec<String> {
        let lock = std::fs::read_to_string(package.join("proto/murmur.lock")).unwrap();
        lock.lines().filter(|line| line.starts_with("serves ")).map(str::to_owned).collect()
    };
    let (before, after) = (served(&workspace().join("examples/page-traffic")), served(&project));
    assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 1));
}

/// In Python a second message of a name is an error, unless it is the same.
#[test]
fn clients_of_two_programs_live_in_one_process_in_python() {
    let other = made_of(&workspace().join("examples/git-activity"), "python", "git-activity");
    let other = installed(&other, "python-git-activity");
    let program = "import git_activity.v1 as a, page_traffic.v1 as b; \
                   print(a.murmur.types_pb2.Answer is not b.murmur.types_pb2.Answer, a.ByFolderClient, b.PageTrafficClient)";
    let path = std::env::join_paths([client(), &other]).unwrap();
    let output = command(tools::client_python(), &["-c", program]).env("PYTHONPATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("True "), "{output:?}");
}
