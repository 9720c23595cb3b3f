use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use murmur_tests::process::command;
use murmur_tests::workspace;
use serde_json::Value;

use super::away::{assert_ends_without_a_server, assert_watches_on};
use super::{assert_answers, assert_by_tls, assert_one_call, first, made};
use crate::foreign_clients::served;

/// The folder of what a program that asks by the client is run from.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let package = made("java");
        let root = package.parent().unwrap();
        let kept = workspace().join("tests/clients/made/java");
        std::fs::create_dir_all(root.join("ask/src/main/java")).unwrap();
        for (from, to) in
            [("pom.xml", "pom.xml"), ("ask.xml", "ask/pom.xml"), ("Ask.java", "ask/src/main/java/Ask.java")]
        {
            let text = std::fs::read_to_string(kept.join(from)).unwrap();
            // The example has the version of the workspace.
            std::fs::write(root.join(to), text.replace("VERSION", env!("CARGO_PKG_VERSION"))).unwrap();
        }
        let first = first(&package, "java", "arguments[0]");
        std::fs::write(root.join("ask/src/main/java/First.java"), first).unwrap();
        let output = command("mvn", &["--quiet", "--batch-mode", "package"]).current_dir(root).output();
        let output = output.unwrap_or_else(|error| panic!("`mvn` is missing on this machine: {error}"));
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
        root.join("ask/target")
    })
}

fn ask(url: &str, question: &str) -> Value {
    ask_with(&[url, question])
}

fn ask_with(arguments: &[&str]) -> Value {
    let output = java("Ask", arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One of the programs, with arguments.
fn java(class: &str, arguments: &[&str]) -> Command {
    let target = program();
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
fn what_is_watched_in_java_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| java("Ask", arguments));
}

#[test]
fn the_readme_in_java_begins_with_a_call() {
    let output = java("First", &[&served().server.url()]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"false "), "{output:?}");
}
