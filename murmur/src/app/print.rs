//! Data goes to standard output, everything said about it to standard error.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, presets};

use super::call::Json;
use crate::Result;
use crate::time::Span;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Ndjson,
}

/// A line on standard error. If nobody listens there, nothing is lost.
pub(super) fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text on standard output.
pub(super) fn data(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// One thing of several, in the form that was asked for. Of a JSON object each member is a column.
pub(super) fn rows(output: Output, rows: &[Json], columns: impl Fn(&Json) -> Vec<(String, Cell)>) -> Result<()> {
    match output {
        Output::Table => data(&table(rows.iter().map(columns), None)),
        Output::Json => data(&format!("{:#}\n", Json::Array(rows.to_vec()))),
        Output::Ndjson => data(&rows.iter().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{row}");
            text
        })),
    }
}

/// One thing, in the form that was asked for.
pub(super) fn one(output: Output, row: &Json, columns: impl Fn(&Json) -> Vec<(String, Cell)>) -> Result<()> {
    match output {
        Output::Table => data(&table(std::iter::once(columns(row)), None)),
        Output::Json => data(&format!("{row:#}\n")),
        Output::Ndjson => data(&format!("{row}\n")),
    }
}

/// A table as a text, no wider than the terminal. The first row names the columns; `height` is the most lines that a
/// row may take, and what does not fit is cut.
pub(super) fn table(rows: impl Iterator<Item = Vec<(String, Cell)>>, height: Option<usize>) -> String {
    let mut table = comfy_table::Table::new();
    let line = LineStyle::none().fill('─').junction('─');
    table.load_style(presets::NOTHING.header_separator(line)).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(terminal_size::terminal_size().map_or(120, |(width, _)| width.0));
    for row in rows {
        if table.header().is_none() {
            table.set_header(row.iter().map(|(name, _)| visible(name)));
        }
        let cells = row.into_iter().map(|(_, cell)| {
            let alignment = if cell.right { CellAlignment::Right } else { CellAlignment::Left };
            comfy_table::Cell::new(visible(&cell.text)).set_alignment(alignment)
        });
        let mut row = comfy_table::Row::from(cells.collect::<Vec<_>>());
        if let Some(height) = height {
            row.max_height(height);
        }
        table.add_row(row);
    }
    format!("{table}\n")
}

/// A text out of the data, in which nothing gives orders to a terminal: control characters, and those that turn or break
/// the direction of what stands beside them, are written as their escapes.
fn visible(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 16), |mut shown, c| {
            if obeyed(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
        .into()
}

/// Of a list of frequent items, a table shows this many.
const ITEMS: usize = 3;

/// A value as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    /// Numbers stand on the right.
    right: bool,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), right: false }
    }

    pub(super) fn number(number: impl fmt::Display) -> Self {
        Self { text: grouped(&number.to_string()), right: true }
    }

    /// A value of a reply. The messages of `murmur.v1` are known by their fields.
    pub(super) fn of(value: &Json) -> Self {
        let part = |name: &str| value.get(name).filter(|part| !part.is_null());
        if let (Some(estimate), Some(lower), Some(upper)) = (part("value"), part("lower"), part("upper")) {
            return Self::estimate(estimate, lower, upper);
        }
        if let (Some(Json::Array(items)), Some(_)) = (part("items"), part("maximum_error")) {
            let more = if items.len() > ITEMS { ", …" } else { "" };
            let items = items.iter().take(ITEMS).map(|item| {
                let count = item.get("count").map(Self::of).map_or_else(String::new, |cell| cell.text);
                format!("{} {count}", item.get("item").and_then(Json::as_str).unwrap_or_default())
            });
            return Self::text(items.collect::<Vec<_>>().join(", ") + more);
        }
        if let (Some(_), Some(_)) = (part("count"), part("sum")) {
            return part("mean").map_or_else(|| Self::text(""), Self::of);
        }
        if value.get("at").is_some() && value.get("value").is_some() {
            let day = part("at").and_then(Json::as_str).map(|at| at.split('T').next().unwrap_or(at));
            let value = part("value").map_or_else(String::new, |value| short(&Self::of(value).text));
            return Self::text(day.map_or(value.clone(), |day| format!("{day} {value}")));
        }
        match value {
            Json::Null => Self::text(""),
            Json::Number(number) => match number.as_f64() {
                Some(float) if !number.is_u64() && !number.is_i64() => Self::number(format!("{float:.2}")),
                _ => Self::number(number),
            },
            // 64-bit numbers are strings in protobuf's JSON.
            Json::String(text) if is_whole(text) => Self::number(text),
            Json::String(text) => Self::text(text),
            other => Self::text(other.to_string()),
        }
    }

    fn estimate(value: &Json, lower: &Json, upper: &Json) -> Self {
        let number = |json: &Json| json.as_f64().unwrap_or_default();
        let half = ((number(upper) - number(lower)) / 2.0).round();
        let value = grouped(&format!("{:.0}", number(value)));
        if half < 1.0 {
            Self { text: value, right: true }
        } else {
            Self { text: format!("{value} ± {}", grouped(&format!("{half:.0}"))), right: true }
        }
    }
}

/// Names of a message's fields in their order, which JSON objects do not keep.
pub(super) type Fields = Vec<String>;

