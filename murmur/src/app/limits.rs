use super::cli::LimitArgs;
use super::entry::Entry;
use super::team::Gauges;
use crate::engine::{Clock, Progress, SystemClock};
use crate::time::Timestamp;

/// How far a worker may be behind and still count as ready.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    args: LimitArgs,
    /// Of the pipelines that the worker keeps.
    pipelines: Vec<&'static str>,
    gauges: Gauges,
}

impl Limits {
    pub(super) fn new(args: &LimitArgs, entries: &[Entry], gauges: Gauges) -> Self {
        Self { args: *args, pipelines: entries.iter().map(|entry| entry.spec.name).collect(), gauges }
    }

    /// Which limit the pipeline is beyond, in words.
    pub(super) fn exceeded(&self, pipeline: &str) -> Option<String> {
        let worked = self.pipelines.contains(&pipeline);
        worked.then(|| self.args.exceeded(&self.gauges.now(), SystemClock.now())).flatten()
    }
}

impl LimitArgs {
    fn exceeded(&self, progress: &Progress, now: Timestamp) -> Option<String> {
        let Self { max_lag, max_uncommitted_age } = self;
        if let Some(lag) = progress.lag.filter(|lag| lag > max_lag) {
            return Some(format!("{lag} events wait to be read, and `--max-lag` is {max_lag}"));
        }
        let age = progress.uncommitted_age(now);
        (age > *max_uncommitted_age).then(|| {
            let seconds = age.as_seconds();
            format!(
                "an event that was read {seconds} s ago is not committed, and `--max-uncommitted-age` is \
                 {max_uncommitted_age}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_limit() {
        let limits = LimitArgs { max_lag: 10, max_uncommitted_age: "1m".parse().unwrap() };
        let now = Timestamp::from_seconds(1_000);
        let progress = |lag, since: i64| Progress {
            lag,
            uncommitted_since: Some(Timestamp::from_seconds(since)),
            ..Progress::default()
        };
        assert_eq!(limits.exceeded(&Progress::default(), now), None);
        assert_eq!(limits.exceeded(&progress(Some(10), 940), now), None);
        let lag = limits.exceeded(&progress(Some(11), 940), now).unwrap();
        assert!(lag.contains("11 events") && lag.contains("--max-lag"), "{lag}");
        let age = limits.exceeded(&progress(None, 939), now).unwrap();
        assert!(age.contains("61 s ago") && age.contains("--max-uncommitted-age"), "{age}");
    }
}
