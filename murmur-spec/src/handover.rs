//! What the build step tells the macros: one file, `$OUT_DIR/murmur/handover.txt`.
//!
//! ```text
//! murmur 0.1.0
//! crate page_traffic page_traffic.v1
//! seen PageView 00c4f2a1b3d5e697
//! message Traffic views=1 dwell_ms=2 visitors=4 -3
//! contract PageTrafficService 2-4e1c0fd0a1a3c0b7
//! finding M0504 page_traffic key:page
//! | `PageView` has no field `page`; did you mean `page_id`?
//! ? more, where the sentence is not enough
//! ```
//!
//! `crate` begins what is said of one crate of the package (its library, its binary, an example), by the name that
//! rustc gives it and with its protobuf package. `seen` names an item and its [fingerprint].
//! `message` gives the numbers of a message's fields by the message's name within the package; a new field has its
//! provisional number there, and `-3` is the number of a field that was removed. `contract` is what a client of a service says it
//! was made from. `finding` names the item and the [part](crate::item::Part) of it; lines with `|` are its
//! message, lines with `?` its help.
//!
//! Cargo never clears `OUT_DIR`, so a file may be left over from a build script that no longer calls us. The build step
//! therefore exports the [hash] of the file as `cargo::rustc-env=MURMUR_RUN=...`; a macro believes the file only
//! when the variable is there and matches. Lines instead of JSON keep a JSON reader out of the macros.

use std::fmt::Write;

use crate::codes::Code;
use crate::fingerprint;
use crate::item::Part;

/// The file's place in `OUT_DIR`.
pub const FILE: &str = "murmur/handover.txt";

/// The variable with the file's hash.
pub const RUN: &str = "MURMUR_RUN";

/// The release that reads and writes it; both sides must be of one.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is said of all crates of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// One entry per crate.
    pub crates: Vec<Crate>,
}

/// What is said of one crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crate {
    /// `CARGO_CRATE_NAME`.
    pub name: String,
    /// Its protobuf package.
    pub package: String,
    /// Items with their fingerprints.
    pub seen: Vec<(String, u64)>,
    /// Messages with the numbers of their fields.
    pub messages: Vec<Message>,
    /// Services, with what their clients say: the revision of Murmur's own messages, and the fingerprint of the service.
    pub contracts: Vec<(String, String)>,
    /// What the macros are to say.
    pub findings: Vec<Finding>,
}

/// The numbers of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its name within the package.
    pub name: String,
    /// Its fields with their numbers.
    pub fields: Vec<(String, u32)>,
    /// Numbers of fields that were removed.
    pub retired: Vec<u32>,
}

/// A finding for a macro to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// The item's name.
    pub item: String,
    /// Which part of it.
    pub part: Part,
    /// What, in a sentence.
    pub message: String,
    /// More.
    pub help: Option<String>,
}

/// The value of [`RUN`] for the file's text.
pub fn hash(text: &str) -> String {
    format!("{:016x}", fingerprint::hash(text))
}

impl Handover {
    /// The text of the file.
    pub fn write(&self) -> String {
        let mut out = format!("murmur {VERSION}\n");
        for krate in &self.crates {
            krate.write(&mut out);
        }
        out
    }

    /// Read the text of the file; an error says what is not understood.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first != format!("murmur {VERSION}") {
            return Err(format!("it was written by `{first}`, and this is `murmur {VERSION}`"));
        }
        let mut out = Self::default();
        for line in lines {
            let bad = || format!("`{line}` is not understood");
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "crate" {
                let (name, package) = rest.split_once(' ').ok_or_else(bad)?;
                out.crates.push(Crate { name: name.into(), package: package.into(), ..Crate::default() });
                continue;
            }
            out.crates.last_mut().and_then(|krate| krate.line(word, rest)).ok_or_else(bad)?;
        }
        Ok(out)
    }

    /// What is said of a crate.
    pub fn find(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|krate| krate.name == name)
    }
}

