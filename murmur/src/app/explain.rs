//! What was read for an answer, as a person reads it.

use std::fmt::Write;

use super::call::Json;
use super::print::{self, Cell};

/// Ranges that are listed of what is not rolled.
const LISTED: usize = 10;

/// The `explanation` of a reply: a table of what was read, and below it what that cost, what it covers and what is not
/// rolled.
pub(super) fn table(reply: &Json, explanation: &Json) -> String {
    let list = |name| explanation.get(name).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let levels = list("levels").iter().map(|reads| {
        let number = |name| Cell::number(count(reads, name));
        vec![
            ("level".to_owned(), Cell::text(text(reads, "/level"))),
            ("reads".to_owned(), number("reads")),
            ("items".to_owned(), number("items")),
            ("bytes".to_owned(), number("bytes")),
            ("kept".to_owned(), number("kept")),
        ]
    });
    let mut out = format!("\n{}", if list("levels").is_empty() { String::new() } else { print::table(levels, None) });
    let units = |name| explanation.get(name).and_then(Json::as_f64);
    let consumed =
        units("consumed_units").map_or_else(String::new, |units| format!(" ({units} consumed, as the store says)"));
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} read units{consumed}, {}, {}",
        units("read_units").unwrap_or_default(),
        counted(count(explanation, "requests"), "request"),
        counted(count(explanation, "round_trips"), "round trip"),
    );
    let side = |name: &str, exact: &str| {
        let exact = reply.pointer(exact).and_then(Json::as_bool) == Some(true);
        format!("{}{}", text(reply, name), if exact { "" } else { " (moved)" })
    };
    let (start, end) = (side("/answer/start", "/answer/start_exact"), side("/answer/end", "/answer/end_exact"));
    let _ = writeln!(out, "covers {start} to {end}");
    let gaps = list("not_rolled");
    for gap in gaps.iter().take(LISTED) {
        let _ =
            writeln!(out, "not rolled: {} from {} to {}", text(gap, "/level"), text(gap, "/start"), text(gap, "/end"));
    }
    if gaps.len() > LISTED {
        let _ = writeln!(out, "not rolled: {} more", gaps.len() - LISTED);
    }
    out
}

fn text<'a>(json: &'a Json, path: &str) -> &'a str {
    json.pointer(path).and_then(Json::as_str).unwrap_or("-")
}

/// A number of 64 bits, which is a text in protobuf's JSON.
fn count(json: &Json, name: &str) -> u64 {
    json.get(name).and_then(Json::as_str).and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_reads_what_was_read_what_it_cost_and_what_is_not_rolled() {
        let gap = json!({ "level": "day", "start": "2026-05-01T00:00:00Z", "end": "2026-05-01T09:00:00Z" });
        let explanation = json!({
            "levels": [{ "level": "hour", "reads": "11", "items": "9", "bytes": "12345", "kept": "2" }],
            "read_units": 6.5, "consumed_units": 7.0, "requests": "3", "round_trips": "1",
            "not_rolled": vec![gap; 12],
        });
        let answer = json!({
            "start": "2026-05-01T00:00:00Z", "end": "2026-05-01T10:17:00Z", "start_exact": true, "end_exact": false,
        });
        let shown = table(&json!({ "answer": answer }), &explanation);
        let lines: Vec<&str> = shown.lines().map(str::trim).collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[1]), ["level", "reads", "items", "bytes", "kept"]);
        assert_eq!(words(lines[3]), ["hour", "11", "9", "12,345", "2"]);
        assert_eq!(lines[4], "6.5 read units (7 consumed, as the store says), 3 requests, 1 round trip");
        assert_eq!(lines[5], "covers 2026-05-01T00:00:00Z to 2026-05-01T10:17:00Z (moved)");
        assert_eq!(lines[6], "not rolled: day from 2026-05-01T00:00:00Z to 2026-05-01T09:00:00Z");
        assert_eq!(lines[16..], ["not rolled: 2 more"]);
    }
}
