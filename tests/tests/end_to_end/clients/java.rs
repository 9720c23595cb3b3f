use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::command;
use murmur_tests::workspace;
use serde_json::Value;

use super::{assert_answers, assert_by_tls, assert_one_call, made};

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
    let target = program();
    let path = format!("{0}/lib/*:{0}/classes", target.display());
    // Arguments are read by the locale, which a machine of CI may not have.
    let plain = |text: &&str| text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect();
    let arguments: Vec<String> = arguments.iter().map(plain).collect();
    let output = command("java", &["-cp", &path, "Ask"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
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
