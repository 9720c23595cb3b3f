use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use murmur_tests::process::{cargo_murmur, command, success, target};
use murmur_tests::{tools, workspace};
use serde_json::Value;

use super::asked::assert_answers;
use super::away::{Port, assert_ends_without_a_server, assert_watches_on};
use super::pretend::{Pretend, Says};
use super::{
    Made, assert_by_tls, assert_contracts, assert_gives_up, assert_one_call, assert_renews_a_token,
    assert_shows_no_token, assert_waits_as_it_is_told, first, made_of,
};
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
    client_of(Made::PageTraffic)
}

fn client_of(made: Made) -> &'static Path {
    static CLIENTS: [OnceLock<PathBuf>; Made::ALL.len()] = [const { OnceLock::new() }; Made::ALL.len()];
    CLIENTS[made as usize].get_or_init(|| installed(&made.made("python"), &format!("python-{}", made.name())))
}

/// Ask a list of questions by a client.
fn asks(made: Made, url: &str, questions: &Path) -> Value {
    let client = client_of(made);
    let program = client.join("questions.py");
    std::fs::write(&program, made.program("python/questions.py")).unwrap();
    answer(python(client, &[program.to_str().unwrap(), url, questions.to_str().unwrap()]))
}

fn ask_with(arguments: &[&str]) -> Value {
    answer(asking(arguments))
}

fn answer(mut program: Command) -> Value {
    let output = program.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The program that makes single calls.
fn asking(arguments: &[&str]) -> Command {
    let program = workspace().join("tests/clients/made/python/ask.py");
    python(client(), &[&[program.to_str().unwrap()], arguments].concat())
}

/// Python with a client.
fn python(client: &Path, arguments: &[&str]) -> Command {
    let mut python = command(tools::client_python(), arguments);
    python.env("PYTHONPATH", client);
    python
}

#[test]
fn the_client_in_python_answers_every_question() {
    assert_answers(asks);
}

#[test]
fn clients_in_python_of_other_contracts_are_answered_or_told_so() {
    assert_contracts(asks);
}

#[test]
fn a_call_in_python_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask_with(&[url, "one"]));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_python() {
    assert_by_tls(|url, authorities| ask_with(&[url, "one", authorities]));
}

#[test]
fn a_call_in_python_ends_as_it_should_where_no_server_answers() {
    assert_ends_without_a_server(ask_with, None);
}

#[test]
fn what_is_watched_in_python_ends_when_it_is_refused_or_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(ask_with);
}

#[test]
fn a_call_and_a_stream_in_python_are_tried_again_when_the_server_says() {
    assert_waits_as_it_is_told(ask_with);
}

#[test]
fn a_token_that_is_none_is_refused_in_python_and_not_shown() {
    assert_shows_no_token(asking);
}

#[test]
fn what_is_watched_in_python_goes_on_by_another_token_when_one_has_expired() {
    assert_renews_a_token(ask_with);
}

#[test]
fn what_is_watched_in_python_goes_on_when_the_server_was_killed() {
    assert_watches_on(asking);
}