/// The columns of a key.
pub(super) fn key_columns(key: &Json, fields: &Fields) -> Vec<(String, Cell)> {
    let present = fields.iter().filter_map(|name| Some((name, key.get(name).filter(|value| !value.is_null())?)));
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    present.map(|(name, value)| (name.clone(), Cell::text(text(value)))).collect()
}

/// The columns of a value; one when it is no message of the user's.
pub(super) fn value_columns(value: &Json, fields: &Fields) -> Vec<(String, Cell)> {
    if fields.is_empty() {
        return vec![("value".to_owned(), Cell::of(value))];
    }
    fields.iter().map(|name| (name.clone(), Cell::of(value.get(name).unwrap_or(&Json::Null)))).collect()
}

/// The number that a row is ordered by, and that its bar shows.
pub(super) fn magnitude(value: &Json) -> Option<f64> {
    match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) if is_whole(text) => text.parse().ok(),
        Json::Object(fields) => {
            ["value", "total", "mean"].iter().find_map(|name| fields.get(*name).and_then(magnitude))
        }
        _ => None,
    }
}

/// At most this many characters of a text that is one of several things in a cell.
const SHORT: usize = 24;

fn short(text: &str) -> String {
    if text.chars().count() <= SHORT { text.to_owned() } else { text.chars().take(SHORT - 1).chain(['…']).collect() }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `1234567.5` as `1,234,567.5`.
fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut text = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        let _ = write!(text, ".{fraction}");
    }
    text
}

/// How long ago, in the two largest units, below a minute to the tenth of a second.
pub(super) fn ago(span: Span) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds = span.as_seconds();
    match UNITS.iter().position(|(_, length)| seconds >= *length && *length > 1) {
        Some(at) => {
            let [(large, length), (small, part)] = [UNITS[at], UNITS[at + 1]];
            format!("{}{large}{}{small}", seconds / length, seconds % length / part)
        }
        None => format!("{:.1}s", span.as_seconds_f64()),
    }
}

/// A bar of at most twenty cells, to the eighth of a cell.
pub(super) fn bar(value: f64, most: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = if most > 0.0 { (value / most * 160.0).round().clamp(0.0, 160.0) as usize } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(value: Json) -> String {
        Cell::of(&value).text
    }

    #[test]
    fn values_read_as_a_person_writes_them() {
        assert_eq!(text(json!("1234567")), "1,234,567");
        assert_eq!(text(json!("-42")), "-42");
        assert_eq!(text(json!(1234.5)), "1,234.50");
        assert_eq!(text(json!({"value": 1000.2, "lower": 970.0, "upper": 1030.0})), "1,000 ± 30");
        assert_eq!(text(json!({"value": 3.0000001, "lower": 3.0, "upper": 3.0})), "3");
        let top = json!({"items": [{"item": "a", "count": "12"}, {"item": "b", "count": "3"}], "maximum_error": "0"});
        assert_eq!(text(top), "a 12, b 3");
        assert_eq!(text(json!({"at": "2005-04-16T22:20:36Z", "value": "begin"})), "2005-04-16 begin");
        assert_eq!(text(json!({"mean": null, "count": "0", "sum": 0.0})), "");
    }

    #[test]
    fn nothing_in_the_data_gives_orders_to_the_terminal() {
        let top = json!({"items": [{"item": "a\r\u{9b}2Jb", "count": "12"}], "maximum_error": "0"});
        let key = json!({"author": "Eve\u{1b}[31m\u{202e}nimda\n\t\u{7f}"});
        let mut row = key_columns(&key, &vec!["author".to_owned()]);
        row.push(("top".to_owned(), Cell::of(&top)));
        let shown = table(std::iter::once(row), None);
        assert!(shown.contains("Eve\\u{1b}[31m\\u{202e}nimda\\n\\t\\u{7f}"), "{shown}");
        assert!(shown.contains("a\\r\\u{9b}2Jb 12"), "{shown}");
        let harmless = |c: char| c == '\n' || !(c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
        assert!(shown.chars().all(harmless), "{shown:?}");
        assert_eq!(visible("Zoë 山田 \\ 👩‍🚀"), "Zoë 山田 \\ 👩‍🚀");
    }

    #[test]
    fn times_are_short_to_read() {
        let ago = |text: &str| ago(text.parse().unwrap());
        assert_eq!([ago("0s"), ago("59s900ms"), ago("60s")], ["0.0s", "59.9s", "1m0s"]);
        assert_eq!([ago("3599s"), ago("26h"), ago("95d16h24m")], ["59m59s", "1d2h", "95d16h"]);
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.0, 10.0), "");
        assert_eq!(bar(10.0, 10.0).chars().count(), 20);
        assert_eq!(bar(5.0, 10.0), "█".repeat(10));
        assert_eq!(bar(1.0, 0.0), "");
    }

    #[test]
    fn columns_stand_in_the_order_of_the_fields() {
        let fields = ["views".to_owned(), "at_most".to_owned()].into();
        let columns = value_columns(&json!({"at_most": "7", "views": "2"}), &fields);
        let columns: Vec<_> = columns.iter().map(|(name, cell)| (name.as_str(), cell.text.as_str())).collect();
        assert_eq!(columns, [("views", "2"), ("at_most", "7")]);
        assert_eq!(value_columns(&json!("5"), &Fields::new()), [("value".to_owned(), Cell::number(5))]);
    }
}
