use std::fmt::Write;

use super::{Kind, Metric, catalogue};

const HEAD: &str = "# Metrics

Made from `murmur/src/metrics/catalogue.rs` by the test `the_reference_is_up_to_date`; `BLESS=1 cargo test -p \
murmur-stream metrics` writes it again.

Every program made of `murmur::main!` serves them at `/metrics` in the format of Prometheus: `run --listen`, `serve` and
`dev` on the port of their queries, and `run --metrics-listen ADDRESS` on one of its own. A program that uses the library
installs whatever recorder of the crate `metrics` it likes. Labels have few values; none is a key, and none is made of one.
";

/// The page of all metrics, in Markdown.
pub fn reference() -> String {
    let mut page = format!("{HEAD}\n| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n");
    for metric in catalogue::ALL {
        let Metric { name, kind, unit, labels, about } = metric;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {labels} | {about} |", unit.as_str());
    }
    page.push_str("\nThe buckets of the histograms:\n\n");
    for Metric { name, kind, .. } in catalogue::ALL {
        if let Kind::Histogram(bounds) = kind {
            let bounds = bounds.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
            let _ = writeln!(page, "- `{name}`: {bounds}");
        }
    }
    page
}
