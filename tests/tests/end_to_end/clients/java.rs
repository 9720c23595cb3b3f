use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use murmur_tests::process::command;
use murmur_tests::workspace;
use serde_json::Value;

use super::away::{assert_ends_without_a_server, assert_gives_up, assert_watches_on};
use super::{assert_answers, assert_by_tls, assert_one_call, first, made, meters};
use crate::foreign_clients::served;

/// The folder of what a program that asks by the client is run from.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let package = made("java");
        let first = first(&package, "java", "arguments[0]");
        let ask = std::fs::read_to_string(kept().join("Ask.java")).unwrap();
        built(&package, "page_traffic.v1", "page-traffic", &[("Ask.java", ask), ("First.java", first)])
    })
}

/// What the tests have in Java.
fn kept() -> PathBuf {
    workspace().join("tests/clients/made/java")
}

/// Build programs beside a client of a protobuf package and a crate; the folder of what they are run from.
fn built(package: &Path, group: &str, name: &str, programs: &[(&str, String)]) -> PathBuf {
    // Two Mavens at a time would fetch into one folder.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let root = package.parent().unwrap();
    let sources = root.join("ask/src/main/java");
    std::fs::create_dir_all(&sources).unwrap();
    for (from, to) in [("pom.xml", "pom.xml"), ("ask.xml", "ask/pom.xml")] {
        let text = std::fs::read_to_string(kept().join(from)).unwrap();
        let text = text.replace("GROUP", group).replace("CRATE", name);
        // Packages of the workspace have its version.
        std::fs::write(root.join(to), text.replace("VERSION", env!("CARGO_PKG_VERSION"))).unwrap();
    }
    for (file, text) in programs {
        std::fs::write(sources.join(file), text).unwrap();
    }
    let output = command("mvn", &["--quiet", "--batch-mode", "package"]).current_dir(root).output();
    let output = output.unwrap_or_else(|error| panic!("`mvn` is missing on this machine: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    root.join("ask/target")
}

fn ask(url: &str, question: &str) -> Value {
    ask_with(&[url, question])
}

fn ask_with(arguments: &[&str]) -> Value {
    answer(java("Ask", arguments))
}

fn answer(mut program: Command) -> Value {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One of the programs, with arguments.
fn java(class: &str, arguments: &[&str]) -> Command {
    java_in(program(), class, arguments)
}

/// The same of those of another client.
fn java_in(target: &Path, class: &str, arguments: &[&str]) -> Command {
    let path = format!("{0}/lib/*:{0}/classes", target.display());
    // Arguments are read by the locale, which a machine of CI may not have.
    let plain = |text: &&str| text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect();
    let arguments: Vec<String> = arguments.iter().map(plain).collect();
    let mut java = command("java", &["-cp", &path, class]);
    java.args(arguments);
    java
}

/// As JSON may write any letter.
fn escaped(letter: char) -> String {
    letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

#[test]
fn the_client_in_java_asks_everything() {
    assert_answers(ask);
}

#[test]
fn the_client_in_java_asks_by_keys_of_all_types_and_for_sets() {
    let program = std::fs::read_to_string(kept().join("Meters.java")).unwrap();
    let target = built(&meters::made("java"), "murmur_tests.v1", "murmur-tests", &[("Meters.java", program)]);
    meters::assert_answers(|url, question| answer(java_in(&target, "Meters", &[url, question])));
}

#[test]
fn a_call_in_java_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask(url, "one"));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_java() {
    assert_by_tls(|url, authorities| ask_with(&[url, "one", authorities]));
}

#[test]
fn a_call_in_java_ends_as_it_should_where_no_server_answers() {
    assert_ends_without_a_server(ask_with, None);
}

#[test]
fn what_is_watched_in_java_ends_when_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(ask_with, 4);
}

#[test]
fn what_is_watched_in_java_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| java("Ask", arguments));
}

#[test]
fn the_readme_in_java_begins_with_a_call() {
    let output = java("First", &[&served().server.url()]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"false "), "{output:?}");
}
