use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::{self, command, target};
use murmur_tests::workspace;
use serde_json::Value;

use super::asked::assert_answers;
use super::away::{assert_ends_without_a_server, assert_watches_on};
use super::{
    Made, assert_by_tls, assert_contracts, assert_counts_microseconds, assert_gives_up, assert_one_call,
    assert_renews_a_token, assert_shows_no_token, assert_waits_as_it_is_told, first,
};
use crate::foreign_clients::served;

/// A program that asks by the client.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built().join("ask"))
}

/// Ask a list of questions by a client.
fn asks(made: Made, url: &str, questions: &Path) -> Value {
    process::json(built().join(made.name()), &[url, questions.to_str().unwrap()])
}

/// The folder of the programs that ask by clients, built with what the workspace has of crates already. It stays, and so does
/// what has not changed in it, so that Cargo builds nothing of that again.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let ask = target().join("tmp/clients/rust-asks");
        let mut manifest = Made::PageTraffic.program("rust/Cargo.toml.in");
        let mut files = vec![("src/main.rs".into(), Made::PageTraffic.program("rust/main.rs"))];
        for made in Made::ALL {
            let client = made.made("rust");
            manifest = manifest.replace(&format!("{{{}}}", made.name()), client.to_str().unwrap());
            // By the name that the manifest gives it.
            let questions = made.program("rust/questions.rs");
            let questions = questions.replace("{protos}", made.protos().to_str().unwrap());
            let named = format!("{}_client", made.name().replace('-', "_"));
            let questions = questions.replace(&format!("{}_client", made.package().replace('-', "_")), &named);
            files.push((format!("src/bin/{}.rs", made.name()), questions));
        }
        // What it asks is known when it runs.
        let url = "&std::env::args().nth(1).unwrap_or_default()";
        let first = first(&Made::PageTraffic.made("rust"), "rust", url).replace("async fn", "pub async fn");
        files.extend([("Cargo.toml".into(), manifest), ("src/first.rs".into(), first)]);
        keep(&ask, &files);
        std::fs::copy(workspace().join("Cargo.lock"), ask.join("Cargo.lock")).unwrap();
        // Beside those of the workspace, and not in them: other features make other files of the same names there.
        let built = target().join("tmp/clients/rust-target");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut build = command(cargo, &["build", "--quiet", "--offline"]);
        build.current_dir(&ask).env("CARGO_TARGET_DIR", &built).env("RUSTFLAGS", "-D warnings");
        // What is built once and run twice needs nothing to debug it with.
        let output = build.env("CARGO_PROFILE_DEV_DEBUG", "0").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        built.join("debug")
    })
}

/// Make a package of these files, by their paths in it, and of no sources beside them. Those that it has already keep their
/// times.
fn keep(package: &Path, files: &[(String, String)]) {
    for folder in ["src", "src/bin"].map(|folder| package.join(folder)) {
        std::fs::create_dir_all(&folder).unwrap();
        for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_file() && files.iter().all(|(file, _)| package.join(file) != path) {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    for (file, text) in files {
        let path = package.join(file);
        if !std::fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            std::fs::write(path, text).unwrap();
        }
    }
}

#[test]
fn the_client_in_rust_answers_every_question() {
    assert_answers(asks);
}

#[test]
fn clients_in_rust_of_other_contracts_are_answered_or_told_so() {
    assert_contracts(asks);
}

#[test]
fn a_call_in_rust_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| process::json(program(), &[url, "one"]));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_rust() {
    assert_by_tls(|url, authorities| process::json(program(), &[url, "one", authorities]));
}

#[test]
fn a_call_in_rust_ends_as_it_should_where_no_server_answers() {
    assert_ends_without_a_server(|arguments| process::json(program(), arguments), Some(4));
}

#[test]
fn what_is_watched_in_rust_ends_when_it_is_refused_or_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(|arguments| process::json(program(), arguments));
}

#[test]
fn a_call_and_a_stream_in_rust_are_tried_again_when_the_server_says() {
    assert_waits_as_it_is_told(|arguments| process::json(program(), arguments));
}

#[test]
fn a_token_that_is_none_is_refused_in_rust_and_not_shown() {
    assert_shows_no_token(|arguments| command(program(), arguments));
}

#[test]
fn times_in_rust_count_to_the_microsecond() {
    assert_counts_microseconds(|arguments| command(program(), arguments));
}

#[test]
fn what_is_watched_in_rust_goes_on_by_another_token_when_one_has_expired() {
    assert_renews_a_token(|arguments| process::json(program(), arguments));
}

#[test]
fn what_is_watched_in_rust_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| command(program(), arguments));
}

#[test]
fn the_readme_in_rust_begins_with_a_call() {
    assert!(process::success(program(), &[&served().server.url(), "first"]).starts_with("false "));
}
