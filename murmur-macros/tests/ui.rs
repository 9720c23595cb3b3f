//! What a user sees who makes a mistake.
//!
//! `ui/<case>.rs` is the source of a small crate, `<case>.stderr` what comes of it. The build step reads the crate as in
//! a real build, then rustc compiles it with what the build step said. Lines at the top of a case steer it:
//!
//! ```text
//! //@ no-build-step     there is no build.rs
//! //@ lock: <line>      a line of proto/murmur.lock; without any, there is no lock
//! //@ edit: <a> => <b>   the lock made of the source above `now` has b where it would have a
//! //@ then: <a> => <b>   once the build step has read the source, a becomes b
//! //@ now               what stands above was synced into the lock; what stands below is the source now
//! ```
//!
//! `BLESS=1` writes the `.stderr` files. Arguments choose cases by parts of their names. A code of the catalogue
//! without a case fails the run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test with a `main` of its own, which clippy does not take for a test"
)]

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use murmur_build::{Project, Report};
use serde_json::Value;

/// Set when this binary is to be the build script of a case.
const BUILD_SCRIPT: &str = "MURMUR_UI_BUILD_SCRIPT";

fn main() -> ExitCode {
    if env::var_os(BUILD_SCRIPT).is_some() {
        murmur_build::run();
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    cases.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let runtime = Runtime::find();
    let (mut ran, mut failed) = (0, 0);
    for case in &cases {
        if !wanted.is_empty() && !wanted.iter().any(|part| name(case).contains(part)) {
            continue;
        }
        ran += 1;
        let got = seen(&runtime, &fs::read_to_string(case).unwrap());
        let golden = case.with_extension("stderr");
        if env::var_os("BLESS").is_some() {
            fs::write(&golden, &got).unwrap();
        }
        let want = fs::read_to_string(&golden).unwrap_or_default();
        if got != want {
            failed += 1;
            eprintln!("--- {}: expected\n{want}--- got\n{got}", name(case));
        }
    }
    let without = without_case(&cases);
    if wanted.is_empty() && !without.is_empty() {
        failed += 1;
        eprintln!("codes of the catalogue without a case in {}: {}", folder.display(), without.join(", "));
    }
    // As the runners of other tests end, so that they can be added up.
    let (verdict, code) = if failed > 0 { ("FAILED", ExitCode::FAILURE) } else { ("ok", ExitCode::SUCCESS) };
    println!(
        "test result: {verdict}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out",
        ran - failed.min(ran)
    );
    if failed > 0 {
        eprintln!("look at the cases that failed, then run with BLESS=1");
    }
    code
}

/// The codes that no case shows.
fn without_case(cases: &[PathBuf]) -> Vec<&'static str> {
    let shown: String =
        cases.iter().map(|case| fs::read_to_string(case.with_extension("stderr")).unwrap_or_default()).collect();
    let codes = murmur_spec::codes::ALL.iter().map(|code| code.id);
    codes.filter(|id| !shown.contains(&format!("{id}:"))).collect()
}

/// The compiled runtime that cases are compiled against.
struct Runtime {
    /// `murmur`, and `serde`, which comes with it.
    libraries: Vec<(&'static str, PathBuf)>,
    folder: PathBuf,
}

impl Runtime {
    /// Have Cargo build it, or say where it is.
    fn find() -> Self {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["check", "--quiet", "--package", "murmur-stream", "--no-default-features", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let artifacts: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let library = |name: &'static str| {
            let of_name = artifacts.iter().filter(|artifact| artifact["target"]["name"] == name);
            let mut files = of_name.filter_map(|artifact| match artifact["filenames"].as_array()?.as_slice() {
                // What is compiled for build scripts and macros has a second file.
                [file] => Some(PathBuf::from(file.as_str()?)),
                _ => None,
            });
            (name, files.next().unwrap_or_else(|| panic!("`{name}` was not built")))
        };
        let libraries = vec![library("murmur"), library("serde")];
        let folder = libraries[0].1.parent().unwrap().to_owned();
        Self { libraries, folder }
    }
}

/// A case, taken apart.
#[derive(Default)]
struct Case {
    build_step: bool,
    lock: String,
    edits: Vec<(String, String)>,
    changes: Vec<(String, String)>,
    before: Option<String>,
    now: String,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self { build_step: true, ..Self::default() };
        for line in text.lines() {
            match line.strip_prefix("//@ ").map(|line| line.split_once(": ").unwrap_or((line, ""))) {
                Some(("no-build-step", _)) => case.build_step = false,
                Some(("lock", line)) => case.lock += &format!("{line}\n"),
                Some(("edit", edit)) => {
                    let (from, to) = edit.split_once(" => ").unwrap();
                    case.edits.push((from.to_owned(), to.to_owned()));
                }
                Some(("then", edit)) => {
                    let (from, to) = edit.split_once(" => ").unwrap();
                    case.changes.push((from.to_owned(), to.to_owned()));
                }
                Some(("now", _)) => case.before = Some(std::mem::take(&mut case.now)),
                Some((other, _)) => panic!("`//@ {other}` means nothing"),
                None => case.now += &format!("{line}\n"),
            }
        }
        case
    }
}

