use super::{Break, rules};
use crate::codes::{self, Code};
use crate::item::Part;
use crate::lock::{self, Lock};
use crate::schema::{self, Place, Schema};

/// Breaks of services and of the tables behind them.
pub(super) fn find(old: &Lock, new: &Lock, schema: &Schema, found: &mut Vec<Break>) {
    for (name, before) in &old.services {
        match new.services.get(name) {
            None => found.push(Break {
                code: codes::SERVICE_REMOVED,
                subject: name.clone(),
                place: Place::Gone,
                change: "present -> gone".into(),
                message: format!("the service `{name}` is in the lock, and no pipeline makes it any more"),
            }),
            Some(after) => service(name, before, after, found),
        }
    }
    for table in &schema.tables {
        if let (Some(before), Some(after)) = (old.tables.get(&table.name), new.tables.get(&table.name)) {
            self::table(table, before, after, answer_changed(old, new, &table.service), found);
        }
    }
}

fn answer_changed(old: &Lock, new: &Lock, service: &str) -> bool {
    let (before, after) = (old.services.get(service), new.services.get(service));
    matches!((before, after), (Some(before), Some(after)) if !rules::compatible(&before.value, &after.value))
}

fn service(name: &str, before: &lock::Service, after: &lock::Service, found: &mut Vec<Break>) {
    let place = |part| Place::Pipeline(name.to_owned(), part);
    for (rpc, types) in &before.rpcs {
        let subject = format!("{name}.{rpc}");
        match after.rpcs.get(rpc) {
            None => found.push(Break {
                code: codes::RPC_REMOVED,
                subject,
                place: place(Part::Name),
                change: "present -> gone".into(),
                message: format!("the method `{rpc}` of `{name}` is in the lock, and this release makes none"),
            }),
            Some(now) if now != types => found.push(Break {
                code: codes::RPC_CHANGED,
                subject,
                place: place(Part::Name),
                change: format!("{types} => {now}"),
                message: format!("the method `{rpc}` of `{name}` was `{types}` and is `{now}` now"),
            }),
            Some(_) => {}
        }
    }
    if !rules::compatible(&before.value, &after.value) {
        found.push(Break {
            code: codes::ANSWER_CHANGED,
            subject: name.to_owned(),
            place: place(Part::Output),
            change: format!("{} -> {}", before.value, after.value),
            message: format!("`{name}` answered with `{}` and would answer with `{}` now", before.value, after.value),
        });
    }
}

fn table(
    table: &schema::Table,
    before: &lock::Table,
    after: &lock::Table,
    answer_changed: bool,
    found: &mut Vec<Break>,
) {
    let mut say = |code: Code, part: Part, what: &str, before: &str, after: &str| {
        let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let (before, after) = (or_none(before), or_none(after));
        found.push(Break {
            code,
            subject: table.name.clone(),
            place: Place::Pipeline(table.service.clone(), part),
            change: format!("{before} -> {after}"),
            message: format!("{what} of the table `{}` was `{before}` and is `{after}` now", table.name),
        });
    };
    if before.key != after.key {
        say(codes::KEY_CHANGED, Part::Name, "the key", &before.key, &after.key);
    } else if before.rollup != after.rollup {
        say(codes::ROLLUP_CHANGED, Part::Name, "the rollup", &before.rollup, &after.rollup);
    }
    if before.layout != after.layout {
        say(codes::LAYOUT_CHANGED, Part::Window, "the window", &before.layout, &after.layout);
    } else if before.keep != after.keep {
        say(codes::RETENTION_CHANGED, Part::Window, "the retention", &before.keep, &after.keep);
    }
    if before.value != after.value {
        // Clients would see it as well: said once, about the service.
        if !answer_changed {
            say(codes::AGGREGATE_CHANGED, Part::Output, "the aggregate", &before.value, &after.value);
        }
    } else if before.form != after.form {
        say(codes::FORM_CHANGED, Part::Output, "the form", &before.form, &after.form);
    }
}
