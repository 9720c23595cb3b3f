pub(crate) mod alerts;
mod dashboard;
pub(crate) mod lines;
pub(crate) mod promql;
#[cfg(feature = "otlp")]
pub(crate) mod spans;

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::catalogue::ALL;
use super::*;
use crate::emitted::is_up_to_date;

/// The page of Prometheus after something was done on this thread.
#[cfg(feature = "metrics")]
pub(crate) fn page(work: impl FnOnce()) -> String {
    let recorder = Prometheus::builder().unwrap().build_recorder();
    ::metrics::with_local_recorder(&recorder, work);
    recorder.handle().render()
}

/// What is measured on this thread meanwhile, as on a page of Prometheus: each metric with its largest sample; a histogram
/// with how often it was given something.
#[cfg(feature = "metrics")]
pub(crate) fn moved(work: impl FnOnce()) -> BTreeMap<String, f64> {
    let mut moved = BTreeMap::new();
    for line in page(work).lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.split('{').next().unwrap_or(name);
        let value: f64 = value.parse().unwrap();
        let name = name.strip_suffix("_count").unwrap_or(name);
        let largest = moved.entry(name.to_owned()).or_insert(value);
        *largest = value.max(*largest);
    }
    moved
}

#[test]
fn names_say_unit_and_kind() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len(), "a name stands twice");
    for Metric { name, kind, unit, labels, about } in ALL {
        assert!(name.starts_with("murmur_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let unit = match unit {
            Unit::Seconds => name.ends_with("_seconds"),
            Unit::Bytes => name.ends_with("_bytes"),
            other => *other == Unit::Count,
        };
        assert!(unit, "{name} does not end in its unit");
        assert!(about.ends_with('.') && !about.contains('|'), "{name}");
        for label in *labels {
            assert!(!["key", "tile", "partition", "le"].contains(label), "{name} has a label of many values");
        }
        if let Kind::Histogram(bounds) = kind {
            assert!(bounds.is_sorted_by(|a, b| a < b) && !bounds.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_reference_is_up_to_date() {
    is_up_to_date("metrics.md", &reference());
}

#[test]
fn the_alerts_are_up_to_date() {
    is_up_to_date("observe/alerts.yml", &alerts::file());
}

#[test]
fn the_dashboard_is_up_to_date() {
    is_up_to_date("observe/dashboard.json", &dashboard::file());
}

#[test]
fn alerts_and_dashboard_name_metrics_and_labels_that_there_are() {
    for alert in alerts::ALERTS {
        let metrics = promql::metrics_of(alert.expr);
        for label in alert.summary.split("$labels.").skip(1).filter_map(|rest| rest.split(' ').next()) {
            assert!(promql::has(&metrics, label), "there is no label `{label}`: {}", alert.summary);
        }
    }
    let panels = dashboard::ROWS.iter().flat_map(|row| row.1);
    let shown: BTreeSet<&str> = panels
        .flat_map(|panel| panel.2)
        .flat_map(|(expr, _)| promql::metrics_of(expr))
        .map(|metric| metric.name)
        .collect();
    let all: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(shown, all, "the dashboard shows all there is");
}

#[test]
fn the_files_name_nothing_else() {
    for file in [alerts::file(), dashboard::file()] {
        for word in file.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            let is_series = word.starts_with("murmur_");
            assert!(!is_series || promql::metric_of(word).is_some(), "`{word}` is not in the catalogue");
        }
    }
}

#[test]
#[cfg(feature = "metrics")]
fn the_page_has_descriptions_values_and_buckets() {
    let recorder = Prometheus::builder().unwrap().build_recorder();
    ::metrics::with_local_recorder(&recorder, || {
        describe("shop");
        catalogue::EVENTS_APPLIED.counter(["likes"]).increment(3);
        catalogue::FLUSH_DURATION.histogram(["durable"]).record(0.3);
    });
    let page = recorder.handle().render();
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        "# TYPE murmur_events_applied_total counter",
        "murmur_events_applied_total{pipeline=\"likes\"} 3",
        "murmur_flush_duration_seconds_bucket{outcome=\"durable\",le=\"0.25\"} 0",
        "murmur_flush_duration_seconds_bucket{outcome=\"durable\",le=\"0.5\"} 1",
        &format!("murmur_build_info{{version=\"{version}\",program=\"shop\"}} 1"),
    ] {
        assert!(page.lines().any(|stands| stands == line), "{line} is not in\n{page}");
    }
    let about = catalogue::EVENTS_APPLIED.about;
    assert!(page.contains(&format!("# HELP murmur_events_applied_total {about}")), "{page}");
}
