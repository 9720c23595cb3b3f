//! How far the answers of the sketches are from what is true: docs/accuracy.md, made anew from fixed seeds.

mod numbers;
mod sets;
mod table;
mod texts;

use table::Table;

/// Lengths of the streams.
const LENGTHS: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// Of all streams.
const SEED: u64 = 20;

const HEAD: &str = "\
# How exact the estimates are

True values beside what the aggregates say, on elements that are equally frequent (`uniform`) and on elements by Zipf's law with exponent 1 (`zipf`). This page is what

```
cargo run --release -p murmur-bench --no-default-features -- accuracy > docs/accuracy.md
```

prints: the streams come from a fixed seed, so it prints the same again. A test holds the rows of the two shortest streams against this page.

`elements` is the length of the stream. `error` is the distance of the estimate from the true value, `bound` the distance that the reply itself admits; both in percent, of what the text above each table says. `within` says whether
the true value lies between `lower` and `upper`. Bounds that hold with 95 % are to be missed once in twenty rows; none is hidden here.
";

#[allow(clippy::print_stdout, reason = "the result of the command")]
pub(crate) fn print(longest: Option<u64>) -> Result<(), String> {
    let lengths: Vec<u64> = LENGTHS.into_iter().filter(|length| *length <= longest.unwrap_or(u64::MAX)).collect();
    print!("{HEAD}");
    for table in tables(&lengths)? {
        print!("\n{table}");
        if let Some(row) = table.broken() {
            return Err(format!("a bound that always holds does not: {row}"));
        }
    }
    Ok(())
}

/// All tables for streams of these lengths.
fn tables(lengths: &[u64]) -> Result<Vec<Table>, String> {
    let tables = [
        sets::distinct(lengths),
        sets::distinct_set(lengths),
        sets::algebra(lengths),
        texts::top(lengths),
        numbers::quantiles(lengths),
        texts::frequency(lengths),
        texts::membership(lengths),
        numbers::decayed(lengths),
        numbers::moments(lengths),
    ];
    tables.into_iter().map(|table| table.map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::table::Row;
    use super::*;

    const PAGE: &str = include_str!("../../../docs/accuracy.md");

    #[test]
    fn short_streams_are_within_their_bounds_and_as_the_page_says() {
        let tables = tables(&LENGTHS[..2]).unwrap();
        assert_eq!(tables.len(), 9);
        assert!(PAGE.starts_with(HEAD));
        for table in &tables {
            assert!(table.broken().is_none());
            for row in &table.rows {
                assert!(row.is_within(), "{}: {row}", table.title);
                assert!(PAGE.contains(&row.to_string()), "the page does not have this row; make it anew: {row}");
            }
        }
    }

    #[test]
    fn a_row_outside_of_its_bounds_says_so() {
        let row = Row { truth: 7.0, estimate: 5.0, lower: 4.0, upper: 6.0, ..Row::default() };
        assert!(!row.is_within() && row.to_string().ends_with("| no |"), "{row}");
        let table = Table { title: "", text: "", always: true, rows: vec![row] };
        assert!(table.broken().is_some());
    }
}
