use serde_json::json;

use super::App;
use super::call::Json;
use super::cli::CheckArgs;
use super::entry::Entry;
use super::exit::Exit;
use super::print::{self, Cell, Output};
use crate::Result;
use crate::aggregate::Form;
use crate::key::MAX_KEY_BYTES;
use crate::size::PARTITIONS;
use crate::time::Window;

/// `check`: what can be said about the pipelines without running them.
pub(super) fn check(app: &App, args: &CheckArgs) -> Result<Exit> {
    let rows: Vec<Json> = app.entries.iter().map(row).collect();
    print::rows(args.output, &rows, |row| {
        let column = |name: &str| (name.to_owned(), Cell::of(row.get(name).unwrap_or(&Json::Null)));
        ["pipeline", "event", "key", "window", "slot", "tile", "writes", "dedup", "largest_item", "write_units"]
            .map(column)
            .into()
    })?;
    let together = twice(&app.entries).chain(formats(&app.entries));
    if matches!(args.output, Output::Table) {
        print::note(format_args!(
            "largest_item: most bytes of one item of a store, write_units: most that one write costs on DynamoDB; for keys of \
             {MAX_KEY_BYTES} bytes, and where the store adds, {PARTITIONS} partitions"
        ));
    }
    let problems: Vec<String> = together.collect();
    for problem in &problems {
        print::note(format_args!("problem: {problem}"));
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Problems })
}

fn row(entry: &Entry) -> Json {
    let grain = |fields: &&[&str]| format!("({})", fields.join(", "));
    let key = match entry.grains {
        [] | [_] => entry.key_fields.join(", "),
        grains => grains.iter().map(grain).collect::<Vec<_>>().join(" "),
    };
    let window = match entry.spec.window {
        Window::AllTime => "all time".to_owned(),
        Window::Tumbling { size, keep } => format!("tumbling {size}, kept {keep}"),
        Window::Sliding { span, .. } => format!("sliding {span}"),
    };
    let slots = entry.tiling.slots_per_tile();
    json!({
        "pipeline": entry.spec.name,
        "event": entry.event.name,
        "key": key,
        "window": window,
        "slot": entry.spec.window.slot().map(|slot| slot.to_string()),
        "tile": format!("{slots} {}", if slots == 1 { "slot" } else { "slots" }),
        "writes": match entry.form {
            Form::Add => "adds",
            Form::Put => "puts, one item a partition",
        },
        "dedup": entry.within.map(|within| format!("within {within}")),
        "largest_item": bytes(entry.size.largest),
        "largest_live_item": bytes(entry.size.live),
        "write_units": bounded(entry.size.write_units()),
        "largest_field": entry.largest_field.map(|(field, most)| json!({ "field": field, "bytes": bytes(most) })),
    })
}

/// A number of bytes or units, which a monoid of the user's may leave open.
fn bounded(number: Option<usize>) -> Json {
    number.map_or_else(|| json!("no bound"), |number| json!(number))
}

fn bytes(bytes: usize) -> Json {
    bounded((bytes != usize::MAX).then_some(bytes))
}

/// Pipelines that a binary has twice.
pub(super) fn twice(entries: &[Entry]) -> impl Iterator<Item = String> {
    entries.iter().enumerate().filter_map(|(at, entry)| {
        let twice = entries[..at].iter().any(|other| other.spec.name == entry.spec.name);
        twice.then(|| format!("there are two pipelines `{}`; they would share a table", entry.spec.name))
    })
}

/// Formats that cannot be, and pipelines that would read one event type in two of them.
pub(super) fn formats(entries: &[Entry]) -> impl Iterator<Item = String> {
    entries.iter().enumerate().flat_map(|(at, entry)| {
        let other = entries[..at].iter().find(|other| other.event == entry.event && other.format != entry.format);
        let two = other.map(|other| {
            format!(
                "`{}` and `{}` read `{}` from payloads of two formats; one worker reads both, so name one format",
                other.spec.name, entry.spec.name, entry.event.name
            )
        });
        let broken = (entry.readable_format)().err().map(|error| format!("`{}`: {error}", entry.spec.name));
        two.into_iter().chain(broken)
    })
}