impl Crate {
    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "crate {} {}", self.name, self.package);
        for (item, fingerprint) in &self.seen {
            let _ = writeln!(out, "seen {item} {fingerprint:016x}");
        }
        for Message { name, fields, retired } in &self.messages {
            let fields: String = fields.iter().map(|(name, number)| format!(" {name}={number}")).collect();
            let retired: String = retired.iter().map(|number| format!(" -{number}")).collect();
            let _ = writeln!(out, "message {name}{fields}{retired}");
        }
        for (service, contract) in &self.contracts {
            let _ = writeln!(out, "contract {service} {contract}");
        }
        for finding in &self.findings {
            let _ = writeln!(out, "finding {} {} {}", finding.code, finding.item, finding.part.to_word());
            for line in finding.message.lines() {
                let _ = writeln!(out, "| {line}");
            }
            for line in finding.help.iter().flat_map(|help| help.lines()) {
                let _ = writeln!(out, "? {line}");
            }
        }
    }

    fn line(&mut self, word: &str, rest: &str) -> Option<()> {
        match word {
            "seen" => {
                let (item, fingerprint) = rest.split_once(' ')?;
                self.seen.push((item.into(), u64::from_str_radix(fingerprint, 16).ok()?));
            }
            "message" => {
                let mut words = rest.split(' ');
                let mut message = Message { name: words.next()?.into(), ..Message::default() };
                for word in words {
                    match (word.strip_prefix('-'), word.split_once('=')) {
                        (Some(number), _) => message.retired.push(number.parse().ok()?),
                        (None, Some((name, number))) => message.fields.push((name.into(), number.parse().ok()?)),
                        (None, None) => return None,
                    }
                }
                self.messages.push(message);
            }
            "contract" => {
                let (service, contract) = rest.split_once(' ')?;
                self.contracts.push((service.into(), contract.into()));
            }
            "finding" => {
                let mut words = rest.split(' ');
                self.findings.push(Finding {
                    code: Code::find(words.next()?)?,
                    item: words.next()?.into(),
                    part: Part::from_word(words.next()?)?,
                    message: String::new(),
                    help: None,
                });
            }
            "|" => append(&mut self.findings.last_mut()?.message, rest),
            "?" => append(self.findings.last_mut()?.help.get_or_insert_default(), rest),
            _ => return None,
        }
        Some(())
    }

    /// The fingerprint of an item, if it was seen.
    pub fn fingerprint(&self, item: &str) -> Option<u64> {
        self.seen.iter().find(|(name, _)| name == item).map(|(_, fingerprint)| *fingerprint)
    }

    /// The numbers of a message.
    pub fn message(&self, name: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.name == name)
    }
}

impl Message {
    /// The number of a field.
    pub fn number(&self, field: &str) -> Option<u32> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, number)| *number)
    }
}

fn append(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes;

    fn example() -> Handover {
        Handover {
            crates: vec![Crate {
                name: "page_traffic".into(),
                package: "page_traffic.v1".into(),
                seen: vec![("PageView".into(), 7), ("page_traffic".into(), u64::MAX)],
                messages: vec![
                    Message {
                        name: "Traffic".into(),
                        fields: vec![("views".into(), 1), ("visitors".into(), 4)],
                        retired: vec![2, 3],
                    },
                    Message { name: "Nothing".into(), ..Message::default() },
                ],
                contracts: vec![("PageTrafficService".into(), "2-4e1c0fd0a1a3c0b7".into())],
                findings: vec![Finding {
                    code: codes::UNKNOWN_FIELD,
                    item: "page_traffic".into(),
                    part: Part::Key("page".into()),
                    message: "a sentence\nand another".into(),
                    help: Some("help".into()),
                }],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = example().write();
        assert_eq!(Handover::read(&text), Ok(example()), "{text}");
    }

    #[test]
    fn another_release_is_refused() {
        let error = Handover::read("murmur 0.0.0\n").unwrap_err();
        assert_eq!(error, format!("it was written by `murmur 0.0.0`, and this is `murmur {VERSION}`"));
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for line in [
            "seen a 1",
            "crate a b\nseen a",
            "crate a b\nseen a xyz",
            "crate a b\n| x",
            "crate a b\nmessage m a",
            "crate a b\ncontract S",
        ] {
            assert!(Handover::read(&format!("murmur {VERSION}\n{line}\n")).is_err(), "{line}");
        }
    }
}
