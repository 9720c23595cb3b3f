use std::fmt;

use super::{Entry, Lock, Numbered};

const HEAD: &str = "\
# Numbers and shapes that clients and stored data rely on. Commit this file with the source.
# Written by `cargo murmur sync`; breaks are accepted with `cargo murmur accept`.
";

/// The text of the file: the same lock always gives the same bytes.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        writeln!(f, "package {}", self.package)?;
        for (name, message) in &self.messages {
            numbered(f, "message", name, message)?;
        }
        for (name, enumeration) in &self.enums {
            numbered(f, "enum", name, enumeration)?;
        }
        for (name, service) in &self.services {
            writeln!(f, "\n[service {name}]\nkey {}\nvalue {}", service.key, service.value)?;
            for (rpc, types) in &service.rpcs {
                writeln!(f, "rpc {rpc} {types}")?;
            }
            for fingerprint in &service.serves {
                writeln!(f, "serves {fingerprint}")?;
            }
        }
        for (name, table) in &self.tables {
            writeln!(f, "\n[table {name}]\nkey {}", table.key)?;
            if !table.rollup.is_empty() {
                writeln!(f, "rollup {}", table.rollup)?;
            }
            writeln!(f, "value {}\nform {}", table.value, table.form)?;
            writeln!(f, "layout {}\nkeep {}", table.layout, table.keep)?;
        }
        if !self.decisions.is_empty() {
            writeln!(f, "\n[decisions]")?;
        }
        for decision in &self.decisions {
            let verb = if decision.done { "accepted" } else { "accept" };
            writeln!(f, "{verb} {} {} {}", decision.code, decision.subject, decision.change)?;
        }
        Ok(())
    }
}

fn numbered(f: &mut fmt::Formatter<'_>, kind: &str, name: &str, of: &Numbered) -> fmt::Result {
    writeln!(f, "\n[{kind} {name}]")?;
    if of.gone {
        writeln!(f, "gone")?;
    }
    for (number, entry) in &of.entries {
        match entry {
            Entry::Reserved(name) => writeln!(f, "reserved {number} {name}")?,
            Entry::Field(fact) => {
                write!(f, "{number} {}", fact.name)?;
                if !fact.shape.is_empty() {
                    write!(f, " {}", fact.shape)?;
                }
                if let Some(json) = &fact.json {
                    write!(f, " json {json}")?;
                }
                if let Some(kept) = &fact.kept {
                    write!(f, " as {kept}")?;
                }
                writeln!(f)?;
            }
        }
    }
    Ok(())
}
