use std::sync::Arc;

use super::Explanation;
use crate::source::{Offset, PartitionId};
use crate::time::{Span, TimeRange, Timestamp};
use crate::wire::types;

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Events were counted in the interval.
    Present,
    /// Nothing is known of this key, at any time inside retention.
    Absent,
    /// The key is known, but no event of it lies in the interval.
    Empty,
    /// The whole interval lies before what is kept.
    OutOfRetention,
}

/// The interval that was really answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// First instant inside; `None` when there is no bound on this side.
    pub start: Option<Timestamp>,
    /// First instant after it; `None` when there is no bound on this side.
    pub end: Option<Timestamp>,
    /// Whether the start lies where it was asked for; otherwise it was moved to the edge of a slot or hop (see
    /// [`Edges`](super::Edges)), or to retention.
    pub start_exact: bool,
    /// Whether the end lies where it was asked for; otherwise it was moved to the edge of a slot or hop.
    pub end_exact: bool,
}

impl Interval {
    /// Whether an instant lies inside.
    pub(super) fn has(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }
}

/// A value and the truth about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<R> {
    /// The value; that of no events unless [`is_present`](Self::is_present).
    pub value: R,
    /// Why there is no value although events were counted: it does not fit its reply, and the field is named. Of many
    /// keys one such value takes nothing from the others; a question about one key is answered by an error.
    pub problem: Option<String>,
    /// What the answer is about.
    pub presence: Presence,
    /// The interval that was really answered.
    pub interval: Interval,
    /// How much of the stream is contained, at least.
    pub as_of: AsOf,
    /// What it took, when that was [asked for](super::Reader::explaining); of many keys, what all took together, in the
    /// first answer.
    pub explanation: Option<Explanation>,
}

impl<R> Answer<R> {
    /// Whether there is a value: events were counted in the interval, and it fits its reply.
    pub fn is_present(&self) -> bool {
        self.presence == Presence::Present && self.problem.is_none()
    }
}

/// One value per step over an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<R> {
    /// The steps, in order of time, without gaps.
    pub points: Vec<Point<R>>,
    /// What the series as a whole is about.
    pub presence: Presence,
    /// The interval that was really answered.
    pub interval: Interval,
    /// How much of the stream is contained, at least.
    pub as_of: AsOf,
    /// What it took, when that was [asked for](super::Reader::explaining).
    pub explanation: Option<Explanation>,
}

/// One step of a [`Series`].
#[derive(Debug, Clone, PartialEq)]
pub struct Point<R> {
    /// The interval of the step.
    pub range: TimeRange,
    /// The value; that of no events when there were none.
    pub value: R,
    /// Whether events were counted in the step.
    pub present: bool,
}

/// How much of the stream an answer contains: at least this, for it is read before the tiles are. (A store whose
/// [eventual](crate::store::Consistency::Eventual) reads run behind its writes may show less; strong reads never do.)
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AsOf {
    /// Event time that every partition has reached; `None` while one of them has had no event.
    pub watermark: Option<Timestamp>,
    /// Now minus the newest event time that is contained; `None` before the first event.
    pub freshness: Option<Span>,
    /// Each partition, in the order of their names.
    pub partitions: Arc<[PartitionProgress]>,
}

/// One source partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionProgress {
    /// Which.
    pub partition: PartitionId,
    /// Newest event time up to the offset.
    pub watermark: Option<Timestamp>,
    /// Everything up to and including this offset is contained.
    pub offset: Option<Offset>,
}

impl From<&PartitionProgress> for types::PartitionProgress {
    fn from(PartitionProgress { partition, watermark, offset }: &PartitionProgress) -> Self {
        let offset = offset.map(|offset| offset.to_string()).unwrap_or_default();
        Self { partition: partition.as_str().into(), watermark: *watermark, offset }
    }
}
