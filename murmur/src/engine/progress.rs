use std::collections::HashMap;

use super::drain::Stopping;
use crate::source::{Offset, PartitionId};
use crate::time::{Span, Timestamp};

/// How a worker stands with its source; the worse, the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contact {
    /// The source has said what is this worker's, if only nothing, and answers.
    Made,
    /// It has said so, and does not answer any more.
    Lost,
    /// It has not said so yet.
    Awaited,
    /// It was not asked yet: the tables and the place of the dead letters come first.
    #[default]
    Unasked,
}

impl Contact {
    /// After a look that found the source answering, or not.
    pub(super) fn after(self, answers: bool) -> Self {
        match (self, answers) {
            (Self::Made | Self::Lost, true) => Self::Made,
            (Self::Made | Self::Lost, false) => Self::Lost,
            (Self::Awaited | Self::Unasked, _) => self,
        }
    }
}

/// How far a worker is. Counters count since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// How it stands with its source.
    pub contact: Contact,
    /// Payloads read, those that were read again after a rewind too.
    pub read: u64,
    /// Those of them that were read again.
    pub read_again: u64,
    /// Payloads that every pipeline has taken in or filtered out.
    pub applied: u64,
    /// Payloads put into the dead letters, those that were put there again after a rewind too; not those whose letters wait
    /// until it is known that the source is the right one.
    pub dead: u64,
    /// Payloads whose time lies more than an hour ahead of the clock. They are counted, but do not say how far the stream
    /// is.
    pub ahead: u64,
    /// Emissions left out because their tile has expired.
    pub expired: u64,
    /// Emissions that came after their tile was closed to events in time, and are counted beside it.
    pub late: u64,
    /// Emissions skipped because an earlier owner's flush holds them already.
    pub already_applied: u64,
    /// Events that a pipeline left out as it had met their identity before.
    pub repeated: u64,
    /// Records without a payload (tombstones of a compacted topic), which are no events and were passed over; those that
    /// were met again after a rewind too.
    pub tombstones: u64,
    /// Flushes completed, each of one pipeline.
    pub flushes: u64,
    /// Tiles written.
    pub writes: u64,
    /// Slots that the worker has rolled by itself.
    pub rolled: u64,
    /// Times that the worker went back to its commits because another owner of its partitions was found: a condition had
    /// failed, or the record of a partition had been raised. What goes back for another reason (a full tile, letters that
    /// could not be held) is not in it.
    pub rewinds: u64,
    /// Requests sent again after an ambiguous or passing failure.
    pub resent: u64,
    /// Those of them of which nobody knew whether they had been carried out.
    pub ambiguous: u64,
    /// Payloads known to wait in all owned partitions; `None` when a source cannot tell, or has not said yet what is owned.
    pub lag: Option<u64>,
    /// Since when the source, which can tell, has not told how many payloads wait, by the worker's clock; `None` while it is
    /// known, and where a source cannot tell, or has not said yet what is owned.
    pub lag_unknown_since: Option<Timestamp>,
    /// Newest event time seen.
    pub newest: Option<Timestamp>,
    /// Since when dead letters wait for their place to take them, by the worker's clock; `None` when none do. Until it
    /// has them nothing is committed.
    pub letters_since: Option<Timestamp>,
    /// What it is at, after it was asked to stop.
    pub stopping: Option<Stopping>,
    /// Each owned partition.
    pub partitions: Vec<PartitionStatus>,
    /// Each pipeline.
    pub pipelines: Vec<PipelineStatus>,
}

