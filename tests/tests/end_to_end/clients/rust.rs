use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use murmur_tests::process::{self, command, target};
use murmur_tests::workspace;

use super::away::{assert_ends_without_a_server, assert_gives_up, assert_watches_on};
use super::{assert_answers, assert_by_tls, assert_one_call, first, made_into, meters};
use crate::foreign_clients::served;

/// A program that asks by the client.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built().join("ask"))
}

/// The folder of the programs that ask by clients, built with what the workspace has of crates already.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Outside of the workspace, which would have to list it.
        let folder = tempfile::tempdir().unwrap();
        let client = made_into(&workspace().join("examples/page-traffic"), "rust", folder.path());
        let of_meters = made_into(meters::project(), "rust", &folder.path().join("meters"));
        let ask = folder.path().join("ask");
        std::fs::create_dir_all(ask.join("src/bin")).unwrap();
        let kept = workspace().join("tests/clients/made/rust");
        let manifest = std::fs::read_to_string(kept.join("Cargo.toml.in")).unwrap();
        let manifest = manifest.replace("CLIENT", client.to_str().unwrap());
        let manifest = manifest.replace("METERS", of_meters.to_str().unwrap());
        std::fs::write(ask.join("Cargo.toml"), manifest).unwrap();
        std::fs::copy(kept.join("main.rs"), ask.join("src/main.rs")).unwrap();
        std::fs::copy(kept.join("meters.rs"), ask.join("src/bin/meters.rs")).unwrap();
        // What it asks is known when it runs.
        let url = "&std::env::args().nth(1).unwrap_or_default()";
        let first = first(&client, "rust", url).replace("async fn", "pub async fn");
        std::fs::write(ask.join("src/first.rs"), first).unwrap();
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

#[test]
fn the_client_in_rust_asks_everything() {
    assert_answers(|url, question| process::json(program(), &[url, question]));
}

#[test]
fn the_client_in_rust_asks_by_keys_of_all_types_and_for_sets() {
    meters::assert_answers(|url, question| process::json(built().join("meters"), &[url, question]));
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
fn what_is_watched_in_rust_ends_when_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(|arguments| process::json(program(), arguments), 1);
}

#[test]
fn what_is_watched_in_rust_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| command(program(), arguments));
}

#[test]
fn the_readme_in_rust_begins_with_a_call() {
    assert!(process::success(program(), &[&served().server.url(), "first"]).starts_with("false "));
}
