//! What people and programs read.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use murmur_build::{Behind, Finding, How, Unparsed};
use murmur_spec::diff::Change;
use murmur_spec::emit::Json;

/// A line to standard output: what was asked for.
pub(crate) fn data(text: fmt::Arguments<'_>) {
    // A reader that went away has seen enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line to standard error: what is said about it.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A finding with its line of source.
///
/// ```text
/// error[M0101]: `usize` has no fixed size; write `u64`
///   --> src/views.rs:4:15
///    |
///  4 |     pub size: usize,
///    |               ^^^^^
///    = help: ...
/// ```
pub(crate) fn finding(found: &Finding) -> String {
    let mut out = format!("error[{}]: {}\n", found.code, found.message);
    let gutter = found.spot.as_ref().map_or(0, |spot| spot.line.to_string().len());
    if let Some(spot) = &found.spot {
        // A tab stays a tab, so that the caret stands below its token in any terminal.
        let lead: String =
            spot.text.chars().take(spot.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(out, "{:gutter$}--> {}:{}:{}", "", spot.file, spot.line, spot.column);
        let _ = writeln!(out, "{:gutter$} |", "");
        let _ = writeln!(out, "{:gutter$} | {}", spot.line, spot.text);
        let _ = writeln!(out, "{:gutter$} | {lead}{}", "", "^".repeat(spot.width));
    }
    if let Some(help) = &found.help {
        let _ = writeln!(out, "{:gutter$} = help: {help}", "");
    }
    out
}

/// The same for programs.
pub(crate) fn finding_json(found: &Finding) -> Json {
    let mut entries = vec![
        ("code", Json::from(found.code.id)),
        ("title", found.code.title.into()),
        ("message", found.message.clone().into()),
    ];
    if let Some(help) = &found.help {
        entries.push(("help", help.clone().into()));
    }
    if let Some(spot) = &found.spot {
        entries.push(("file", spot.file.clone().into()));
        entries.push(("line", Json::Number(spot.line as u64)));
        entries.push(("column", Json::Number(spot.column as u64)));
    }
    Json::object(entries)
}

/// A source file that cannot be read, for programs: a finding without a code.
pub(crate) fn unparsed_json(file: &Unparsed) -> Json {
    let mut entries = vec![("message", Json::from(file.message.clone())), ("file", file.file.clone().into())];
    if let Some((line, column)) = file.place {
        entries.push(("line", Json::Number(line as u64)));
        entries.push(("column", Json::Number(column as u64)));
    }
    Json::object(entries)
}

/// How a committed file differs, in a word.
pub(crate) fn how(how: How) -> &'static str {
    match how {
        How::Missing => "missing",
        How::Different => "different",
        How::Stale => "stale",
    }
}

/// Committed files that differ, for programs.
pub(crate) fn behind_json(behind: &[Behind]) -> Json {
    Json::List(
        behind
            .iter()
            .map(|file| Json::object([("path", Json::from(&*file.path)), ("how", how(file.how).into())]))
            .collect(),
    )
}

/// Differences of the lock, for programs.
pub(crate) fn changes_json(changes: &[Change]) -> Json {
    Json::List(
        changes
            .iter()
            .map(|change| Json::object([("subject", Json::from(&*change.subject)), ("what", (&*change.what).into())]))
            .collect(),
    )
}