/// What a user sees: what the build script says to Cargo, and if it is no error, what rustc says.
fn seen(runtime: &Runtime, text: &str) -> String {
    let case = Case::read(text);
    let package = tempfile::tempdir().unwrap();
    let at = |path: &str| package.path().join(path);
    fs::create_dir_all(at("src")).unwrap();
    fs::create_dir_all(at("proto")).unwrap();
    fs::write(at("Cargo.toml"), "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n").unwrap();
    if let Some(before) = &case.before {
        fs::write(at("src/lib.rs"), before).unwrap();
        let report = Report::of(Project::open(package.path()).unwrap()).unwrap_or_else(|e| panic!("{}", e.0));
        assert!(report.findings().is_empty(), "the source before is wrong: {:?}", report.findings());
        let mut lock = report.review.lock.to_string();
        for (from, to) in &case.edits {
            assert!(lock.contains(from), "the lock has no `{from}`:\n{lock}");
            lock = lock.replace(from, to);
        }
        fs::write(at("proto/murmur.lock"), lock).unwrap();
    }
    if !case.lock.is_empty() {
        fs::write(at("proto/murmur.lock"), &case.lock).unwrap();
    }
    fs::write(at("src/lib.rs"), &case.now).unwrap();
    let mut said = String::new();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    // What Cargo sets for the test itself is not meant for the case.
    for name in ["OUT_DIR", "MURMUR_RUN", "CARGO_TARGET_TMPDIR", "UNSTABLE_RUSTDOC_TEST_PATH"] {
        rustc.env_remove(name);
    }
    if case.build_step {
        let output = Command::new(env::current_exe().unwrap())
            .env(BUILD_SCRIPT, "1")
            .env("CARGO_MANIFEST_DIR", package.path())
            .env("OUT_DIR", at("out"))
            .envs([("CARGO_CFG_UNIX", ""), ("CARGO_CFG_FEATURE", "default")])
            .output()
            .unwrap();
        assert!(output.status.success(), "the build step crashed: {}", String::from_utf8_lossy(&output.stderr));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let Some((what, value)) = line.strip_prefix("cargo::").and_then(|line| line.split_once('=')) else {
                continue;
            };
            match what {
                "rustc-env" => {
                    let (name, value) = value.split_once('=').unwrap();
                    rustc.env("OUT_DIR", at("out")).env(name, value);
                }
                "warning" | "error" => writeln!(said, "build script {what}: {value}").unwrap(),
                _ => {}
            }
        }
        if said.contains("build script error") {
            return said;
        }
    }
    let now = case.changes.iter().fold(case.now, |now, (from, to)| now.replace(from, to));
    fs::write(at("src/lib.rs"), now).unwrap();
    let output = rustc
        .envs([("CARGO_CRATE_NAME", "shop"), ("CARGO_PKG_NAME", "shop")])
        .current_dir(package.path())
        .args(["src/lib.rs", "--crate-type=lib", "--crate-name=shop", "--edition=2024", "--emit=metadata"])
        .args(["--error-format=json", "--out-dir", "target", "-L"])
        .arg(format!("dependency={}", runtime.folder.display()))
        .args(
            runtime
                .libraries
                .iter()
                .flat_map(|(name, file)| [OsString::from("--extern"), format!("{name}={}", file.display()).into()]),
        )
        .output()
        .unwrap();
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(message) => show(&message, &mut said),
            // A panic of the macro, or of rustc.
            Err(_) => writeln!(said, "{line}").unwrap(),
        }
    }
    if output.status.success() {
        said.push_str("it compiles\n");
    }
    said
}

/// A message as rustc would show it, without what changes from release to release or lies in our own sources.
fn show(message: &Value, out: &mut String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spans: Vec<&Value> = message["spans"].as_array().unwrap().iter().collect();
    let level = text(&message["level"]);
    if spans.is_empty() || !(level == "error" || level == "warning") {
        return;
    }
    writeln!(out, "{level}: {}", text(&message["message"])).unwrap();
    for span in spans.into_iter().map(call_site).filter(|span| text(&span["file_name"]) == "src/lib.rs") {
        let line = &span["text"][0];
        let (number, source) = (span["line_start"].as_u64().unwrap(), text(&line["text"]));
        let (start, end) = (line["highlight_start"].as_u64().unwrap(), line["highlight_end"].as_u64().unwrap());
        let mark = if span["is_primary"] == true { "^" } else { "-" }.repeat((end - start).max(1) as usize);
        writeln!(out, "{number:4} | {source}").unwrap();
        writeln!(out, "     | {}{mark} {}", " ".repeat(start as usize - 1), text(&span["label"])).unwrap();
        let written = out.trim_end().len();
        out.truncate(written);
        out.push('\n');
    }
    for child in message["children"].as_array().unwrap() {
        let (level, message) = (text(&child["level"]), text(&child["message"]));
        if child["spans"].as_array().unwrap().is_empty() && level == "note" {
            writeln!(out, "  note: {message}").unwrap();
        }
    }
    out.push('\n');
}

/// Where the user wrote the macro call, for a span inside of what it made.
fn call_site(span: &Value) -> &Value {
    match &span["expansion"] {
        Value::Null => span,
        _ if span["file_name"] == "src/lib.rs" => span,
        expansion => call_site(&expansion["span"]),
    }
}