impl Progress {
    /// This and another worker's together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.contact = self.contact.max(other.contact);
        let Self {
            read, read_again, applied, dead, ahead, expired, late, already_applied, repeated, tombstones, ..
        } = other;
        let Self { flushes, writes, rolled, rewinds, resent, ambiguous, .. } = other;
        self.read += read;
        self.applied += applied;
        self.read_again += read_again;
        self.dead += dead;
        self.ahead += ahead;
        self.expired += expired;
        self.late += late;
        self.already_applied += already_applied;
        self.repeated += repeated;
        self.tombstones += tombstones;
        self.flushes += flushes;
        self.writes += writes;
        self.rolled += rolled;
        self.rewinds += rewinds;
        self.resent += resent;
        self.ambiguous += ambiguous;
        self.newest = self.newest.max(other.newest);
        self.stopping = self.stopping.max(other.stopping);
        self.letters_since = self.letters_since.into_iter().chain(other.letters_since).min();
        self.lag_unknown_since = self.lag_unknown_since.into_iter().chain(other.lag_unknown_since).min();
        for status in other.partitions {
            match self.partitions.iter_mut().find(|mine| mine.partition == status.partition) {
                // It has moved from one to the other; whoever is further has it now.
                Some(mine) if (mine.read, mine.lag.is_some()) < (status.read, status.lag.is_some()) => *mine = status,
                Some(_) => {}
                None => self.partitions.push(status),
            }
        }
        for status in other.pipelines {
            match self.pipelines.iter_mut().find(|mine| mine.pipeline == status.pipeline) {
                Some(mine) => {
                    mine.ahead += status.ahead;
                    mine.wait_since(status.uncommitted_since);
                }
                None => self.pipelines.push(status),
            }
        }
        self.sum_lags();
        self
    }

    /// When the oldest event was read that is not committed yet in every pipeline, by the worker's clock; `None` when all
    /// are.
    pub fn uncommitted_since(&self) -> Option<Timestamp> {
        self.pipelines.iter().filter_map(|status| status.uncommitted_since).min()
    }

    /// How long ago that was; nothing only when all are committed.
    pub fn uncommitted_age(&self, now: Timestamp) -> Span {
        age(self.uncommitted_since(), now)
    }

    /// How long ago the oldest event was read that one pipeline lacks in its table; nothing only when it lacks none.
    pub fn uncommitted_age_of(&self, pipeline: &str, now: Timestamp) -> Span {
        age(self.of(pipeline).and_then(|status| status.uncommitted_since), now)
    }

    /// Payloads known to wait that one pipeline has not counted yet: what it has is read again for the others. `None` where
    /// nobody knows what waits.
    pub fn lag_of(&self, pipeline: &str) -> Option<u64> {
        let ahead = self.of(pipeline).map_or(0, |status| status.ahead);
        self.lag.map(|lag| lag.saturating_sub(ahead))
    }

    fn of(&self, pipeline: &str) -> Option<&PipelineStatus> {
        self.pipelines.iter().find(|status| status.pipeline == pipeline)
    }

    /// Now minus the time up to which events are durable: how fresh an answer is. `None` when that cannot be told, as of a
    /// partition nothing is durable yet, or its events have no time.
    ///
    /// The partition that is furthest behind decides. One of which everything is durable is not behind, however old its
    /// newest event; when that is so of all, the newest event decides.
    pub fn freshness(&self, now: Timestamp) -> Option<Span> {
        let behind = self.partitions.iter().filter(|status| status.is_behind()).map(|status| status.durable);
        let newest = || self.partitions.iter().map(|status| status.durable).max();
        let durable = behind.min().or_else(newest).flatten()?;
        Some(now.since(durable))
    }

    /// How old the oldest payload may be that waits to be read: now minus the time at which the source took in what was
    /// read last, in the partition that is furthest behind of those where something waits. Nothing where nothing waits;
    /// `None` when that cannot be told.
    pub fn source_lag(&self, now: Timestamp) -> Option<Span> {
        self.lag?;
        let waiting = self.partitions.iter().filter(|status| status.lag != Some(0));
        let ages = waiting.map(|status| Some(now.since(status.taken_in?).max(Span::ZERO)));
        ages.collect::<Option<Vec<_>>>().map(|ages| ages.into_iter().max().unwrap_or(Span::ZERO))
    }

    /// What waits in all partitions, as far as their source has said which they are.
    pub(super) fn sum_lags(&mut self) {
        let is_known = self.contact <= Contact::Lost;
        self.lag = if is_known { self.partitions.iter().map(|status| status.lag).sum() } else { None };
        if self.lag.is_some() || !is_known {
            self.lag_unknown_since = None;
        }
    }

    /// These partitions end there.
    pub(super) fn see(&mut self, ends: &HashMap<PartitionId, Option<Offset>>) {
        for status in &mut self.partitions {
            status.lag = waiting(status.read, status.lag, ends.get(&status.partition));
        }
        self.sum_lags();
    }
}

