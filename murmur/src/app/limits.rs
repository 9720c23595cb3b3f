use super::cli::LimitArgs;
use super::entry::Entry;
use super::team::Gauges;
use crate::engine::{Clock, Contact, Progress, SystemClock};
use crate::time::{Span, Timestamp};

/// What a worker must have, and how far it may be behind, to count as ready.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    args: LimitArgs,
    /// Of the pipelines that the worker keeps.
    pipelines: Vec<&'static str>,
    /// What they read, as anybody may know it.
    source: String,
    gauges: Gauges,
}

impl Limits {
    pub(super) fn new(args: &LimitArgs, entries: &[Entry], source: String, gauges: Gauges) -> Self {
        Self { args: *args, pipelines: entries.iter().map(|entry| entry.spec.name).collect(), source, gauges }
    }

    /// Why the pipeline is not ready as far as its worker goes, in words.
    pub(super) fn exceeded(&self, pipeline: &str) -> Option<String> {
        if !self.pipelines.contains(&pipeline) {
            return None;
        }
        let progress = self.gauges.now();
        let now = SystemClock.now();
        silent(&self.source, progress.contact)
            .or_else(|| unstored(&progress, now))
            .or_else(|| unseen(&self.source, &progress, now))
            .or_else(|| self.args.exceeded(&progress, pipeline, now))
    }
}

/// For so long dead letters may be on their way to their place.
const ON_THEIR_WAY: Span = Span::from_seconds(10);

/// Why nothing is committed, and the way out.
fn unstored(progress: &Progress, now: Timestamp) -> Option<String> {
    let waited = now.since(progress.letters_since?);
    (waited >= ON_THEIR_WAY).then(|| {
        format!(
            "dead letters have waited for {} s to be stored, and nothing behind them is committed before; check that \
             what `--dead-letters` names can be reached from here, and takes them; the log says more",
            waited.as_seconds()
        )
    })
}

/// For so long it may be unknown how much waits: that is looked for every five seconds, and a partition whose leader moves
/// has the next one well within this time.
const UNSEEN: Span = Span::from_seconds(60);

/// Why nobody knows whether the worker is within `--max-lag`, and the way out.
fn unseen(source: &str, progress: &Progress, now: Timestamp) -> Option<String> {
    let unknown = now.since(progress.lag_unknown_since?);
    (unknown >= UNSEEN).then(|| {
        format!(
            "for {} s the source {source} has not said how many events wait to be read, so that `--max-lag` cannot be \
             kept; check that all of what `--source` names can be reached from here, each broker that leads a partition \
             too, and that the tables can; the log says more",
            unknown.as_seconds()
        )
    })
}

/// Why nothing is read, and the way out.
fn silent(source: &str, contact: Contact) -> Option<String> {
    match contact {
        Contact::Made => None,
        Contact::Lost => Some(format!(
            "the source {source} does not answer any more; reading goes on when it can be reached again, so check what \
             `--source` names; the log says more"
        )),
        Contact::Awaited => Some(format!(
            "the source {source} has not said yet what this worker is to read; check that what `--source` names can be \
             reached from here, and lets this process in; the log says more"
        )),
        Contact::Unasked => Some(format!(
            "the source {source} is not read yet: this worker's tables and the place of its dead letters \
             (`--dead-letters`) have to be there first; the log says more"
        )),
    }
}

impl LimitArgs {
    fn exceeded(&self, progress: &Progress, pipeline: &str, now: Timestamp) -> Option<String> {
        let Self { max_lag, max_uncommitted_age } = self;
        if let Some(lag) = progress.lag_of(pipeline).filter(|lag| lag > max_lag) {
            return Some(format!("{lag} events wait to be read for `{pipeline}`, and `--max-lag` is {max_lag}"));
        }
        let age = progress.uncommitted_age_of(pipeline, now);
        (age > *max_uncommitted_age).then(|| {
            let seconds = age.as_seconds();
            format!(
                "an event that was read {seconds} s ago is not committed for `{pipeline}`, and `--max-uncommitted-age` \
                 is {max_uncommitted_age}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::PipelineStatus;

    #[test]
    fn who_has_not_heard_from_its_source_names_it_and_the_way_out() {
        assert_eq!(silent("`kafka://…/views`", Contact::Made), None);
        for (contact, way_out) in
            [(Contact::Unasked, "--dead-letters"), (Contact::Awaited, "--source"), (Contact::Lost, "--source")]
        {
            let reason = silent("`kafka://…/views`", contact).unwrap();
            assert!(reason.contains("`kafka://…/views`") && reason.contains(way_out), "{reason}");
            assert!(!reason.contains("  "), "{reason}");
        }
    }

    #[test]
    fn letters_that_cannot_be_stored_are_a_reason_after_a_while() {
        let progress = Progress { letters_since: Some(Timestamp::from_seconds(1_000)), ..Progress::default() };
        let at = |seconds| unstored(&progress, Timestamp::from_seconds(seconds));
        assert_eq!((unstored(&Progress::default(), Timestamp::from_seconds(9_999)), at(1_009)), (None, None));
        let reason = at(1_010).unwrap();
        assert!(reason.contains("10 s") && reason.contains("--dead-letters"), "{reason}");
    }

    #[test]
    fn a_lag_that_stays_unknown_is_a_reason_after_a_minute() {
        let progress = Progress { lag_unknown_since: Some(Timestamp::from_seconds(1_000)), ..Progress::default() };
        let at = |seconds| unseen("`kafka://…/views`", &progress, Timestamp::from_seconds(seconds));
        assert_eq!((unseen("", &Progress::default(), Timestamp::from_seconds(9_999)), at(1_059)), (None, None));
        let reason = at(1_060).unwrap();
        assert!(reason.contains("60 s") && reason.contains("`kafka://…/views`"), "{reason}");
        assert!(reason.contains("--max-lag") && reason.contains("--source") && !reason.contains("  "), "{reason}");
    }

    #[test]
    fn the_reason_names_the_limit_and_the_pipeline_that_is_beyond_it() {
        let limits = LimitArgs { max_lag: 10, max_uncommitted_age: "1m".parse().unwrap() };
        let now = Timestamp::from_seconds(1_000);
        let of = |pipeline, ahead, since: i64| PipelineStatus {
            pipeline,
            ahead,
            uncommitted_since: Some(Timestamp::from_seconds(since)),
        };
        let progress = |lag, likes: i64| Progress {
            lag,
            pipelines: vec![of("likes", 0, likes), of("fans", 1, 940)],
            ..Progress::default()
        };
        let exceeded = |progress: &Progress| ["likes", "fans"].map(|name| limits.exceeded(progress, name, now));
        assert_eq!(exceeded(&Progress::default()), [None, None]);
        assert_eq!(exceeded(&progress(Some(10), 940)), [None, None]);
        let [lag, none] = exceeded(&progress(Some(11), 940));
        let lag = lag.unwrap();
        assert!(lag.contains("11 events") && lag.contains("`likes`") && lag.contains("--max-lag"), "{lag}");
        assert_eq!(none, None, "it has one of them");
        let [age, none] = exceeded(&progress(None, 939));
        let age = age.unwrap();
        assert!(age.contains("61 s ago") && age.contains("`likes`") && age.contains("--max-uncommitted-age"), "{age}");
        assert_eq!(none, None);
    }
}
