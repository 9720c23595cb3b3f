use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use murmur_tests::process::{self, command, target};
use murmur_tests::workspace;
use serde_json::Value;

use super::asked::assert_answers;
use super::away::{assert_ends_without_a_server, assert_watches_on};
use super::{
    Made, assert_by_tls, assert_contracts, assert_counts_microseconds, assert_gives_up, assert_one_call,
    assert_renews_a_token, assert_shows_no_token, assert_waits_as_it_is_told, first, made_into,
};
use crate::foreign_clients::served;

/// A program that asks by the client, built with the checks that Go has for code.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built(Made::PageTraffic, "ask"))
}

/// Ask a list of questions by a client.
fn asks(made: Made, url: &str, questions: &Path) -> Value {
    static PROGRAMS: [OnceLock<PathBuf>; Made::ALL.len()] = [const { OnceLock::new() }; Made::ALL.len()];
    let program = PROGRAMS[made as usize].get_or_init(|| built(made, "questions"));
    process::json(program, &[url, questions.to_str().unwrap()])
}

/// One of the programs, built within a client.
fn built(made: Made, name: &str) -> PathBuf {
    // Two at a time would write into one folder.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let package = made.made("go");
    let (folder, source) = (package.join(name), format!("{name}.go"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&source), made.program(&format!("go/{source}"))).unwrap();
    let program = folder.join(name);
    let path = format!("./{name}");
    for arguments in [&["vet", "./..."][..], &["build", "-o", program.to_str().unwrap(), &path]] {
        // What the module needs is what it says it needs.
        let mut command = command("go", arguments);
        // What it builds on the way takes more than a temporary folder in memory may have.
        command.current_dir(&package).env("GOFLAGS", "-mod=readonly").env("GOTMPDIR", target().join("tmp"));
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("`go` is missing on this machine: {error}"));
        assert!(output.status.success(), "go {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let formatted = command("gofmt", &["-l", name]).current_dir(&package).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&formatted.stdout), "", "not as gofmt writes it");
    program
}

#[test]
fn the_client_in_go_answers_every_question() {
    assert_answers(asks);
}

#[test]
fn clients_in_go_of_other_contracts_are_answered_or_told_so() {
    assert_contracts(asks);
}

#[test]
fn a_call_in_go_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| process::json(program(), &[url, "one"]));
}

#[test]
fn a_server_by_tls_with_an_authority_of_ones_own_is_asked_in_go() {
    assert_by_tls(|url, authorities| process::json(program(), &[url, "one", authorities]));
}

#[test]
fn a_call_in_go_ends_as_it_should_where_no_server_answers() {
    assert_ends_without_a_server(|arguments| process::json(program(), arguments), None);
}

#[test]
fn what_is_watched_in_go_ends_when_it_is_refused_or_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(|arguments| process::json(program(), arguments));
}

#[test]
fn a_call_and_a_stream_in_go_are_tried_again_when_the_server_says() {
    assert_waits_as_it_is_told(|arguments| process::json(program(), arguments));
}

#[test]
fn a_token_that_is_none_is_refused_in_go_and_not_shown() {
    assert_shows_no_token(|arguments| command(program(), arguments));
}

#[test]
fn times_in_go_count_to_the_microsecond() {
    assert_counts_microseconds(|arguments| command(program(), arguments));
}

#[test]
fn what_is_watched_in_go_goes_on_by_another_token_when_one_has_expired() {
    assert_renews_a_token(|arguments| process::json(program(), arguments));
}

#[test]
fn what_is_watched_in_go_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| command(program(), arguments));
}

#[test]
fn the_readme_in_go_begins_with_a_call() {
    program();
    let package = target().join("tmp/clients/page-traffic/go");
    let served = served();
    let first = first(&package, "go", &format!("{:?}", served.server.url()));
    std::fs::create_dir_all(package.join("first")).unwrap();
    std::fs::write(package.join("first/main.go"), first).unwrap();
    let mut command = command("go", &["run", "./first"]);
    command.current_dir(&package).env("GOFLAGS", "-mod=readonly").env("GOTMPDIR", target().join("tmp"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.starts_with(b"false "), "{output:?}");
}

#[test]
fn what_is_watched_in_go_ends_with_the_error_of_its_token() {
    program();
    let package = target().join("tmp/clients/page-traffic/go");
    let main = r#"package main

import (
	"context"
	"fmt"
	"io"
	"net/url"

	client "page-traffic-client"
)

func main() {
	token := func(context.Context) (string, error) {
		return "", &url.Error{Op: "Get", URL: "http://tokens", Err: io.EOF}
	}
	asking, _ := client.NewPageTrafficClient("http://127.0.0.1:50051", client.WithTokenSource(token))
	for _, err := range asking.Watch(context.Background(), &client.PageTrafficKey{}, 0) {
		fmt.Println(err)
	}
}
"#;
    std::fs::create_dir_all(package.join("token")).unwrap();
    std::fs::write(package.join("token/main.go"), main).unwrap();
    let mut command = command("go", &["run", "./token"]);
    command.current_dir(&package).env("GOFLAGS", "-mod=readonly").env("GOTMPDIR", target().join("tmp"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Get \"http://tokens\": EOF\n");
}

/// In Go a program with two messages of one name ends when it starts.
#[test]
fn clients_of_two_programs_live_in_one_process_in_go() {
    let folder = target().join("tmp/clients/two-in-go");
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for example in ["page-traffic", "git-activity"] {
        made_into(&workspace().join("examples").join(example), "go", &folder.join(example));
    }
    put("go.work", "go 1.24.0\n\nuse (\n\t./both\n\t./git-activity/go\n\t./page-traffic/go\n)\n");
    put("both/go.mod", "module both\n\ngo 1.24.0\n");
    let main = r#"package main

import (
	"fmt"

	activity "git-activity-client"
	traffic "page-traffic-client"
)

func main() {
	_, first := activity.NewByAuthorClient("http://127.0.0.1:50051")
	_, second := traffic.NewPageTrafficClient("http://127.0.0.1:50051")
	_, third := traffic.NewPageTrafficClient("127.0.0.1:50051")
	fmt.Println(first == nil, second == nil, third == nil)
}
"#;
    put("both/main.go", main);
    let mut command = command("go", &["run", "./both"]);
    command.current_dir(&folder).env("GOFLAGS", "-mod=readonly").env("GOTMPDIR", target().join("tmp"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "true true false\n");
}