/// How many payloads wait behind `read`, where the last batch said so many, and the source knows an end that may be
/// further away. An end never comes nearer, so the larger one is right. Where the source holds nothing, nothing waits.
pub(super) fn waiting(read: Option<Offset>, told: Option<u64>, end: Option<&Option<Offset>>) -> Option<u64> {
    let seen = match (read.map(|read| read.words()), end.map(|end| end.as_ref().map(Offset::words))) {
        (_, Some(None)) => Some(0),
        (Some([a, b, c, read]), Some(Some([x, y, z, end]))) if [a, b, c] == [x, y, z] => Some(end.saturating_sub(read)),
        _ => None,
    };
    told.max(seen)
}

/// How many payloads lie behind `read` that a pipeline has durable already, up to `commit`.
pub(super) fn ahead(read: Option<Offset>, commit: Option<Offset>) -> u64 {
    match (read.map(|read| read.words()), commit.map(|commit| commit.words())) {
        (Some([a, b, c, read]), Some([x, y, z, commit])) if [a, b, c] == [x, y, z] => commit.saturating_sub(read),
        _ => 0,
    }
}

fn age(since: Option<Timestamp>, now: Timestamp) -> Span {
    since.map_or(Span::ZERO, |since| now.since(since).max(Span::from_micros(1)))
}

/// One pipeline, in all owned partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineStatus {
    /// Which.
    pub pipeline: &'static str,
    /// Of the payloads that wait to be read, those that it has: they are read again for other pipelines.
    pub ahead: u64,
    /// When the oldest event was read that is not committed yet, by the worker's clock; `None` when all are.
    pub uncommitted_since: Option<Timestamp>,
}

impl PipelineStatus {
    /// Of a pipeline that has all.
    pub(super) fn of(pipeline: &'static str) -> Self {
        Self { pipeline, ahead: 0, uncommitted_since: None }
    }

    /// Something waits since then.
    pub(super) fn wait_since(&mut self, since: Option<Timestamp>) {
        self.uncommitted_since = self.uncommitted_since.into_iter().chain(since).min();
    }
}

/// One owned partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionStatus {
    /// Which.
    pub partition: PartitionId,
    /// Everything up to and including it is durable.
    pub commit: Option<Offset>,
    /// Read up to here.
    pub read: Option<Offset>,
    /// Payloads known to wait; `None` when the source cannot tell.
    pub lag: Option<u64>,
    /// The newest event time up to the commit; `None` before there is any.
    pub durable: Option<Timestamp>,
    /// When the source took in what was read last, by its clock; the newest event time read, where it keeps no such time.
    pub taken_in: Option<Timestamp>,
}

impl PartitionStatus {
    /// Whether something waits to be read or to become durable, as far as anyone knows.
    fn is_behind(&self) -> bool {
        self.lag != Some(0) || self.commit < self.read
    }
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Where it was then.
    pub progress: Progress,
    /// Whether the source was read to its end (otherwise the worker was asked to stop).
    pub ended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(partition: &str, read: u64, lag: Option<u64>) -> PartitionStatus {
        let read = Some(Offset::from_u64(read));
        PartitionStatus {
            partition: PartitionId::new(partition),
            commit: read,
            read,
            lag,
            durable: None,
            taken_in: None,
        }
    }

