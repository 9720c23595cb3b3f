//! `docs/observe/dashboard.json`: everything that is measured, for Grafana.

use serde_json::{Value, json};

/// A diagram: its title, the unit of its values, and its lines with their legends.
pub(super) struct Panel(&'static str, &'static str, pub(super) &'static [(&'static str, &'static str)]);

/// A row of diagrams.
pub(super) struct Row(&'static str, pub(super) &'static [Panel]);

/// Of the programs that were chosen at the top.
macro_rules! lines {
    ($($expr:literal => $legend:literal),* $(,)?) => { &[$(($expr, $legend)),*] };
}

pub(super) const ROWS: &[Row] = &[
    Row(
        "How far",
        &[
            Panel(
                "Waiting to be read",
                "short",
                lines!["sum by (job) (murmur_source_lag_records{job=~\"$job\"})" => "{{job}}"],
            ),
            Panel(
                "Behind the source",
                "s",
                lines!["max by (instance, worker) (murmur_source_lag_seconds{job=~\"$job\"})" => "{{instance}} {{worker}}"],
            ),
            Panel(
                "How fresh answers are",
                "s",
                lines!["max by (instance, worker) (murmur_freshness_seconds{job=~\"$job\"})" => "{{instance}} {{worker}}"],
            ),
            Panel(
                "Oldest that is not durable",
                "s",
                lines!["max by (instance, worker) (murmur_uncommitted_age_seconds{job=~\"$job\"})" => "{{instance}} {{worker}}"],
            ),
            Panel(
                "Partitions",
                "short",
                lines!["sum by (instance) (murmur_partitions_owned{job=~\"$job\"})" => "{{instance}}"],
            ),
            Panel(
                "What runs",
                "short",
                lines!["count by (program, version) (murmur_build_info{job=~\"$job\"})" => "{{program}} {{version}}"],
            ),
        ],
    ),
    Row(
        "Events",
        &[
            Panel(
                "Read",
                "ops",
                lines!["sum by (job) (rate(murmur_events_received_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}}"],
            ),
            Panel(
                "Applied",
                "ops",
                lines!["sum by (pipeline) (rate(murmur_events_applied_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}"],
            ),
            Panel(
                "Dead letters",
                "short",
                lines!["sum by (pipeline, class) (increase(murmur_events_dead_lettered_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}: {{class}}"],
            ),
            Panel(
                "Left out",
                "ops",
                lines![
                    "sum by (pipeline) (rate(murmur_events_filtered_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} filtered",
                    "sum by (pipeline) (rate(murmur_events_expired_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} expired",
                    "sum by (pipeline) (rate(murmur_events_repeated_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} repeated",
                    "sum by (job) (rate(murmur_tombstones_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} without a payload",
                ],
            ),
            Panel(
                "Late, and of clocks that are ahead",
                "ops",
                lines![
                    "sum by (pipeline) (rate(murmur_events_late_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} late",
                    "sum by (job) (rate(murmur_events_ahead_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} ahead",
                ],
            ),
            Panel(
                "Read again, and not counted again",
                "ops",
                lines!["sum by (pipeline) (rate(murmur_events_already_applied_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}"],
            ),
        ],
    ),
    Row(
        "Flushes",
        &[
            Panel(
                "Flushes and tiles",
                "ops",
                lines![
                    "sum by (job) (rate(murmur_flushes_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} flushes",
                    "sum by (job) (rate(murmur_tiles_written_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} tiles",
                ],
            ),
            Panel(
                "How long a flush takes",
                "s",
                lines![
                    "histogram_quantile(0.5, sum by (le, outcome) (rate(murmur_flush_duration_seconds_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{outcome}}, median",
                    "histogram_quantile(0.99, sum by (le, outcome) (rate(murmur_flush_duration_seconds_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{outcome}}, 99 %",
                ],
            ),
            Panel(
                "Events per tile written",
                "short",
                lines!["sum by (pipeline) (rate(murmur_flush_combine_ratio_sum{job=~\"$job\"}[$__rate_interval])) / sum by (pipeline) (rate(murmur_flush_combine_ratio_count{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}"],
            ),
        ],
    ),
    Row(
        "Store",
        &[
            Panel(
                "How long calls take, 99 %",
                "s",
                lines!["histogram_quantile(0.99, sum by (le, op) (rate(murmur_store_request_duration_seconds_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{op}}"],
            ),
            Panel(
                "How calls end",
                "ops",
                lines!["sum by (op, outcome) (rate(murmur_store_request_duration_seconds_count{job=~\"$job\"}[$__rate_interval]))" => "{{op}} {{outcome}}"],
            ),
            Panel(
                "Calls that wait for more than five seconds",
                "short",
                lines!["sum by (op) (increase(murmur_store_overdue_total{job=~\"$job\"}[$__rate_interval]))" => "{{op}}"],
            ),
            Panel(
                "Sent again",
                "ops",
                lines![
                    "sum by (job) (rate(murmur_store_writes_resent_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} again",
                    "sum by (job) (rate(murmur_store_writes_ambiguous_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} of them, their answer was lost",
                ],
            ),
            Panel(
                "Conflicts",
                "short",
                lines!["sum by (job) (increase(murmur_store_conflicts_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}}"],
            ),
            Panel(
                "Throttled by DynamoDB",
                "ops",
                lines!["sum by (of) (rate(murmur_store_throttled_total{job=~\"$job\"}[$__rate_interval]))" => "by the {{of}}"],
            ),
            Panel(
                "Units of DynamoDB",
                "ops",
                lines![
                    "sum by (job) (rate(murmur_store_consumed_wcu_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} written",
                    "sum by (job) (rate(murmur_store_consumed_rcu_total{job=~\"$job\"}[$__rate_interval]))" => "{{job}} read",
                ],
            ),
            Panel(
                "Sizes of items",
                "bytes",
                lines!["histogram_quantile(0.99, sum by (le, job) (rate(murmur_item_bytes_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{job}}, 99 %"],
            ),
        ],
    ),
    Row(
        "Queries",
        &[
            Panel(
                "Calls",
                "reqps",
                lines!["sum by (rpc, code) (rate(murmur_query_duration_seconds_count{job=~\"$job\"}[$__rate_interval]))" => "{{rpc}} {{code}}"],
            ),
            Panel(
                "How long they take",
                "s",
                lines![
                    "histogram_quantile(0.5, sum by (le, rpc) (rate(murmur_query_duration_seconds_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{rpc}}, median",
                    "histogram_quantile(0.99, sum by (le, rpc) (rate(murmur_query_duration_seconds_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{rpc}}, 99 %",
                ],
            ),
            Panel(
                "Items that a request reads, 99 %",
                "short",
                lines!["histogram_quantile(0.99, sum by (le, pipeline) (rate(murmur_query_items_read_bucket{job=~\"$job\"}[$__rate_interval])))" => "{{pipeline}}"],
            ),
            Panel(
                "Tiles that were kept in memory",
                "ops",
                lines![
                    "sum by (pipeline) (rate(murmur_tile_cache_hits_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} kept",
                    "sum by (pipeline) (rate(murmur_tile_cache_misses_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} read",
                ],
            ),
            Panel(
                "Memory of kept tiles",
                "bytes",
                lines!["max by (instance) (murmur_tile_cache_bytes{job=~\"$job\"})" => "{{instance}}"],
            ),
            Panel(
                "Watched",
                "short",
                lines![
                    "sum by (pipeline) (murmur_watch_streams{job=~\"$job\"})" => "{{pipeline}} streams",
                    "sum by (pipeline) (murmur_watched_keys{job=~\"$job\"})" => "{{pipeline}} keys",
                ],
            ),
            Panel(
                "Watched keys and their answers",
                "bytes",
                lines!["max by (instance) (murmur_watched_bytes{job=~\"$job\"})" => "{{instance}}"],
            ),
            Panel(
                "Looks for those who watch, and values that slow readers missed",
                "ops",
                lines![
                    "sum by (pipeline) (rate(murmur_watch_looks_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} looks",
                    "sum by (pipeline) (rate(murmur_watch_values_skipped_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} missed",
                ],
            ),
        ],
    ),
    Row(
        "TLS",
        &[
            Panel(
                "Connections that began",
                "ops",
                lines!["sum by (instance, outcome) (rate(murmur_tls_handshakes_total{job=~\"$job\"}[$__rate_interval]))" => "{{instance}} {{outcome}}"],
            ),
            Panel(
                "New certificates",
                "short",
                lines!["sum by (instance, outcome) (increase(murmur_tls_reloads_total{job=~\"$job\"}[$__rate_interval]))" => "{{instance}} {{outcome}}"],
            ),
            Panel(
                "Until the certificate expires",
                "s",
                lines!["min by (instance) (murmur_tls_certificate_expires_timestamp_seconds{job=~\"$job\"}) - time()" => "{{instance}}"],
            ),
        ],
    ),
    Row(
        "Rolling",
        &[
            Panel(
                "Stretches that reads asked for",
                "ops",
                lines!["sum by (pipeline, outcome) (rate(murmur_rolls_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}} {{outcome}}"],
            ),
            Panel(
                "How far rolling is held up",
                "s",
                lines!["max by (pipeline) (murmur_roll_held_seconds{job=~\"$job\"})" => "{{pipeline}}"],
            ),
            Panel(
                "Slots rolled",
                "ops",
                lines!["sum by (pipeline) (rate(murmur_rolled_slots_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}"],
            ),
            Panel(
                "Units of DynamoDB that rolling wrote",
                "ops",
                lines!["sum by (pipeline) (rate(murmur_roll_consumed_wcu_total{job=~\"$job\"}[$__rate_interval]))" => "{{pipeline}}"],
            ),
        ],
    ),
];

/// Of the width of a page, which Grafana has 24 of.
const WIDTH: usize = 8;
const HEIGHT: usize = 7;

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${source}" })
}

