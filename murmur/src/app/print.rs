//! Data goes to standard output, everything said about it to standard error.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, presets};
use prost_reflect::FieldDescriptor;

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

    /// A value of a document of our own, where numbers are numbers.
    pub(super) fn of(value: &Json) -> Self {
        match value {
            Json::Null => Self::text(""),
            Json::Number(number) => Self::number(number),
            Json::String(text) => Self::text(text),
            other => Self::text(other.to_string()),
        }
    }

    /// A value of a reply, whose JSON form alone does not say what it is.
    pub(super) fn typed(value: &Json, kind: &Kind) -> Self {
        let part = |name: &str| value.get(name).filter(|part| !part.is_null());
        match kind {
            _ if value.is_null() => Self::text(""),
            Kind::Whole => Self::number(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            Kind::Float => Self { text: number(value).map_or_else(|| value.to_string(), float), right: true },
            Kind::Estimate => match (part("value"), part("lower"), part("upper")) {
                (Some(estimate), Some(lower), Some(upper)) => Self::estimate(estimate, lower, upper),
                _ => Self::text(""),
            },
            Kind::Mean => part("mean").map_or_else(|| Self::text(""), |mean| Self::typed(mean, &Kind::Float)),
            Kind::Top => {
                let items = part("items").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                let more = if items.len() > ITEMS { ", …" } else { "" };
                let items = items.iter().take(ITEMS).map(|item| {
                    let count = item.get("count").map_or_else(String::new, |n| Self::typed(n, &Kind::Whole).text);
                    format!("{} {count}", item.get("item").and_then(Json::as_str).unwrap_or_default())
                });
                Self::text(items.collect::<Vec<_>>().join(", ") + more)
            }
            Kind::Timed(kind) => {
                let day = part("at").and_then(Json::as_str).map(|at| at.split('T').next().unwrap_or(at));
                let value = part("value").map_or_else(String::new, |value| short(&Self::typed(value, kind).text));
                Self::text(day.map_or(value.clone(), |day| format!("{day} {value}")))
            }
            Kind::Other => Self::text(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        }
    }

    fn estimate(value: &Json, lower: &Json, upper: &Json) -> Self {
        let number = |json: &Json| number(json).unwrap_or_default();
        let half = ((number(upper) - number(lower)) / 2.0).round();
        let whole = |value: f64| if value.abs() < LARGE { grouped(&format!("{value:.0}")) } else { float(value) };
        let value = whole(number(value));
        let text = if half < 1.0 { value } else { format!("{value} ± {}", whole(half)) };
        Self { text, right: true }
    }
}

/// What a value of a reply is, by the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number; one of 64 bits is a string in protobuf's JSON.
    Whole,
    /// A float, which is a string there when it is not finite.
    Float,
    /// `murmur.v1.Estimate`.
    Estimate,
    /// `murmur.v1.Average`.
    Mean,
    /// `murmur.v1.TopItems`.
    Top,
    /// `murmur.v1.TimedString` and its like, of this.
    Timed(Box<Kind>),
    /// Texts, times, and all that has no form of its own here.
    Other,
}

