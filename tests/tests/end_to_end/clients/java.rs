use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use murmur_tests::process::command;
use serde_json::Value;
use tonic::Code;

use super::asked::assert_answers;
use super::away::{assert_ends_without_a_server, assert_watches_on};
use super::calls::code;
use super::pretend::{Pretend, Says};
use super::{
    Made, assert_by_tls, assert_contracts, assert_counts_microseconds, assert_gives_up, assert_one_call,
    assert_renews_a_token, assert_shows_no_token, assert_waits_as_it_is_told, first,
};
use crate::foreign_clients::served;

/// Watches what is away, by a context that ends too early, and until it is closed; prints how that ended.
const ENDS: &str = r#"
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import page_traffic.v1.PageTrafficClient;
import page_traffic.v1.PageTrafficKey;

final class Ends {
  private static void print(PageTrafficClient.Watching<?> watching) {
    try {
      System.out.println(watching.next());
    } catch (StatusRuntimeException error) {
      System.out.println(error.getStatus().getCode());
    }
  }

  public static void main(String[] arguments) throws Exception {
    var timer = Executors.newSingleThreadScheduledExecutor();
    var key = PageTrafficKey.getDefaultInstance();
    try (var client = PageTrafficClient.builder(arguments[0]).absence(Duration.ofHours(1)).build()) {
      Context.current().withDeadlineAfter(90, TimeUnit.SECONDS, timer).run(() -> print(client.watch(key)));
      var watching = client.watch(key);
      var waits = new Thread(() -> print(watching));
      waits.start();
      // While it waits before it asks again: for replies it waits without an end.
      while (waits.isAlive() && waits.getState() != Thread.State.TIMED_WAITING) Thread.sleep(10);
      watching.close();
      waits.join();
    } finally {
      timer.shutdownNow();
    }
  }
}
"#;

/// Leaves ends, steps and windows to the server by saying `null`.
const NULLS: &str = r#"
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import page_traffic.v1.PageTrafficClient;
import page_traffic.v1.PageTrafficKey;
import page_traffic.v1.murmur.Calendar;

final class Nulls {
  public static void main(String[] arguments) {
    var key = PageTrafficKey.getDefaultInstance();
    var calendar = Calendar.getDefaultInstance();
    try (var client = PageTrafficClient.of(arguments[0])) {
      client.window(key, Duration.ofDays(1), null);
      client.windowMany(List.of(key), Duration.ofDays(1), null);
      client.calendar(key, calendar, null);
      client.calendarMany(List.of(key), calendar, null);
      client.series(key, Instant.EPOCH, null, null);
      client.calendarSeries(key, calendar, null, null);
      client.watch(key, null).close();
      client.watchMany(List.of(key), null).close();
    }
  }
}
"#;

/// For programs of Java that end soon: what compiles and collects for long runs only takes time from the other tests.
const SHORT: [&str; 2] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// The folder of what a program that asks by the client is run from.
fn program() -> &'static Path {
    built(Made::PageTraffic)
}

/// The same of any client, which has a program that asks a list of questions.
fn built(made: Made) -> &'static Path {
    static PROGRAMS: [OnceLock<PathBuf>; Made::ALL.len()] = [const { OnceLock::new() }; Made::ALL.len()];
    PROGRAMS[made as usize].get_or_init(|| build(made))
}

/// Build the programs beside a client; the folder of what they are run from.
fn build(made: Made) -> PathBuf {
    // Two Mavens at a time would fetch into one folder.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let package = made.made("java");
    let root = package.parent().unwrap();
    let sources = root.join("ask/src/main/java");
    // Nothing stays that an earlier version of these tests has written.
    let _ = std::fs::remove_dir_all(&sources);
    std::fs::create_dir_all(&sources).unwrap();
    for (from, to) in [("java/pom.xml", "pom.xml"), ("java/ask.xml", "ask/pom.xml")] {
        std::fs::write(root.join(to), made.program(from).replace("VERSION", made.version())).unwrap();
    }
    std::fs::write(sources.join("Questions.java"), made.program("java/Questions.java")).unwrap();
    if made == Made::PageTraffic {
        std::fs::write(sources.join("Ask.java"), made.program("java/Ask.java")).unwrap();
        std::fs::write(sources.join("Ends.java"), ENDS).unwrap();
        std::fs::write(sources.join("Nulls.java"), NULLS).unwrap();
        std::fs::write(sources.join("First.java"), first(&package, "java", "arguments[0]")).unwrap();
    }
    let mut maven = command("mvn", &["--quiet", "--batch-mode", "package"]);
    // Beside what the user has it told already, as where a proxy is.
    let told = std::env::var("MAVEN_OPTS").unwrap_or_default();
    maven.env("MAVEN_OPTS", [&told, SHORT[0], SHORT[1]].join(" ")).current_dir(root);
    let output = maven.output().unwrap_or_else(|error| panic!("`mvn` is missing on this machine: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    root.join("ask/target")
}

/// Ask a list of questions by a client.
fn asks(made: Made, url: &str, questions: &Path) -> Value {
    answer(java_in(built(made), "Questions", &[url, questions.to_str().unwrap()]))
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
    command("java", &[&SHORT[..], &["-cp", &path, class], arguments].concat())
}

#[test]
fn the_client_in_java_answers_every_question() {
    assert_answers(asks);
}

#[test]
fn clients_in_java_of_other_contracts_are_answered_or_told_so() {
    assert_contracts(asks);
}

#[test]
fn a_call_in_java_is_tried_again_while_the_server_is_not_available() {
    assert_one_call(|url| ask_with(&[url, "one"]));
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
fn what_is_watched_in_java_ends_when_it_is_refused_or_no_server_comes_for_as_long_as_it_was_told() {
    assert_gives_up(ask_with);
}

#[test]
fn a_call_and_a_stream_in_java_are_tried_again_when_the_server_says() {
    assert_waits_as_it_is_told(ask_with);
}

#[test]
fn what_is_watched_in_java_waits_neither_past_its_deadline_nor_when_it_is_closed() {
    let server = Pretend::saying([Duration::from_secs(100); 2].map(Says::busy));
    let output = java("Ends", &[&server.url()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "UNAVAILABLE\nCANCELLED\n", "{output:?}");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn ends_and_steps_in_java_that_are_null_are_left_to_the_server() {
    let server = Pretend::start(&[]);
    let output = java("Nulls", &[&server.url()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_token_that_is_none_is_refused_in_java_and_not_shown() {
    assert_shows_no_token(|arguments| java("Ask", arguments));
}

#[test]
fn times_in_java_count_to_the_microsecond() {
    assert_counts_microseconds(|arguments| java("Ask", arguments));
}

#[test]
fn what_is_watched_in_java_goes_on_by_another_token_when_one_has_expired() {
    assert_renews_a_token(ask_with);
}

#[test]
fn what_is_watched_in_java_goes_on_when_the_server_was_killed() {
    assert_watches_on(|arguments| java("Ask", arguments));
}

#[test]
fn a_channel_that_a_client_in_java_was_given_stays_open_when_it_is_closed() {
    let server = Pretend::start(&[]);
    assert_eq!(ask_with(&[&server.url(), "given"]), code(Code::Ok));
}

#[test]
fn the_readme_in_java_begins_with_a_call() {
    let output = java("First", &[&served().server.url()]).output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"false "), "{output:?}");
}
