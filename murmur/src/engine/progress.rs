use crate::source::{Offset, PartitionId};
use crate::time::{Span, Timestamp};

/// How far a worker is. Counters count since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
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
    /// Flushes completed.
    pub flushes: u64,
    /// Tiles written.
    pub writes: u64,
    /// Times that the worker went back to its commits because a condition failed.
    pub rewinds: u64,
    /// Requests sent again after an ambiguous or passing failure.
    pub resent: u64,
    /// Payloads known to wait in all owned partitions; `None` when a source cannot tell.
    pub lag: Option<u64>,
    /// Newest event time seen.
    pub newest: Option<Timestamp>,
    /// Each owned partition.
    pub partitions: Vec<PartitionStatus>,
}

impl Progress {
    /// This and another worker's together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        let Self { read, applied, dead, ahead, expired, already_applied, flushes, writes, rewinds, resent, .. } = other;
        self.read += read;
        self.applied += applied;
        self.dead += dead;
        self.ahead += ahead;
        self.expired += expired;
        self.already_applied += already_applied;
        self.flushes += flushes;
        self.writes += writes;
        self.rewinds += rewinds;
        self.resent += resent;
        self.lag = self.lag.zip(other.lag).map(|(mine, others)| mine + others);
        self.newest = self.newest.max(other.newest);
        self.partitions.extend(other.partitions);
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