    #[test]
    fn workers_together_stand_as_the_one_that_stands_worst() {
        let stands = |contact| Progress { contact, ..Progress::default() };
        let together = |one, other| stands(one).with(stands(other)).contact;
        assert_eq!(together(Contact::Made, Contact::Made), Contact::Made);
        assert_eq!(together(Contact::Lost, Contact::Made), Contact::Lost);
        assert_eq!(together(Contact::Lost, Contact::Awaited), Contact::Awaited);
        assert_eq!(together(Contact::default(), Contact::Awaited), Contact::Unasked);
    }

    #[test]
    fn workers_together_wait_with_letters_since_the_first_of_them() {
        let since = |seconds: Option<i64>| Progress {
            letters_since: seconds.map(Timestamp::from_seconds),
            ..Progress::default()
        };
        for (one, other, first) in [(None, Some(2), Some(2)), (Some(3), Some(2), Some(2)), (None, None, None)] {
            assert_eq!(since(one).with(since(other)).letters_since, first.map(Timestamp::from_seconds));
        }
    }

    #[test]
    fn a_partition_that_moved_between_workers_is_there_once() {
        let contact = Contact::Made;
        let one = Progress {
            contact,
            read: 3,
            partitions: vec![status("a", 5, Some(2)), status("b", 9, None)],
            ..Progress::default()
        };
        let other = Progress {
            contact,
            read: 4,
            partitions: vec![status("b", 9, Some(0)), status("a", 3, Some(9)), status("c", 1, Some(1))],
            ..Progress::default()
        };
        let all = one.clone().with(other.clone());
        assert_eq!(all.read, 7);
        assert_eq!(all.partitions, [status("a", 5, Some(2)), status("b", 9, Some(0)), status("c", 1, Some(1))]);
        assert_eq!((all.lag, other.with(one).lag), (Some(3), Some(3)));
    }

    #[test]
    fn what_a_pipeline_has_does_not_wait_for_it_though_it_is_read_again_for_another() {
        let (at, prefixed) = (Offset::from_u64, |n| Some(Offset::from_pair(7, n)));
        assert_eq!((ahead(Some(at(5)), Some(at(9))), ahead(Some(at(9)), Some(at(5)))), (4, 0));
        assert_eq!(
            (ahead(None, Some(at(9))), ahead(Some(at(5)), prefixed(9)), ahead(prefixed(5), prefixed(9))),
            (0, 0, 4)
        );
        let of = |pipeline, ahead, since: Option<i64>| PipelineStatus {
            pipeline,
            ahead,
            uncommitted_since: since.map(Timestamp::from_seconds),
        };
        let worker = |partition, pipelines| Progress {
            contact: Contact::Made,
            partitions: vec![status(partition, 5, Some(10))],
            pipelines,
            ..Progress::default()
        };
        let one = worker("a", vec![of("old", 10, Some(700)), of("new", 0, None)]);
        let all = one.with(worker("b", vec![of("old", 4, Some(900)), of("new", 0, Some(800))]));
        assert_eq!((all.lag, all.lag_of("new"), all.lag_of("old")), (Some(20), Some(20), Some(6)));
        let now = Timestamp::from_seconds(1_000);
        let ages = ["old", "new"].map(|pipeline| all.uncommitted_age_of(pipeline, now).as_seconds());
        assert_eq!((ages, all.uncommitted_age(now).as_seconds()), ([300, 200], 300));
        assert_eq!(Progress::default().lag_of("old"), None, "nobody knows what waits");
    }

    #[test]
    fn what_waits_is_unknown_until_the_source_has_said_what_is_there() {
        let unasked = Progress::default().with(Progress::default());
        assert_eq!(unasked.lag, None);
        let made = || Progress { contact: Contact::Made, ..Progress::default() };
        assert_eq!(made().with(made()).lag, Some(0), "there is nothing for them");
        assert_eq!(made().with(Progress::default()).lag, None);
        let mut unknown = Progress { partitions: vec![status("a", 5, None), status("b", 5, Some(1))], ..made() };
        unknown.sum_lags();
        assert_eq!(unknown.lag, None);
    }

