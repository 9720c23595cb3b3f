//! Whole projects in one text file each, see `cases/`: files after `-- path --`, and after `-- want --` what the build
//! step makes of them. `BLESS=1` writes the latter.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use murmur_spec::emit;
use murmur_spec::handover::Handover;

use crate::project::Project;
use crate::report::Report;
use crate::run;

/// The files of a case, and what is wanted.
pub(crate) fn parts(text: &str) -> (Vec<(String, String)>, String) {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(name) => files.push((name.to_owned(), String::new())),
            None => {
                if let Some((_, content)) = files.last_mut() {
                    content.push_str(line);
                    content.push('\n');
                }
            }
        }
    }
    let want = files.iter().position(|(name, _)| name == "want").map(|at| files.remove(at).1);
    (files, want.unwrap_or_default())
}

pub(crate) fn lay_out(files: &[(String, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// What the build step makes of a project.
fn made_of(dir: &Path) -> String {
    let mut out = String::new();
    let project = match Project::open(dir) {
        Ok(project) => project,
        Err(error) => return format!("error {}\n", error.replace(&dir.display().to_string(), "DIR")),
    };
    let report = match Report::of(project) {
        Ok(report) => report,
        Err(unreadable) => return format!("unreadable {}\n", unreadable.0),
    };
    for root in &report.project.roots {
        writeln!(out, "root {} {}", root.name, root.file.display()).unwrap();
    }
    for krate in &report.crates {
        let seen: Vec<&str> = krate.seen.iter().map(|(name, _)| name.as_str()).collect();
        writeln!(out, "seen in {}: {}", krate.name, seen.join(" ")).unwrap();
    }
    let schema = &report.review.schema;
    let messages: Vec<&str> = schema.messages.iter().map(|message| message.name.as_str()).collect();
    writeln!(out, "package {}: {}", schema.package, messages.join(" ")).unwrap();
    let relative = |path: &PathBuf| path.strip_prefix(dir).unwrap().display().to_string();
    for path in &report.files {
        writeln!(out, "read {}", relative(path)).unwrap();
    }
    for path in &report.folders {
        writeln!(out, "searched {}", relative(path)).unwrap();
    }
    writeln!(out, "parsed {}", report.parsed).unwrap();
    for finding in report.findings() {
        writeln!(out, "{finding}").unwrap();
        if let Some(help) = &finding.help {
            writeln!(out, "  {help}").unwrap();
        }
    }
    for change in &report.review.changes {
        writeln!(out, "change {change}").unwrap();
    }
    out
}

#[test]
fn projects_are_read_as_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cases");
    let mut wrong = String::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "the cases are there");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (files, want) = parts(&text);
        let made = made_of(lay_out(&files).path());
        if made != want {
            if std::env::var_os("BLESS").is_some() {
                let head = text.split("-- want --\n").next().unwrap();
                fs::write(&path, format!("{head}-- want --\n{made}")).unwrap();
            }
            writeln!(wrong, "{}:\n--- want\n{want}--- made\n{made}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty() || std::env::var_os("BLESS").is_some(), "{wrong}");
}

/// The example of the crate's documentation.
const EXAMPLE: &str = include_str!("cases/design.txt");

#[test]
fn a_second_run_writes_nothing_and_says_the_same() {
    let (files, _) = parts(EXAMPLE);
    let package = lay_out(&files);
    let out = tempfile::tempdir().unwrap();
    let run = || run::run(Project::open(package.path()), out.path(), false);
    let first = run();
    let made = crate::write::below(out.path()).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH;
    for file in &made {
        fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    fs::write(out.path().join("left-over.txt"), "of an earlier release").unwrap();
    assert_eq!(run(), first);
    assert_eq!(crate::write::below(out.path()).unwrap(), made, "what an earlier run left is gone");
    for file in &made {
        assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), old, "{} was written again", file.display());
    }
}

#[test]
fn a_contract_ahead_of_its_lock_is_one_warning_or_an_error() {
    let (files, _) = parts(EXAMPLE);
    let package = lay_out(&files);
    let out = tempfile::tempdir().unwrap();
    let lines = |locked| run::run(Project::open(package.path()), out.path(), locked).0;
    let about = |lines: &[String], what: &str| lines.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!((about(&lines(false), "cargo::warning="), about(&lines(false), "cargo::error=")), (1, 0));
    assert_eq!((about(&lines(true), "cargo::warning="), about(&lines(true), "cargo::error=")), (0, 1));

    let report = Report::of(Project::open(package.path()).unwrap()).unwrap_or_else(|error| panic!("{error:?}"));
    for output in report.outputs() {
        let path = package.path().join(&output.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, output.text).unwrap();
    }
    assert_eq!((about(&lines(true), "cargo::warning="), about(&lines(true), "cargo::error=")), (0, 0));
    crate::check_synced(out.path().parent().unwrap().to_str().unwrap(), "").unwrap_err();
}

#[test]
fn the_macros_are_told_the_contract_that_the_lock_names_last() {
    let (files, _) = parts(EXAMPLE);
    let package = lay_out(&files);
    let out = tempfile::tempdir().unwrap();
    run::run(Project::open(package.path()), out.path(), false);
    let read = |path: &str| fs::read_to_string(out.path().join(path)).unwrap();
    let said = Handover::read(&read("handover.txt")).unwrap();
    let lock = read("proto/murmur.lock");
    let fingerprint = lock.lines().filter_map(|line| line.strip_prefix("serves ")).next_back().unwrap();
    let contract = format!("{}-{fingerprint}", emit::REVISION);
    assert_eq!(said.crates[0].contracts, [("PageTrafficService".to_owned(), contract)]);
}

#[test]
fn committed_files_are_compared_with_those_of_the_build() {
    let (files, _) = parts(EXAMPLE);
    let package = lay_out(&files);
    let out = tempfile::tempdir().unwrap();
    run::run(Project::open(package.path()), &out.path().join("murmur"), false);
    let check = || crate::check_synced(out.path().to_str().unwrap(), package.path().to_str().unwrap());
    let error = check().unwrap_err();
    assert!(error.contains("proto/murmur.lock") && error.contains("cargo murmur sync"), "{error}");
    for file in crate::write::below(&out.path().join("murmur")).unwrap() {
        let target = package.path().join(file.strip_prefix(out.path().join("murmur")).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
    assert_eq!(check(), Ok(()));
}

#[test]
fn what_no_macro_can_say_fails_the_build() {
    let (mut files, _) = parts(EXAMPLE);
    let package = lay_out(&files);
    let report = Report::of(Project::open(package.path()).unwrap()).unwrap_or_else(|error| panic!("{error:?}"));
    let lock = report.review.lock.to_string();
    let errors = |files: &[(String, String)]| -> Vec<String> {
        let package = lay_out(files);
        let out = tempfile::tempdir().unwrap();
        let lines = run::run(Project::open(package.path()), out.path(), false).0;
        lines.into_iter().filter(|line| line.starts_with("cargo::error=")).collect()
    };
    files.push(("proto/murmur.lock".into(), lock.clone() + "<<<<<<< HEAD\n"));
    let broken = errors(&files);
    assert!(broken[0].starts_with("cargo::error=murmur: proto/murmur.lock:"), "{broken:?}");
    assert!(broken[0].contains("M0601"), "{broken:?}");

    files.last_mut().unwrap().1 = lock;
    files.retain(|(name, _)| name != "src/main.rs");
    files.push(("src/main.rs".into(), "fn main() {}\n".into()));
    let removed = errors(&files);
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert!(removed[0].contains("M0620") && removed[0].contains("cargo murmur accept M0620 PageTrafficService"));
}
