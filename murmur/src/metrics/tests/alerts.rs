//! `docs/observe/alerts.yml`: what should wake somebody.

/// A rule of Prometheus.
pub(super) struct Alert {
    name: &'static str,
    pub(super) expr: &'static str,
    /// How long it has to be so.
    lasts: &'static str,
    severity: &'static str,
    /// In one line, with `$labels` and `$value`.
    pub(super) summary: &'static str,
    /// What it means, and where to look.
    about: &'static str,
}

pub(super) const ALERTS: &[Alert] = &[
    Alert {
        name: "MurmurBehindItsSource",
        expr: "murmur_source_lag_seconds > 300",
        lasts: "10m",
        severity: "warning",
        summary: "Worker {{ $labels.worker }} of {{ $labels.instance }} is {{ $value | humanizeDuration }} behind its source",
        about: "It reads more slowly than events come, or it stands still. Look at the uncommitted age, the flushes and the store's throttles first; where they are fine, more workers or threads help, up to one for each partition. While old events are sent or read again, it is as old as they are.",
    },
    Alert {
        name: "MurmurManyWait",
        expr: "sum by (job) (murmur_source_lag_records) > 1000000",
        lasts: "15m",
        severity: "warning",
        summary: "{{ $value | humanize }} payloads wait to be read by {{ $labels.job }}",
        about: "As MurmurBehindItsSource, for sources that keep no times. Choose the number by what your workers read in some minutes.",
    },
    Alert {
        name: "MurmurAnswersAreOld",
        expr: "murmur_freshness_seconds > 900 and on (job, instance, worker) murmur_source_lag_records != 0",
        lasts: "5m",
        severity: "warning",
        summary: "Answers lack the last {{ $value | humanizeDuration }} of a partition that worker {{ $labels.worker }} of {{ $labels.instance }} reads",
        about: "The newest durable event of the partition that is furthest behind is that old, and more of them wait, or nobody knows how many do, as of what was dropped and could not be read again yet. In a replay that is as it should be.",
    },
    Alert {
        name: "MurmurNotDurable",
        expr: "murmur_uncommitted_age_seconds > 120",
        lasts: "3m",
        severity: "critical",
        summary: "Worker {{ $labels.worker }} of {{ $labels.instance }} has events from {{ $value | humanizeDuration }} ago that are not durable",
        about: "Nothing is lost, but nothing is committed either: the store or the place of the dead letters does not take what it is sent, or most of what was read last cannot be counted. /readyz and the log of the worker say which.",
    },
    Alert {
        name: "MurmurDeadLetters",
        expr: "sum by (job, pipeline, class) (increase(murmur_events_dead_lettered_total[15m])) > 0",
        lasts: "0m",
        severity: "warning",
        summary: "{{ $labels.pipeline }} could not count {{ $value | humanize }} payloads within a quarter of an hour ({{ $labels.class }})",
        about: "Each lies in the dead letters with its place and the reason.",
    },
    Alert {
        name: "MurmurEventsExpired",
        expr: "sum by (job, pipeline) (increase(murmur_events_expired_total[15m])) > 0",
        lasts: "0m",
        severity: "warning",
        summary: "{{ $labels.pipeline }} left out {{ $value | humanize }} contributions of events whose retention had passed",
        about: "They came later than the pipeline keeps anything. In a replay of old events that is as it should be.",
    },
    Alert {
        name: "MurmurStoreSaysNothing",
        expr: "sum by (job, instance, op) (increase(murmur_store_overdue_total[5m])) > 0",
        lasts: "2m",
        severity: "warning",
        summary: "Calls ({{ $labels.op }}) of {{ $labels.instance }} wait for the store for more than five seconds",
        about: "It takes calls and does not answer them: look at the network between, and at the store.",
    },
    Alert {
        name: "MurmurStoreUnreachable",
        expr: "sum by (job, instance) (rate(murmur_store_request_duration_seconds_count{outcome=~\"unavailable|ambiguous\"}[5m])) / sum by (job, instance) (rate(murmur_store_request_duration_seconds_count[5m])) > 0.5",
        lasts: "2m",
        severity: "critical",
        summary: "{{ $value | humanizePercentage }} of the calls of {{ $labels.instance }} do not reach the store",
        about: "Workers wait and go on by themselves; queries fail meanwhile.",
    },
    Alert {
        name: "MurmurStoreRefuses",
        expr: "sum by (job, instance, op) (rate(murmur_store_request_duration_seconds_count{outcome=\"failed\"}[5m])) > 0",
        lasts: "2m",
        severity: "critical",
        summary: "The store refuses {{ $labels.op }} of {{ $labels.instance }}",
        about: "Repeating does not help: credentials, permissions, a table that is not there, or a damaged item. The log says which, with the way out.",
    },
    Alert {
        name: "MurmurThrottled",
        expr: "sum by (job, of) (rate(murmur_store_throttled_total[5m])) > 1",
        lasts: "10m",
        severity: "warning",
        summary: "DynamoDB throttles {{ $labels.job }}, {{ $value | humanize }} requests a second, by its {{ $labels.of }}",
        about: "By the table: it has too few units. By a key: one key takes more than the 1,000 write units of a partition; a longer --flush-interval writes it less often.",
    },
    Alert {
        name: "MurmurConflicts",
        expr: "sum by (job) (increase(murmur_store_conflicts_total[15m])) > 20",
        lasts: "15m",
        severity: "warning",
        summary: "Workers of {{ $labels.job }} found another owner of their partitions {{ $value | humanize }} times within a quarter of an hour",
        about: "A few at each rebalance are as it should be. When they go on, partitions move all the time, or two programs keep the same table from the same source without sharing a group. Counts stay exact; the work is done twice.",
    },
    Alert {
        name: "MurmurItemsNearTheLimit",
        expr: "increase(murmur_item_bytes_count[1h]) - on (job, instance) increase(murmur_item_bytes_bucket{le=\"393216\"}[1h]) > 0",
        lasts: "0m",
        severity: "warning",
        summary: "{{ $labels.instance }} writes items of more than 384 KiB",
        about: "DynamoDB takes 400 KB. What a full item cannot take goes to the dead letters.",
    },
    Alert {
        name: "MurmurRollingIsHeldUp",
        expr: "max by (job, pipeline) (murmur_roll_held_seconds) > 172800",
        lasts: "1h",
        severity: "warning",
        summary: "Rolling of {{ $labels.pipeline }} is held up, {{ $value | humanizeDuration }} behind its newest event",
        about: "A partition gets no events any more, or is far behind. What came since is read from its smallest tiles, and wide windows of busy keys may be refused. The log names the partition: give it an event of now, or, if it will get none, let `partition retire` have nobody wait for it. While old events are read again, one partition before the other, it is as it should be.",
    },
    Alert {
        name: "MurmurEventsFromTheFuture",
        expr: "sum by (job) (increase(murmur_events_ahead_total[15m])) > 0",
        lasts: "0m",
        severity: "warning",
        summary: "{{ $labels.job }} was sent events of more than an hour ahead of the clock, {{ $value | humanize }} within a quarter of an hour",
        about: "They are counted. What comes after them in their partition counts as late until their time has come, and what is late is not rolled: wide windows take more reads, and those of busy keys may be refused. Mend the clock that makes them, or have whoever sends them leave them out.",
    },
    Alert {
        name: "MurmurQueriesFail",
        expr: "sum by (job, rpc) (rate(murmur_query_duration_seconds_count{code=~\"internal|unavailable|deadline_exceeded|data_loss|unknown\"}[5m])) / sum by (job, rpc) (rate(murmur_query_duration_seconds_count[5m])) > 0.05",
        lasts: "5m",
        severity: "critical",
        summary: "{{ $value | humanizePercentage }} of {{ $labels.rpc }} fail",
        about: "Not by what they ask, but by the store, a deadline, a damaged item, a server that answers as many calls as it takes (--max-calls), or an issuer of tokens whose keys are not reached. The log says which.",
    },
    Alert {
        name: "MurmurCertificateExpires",
        expr: "min by (job, instance) (murmur_tls_certificate_expires_timestamp_seconds) - time() < 604800",
        lasts: "10m",
        severity: "critical",
        summary: "The certificate of {{ $labels.instance }} expires in {{ $value | humanizeDuration }}",
        about: "Put a new one in its place: the files are looked at every few seconds. If it lies there already, the log says why it was not taken.",
    },
];

/// Expressions that hold when something happens once.
#[cfg(feature = "metrics")]
pub(crate) fn at_the_first() -> impl Iterator<Item = &'static str> {
    let exprs = ALERTS.iter().map(|alert| alert.expr);
    exprs.filter(|expr| expr.ends_with(" > 0") && ["rate(", "increase("].iter().any(|of| expr.contains(of)))
}

/// The file. A text of JSON is one of YAML too.
pub(super) fn file() -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let mut file = String::from(
        "# Made by the test `the_alerts_are_up_to_date` of `murmur/src/metrics`; `BLESS=1 cargo test -p murmur-stream metrics`\n\
         # writes it again. How to use it: README.md beside it.\n\
         groups:\n  - name: murmur\n    rules:\n",
    );
    for Alert { name, expr, lasts, severity, summary, about } in ALERTS {
        let (expr, summary, about) = (text(expr), text(summary), text(about));
        file += &format!(
            "      - alert: {name}\n        expr: {expr}\n        for: {lasts}\n        labels:\n          severity: {severity}\n        annotations:\n          summary: {summary}\n          description: {about}\n"
        );
    }
    file
}
