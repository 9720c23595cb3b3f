//! What the command says, and how it ends.

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use murmur_testkit::faults::supervisor::Process;

const PROGRAM: &str = env!("CARGO_BIN_EXE_murmur-testkit");
/// How long a machine may take for what takes no time.
const PATIENCE: Duration = Duration::from_secs(60);

fn said(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, errors)
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    for arguments in
        [&["faults", "--list"][..], &["simulate", "--schedules", "1"], &["simulate", "--schedules", "1", "-o", "json"]]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(PROGRAM).args(arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_fault_without_a_row_is_said_to_be_missing_or_to_be_tested_elsewhere() {
    for (number, parts) in [
        ("F19", &["`F19` has no row", "the cache is down", "there is no cache yet"][..]),
        ("f28", &["`f28` has no row", "a slow reader", "who_has_stopped_reading_delays_nobody", "docs/faults.md"]),
        ("F99", &["there is no `F99`", "F01, F02", "F17b", "H02", "docs/faults.md"]),
    ] {
        let (output, errors) = said(&["faults", number]);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
    }
    let list = String::from_utf8(said(&["faults", "--list"]).0.stdout).unwrap();
    let numbers = list.lines().filter_map(|line| line.split_whitespace().next());
    assert_eq!((1..=43).filter(|n| !numbers.clone().any(|number| number == format!("F{n:02}"))).count(), 0, "{list}");
}

#[test]
fn a_worker_does_not_start_with_a_fail_point_that_there_is_not() {
    // Nobody answers there, so a worker that starts waits.
    let arguments = [
        "worker",
        "--source=kafka://127.0.0.1:1/topic?group=group",
        "--store=dynamodb://prefix?endpoint=http://127.0.0.1:1",
        "--dead-letters=kafka://127.0.0.1:1/letters",
    ];
    for point in ["before_comit:3", "before_commit:often"] {
        let variables = [("MURMUR_FAIL_POINT".to_owned(), point.to_owned())];
        let mut worker = Process::start(Path::new(PROGRAM), &arguments.map(str::to_owned), &variables).unwrap();
        let ended = worker.wait(PATIENCE);
        assert_eq!(ended.and_then(|ended| ended.code()), Some(2), "{}", worker.errors());
        let errors = worker.errors();
        assert!(errors.contains(point) && errors.contains("before_commit, in_revoke"), "{errors}");
    }
}
