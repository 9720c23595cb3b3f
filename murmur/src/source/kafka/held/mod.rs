//! Partitions that are ours.

mod filling;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::time::Duration;

use tokio::time::Instant;

use super::identity::{Place, TopicId};
use super::queue::Position;
use crate::source::{Batch, Offset, PartitionId, Start};

pub(super) use filling::{Along, Taken};

/// When a commit that failed is repeated.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

/// A partition of which the group says that it is ours.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: PartitionId,
    pub(super) topic: String,
    /// The same for the C side.
    pub(super) c_topic: CString,
    pub(super) partition: i32,
    pub(super) stage: Stage,
    /// What the group had as its commit when the partition came: the offset of the next message.
    pub(super) committed: Option<i64>,
    /// Whether that commit names our tables.
    pub(super) is_ours: bool,
    /// Where whoever is new to it begins: nothing before was counted.
    pub(super) first: Option<i64>,
    /// The offset of the next message to deliver.
    pub(super) next: i64,
    /// How many offsets before the place where processing begins are to be delivered too. Stays until reading has begun
    /// there: an attempt that fails on the way is made again with it.
    pub(super) before: u64,
    /// The offset at which processing begins.
    lead_end: i64,
    /// The log begins here, behind the position, and that was accepted; the engine was not told yet.
    gap_to: Option<i64>,
    /// The engine was not told yet how many wait where it begins.
    untold: bool,
    /// Messages from here on are not delivered.
    pub(super) end: Option<i64>,
    /// What the engine has said to be done; the offset of the next message.
    pub(super) durable: Option<i64>,
    /// The commit that has no answer yet. There is one at a time: when the coordinator moves, librdkafka sends requests again
    /// in no certain order, and an older one that comes last takes the commit back.
    asked: Option<i64>,
    /// More is done than the last one that was answered says.
    is_behind: bool,
    /// When to commit `durable` once more, as the last commit failed.
    commit_due: Option<Instant>,
    /// Since when the log seems to end before our position.
    pub(super) beyond_since: Option<Instant>,
    /// What is being filled.
    batch: Option<Batch>,
}

/// How far a held partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The engine has not said from where.
    Offered,
    /// It has, and nothing is fetched yet.
    Sought(i64),
    /// Messages arrive.
    Fetching,
    /// The engine wants to go on at `next`; what arrives until the seek is done is void.
    Seeking,
}

impl Held {
    /// As it comes from the group.
    pub(super) fn new(id: &TopicId, at: &Position, start: &Start) -> Self {
        Self {
            id: id.partition(at.partition),
            topic: at.topic.clone(),
            // Names of topics have no NUL; one that had would be no topic, and nothing would be found of it.
            c_topic: CString::new(at.topic.as_str()).unwrap_or_default(),
            partition: at.partition,
            stage: Stage::Offered,
            committed: at.offset,
            is_ours: true,
            first: match start {
                Start::Beginning => Some(0),
                Start::After(offset) => i64::try_from(offset.words()[3]).ok().map(|last| last + 1),
                Start::Nowhere(_) => None,
            },
            next: 0,
            before: 0,
            lead_end: 0,
            gap_to: None,
            untold: false,
            end: None,
            durable: None,
            asked: None,
            is_behind: false,
            commit_due: None,
            beyond_since: None,
            batch: None,
        }
    }

    pub(super) fn at(&self, offset: Option<i64>) -> Position {
        Position { topic: self.topic.clone(), partition: self.partition, offset }
    }

    pub(super) fn is(&self, at: &Position) -> bool {
        self.partition == at.partition && self.topic == at.topic
    }

    /// All before `next` is done: what to commit now, or `None` while an earlier commit has no answer.
    pub(super) fn commit(&mut self, next: i64) -> Option<Position> {
        self.durable = Some(next);
        self.asked.is_none().then(|| self.at(self.durable))
    }

    /// A commit is on its way.
    pub(super) fn commit_asked(&mut self, next: Option<i64>) {
        self.asked = next;
    }

    /// It has an answer.
    pub(super) fn commit_answered(&mut self, next: Option<i64>) {
        if self.asked.is_some() && self.asked == next {
            self.asked = None;
            self.is_behind = self.durable != next;
        }
    }

    /// A commit was refused. With nothing new no other one would follow, and whoever watches the group would see it
    /// behind.
    pub(super) fn commit_failed(&mut self, next: Option<i64>, now: Instant) {
        self.commit_answered(next);
        self.commit_due = self.commit_due.or(Some(now + COMMIT_AGAIN));
    }

    /// What the last commit has to say; `None` when those that were asked say all that is done.
    pub(super) fn commit_last(&mut self) -> Option<Position> {
        let is_open =
            self.is_behind || self.commit_due.is_some() || self.asked.is_some_and(|at| self.durable != Some(at));
        (self.commit_due, self.is_behind) = (None, false);
        is_open.then(|| self.at(self.durable))
    }