/// What a program prints that asks by the client.
fn prints(program: &str, arguments: &[&str]) -> String {
    let output = python(client(), &[&["-c", program], arguments].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_watched_in_python_is_cancelled_while_it_waits_for_its_server_too() {
    let server = Pretend::saying([Says::busy(Duration::from_secs(100))]);
    let program = r#"
import os, sys, threading, time
from datetime import timedelta
import grpc
from page_traffic.v1 import PageTrafficClient, PageTrafficKey

def leave(watching):
    # It has been told to wait.
    end = time.monotonic() + 300
    while watching._away is None:
        if time.monotonic() > end:
            os._exit(1)
        time.sleep(0.01)
    watching.close()

with PageTrafficClient(sys.argv[1], absence=timedelta(seconds=1000)) as client:
    with client.watch(PageTrafficKey()) as watching:
        threading.Thread(target=leave, args=[watching], daemon=True).start()
        try:
            next(watching)
        except grpc.RpcError as error:
            print(error.code())
    print(list(watching))
"#;
    assert_eq!(prints(program, &[&server.url()]), "StatusCode.CANCELLED\n[]\n");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_argument_of_another_type_is_named_in_python_with_what_it_should_be() {
    let program = r#"
from datetime import date, datetime, timedelta
from page_traffic.v1 import PageTrafficClient, PageTrafficKey

key, now, url = PageTrafficKey(), datetime.now().astimezone(), "http://127.0.0.1:1"
client = PageTrafficClient(url)
for call in [
    lambda: client.window(key, 60),
    lambda: client.range(key, date.today(), now),
    lambda: client.range(key, now, datetime.now()),
    lambda: client.get(key, timeout=5),
    lambda: client.watch(key, timeout=5),
    lambda: PageTrafficClient(url, absence=30),
    lambda: PageTrafficClient(url, token=b"secret"),
]:
    try:
        call()
    except (TypeError, ValueError) as error:
        print(type(error).__name__, error)
"#;
    let said = prints(program, &[]);
    let begins = [
        "TypeError `window` is a `timedelta`, not `int`;",
        "TypeError `start` is a `datetime`, not `date`;",
        "ValueError `end` has no time zone;",
        "TypeError `timeout` is a `timedelta`, not `int`;",
        "TypeError `timeout` is a `timedelta`, not `int`;",
        "TypeError `absence` is a `timedelta`, not `int`;",
        "TypeError a token is a `str`, not `bytes`",
    ];
    assert_eq!(said.lines().count(), begins.len(), "{said}");
    for (line, begin) in said.lines().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
}

#[test]
fn the_readme_in_python_begins_with_a_call() {
    let served = served();
    let first = first(&Made::PageTraffic.made("python"), "python", &format!("{:?}", served.server.url()));
    let output = python(client(), &["-c", &first]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The generator of grpcio-tools takes comments for docstrings as they are.
#[test]
fn a_client_in_python_has_the_comments_and_fields_that_its_source_has() {
    let project = target().join("tmp/clients/written");
    // One that was there before has numbers of its own.
    if project.exists() {
        std::fs::remove_dir_all(&project).unwrap();
    }
    std::fs::create_dir_all(project.join("src")).unwrap();
    for file in ["Cargo.toml", "build.rs", "src/main.rs", "src/generator.rs"] {
        std::fs::copy(workspace().join("examples/page-traffic").join(file), project.join(file)).unwrap();
    }
    let manifest = project.join("Cargo.toml").display().to_string();
    let source = project.join("src/main.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    // The last line of it is what generators write an end to.
    let text = text
        .replace("/// Traffic per page,", "/// Of C:\\users\\new, \"\"\"quoted\"\"\" and \\\n/// Traffic per page,");
    let text = text.replace("pub page_id: String", "/// A \\N{name}, \"\"\".\n    pub class: String");
    std::fs::write(&source, text.replace("key = page_id", "key = class")).unwrap();
    success(cargo_murmur(), &["murmur", "sync", "--manifest-path", &manifest]);
    let package = made_of(&project, "python", "made-written");
    let client = installed(&package, "python-written");
    let proto = std::fs::read_to_string(project.join("proto/page_traffic/v1/page_traffic.proto")).unwrap();
    assert!(proto.contains("// Of C:\\users\\new, \"\"\"quoted\"\"\" and \\\n"), "{proto}");
    let services = "from page_traffic.v1 import page_traffic_pb2_grpc as made, client; \
                    print(made.PageTrafficServiceServicer.__doc__, client.PageTrafficClient.__doc__)";
    let output = python(&client, &["-c", services]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.matches("Of C:\\users\\new, \"\"\"quoted\"\"\" and \\\n").count(), 2, "{said}");
    // The field is a keyword. Nobody answers, and that is how it ends.
    let first = first(&package, "python", &format!("{:?}", Port::closed()));
    let output = python(&client, &["-c", &first]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("UNAVAILABLE"), "{output:?}");
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
