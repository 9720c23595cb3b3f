use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use murmur_tests::process::{self, command};
use murmur_tests::{tools, workspace};
use serde_json::Value;

use super::asked::assert_answers;
use super::away::{assert_ends_without_a_server, assert_watches_on};
use super::pretend::Pretend;
use super::{
    Made, assert_by_tls, assert_contracts, assert_counts_microseconds, assert_gives_up, assert_one_call,
    assert_renews_a_token, assert_shows_no_token, assert_waits_as_it_is_told, first,
};
use crate::foreign_clients::served;

/// The folder of the client, built as npm does it, with what asks by it.
pub(super) fn built(made: Made) -> &'static Path {
    static PACKAGES: [OnceLock<PathBuf>; Made::ALL.len()] = [const { OnceLock::new() }; Made::ALL.len()];
    PACKAGES[made as usize].get_or_init(|| build(made))
}

/// Build a client, and put beside it what asks by it.
fn build(made: Made) -> PathBuf {
    let package = made.made("typescript");
    let modules = package.join("node_modules");
    if !modules.exists() {
        std::os::unix::fs::symlink(tools::client_typescript(), &modules).unwrap();
    }
    let output = command("npm", &["run", "build"]).current_dir(&package).output();
    let output = output.unwrap_or_else(|error| panic!("`npm` is missing on this machine: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    for file in ["ask.mjs", "asking.mjs", "page.mjs", "questions.mjs"] {
        std::fs::write(package.join(file), made.program(&format!("typescript/{file}"))).unwrap();
    }
    package
}

/// The program that asks by the client.
fn asking(arguments: &[&str]) -> Command {
    asking_by(Made::PageTraffic, arguments)
}

fn asking_by(made: Made, arguments: &[&str]) -> Command {
    command("node", &[&[built(made).join("ask.mjs").to_str().unwrap()], arguments].concat())
}

fn ask_with(arguments: &[&str]) -> Value {
    answer(asking(arguments))
}

fn answer(mut program: Command) -> Value {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Ask a list of questions by a client.
fn asks(made: Made, url: &str, questions: &Path) -> Value {
    answer(asking_by(made, &[url, &format!("@{}", questions.display())]))
}

#[test]
fn the_client_in_typescript_answers_every_question() {
    assert_answers(asks);
}

#[test]
fn clients_in_typescript_of_other_contracts_are_answered_or_told_so() {
    assert_contracts(asks);
}

#[test]
fn a_call_in_typescript_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask_with(&[url, "one"]));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_typescript() {
    assert_by_tls(|url, authorities| {
        let mut program = asking(&[url, "one"]);
        program.env("NODE_EXTRA_CA_CERTS", authorities);
        answer(program)
    });
}

#[test]
fn a_call_in_typescript_ends_as_it_should_where_no_server_answers() {
    assert_ends_without_a_server(ask_with, Some(4));
}

#[test]
fn what_is_watched_in_typescript_ends_when_it_is_refused_or_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(ask_with);
}

#[test]
fn a_call_and_a_stream_in_typescript_are_tried_again_when_the_server_says() {
    assert_waits_as_it_is_told(ask_with);
}

#[test]
fn a_token_that_is_none_is_refused_in_typescript_and_not_shown() {
    assert_shows_no_token(asking);
}

#[test]
fn times_in_typescript_count_to_the_microsecond() {
    assert_counts_microseconds(asking);
}

#[test]
fn what_is_watched_in_typescript_goes_on_by_another_token_when_one_has_expired() {
    assert_renews_a_token(ask_with);
}

#[test]
fn what_is_watched_in_typescript_goes_on_when_the_server_was_killed() {
    assert_watches_on(asking);
}

#[test]
fn a_call_and_a_stream_in_typescript_end_when_they_should_though_no_token_comes() {
    let server = Pretend::start(&[]);
    let program = r#"
import { PageTrafficClient } from "page-traffic-client";

const client = new PageTrafficClient(process.argv[2], { token: () => new Promise(() => {}) });
const key = { pageId: "/home" };
const aborted = () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  return { signal: controller.signal };
};
for (const how of [() => ({ timeoutMs: 50 }), aborted]) {
  for (const ask of [() => client.get(key, how()), () => client.watch(key, how()).next()]) {
    console.log(await ask().then(() => 0, (error) => error.code));
  }
}
"#;
    let file = built(Made::PageTraffic).join("token.mjs");
    std::fs::write(&file, program).unwrap();
    assert_eq!(process::success("node", &[file.to_str().unwrap(), &server.url()]), "4\n4\n1\n1\n");
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn what_calls_in_typescript_take_is_written_by_the_types_that_the_client_names() {
    let package = built(Made::PageTraffic);
    let program = r#"
import { create } from "@bufbuild/protobuf";
import {
  type Calendar,
  type CalendarStep,
  murmur,
  PageTrafficClient,
  type PageTrafficKey,
  PageTrafficKeySchema,
  type PageTrafficServiceSetOperand,
  type ReadOptions,
} from "page-traffic-client";

const key: PageTrafficKey = { pageId: "/home" };
const keys: PageTrafficKey[] = [key, create(PageTrafficKeySchema, key)];
const options: ReadOptions = { strong: true };
const calendar: Calendar = { days: 7, zone: "Europe/Berlin" };
const step: CalendarStep = { days: 1 };
const set: PageTrafficServiceSetOperand = { key };

export async function asked(client: PageTrafficClient): Promise<PageTrafficKey | undefined> {
  await client.calendarSeries(key, calendar, { step, options });
  await client.combineSets([set], murmur.SetOperation.UNION);
  return (await client.getMany(keys))[0]?.key;
}
"#;
    // Within the package, whose name it imports.
    std::fs::write(package.join("typed.ts"), program).unwrap();
    let compiler = tools::client_typescript().join(".bin/tsc");
    let how = ["--noEmit", "--strict", "--target", "ES2022", "--module", "NodeNext", "--skipLibCheck", "typed.ts"];
    let output = command(compiler, &how).current_dir(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_readme_in_typescript_begins_with_a_call() {
    let served = served();
    let package = built(Made::PageTraffic);
    let first = first(package, "ts", &format!("{:?}", served.server.url()));
    // Within the package, whose name it imports.
    let program = package.join("first.mjs");
    std::fs::write(&program, first).unwrap();
    assert!(process::success("node", &[program.to_str().unwrap()]).starts_with("false "));
}

/// What is installed for the tests is what the package asks for.
#[test]
fn the_client_in_typescript_is_tested_with_the_versions_that_it_names() {
    let read = |path: PathBuf| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
    let [package, tested] = [Made::PageTraffic.made("typescript"), workspace().join("tests/clients/made/typescript")]
        .map(|at| read(at.join("package.json")));
    assert_eq!(package["devDependencies"], tested["devDependencies"]);
    for (name, version) in package["dependencies"].as_object().unwrap() {
        assert_eq!(version.as_str().unwrap().trim_start_matches('^'), tested["dependencies"][name], "{name}");
    }
}