    /// What is to be committed by now, as a commit has failed, or an earlier one was waited for: all that is done.
    pub(super) fn commit_again(&mut self, now: Instant) -> Option<Position> {
        let is_due = self.commit_due.map_or(self.is_behind, |due| due <= now);
        if !is_due || self.asked.is_some() {
            return None;
        }
        (self.commit_due, self.is_behind) = (None, false);
        Some(self.at(Some(self.durable?)))
    }

    /// Whether librdkafka has it in its assignment.
    pub(super) fn is_assigned(&self) -> bool {
        matches!(self.stage, Stage::Fetching | Stage::Seeking)
    }

    /// Whether everything before the end was delivered.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Fetching && self.end.is_some_and(|end| self.next >= end)
    }

    pub(super) fn place(&self, offset: Offset) -> String {
        Place { topic: self.topic.clone(), partition: self.partition, offset: offset.words()[3] }.to_string()
    }

    /// Continue after this offset, and deliver so many `before` it too. What was taken before is void.
    pub(super) fn seek(&mut self, after: Option<i64>, before: u64) {
        self.batch = None;
        self.before = before;
        self.untold = true;
        self.gap_to = None;
        let next = after.map_or(0, |after| after + 1);
        self.stage = match self.stage {
            Stage::Offered | Stage::Sought(_) => Stage::Sought(next),
            Stage::Fetching | Stage::Seeking => {
                (self.lead_end, self.next) = (next, next);
                Stage::Seeking
            }
        };
    }

    /// What stands before `low` is gone, and that is accepted: go on there. The engine is told, so that its position
    /// passes the gap even where nothing follows.
    pub(super) fn pass_gap(&mut self, low: i64) {
        self.gap_to = Some(low);
        self.untold = true;
        if self.is_assigned() {
            self.batch = None;
            (self.lead_end, self.next) = (low, low);
            self.stage = Stage::Seeking;
        }
    }

    /// Processing is to begin at `next`; the log begins at `low`.
    pub(super) fn begin_at(&mut self, next: i64, low: i64) {
        self.lead_end = next;
        let first = next.saturating_sub_unsigned(self.before).max(0).min(next);
        self.next = first.max(low).min(next);
        let gone = self.next - first;
        // Where it begins anew, it has counted nothing that could be there twice.
        if gone > 0 && self.first != Some(next) {
            self.say_that_lead_is_gone(gone);
        }
    }

    /// The offset of the next message that is to be counted.
    pub(super) fn due(&self) -> i64 {
        self.next.max(self.lead_end)
    }

    /// Of what leads up to the beginning the log has lost more while that was read: go on with what is there, at `low`.
    /// `false` when it is not that, or not that alone.
    pub(super) fn pass_lead(&mut self, low: i64) -> bool {
        let is_lead = self.is_assigned() && self.next < low && low <= self.lead_end;
        if is_lead {
            self.say_that_lead_is_gone(low - self.next);
            self.next = low;
            self.stage = Stage::Seeking;
        }
        is_lead
    }

    fn say_that_lead_is_gone(&self, gone: i64) {
        tracing::warn!(
            partition = %self.at(None),
            gone,
            "the log has lost what `dedup` is to look at before its position: repetitions of up to so many messages \
             count again; keep messages for longer than the horizon"
        );
    }

    /// The same again, for what is fetched already. Going on after a failure is no new beginning, and stays where it is.
    pub(super) fn begin_again(&mut self, low: i64) {
        if self.before > 0 {
            self.begin_at(self.lead_end, low);
        }
    }

    /// The consumer has taken the place where reading begins.
    pub(super) fn begun(&mut self) {
        self.before = 0;
        self.stage = Stage::Fetching;
    }

    /// How many wait where the engine has begun, before any of them has come: in a quiet partition none does for long.
    pub(super) fn tell(&mut self, log_end: Option<i64>) -> Option<Batch> {
        let lag = self.lag(log_end?);
        let gap_to = self.gap_to.take();
        std::mem::take(&mut self.untold).then(|| Batch {
            partition: Some(self.id.clone()),
            lag: Some(lag),
            reached: gap_to.and_then(before),
            ..Batch::default()
        })
    }

    /// What leads up to the beginning does not wait.
    fn lag(&self, log_end: i64) -> u64 {
        u64::try_from(log_end - self.due()).unwrap_or(0)
    }

    /// Read on to a later end.
    pub(super) fn extend(&mut self, end: i64) {
        if self.end.is_some_and(|own| own < end) {
            self.end = Some(end);
            self.refetch();
        }
    }

    /// What librdkafka has for its position may be wrong (see [`Consumer::position`](super::queue::Consumer)): a failure
    /// and the report of an end count as messages there. Continue at ours.
    pub(super) fn refetch(&mut self) {
        if self.stage == Stage::Fetching {
            self.stage = Stage::Seeking;
        }
    }
}

/// The last offset before the next one.
pub(super) fn before(next: i64) -> Option<Offset> {
    u64::try_from(next).ok()?.checked_sub(1).map(Offset::from_u64)
}
