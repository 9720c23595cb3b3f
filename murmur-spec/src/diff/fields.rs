use super::{Break, rules};
use crate::codes::{self, Code};
use crate::lock::{Fact, Lock, Numbered};
use crate::schema::{Place, Schema};

/// Breaks of messages and enums.
pub(super) fn find(old: &Lock, new: &Lock, schema: &Schema, found: &mut Vec<Break>) {
    for message in &schema.messages {
        if live(old.enums.get(&message.name)) {
            found.push(kind_break(&message.name, "enum -> message"));
            continue;
        }
        // A changed key is one finding about its table, not one per field.
        if key_changed(old, new, schema, &message.name) {
            continue;
        }
        if let (Some(before), Some(after)) = (old.messages.get(&message.name), new.messages.get(&message.name)) {
            numbered(&message.name, before, after, &str::to_owned, found);
        }
    }
    for item in &schema.enums {
        let variant = |value: &str| {
            let known = item.values.iter().find(|known| known.name == value);
            known.map_or_else(|| value.to_owned(), |known| known.variant.clone())
        };
        if live(old.messages.get(&item.name)) {
            found.push(kind_break(&item.name, "message -> enum"));
            continue;
        }
        if let (Some(before), Some(after)) = (old.enums.get(&item.name), new.enums.get(&item.name)) {
            numbered(&item.name, before, after, &variant, found);
            for (number, fact) in after.fields() {
                let renamed = before.fields().find(|(n, before)| *n == number && before.name != fact.name);
                if let Some((_, before)) = renamed {
                    found.push(Break {
                        code: codes::VALUE_RENAMED,
                        subject: format!("{}.{}", item.name, fact.name),
                        place: Place::Field(item.name.clone(), variant(&fact.name)),
                        change: format!("{} -> {}", before.name, fact.name),
                        message: format!(
                            "value {number} of `{}` was `{}` and is `{}` now",
                            item.name, before.name, fact.name
                        ),
                    });
                }
            }
        }
    }
}

fn live(numbered: Option<&Numbered>) -> bool {
    numbered.is_some_and(|numbered| !numbered.gone)
}

fn key_changed(old: &Lock, new: &Lock, schema: &Schema, key: &str) -> bool {
    schema.tables.iter().filter(|table| table.key == key).any(|table| {
        matches!((old.tables.get(&table.name), new.tables.get(&table.name)), (Some(a), Some(b)) if a.key != b.key)
    })
}

fn kind_break(name: &str, change: &str) -> Break {
    Break {
        code: codes::KIND_CHANGED,
        subject: name.to_owned(),
        place: Place::Whole(name.to_owned()),
        change: change.to_owned(),
        message: format!("`{name}` changed its kind: {change}"),
    }
}

fn numbered(
    owner: &str,
    before: &Numbered,
    after: &Numbered,
    rust_name: &dyn Fn(&str) -> String,
    found: &mut Vec<Break>,
) {
    for (number, fact) in after.fields() {
        let mut say = |code, change: String, message: String| {
            let subject = format!("{owner}.{}", fact.name);
            found.push(Break { code, subject, place: place(code, owner, rust_name(&fact.name)), change, message });
        };
        let same_name = before.field(&fact.name);
        let same_number = before.fields().find(|(known, _)| *known == number);
        match same_name.or(same_number) {
            Some((old_number, old)) => {
                if let Some((code, change)) = rules::field_break(old, fact) {
                    let message = changed(owner, old, fact, &change);
                    say(code, change, message);
                } else if old_number != number {
                    say(
                        codes::NUMBER_CHANGED,
                        format!("{old_number} -> {number}"),
                        format!("`{}` of `{owner}` had number {old_number} and gets {number} now", fact.name),
                    );
                }
            }
            None if before.was_removed(&fact.name) => say(
                codes::NAME_REMOVED,
                format!("removed -> {}", if fact.shape.is_empty() { "value" } else { &fact.shape }),
                format!("`{owner}` had a field `{}` before, which was removed", fact.name),
            ),
            None => {}
        }
    }
}

/// Changes of a type are shown on the type.
fn place(code: Code, owner: &str, field: String) -> Place {
    let of_type = [codes::TYPE_CHANGED, codes::CARDINALITY_CHANGED, codes::AGGREGATE_CHANGED].contains(&code);
    if of_type { Place::Type(owner.to_owned(), field) } else { Place::Field(owner.to_owned(), field) }
}

fn changed(owner: &str, old: &Fact, new: &Fact, change: &str) -> String {
    let (before, after) = change.split_once(" -> ").unwrap_or((change, ""));
    let renamed = if old.name == new.name { String::new() } else { format!(" (then `{}`)", old.name) };
    format!("`{}` of `{owner}`{renamed} was `{before}` in the lock and is `{after}` now", new.name)
}
