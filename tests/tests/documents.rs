//! Pages that name tests or metrics name those that there are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fs;

use murmur_tests::workspace;

/// A row of a table, by its first column.
struct Row {
    name: String,
    shown_by: String,
}

/// The rows of `docs/predecessor.md`.
fn rows() -> Vec<Row> {
    let page = fs::read_to_string(workspace().join("docs/predecessor.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| W-"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, shown_by] = cells[..] else { panic!("{line} has not three columns") };
        Row { name: name.to_owned(), shown_by: shown_by.to_owned() }
    };
    lines.map(row).collect()
}

/// The tests that are named as ``[`name`](../path)``.
fn tests(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1).filter_map(|link| link.split_once("`](../"));
    links.filter_map(|(name, rest)| Some((name, rest.split_once(')')?.0))).collect()
}

#[test]
fn each_defect_of_the_predecessor_has_a_test_that_exists() {
    let expected = (1..=18).map(|n| format!("W-D{n}"));
    let expected = expected.chain((1..=4).map(|n| format!("W-F{n}"))).chain((1..=10).map(|n| format!("W-S{n}")));
    let rows = rows();
    let listed: BTreeSet<String> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!((listed, rows.len()), (expected.collect(), 18 + 4 + 10));
    for Row { name: row, shown_by } in rows {
        let tests = tests(&shown_by);
        assert!(tests.is_empty() == shown_by.starts_with("not here: "), "{row}: {shown_by}");
        for (test, path) in tests {
            let code =
                fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{row}: {path}: {error}"));
            assert!(code.contains(&format!("fn {test}(")), "{row}: there is no `{test}` in {path}");
        }
    }
}
