use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Decision, Entry, Fact, HOLE, Lock, MAX_ENUM, MAX_FIELD, Numbered, Service, Table};

/// Why a lock cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and the way out.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The section that lines belong to.
enum Section {
    Head,
    Message(String),
    Enum(String),
    Service(String),
    Table(String),
    Decisions,
}

impl FromStr for Lock {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut lock = Self::default();
        let mut section = Section::Head;
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            read_line(&mut lock, &mut section, line).map_err(|message| ParseError { line: at + 1, message })?;
        }
        if lock.package.is_empty() && !text.trim().is_empty() {
            return Err(ParseError {
                line: 1,
                message: "the line `package ...` is missing; restore the file from git".into(),
            });
        }
        Ok(lock)
    }
}

fn read_line(lock: &mut Lock, section: &mut Section, line: &str) -> Result<(), String> {
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
        return Err("a merge conflict is left here; keep the lines of both sides, give a number that stands twice to \
                    one of them and the next free one to the other, then run `cargo murmur sync`"
            .into());
    }
    if let Some(head) = line.strip_prefix('[') {
        *section = open_section(lock, head)?;
        return Ok(());
    }
    match section {
        Section::Head => match line.strip_prefix("package ") {
            Some(name) if lock.package.is_empty() => {
                lock.package = name.trim().to_owned();
                Ok(())
            }
            _ => Err(format!("`{line}` is not known here; expected `package ...` or a section")),
        },
        Section::Message(name) => read_entry(entry_of(&mut lock.messages, name), name, line, MAX_FIELD),
        Section::Enum(name) => read_entry(entry_of(&mut lock.enums, name), name, line, MAX_ENUM),
        Section::Service(name) => read_service(lock.services.entry(name.clone()).or_default(), line),
        Section::Table(name) => read_table(lock.tables.entry(name.clone()).or_default(), line),
        Section::Decisions => {
            lock.decisions.push(read_decision(line)?);
            Ok(())
        }
    }
}

fn entry_of<'a>(map: &'a mut BTreeMap<String, Numbered>, name: &str) -> &'a mut Numbered {
    map.entry(name.to_owned()).or_default()
}

fn open_section(lock: &mut Lock, head: &str) -> Result<Section, String> {
    let head = head.strip_suffix(']').ok_or("a section ends with `]`")?;
    if head == "decisions" {
        return Ok(Section::Decisions);
    }
    let (kind, name) = head.split_once(' ').ok_or_else(|| format!("`[{head}]` lacks a name"))?;
    let name = name.trim().to_owned();
    let (section, repeated) = match kind {
        "message" => {
            (Section::Message(name.clone()), lock.messages.insert(name.clone(), Numbered::default()).is_some())
        }
        "enum" => (Section::Enum(name.clone()), lock.enums.insert(name.clone(), Numbered::default()).is_some()),
        "service" => (Section::Service(name.clone()), lock.services.insert(name.clone(), Service::default()).is_some()),
        "table" => (Section::Table(name.clone()), lock.tables.insert(name.clone(), Table::default()).is_some()),
        _ => return Err(format!("`[{kind} ...]` is not a section; is the file written by a newer release?")),
    };
    if repeated {
        return Err(format!("`[{kind} {name}]` stands twice; join the two"));
    }
    Ok(section)
}

fn read_entry(into: &mut Numbered, owner: &str, line: &str, max: u32) -> Result<(), String> {
    if line == "gone" {
        into.gone = true;
        return Ok(());
    }
    let (number, entry) = match line.strip_prefix("reserved ").and_then(|rest| rest.split_once(' ')) {
        Some((number, name)) => (number, Entry::Reserved(name.to_owned())),
        None => {
            let (number, rest) =
                line.split_once(' ').ok_or_else(|| format!("`{line}` is not `<number> <name> <type>`"))?;
            (number, Entry::Field(read_fact(rest)))
        }
    };
    let number: u32 = number.parse().map_err(|_| format!("`{number}` is not a number"))?;
    if number > max || (max == MAX_FIELD && (number == 0 || HOLE.contains(&number))) {
        return Err(format!("{number} is not a number that protobuf allows here"));
    }
    if let Entry::Field(Fact { name, .. }) = &entry
        && let Some((other, _)) = into.field(name)
    {
        return Err(format!("`{name}` stands twice in `{owner}`, as {other} and as {number}; remove one of them"));
    }
    let name = entry.name().to_owned();
    if let Some(before) = into.entries.insert(number, entry) {
        return Err(format!(
            "number {number} stands twice in `{owner}`, for `{}` and for `{name}`; where two branches each added a \
             field, give the one that no client knows yet the next free number",
            before.name()
        ));
    }
    Ok(())
}

fn read_fact(rest: &str) -> Fact {
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    // The monoid comes last, as its text is the user's and may hold anything.
    let (rest, kept) = match rest.split_once(" as ") {
        Some((rest, kept)) => (rest, Some(kept.to_owned())),
        None => (rest, None),
    };
    let (shape, json) = match rest.split_once(" json ") {
        Some((shape, json)) => (shape, Some(json.to_owned())),
        None => (rest, None),
    };
    Fact { name: name.to_owned(), shape: shape.to_owned(), json, kept }
}

fn read_service(into: &mut Service, line: &str) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "key" => into.key = rest.to_owned(),
        "value" => into.value = rest.to_owned(),
        "rpc" => {
            let (name, types) = rest.split_once(' ').ok_or("an rpc is `rpc Name Request -> Response`")?;
            into.rpcs.insert(name.to_owned(), types.to_owned());
        }
        "serves" if rest.len() == 16 && rest.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            into.serves.push(rest.to_owned());
        }
        "serves" => return Err(format!("`{rest}` is no fingerprint of a contract; restore the line from git")),
        _ => return Err(format!("`{word}` is not known in a service; expected `key`, `value`, `rpc` or `serves`")),
    }
    Ok(())
}

fn read_table(into: &mut Table, line: &str) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let slot = match word {
        "key" => &mut into.key,
        "rollup" => &mut into.rollup,
        "value" => &mut into.value,
        "form" => &mut into.form,
        "layout" => &mut into.layout,
        "keep" => &mut into.keep,
        _ => {
            return Err(format!(
                "`{word}` is not known in a table; expected `key`, `rollup`, `value`, `form`, `layout` or `keep`"
            ));
        }
    };
    *slot = rest.to_owned();
    Ok(())
}

fn read_decision(line: &str) -> Result<Decision, String> {
    let mut words = line.splitn(4, ' ');
    let (Some(verb), Some(code), Some(subject), Some(change)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a decision is `accept <code> <subject> <change>`".into());
    };
    let done = match verb {
        "accept" => false,
        "accepted" => true,
        _ => return Err(format!("`{verb}` is not `accept` or `accepted`")),
    };
    Ok(Decision { code: code.to_owned(), subject: subject.to_owned(), change: change.to_owned(), done })
}