impl Kind {
    /// Of a field.
    pub(super) fn of(field: &FieldDescriptor) -> Self {
        use prost_reflect::Kind as K;
        if field.is_list() || field.is_map() {
            return Self::Other;
        }
        match field.kind() {
            K::Double | K::Float => Self::Float,
            K::Int32 | K::Int64 | K::Uint32 | K::Uint64 | K::Sint32 | K::Sint64 => Self::Whole,
            K::Fixed32 | K::Fixed64 | K::Sfixed32 | K::Sfixed64 => Self::Whole,
            K::Message(message) => match message.full_name().strip_prefix("murmur.v1.") {
                Some("Estimate") => Self::Estimate,
                Some("Average") => Self::Mean,
                Some("TopItems") => Self::Top,
                Some(name) if name.starts_with("Timed") => {
                    let value = message.get_field_by_name("value");
                    Self::Timed(Box::new(value.map_or(Self::Other, |value| Self::of(&value))))
                }
                _ => Self::Other,
            },
            _ => Self::Other,
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

/// What the columns of a value are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A message of the user's, by its fields.
    Fields(Vec<(String, Kind)>),
    /// Anything else is one column.
    One(Kind),
}

impl Value {
    /// The columns.
    pub(super) fn columns(&self, value: &Json) -> Vec<(String, Cell)> {
        let column = |name: &str, value: &Json, kind: &Kind| (name.to_owned(), Cell::typed(value, kind));
        match self {
            Self::One(kind) => vec![column("value", value, kind)],
            Self::Fields(fields) => {
                let part = |name: &str| value.get(name).unwrap_or(&Json::Null);
                fields.iter().map(|(name, kind)| column(name, part(name), kind)).collect()
            }
        }
    }

    /// Whether it has a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Fields(fields) if fields.iter().any(|(field, _)| field == name))
    }

    /// The number that a row is ordered by, and that its bar shows: its field `by`, or the first that is a number.
    pub(super) fn size(&self, value: &Json, by: Option<&str>) -> Option<f64> {
        match self {
            Self::One(kind) => magnitude(value, kind),
            Self::Fields(fields) => {
                let mut fields = fields.iter().filter(|(name, _)| by.is_none_or(|by| by == name));
                fields.find_map(|(name, kind)| magnitude(value.get(name)?, kind))
            }
        }
    }
}

fn magnitude(value: &Json, kind: &Kind) -> Option<f64> {
    match kind {
        Kind::Whole | Kind::Float => number(value),
        Kind::Estimate => number(value.get("value")?),
        Kind::Mean => number(value.get("mean")?),
        Kind::Top => number(value.get("total")?),
        Kind::Timed(kind) => magnitude(value.get("value")?, kind),
        Kind::Other => None,
    }
}

/// A number of protobuf's JSON.
fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// From here on all digits of a float are more than anybody reads, and more than it knows.
const LARGE: f64 = 1e15;

fn float(value: f64) -> String {
    if value.is_finite() && value.abs() >= LARGE { format!("{value:.6e}") } else { grouped(&format!("{value:.2}")) }
}

/// At most this many characters of a text that is one of several things in a cell.
const SHORT: usize = 24;

fn short(text: &str) -> String {
    if text.chars().count() <= SHORT { text.to_owned() } else { text.chars().take(SHORT - 1).chain(['…']).collect() }
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

    fn text(value: Json, kind: Kind) -> String {
        Cell::typed(&value, &kind).text
    }

    fn timed(kind: Kind) -> Kind {
        Kind::Timed(Box::new(kind))
    }

    #[test]
    fn values_read_as_a_person_writes_them() {
        assert_eq!(text(json!("1234567"), Kind::Whole), "1,234,567");
        assert_eq!(text(json!("-42"), Kind::Whole), "-42");
        assert_eq!(text(json!(7), Kind::Whole), "7");
        assert_eq!(text(json!(1234.5), Kind::Float), "1,234.50");
        assert_eq!(text(json!({"value": 1000.2, "lower": 970.0, "upper": 1030.0}), Kind::Estimate), "1,000 ± 30");
        assert_eq!(text(json!({"value": 3.0000001, "lower": 3.0, "upper": 3.0}), Kind::Estimate), "3");
        let top = json!({"items": [{"item": "a", "count": "12"}, {"item": "b", "count": "3"}], "maximum_error": "0"});
        assert_eq!(text(top, Kind::Top), "a 12, b 3");
        let first = json!({"at": "2005-04-16T22:20:36Z", "value": "begin"});
        assert_eq!(text(first, timed(Kind::Other)), "2005-04-16 begin");
        assert_eq!(text(json!({"mean": null, "count": "0", "sum": 0.0}), Kind::Mean), "");
    }

    /// A text of digits, such as a telephone number, is a text, and a number of 64 bits is none.
    #[test]
    fn what_is_a_number_is_said_by_its_type() {
        assert_eq!(Cell::typed(&json!("0049301234567"), &Kind::Other), Cell::text("0049301234567"));
        assert_eq!(text(json!({"at": null, "value": "123456"}), timed(Kind::Other)), "123456");
        assert_eq!(text(json!({"at": null, "value": "123456"}), timed(Kind::Whole)), "123,456");
        let value = Value::Fields(vec![("phone".into(), Kind::Other), ("views".into(), Kind::Whole)]);
        assert_eq!(value.size(&json!({"phone": "900", "views": "7"}), None), Some(7.0));
        assert_eq!(value.size(&json!({"phone": "900", "views": "7"}), Some("phone")), None);
    }

    #[test]
    fn a_large_float_is_one_short_number() {
        assert_eq!(text(json!(999_999_999_999_999.5), Kind::Float), "999,999,999,999,999.50");
        assert_eq!(text(json!(1e15), Kind::Float), "1.000000e15");
        assert_eq!(text(json!(-1.234_567_89e300), Kind::Float), "-1.234568e300");
        assert_eq!(text(json!("Infinity"), Kind::Float), "inf");
        assert_eq!(
            text(json!({"value": 2e18, "lower": 1e18, "upper": 3e18}), Kind::Estimate),
            "2.000000e18 ± 1.000000e18"
        );
    }

    #[test]
    fn kinds_are_those_of_the_descriptor() {
        let types = "murmur/v1/types.proto";
        let mut compiler = protox::Compiler::new(["../proto-templates"]).unwrap();
        let pool = compiler.include_imports(true).open_file(types).unwrap().descriptor_pool();
        let kind = |message: &str, field: &str| {
            Kind::of(&pool.get_message_by_name(message).unwrap().get_field_by_name(field).unwrap())
        };
        assert_eq!(kind("murmur.v1.TopItem", "item"), Kind::Other);
        assert_eq!(kind("murmur.v1.TopItem", "count"), Kind::Whole);
        assert_eq!(kind("murmur.v1.Average", "mean"), Kind::Float);
        assert_eq!(kind("murmur.v1.TimedString", "value"), Kind::Other);
        assert_eq!(kind("murmur.v1.TopItems", "items"), Kind::Other);
    }

    #[test]
    fn nothing_in_the_data_gives_orders_to_the_terminal() {
        let top = json!({"items": [{"item": "a\r\u{9b}2Jb", "count": "12"}], "maximum_error": "0"});
        let key = json!({"author": "Eve\u{1b}[31m\u{202e}nimda\n\t\u{7f}"});
        let mut row = key_columns(&key, &vec!["author".to_owned()]);
        row.push(("top".to_owned(), Cell::typed(&top, &Kind::Top)));
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
        let value = Value::Fields(["views", "at_most"].map(|name| (name.to_owned(), Kind::Whole)).into());
        let columns = value.columns(&json!({"at_most": "7", "views": "2"}));
        let columns: Vec<_> = columns.iter().map(|(name, cell)| (name.as_str(), cell.text.as_str())).collect();
        assert_eq!(columns, [("views", "2"), ("at_most", "7")]);
        assert_eq!(Value::One(Kind::Whole).columns(&json!("5")), [("value".to_owned(), Cell::number(5))]);
    }
}
