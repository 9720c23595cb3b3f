//! What an expression of Prometheus says of the catalogue.

use crate::metrics::catalogue::ALL;
use crate::metrics::{Kind, Metric};

/// Labels that a sample has beside those of its metric.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// The words of an expression, without texts and durations.
fn words(expr: &str) -> Vec<&str> {
    expr.split(|c: char| !(c.is_ascii_alphanumeric() || "_:$".contains(c))).filter(|word| !word.is_empty()).collect()
}

/// A metric by the name of one of its series.
pub(super) fn metric_of(series: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            let part = series.strip_prefix(metric.name);
            part.is_some_and(|part| ["_bucket", "_count", "_sum"].contains(&part))
        }
        Kind::Counter | Kind::Gauge => metric.name == series,
    })
}

/// The metrics of an expression: each is of the catalogue, read by its kind, and has the labels it is asked for.
pub(super) fn metrics_of(expr: &str) -> Vec<&'static Metric> {
    assert_eq!(expr.matches('(').count(), expr.matches(')').count(), "{expr}");
    let series: Vec<&str> = words(expr).into_iter().filter(|word| word.starts_with("murmur_")).collect();
    assert!(!series.is_empty(), "{expr} is about nothing");
    let mut metrics = Vec::new();
    for series in series {
        let metric = metric_of(series).unwrap_or_else(|| panic!("`{series}` is not in the catalogue: {expr}"));
        let is_rate = expr.contains(&format!("rate({series}")) || expr.contains(&format!("increase({series}"));
        assert_eq!(is_rate, metric.kind != Kind::Gauge, "what grows is read as a rate, and nothing else: {expr}");
        metrics.push(metric);
    }
    let lists = ["by (", "on ("].into_iter().flat_map(|before| expr.split(before).skip(1));
    let grouped = lists.filter_map(|list| list.split_once(')')).flat_map(|(labels, _)| labels.split(", "));
    let matchers = expr.split('{').skip(1).filter_map(|matchers| matchers.split_once('}'));
    let matched = matchers.flat_map(|(matchers, _)| matchers.split("\","));
    let matched = matched.filter_map(|matcher| matcher.split(['=', '!']).next());
    for label in grouped.chain(matched) {
        assert!(has(&metrics, label), "there is no label `{label}`: {expr}");
    }
    metrics
}

/// What an expression reads as something that grows: series and matchers, `murmur_x_total` and `op="get"`.
#[cfg(feature = "metrics")]
pub(crate) fn growing(expr: &str) -> impl Iterator<Item = (&str, &str)> {
    let read = expr.split("rate(").flat_map(|part| part.split("increase(")).filter(|part| part.starts_with("murmur_"));
    read.filter_map(|part| part.split_once('[')).map(|(selector, _)| {
        let (series, matchers) = selector.split_once('{').unwrap_or((selector, "}"));
        (series, matchers.trim_end_matches('}'))
    })
}

/// Whether samples of all these metrics have the label.
pub(super) fn has(metrics: &[&Metric], label: &str) -> bool {
    ADDED.contains(&label) || metrics.iter().all(|metric| metric.labels.contains(&label))
}