/// The file.
pub(super) fn file() -> String {
    let (mut panels, mut y) = (Vec::new(), 0);
    for Row(title, row) in ROWS {
        let id = panels.len() + 1;
        panels.push(json!({ "id": id, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 } }));
        y += 1;
        for (n, Panel(title, unit, lines)) in row.iter().enumerate() {
            let targets = lines.iter().zip('A'..='Z').map(|((expr, legend), id)| {
                json!({ "refId": id.to_string(), "datasource": source(), "expr": expr, "legendFormat": legend })
            });
            panels.push(json!({ "id": id + n + 1, "type": "timeseries", "title": title, "datasource": source(),
                "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
                "gridPos": { "x": n * WIDTH % 24, "y": y + n * WIDTH / 24 * HEIGHT, "w": WIDTH, "h": HEIGHT },
                "targets": targets.collect::<Vec<_>>() }));
        }
        y += (row.len() * WIDTH).div_ceil(24) * HEIGHT;
    }
    let dashboard = json!({
        "title": "Murmur", "uid": "murmur", "tags": ["murmur"], "schemaVersion": 39, "editable": true,
        "refresh": "30s", "time": { "from": "now-3h", "to": "now" }, "panels": panels,
        "templating": { "list": [
            { "name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus" },
            { "name": "job", "type": "query", "datasource": source(), "query": "label_values(murmur_build_info, job)",
              "multi": true, "includeAll": true, "refresh": 2, "current": { "text": "All", "value": "$__all" } },
        ] },
    });
    serde_json::to_string_pretty(&dashboard).unwrap() + "\n"
}