    #[test]
    fn an_end_that_moves_while_nothing_is_read_is_seen() {
        let partitions = vec![status("a", 5, Some(0)), status("b", 9, None), status("c", 3, Some(4))];
        let mut progress = Progress { contact: Contact::Made, partitions, ..Progress::default() };
        let end = |name, at| (PartitionId::new(name), Some(Offset::from_u64(at)));
        progress.see(&HashMap::from([end("a", 3_005), end("b", 9), end("c", 4)]));
        let lags: Vec<_> = progress.partitions.iter().map(|status| status.lag).collect();
        assert_eq!(lags, [Some(3_000), Some(0), Some(4)], "an end of before does not bring it nearer");
        assert_eq!(progress.lag, Some(3_004));
        assert_eq!(waiting(None, None, Some(&Some(Offset::from_u64(7)))), None, "from where is not known");
        assert_eq!(waiting(None, None, Some(&None)), Some(0), "there is nothing");
        assert_eq!(waiting(None, Some(3), Some(&None)), Some(3), "it has come since");
    }

    #[test]
    fn what_waits_is_at_most_as_old_as_what_was_read_last() {
        let at = |partition, lag, seconds: Option<i64>| PartitionStatus {
            taken_in: seconds.map(Timestamp::from_seconds),
            ..status(partition, 5, lag)
        };
        let lag = |partitions: &[PartitionStatus]| {
            let mut progress =
                Progress { contact: Contact::Made, partitions: partitions.to_vec(), ..Progress::default() };
            progress.sum_lags();
            progress.source_lag(Timestamp::from_seconds(1_000))
        };
        let seconds = |seconds| Some(Span::from_seconds(seconds));
        assert_eq!(lag(&[]), seconds(0));
        assert_eq!(lag(&[at("a", Some(0), Some(10)), at("b", Some(0), None)]), seconds(0), "nothing waits");
        assert_eq!(lag(&[at("a", Some(0), Some(10)), at("b", Some(1), Some(900))]), seconds(100), "a is quiet");
        assert_eq!(lag(&[at("a", Some(7), Some(400)), at("b", Some(1), Some(900))]), seconds(600));
        assert_eq!(lag(&[at("a", Some(7), Some(1_030))]), seconds(0), "the clock of the source is ahead");
        assert_eq!(lag(&[at("a", Some(7), None), at("b", Some(1), Some(900))]), None, "nothing of a was read yet");
        assert_eq!(lag(&[at("a", None, Some(400))]), None, "the source does not say what waits");
        assert_eq!(Progress::default().source_lag(Timestamp::EPOCH), None);
    }

    #[test]
    fn the_partition_that_is_furthest_behind_says_how_fresh_answers_are() {
        let now = Timestamp::from_seconds(1_000);
        let at = |partition, lag, seconds: Option<i64>| PartitionStatus {
            durable: seconds.map(Timestamp::from_seconds),
            ..status(partition, 5, lag)
        };
        let fresh = |partitions: &[PartitionStatus]| {
            let progress = Progress { partitions: partitions.to_vec(), ..Progress::default() };
            progress.freshness(now)
        };
        let seconds = |seconds| Some(Span::from_seconds(seconds));
        assert_eq!(fresh(&[]), None);
        assert_eq!(fresh(&[at("a", Some(0), None)]), None, "there was no event yet");
        assert_eq!(fresh(&[at("a", Some(0), Some(990)), at("b", Some(0), Some(100))]), seconds(10), "b is quiet");
        assert_eq!(fresh(&[at("a", Some(0), Some(990)), at("b", Some(1), Some(100))]), seconds(900), "b is stuck");
        assert_eq!(fresh(&[at("a", Some(1), Some(990)), at("b", None, Some(100))]), seconds(900));
        let uncommitted = PartitionStatus { commit: None, ..at("b", Some(0), Some(400)) };
        assert_eq!(fresh(&[at("a", Some(0), Some(990)), uncommitted]), seconds(600), "read is not durable");
        assert_eq!(fresh(&[at("a", Some(0), Some(990)), at("b", Some(1), None)]), None);
    }
}
