use std::env;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use murmur_spec::codes;
use murmur_spec::emit::{self, LOCK, Output};
use murmur_spec::handover::{self, Handover, Message};
use murmur_spec::lock::Numbered;

use crate::project::Project;
use crate::report::{Finding, Report, Unreadable};
use crate::write::write_all;

/// What a build script says to Cargo, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lines(pub(crate) Vec<String>);

impl Lines {
    fn say(&mut self, what: &str, text: impl AsRef<str>) {
        // A line break would end the message.
        self.0.push(format!("cargo::{what}={}", text.as_ref().replace('\n', " ")));
    }

    fn error(&mut self, finding: &Finding) {
        let help = finding.help.as_ref().map(|help| format!(". {help}")).unwrap_or_default();
        self.say("error", format!("murmur: {finding}{help}"));
    }
}

/// Read the package, write `out`, and say what Cargo has to know.
pub(crate) fn run(project: Result<Project, String>, out: &Path, locked: bool) -> Lines {
    let mut lines = Lines::default();
    lines.say("rerun-if-env-changed", LOCKED);
    match project {
        Ok(project) => build(project, out, locked, &mut lines),
        Err(message) => lines.say("error", format!("murmur: {message}")),
    }
    lines
}

/// Set to `1`, a contract that is ahead of the lock stops the build.
pub(crate) const LOCKED: &str = "MURMUR_LOCKED";

fn build(project: Project, out: &Path, locked: bool, lines: &mut Lines) {
    let watch = |path: PathBuf| path.display().to_string();
    lines.say("rerun-if-changed", watch(project.dir.join("Cargo.toml")));
    // While it does not exist Cargo runs us every time, and so notices when it comes.
    lines.say("rerun-if-changed", watch(project.dir.join(LOCK)));
    if project.roots.is_empty() {
        lines.say("error", format!("murmur: {} has neither src/lib.rs nor src/main.rs", project.dir.display()));
    }
    let report = match Report::of(project) {
        Ok(report) => report,
        Err(Unreadable(finding)) => return lines.error(&finding),
    };
    for path in report.files.iter().chain(&report.folders) {
        lines.say("rerun-if-changed", watch(path.clone()));
    }
    for finding in &report.unplaced {
        lines.error(finding);
    }
    say_whether_locked(&report, locked, lines);
    let handover = handover(&report).write();
    lines.say("rustc-env", format!("{}={}", handover::RUN, handover::hash(&handover)));
    if let Err(error) = write_all(out, &files(&report, handover)) {
        lines.say("error", format!("murmur: cannot write {}: {error}", out.display()));
    }
}

fn say_whether_locked(report: &Report, locked: bool, lines: &mut Lines) {
    let changes = &report.review.changes;
    let Some(first) = changes.first().filter(|_| report.whole) else { return };
    let more = if changes.len() > 1 { format!(", and {} more", changes.len() - 1) } else { String::new() };
    let text = format!(
        "murmur: {}: {LOCK} is behind the source ({first}{more}); run `cargo murmur sync` and commit `proto/` and `schema/`",
        codes::NOT_LOCKED
    );
    lines.say(if locked { "error" } else { "warning" }, text);
}

/// ```text
/// $OUT_DIR/murmur/
///   handover.txt       numbers, fingerprints and findings, for the macros
///   descriptor.binpb   for reflection and JSON
///   contracts.rs       what `murmur::main!` embeds: the descriptor, the files below, and whose clients are served
///   proto/**           what `cargo murmur sync` would commit
///   schema/**
/// ```
fn files(report: &Report, handover: String) -> Vec<(String, Vec<u8>)> {
    let name = handover::FILE.strip_prefix("murmur/").unwrap_or(handover::FILE);
    let mut files =
        vec![(name.to_owned(), handover.into_bytes()), ("descriptor.binpb".to_owned(), report.descriptor_set())];
    let outputs = report.outputs();
    files.push(("contracts.rs".to_owned(), embedded(&outputs, &emit::served(&report.review)).into_bytes()));
    files.extend(outputs.into_iter().map(|output| (output.path, output.text.into_bytes())));
    files
}

/// An expression that `murmur::app::Contracts` is made from. It names no crate, so that renames do not matter; paths are
/// relative to the file itself.
fn embedded(outputs: &[Output], served: &[(String, Vec<String>)]) -> String {
    let mut text = "(\n    include_bytes!(\"descriptor.binpb\").as_slice(),\n    &[\n".to_owned();
    for Output { path, .. } in outputs {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "        ({path:?}, include_str!({path:?})),");
    }
    let _ = writeln!(text, "    ] as &[(&str, &str)],\n    {},\n    &[", emit::REVISION);
    for (service, fingerprints) in served {
        let _ = writeln!(text, "        ({service:?}, &{fingerprints:?} as &[&str]),");
    }
    text.push_str("    ] as &[(&str, &[&str])],\n)\n");
    text
}

fn handover(report: &Report) -> Handover {
    let mut messages = numbers(report, false);
    messages.extend(numbers(report, true).into_iter().filter(|message| {
        // What only tests have.
        !report.review.schema.messages.iter().any(|known| known.name == message.name)
            && !report.review.schema.enums.iter().any(|known| known.name == message.name)
    }));
    let contracts = emit::contracts(&report.review);
    let crates = report.crates.iter().map(|krate| {
        let findings = report.placed.iter().filter(|placed| krate.seen.iter().any(|(name, _)| *name == placed.item));
        handover::Crate {
            name: krate.name.clone(),
            package: report.review.schema.package.clone(),
            seen: krate.seen.clone(),
            messages: messages.clone(),
            contracts: contracts.clone(),
            findings: findings
                .map(|placed| handover::Finding {
                    code: placed.finding.code,
                    item: placed.item.clone(),
                    part: placed.part.clone(),
                    message: placed.finding.message.clone(),
                    help: placed.finding.help.clone(),
                })
                .collect(),
        }
    });
    Handover { crates: crates.collect() }
}

fn numbers(report: &Report, with_tests: bool) -> Vec<Message> {
    let review = if with_tests { &report.with_tests } else { &report.review };
    let empty = Numbered::default();
    let messages = review.schema.messages.iter().map(|message| {
        let numbered = review.lock.messages.get(&message.name).unwrap_or(&empty);
        let fields = numbered.fields().map(|(number, fact)| (fact.name.clone(), number)).collect();
        (&message.name, fields, numbered)
    });
    let enums = review.schema.enums.iter().map(|item| {
        let numbered = review.lock.enums.get(&item.name).unwrap_or(&empty);
        let number = |name: &str| numbered.field(name).map(|(number, _)| number);
        let values = item.values.iter().filter_map(|value| Some((value.variant.clone(), number(&value.name)?)));
        (&item.name, values.collect(), numbered)
    });
    messages
        .chain(enums)
        .map(|(name, fields, numbered)| Message {
            name: name.clone(),
            fields,
            retired: numbered.reserved().map(|(number, _)| number).collect(),
        })
        .collect()
}

/// The folder that a build script writes.
pub(crate) fn out_dir() -> Option<PathBuf> {
    env::var_os("OUT_DIR").map(|out| Path::new(&out).join("murmur"))
}
