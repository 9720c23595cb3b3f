use std::collections::BTreeMap;
use std::fmt;

use crate::lock::{Entry, Fact, Lock, Numbered};

/// A difference between the lock as it is and as it would be, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about: `PageView.country`.
    pub subject: String,
    /// What happens: `new, number 6`.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.subject, self.what)
    }
}

/// All differences, in the order of the lock.
pub(super) fn between(old: &Lock, new: &Lock) -> Vec<Change> {
    let mut out = Vec::new();
    if old.package != new.package {
        push(&mut out, "package", format!("`{}`", new.package));
    }
    maps(&old.messages, &new.messages, &mut out);
    maps(&old.enums, &new.enums, &mut out);
    // Which clients are served follows from the rest.
    whole(
        &old.services,
        &new.services,
        |a, b| (&a.key, &a.value, &a.rpcs) == (&b.key, &b.value, &b.rpcs),
        "service",
        &mut out,
    );
    for (name, before) in &old.services {
        let after = new.services.get(name).map(|after| &after.serves);
        let present = before.serves.last();
        if after.zip(present).is_some_and(|(after, present)| !after.contains(present)) {
            let what = "clients that were made before are refused then; make them anew with `cargo murmur clients`";
            push(&mut out, name, what.into());
        }
    }
    whole(&old.tables, &new.tables, PartialEq::eq, "table", &mut out);
    out
}

fn push(out: &mut Vec<Change>, subject: &str, what: String) {
    out.push(Change { subject: subject.to_owned(), what });
}

fn whole<T>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    equal: impl Fn(&T, &T) -> bool,
    kind: &str,
    out: &mut Vec<Change>,
) {
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        push(out, name, format!("{kind} removed"));
    }
    for (name, after) in new {
        match old.get(name) {
            None => push(out, name, format!("new {kind}")),
            Some(before) if !equal(before, after) => push(out, name, format!("{kind} changed")),
            Some(_) => {}
        }
    }
}

fn maps(old: &BTreeMap<String, Numbered>, new: &BTreeMap<String, Numbered>, out: &mut Vec<Change>) {
    for (name, after) in new {
        match old.get(name) {
            None => push(out, name, format!("new, numbers {}", numbers(after))),
            Some(before) => {
                match (before.gone, after.gone) {
                    (false, true) => push(out, name, "gone from the source; its numbers stay reserved".into()),
                    (true, false) => push(out, name, "back in the source, with the numbers it had".into()),
                    _ => {}
                }
                fields(name, before, after, out);
            }
        }
    }
}

fn numbers(of: &Numbered) -> String {
    match (of.entries.keys().next(), of.entries.keys().next_back()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(only), _) => only.to_string(),
        _ => "none".into(),
    }
}

fn fields(owner: &str, before: &Numbered, after: &Numbered, out: &mut Vec<Change>) {
    for (number, entry) in &after.entries {
        let was = before.entries.get(number);
        if was == Some(entry) {
            continue;
        }
        match (was, entry) {
            (None, Entry::Field(fact)) => push(out, &subject(owner, fact), format!("new, number {number}")),
            (Some(Entry::Field(old)), Entry::Reserved(name)) if after.field(name).is_some() => {
                push(
                    out,
                    &format!("{owner}.{name}"),
                    format!("was `{}`; number {number} is never given again", show(old)),
                );
            }
            (Some(Entry::Field(old)), Entry::Reserved(name)) => {
                push(out, &format!("{owner}.{name}"), removed(*number, old, before, after));
            }
            (Some(Entry::Field(old)), Entry::Field(fact)) if old.name != fact.name => {
                push(out, &subject(owner, fact), format!("renamed from `{}`, number {number} stays", old.name));
            }
            (_, Entry::Field(fact)) => {
                push(out, &subject(owner, fact), format!("is `{}` now", show(fact)));
            }
            (_, Entry::Reserved(name)) => push(out, &format!("{owner}.{name}"), format!("number {number} reserved")),
        }
    }
}

fn show(fact: &Fact) -> String {
    match &fact.kept {
        Some(kept) => format!("{} as {kept}", fact.shape),
        None => fact.shape.clone(),
    }
}

fn subject(owner: &str, fact: &Fact) -> String {
    format!("{owner}.{}", fact.name)
}

/// A removed field and a new one of its shape are often one field that was renamed.
fn removed(number: u32, old: &Fact, before: &Numbered, after: &Numbered) -> String {
    let mut what = format!("removed, number {number} is never given again");
    let twin = after.fields().find(|(number, fact)| {
        !before.entries.contains_key(number)
            && fact.shape == old.shape
            && fact.kept == old.kept
            && fact.name != old.name
    });
    if let Some((_, twin)) = twin {
        what.push_str(&format!("; if `{}` is the same field, write `#[murmur(was = \"{}\")]`", twin.name, old.name));
    }
    what
}
