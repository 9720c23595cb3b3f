//! The examples as processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use murmur_testkit::faults::supervisor;
use serde_json::Value;

use crate::workspace;

/// The program of an example, built from the present sources.
///
/// `MURMUR_TEST_EXAMPLES` names a folder where they are already built (as `cargo test --workspace` leaves them);
/// without it cargo is asked to build them.
pub fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| match std::env::var_os("MURMUR_TEST_EXAMPLES") {
        Some(folder) => workspace().join(folder),
        None => build(),
    });
    let program = folder.join(name);
    assert!(program.is_file(), "`{}` is not there", program.display());
    program
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "page-traffic",
            "--package",
            "git-activity",
            "--package",
            "service-health",
            "--package",
            "meters",
            "--package",
            "murmur-tests",
            "--examples",
            "--features",
            "page-traffic/dynamodb,page-traffic/kafka,page-traffic/otlp,page-traffic/tls,page-traffic/jwt",
        ])
        .current_dir(workspace())
        .status()
        .unwrap_or_else(|error| panic!("cannot start cargo: {error}"));
    assert!(status.success(), "the examples do not build");
    target().join("debug/examples")
}

/// The program behind `cargo murmur`, built from the present sources; where [`example`] looks for what is built already,
/// it lies in the folder above.
pub fn cargo_murmur() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| match std::env::var_os("MURMUR_TEST_EXAMPLES") {
        Some(folder) => workspace().join(folder).join("../cargo-murmur"),
        None => {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", "cargo-murmur"]).current_dir(workspace());
            assert!(build.status().is_ok_and(|status| status.success()), "`cargo murmur` does not build");
            target().join("debug/cargo-murmur")
        }
    });
    assert!(program.is_file(), "`{}` is not there", program.display());
    program.clone()
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// A program with arguments, and without the settings of whoever runs the tests.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("MURMUR_") || name.starts_with("OTEL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// Run to the end.
pub fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> Output {
    let program = program.as_ref();
    command(program, arguments)
        .output()
        .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", program.to_string_lossy()))
}

/// Run to the end, which must be a good one; what it printed.
pub fn success(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = output(program.as_ref(), arguments);
    assert!(
        output.status.success(),
        "`{} {}` failed ({}):\n{}{}",
        program.as_ref().to_string_lossy(),
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// As [`success`], for programs that print JSON.
pub fn json(program: impl AsRef<OsStr>, arguments: &[&str]) -> Value {
    let text = success(program, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("this is not JSON: {error}\n{text}"))
}

/// A store in a folder, as a flag wants it.
pub fn store(folder: &Path) -> String {
    format!("embedded://{}", folder.display())
}

/// A process that runs on; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Reads standard error to its end, so that the process never waits for it; gives the text.
    errors: Option<JoinHandle<String>>,
}

impl Process {
    /// Start a program.
    pub fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let mut child = command(program, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the program: {error}"));
        let errors = child.stderr.take().map(|mut errors| {
            std::thread::spawn(move || {
                let mut text = String::new();
                // What is no UTF-8 ends the text; nothing here prints such bytes.
                let _ = errors.read_to_string(&mut text);
                text
            })
        });
        Self { child, errors }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // It may have ended by itself a moment ago.
        let _ = self.child.kill();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        success("kill", &["-TERM", &self.child.id().to_string()]);
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("cannot look after the process: {error}"))
    }

    /// Wait for its end: how it ended, its standard output, its standard error.
    pub fn wait(mut self) -> (ExitStatus, String, String) {
        let mut text = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            // As above.
            let _ = out.read_to_string(&mut text);
        }
        let status = self.child.wait().unwrap_or_else(|error| panic!("cannot wait for the process: {error}"));
        let errors = self.errors.take().and_then(|errors| errors.join().ok()).unwrap_or_default();
        (status, text, errors)
    }
}

/// Run a program that ends by itself, kill it that long after each start and start it again, `most` times at most; then
/// it has to end well. How often it was killed before its end.
pub fn kill_until_it_ends(
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    most: usize,
    mut after: impl FnMut() -> Duration,
) -> usize {
    let mut kills = 0;
    loop {
        let mut process = Process::start(program.as_ref(), arguments);
        let moment = Instant::now() + after();
        let mut ended = process.ended();
        while ended.is_none() && kills < most && Instant::now() < moment {
            std::thread::yield_now();
            ended = process.ended();
        }
        if ended.is_none() && kills < most {
            process.kill();
            kills += 1;
            continue;
        }
        let (status, _, errors) = process.wait();
        assert!(status.success(), "after {kills} kills the worker failed: {errors}");
        return kills;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// A running server of an example.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Reads standard output to its end; gives the text.
    output: Option<JoinHandle<String>>,
    /// `host:port`.
    pub address: String,
}

impl Server {
    /// Start it on a free port and wait until it says that it serves.
    pub fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        Self::listening(program, &[arguments, &["--listen", "127.0.0.1:0"]].concat())
    }

    /// Start a program whose arguments say where it listens, and wait until it says where that is.
    pub fn listening(program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        Self::of(command(program, arguments))
    }

    /// The same of a command with more than arguments.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the server: {error}"));
        let Some(errors) = child.stderr.take() else { panic!("the server has no standard error") };
        let mut lines = BufReader::new(errors).lines();
        let mut said = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the server ended without serving:\n{said}") };
            if let Some((_, address)) = line.split_once("http://").or_else(|| line.split_once("https://")) {
                break address.split_whitespace().next().unwrap_or_default().to_owned();
            }
            said.push_str(&line);
            said.push('\n');
        };
        // Read on, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let output = child.stdout.take().map(|mut out| {
            std::thread::spawn(move || {
                let mut text = String::new();
                // What is no UTF-8 ends the text; nothing here prints such bytes.
                let _ = out.read_to_string(&mut text);
                text
            })
        });
        Self { child, output, address }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The most memory that it has had at a time so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        supervisor::most_memory(self.child.id()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// SIGTERM, without waiting for what comes of it.
    pub fn terminate(&self) {
        success("kill", &["-TERM", &self.child.id().to_string()]);
    }

    /// SIGTERM, and how it ended.
    pub fn stop(self) -> ExitStatus {
        self.finish().0
    }

    /// SIGTERM; how it ended, and what it printed.
    pub fn finish(mut self) -> (ExitStatus, String) {
        self.terminate();
        let status = self.child.wait().unwrap_or_else(|error| panic!("cannot wait for the server: {error}"));
        let output = self.output.take().and_then(|output| output.join().ok()).unwrap_or_default();
        (status, output)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
