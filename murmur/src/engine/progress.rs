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
    /// Payloads that every pipeline has taken in or filtered out.
    pub applied: u64,
    /// Payloads put into the dead letters.
    pub dead: u64,
    /// Payloads whose time lies more than an hour ahead of the clock. They are counted, but do not say how far the stream
    /// is.
    pub ahead: u64,
    /// Emissions left out because their tile has expired.
    pub expired: u64,
    /// Emissions skipped because an earlier owner's flush holds them already.
    pub already_applied: u64,
    /// Events that a pipeline left out as it had met their identity before.
    pub repeated: u64,
    /// Flushes completed.
    pub flushes: u64,
    /// Tiles written.
    pub writes: u64,
    /// Times that the worker went back to its commits because a condition failed, or a tile was full.
    pub rewinds: u64,
    /// Requests sent again after an ambiguous or passing failure.
    pub resent: u64,
    /// Payloads known to wait in all owned partitions; `None` when a source cannot tell.
    pub lag: Option<u64>,
    /// Newest event time seen.
    pub newest: Option<Timestamp>,
    /// When the oldest event was read that is not committed yet, by the worker's clock; `None` when all are.
    pub uncommitted_since: Option<Timestamp>,
    /// Since when dead letters wait for their place to take them, by the worker's clock; `None` when none do. Until it
    /// has them nothing is committed.
    pub letters_since: Option<Timestamp>,
    /// Each owned partition.
    pub partitions: Vec<PartitionStatus>,
}

impl Progress {
    /// This and another worker's together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.contact = self.contact.max(other.contact);
        let Self { read, applied, dead, ahead, expired, already_applied, repeated, .. } = other;
        let Self { flushes, writes, rewinds, resent, .. } = other;
        self.read += read;
        self.applied += applied;
        self.dead += dead;
        self.ahead += ahead;
        self.expired += expired;
        self.already_applied += already_applied;
        self.repeated += repeated;
        self.flushes += flushes;
        self.writes += writes;
        self.rewinds += rewinds;
        self.resent += resent;
        self.newest = self.newest.max(other.newest);
        self.uncommitted_since = self.uncommitted_since.into_iter().chain(other.uncommitted_since).min();
        self.letters_since = self.letters_since.into_iter().chain(other.letters_since).min();
        for status in other.partitions {
            match self.partitions.iter_mut().find(|mine| mine.partition == status.partition) {
                // It has moved from one to the other; whoever is further has it now.
                Some(mine) if (mine.read, mine.lag.is_some()) < (status.read, status.lag.is_some()) => *mine = status,
                Some(_) => {}
                None => self.partitions.push(status),
            }
        }
        self.lag = self.partitions.iter().map(|status| status.lag).sum();
        self
    }

    /// Now minus the newest event time: how fresh an answer is.
    pub fn freshness(&self, now: Timestamp) -> Option<Span> {
        self.newest.map(|newest| now.since(newest))
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
        PartitionStatus { partition: PartitionId::new(partition), commit: read, read, lag }
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
        let one = Progress {
            read: 3,
            partitions: vec![status("a", 5, Some(2)), status("b", 9, None)],
            ..Progress::default()
        };
        let other = Progress {
            read: 4,
            partitions: vec![status("b", 9, Some(0)), status("a", 3, Some(9)), status("c", 1, Some(1))],
            ..Progress::default()
        };
        let all = one.clone().with(other.clone());
        assert_eq!(all.read, 7);
        assert_eq!(all.partitions, [status("a", 5, Some(2)), status("b", 9, Some(0)), status("c", 1, Some(1))]);
        assert_eq!((all.lag, other.with(one).lag), (Some(3), Some(3)));
    }
}
