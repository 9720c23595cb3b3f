use std::ffi::CString;
use std::time::Duration;

use tokio::time::Instant;

use super::identity::{Place, TopicId};
use super::queue::{Message, Position};
use crate::source::{Batch, Beside, Offset, PartitionId, Payload, Start, Trace, Traced};
use crate::time::Timestamp;

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

/// What is taken along of messages beside their payloads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Along {
    /// Keys, headers and times.
    pub(super) metadata: bool,
    /// The spans that they were made in, of so many messages of a batch.
    pub(super) traces: usize,
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It lies in the batch.
    Kept,
    /// It is not to be delivered.
    Left,
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

    /// A commit was refused. With nothing new no other one would follow, and whoever watches the group would see it
    /// behind.
    pub(super) fn commit_failed(&mut self, now: Instant) {
        self.commit_due = self.commit_due.or(Some(now + COMMIT_AGAIN));
    }

    /// What is to be committed again by now: all that is done, which may be more than what was refused.
    pub(super) fn commit_again(&mut self, now: Instant) -> Option<Position> {
        self.commit_due.take_if(|due| *due <= now)?;
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
            tracing::warn!(
                partition = %self.at(None),
                gone,
                "the log has lost what `dedup` is to look at before its position: repetitions of up to so many messages \
                 count again; keep messages for longer than the horizon"
            );
        }
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
        u64::try_from(log_end - self.next.max(self.lead_end)).unwrap_or(0)
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

    /// Copy a message into the batch.
    pub(super) fn take(&mut self, message: Message<'_>, along: Along, spare: &mut Vec<Batch>) -> Taken {
        let offset = message.offset();
        if self.stage != Stage::Fetching || offset < self.next {
            return Taken::Left;
        }
        if let Some(end) = self.end.filter(|end| offset >= *end) {
            // Everything before the end is passed, and not this one, as the end may move.
            self.next = self.next.max(end);
            return Taken::Left;
        }
        self.next = offset + 1;
        let batch = self.batch.get_or_insert_with(|| spare.pop().unwrap_or_default());
        let leads = offset < self.lead_end;
        batch.lead += usize::from(leads);
        let start = batch.buffer.len();
        batch.buffer.extend_from_slice(message.payload());
        let bytes = start..batch.buffer.len();
        // The group's offsets are not negative.
        batch.payloads.push(Payload { offset: Offset::from_u64(offset as u64), bytes, broken: None });
        if along.metadata {
            let beside = beside(message, &mut batch.buffer);
            batch.beside.push(beside);
        }
        if batch.traces.len() < along.traces
            && !leads
            && let Some(trace) = trace(message)
            && !batch.traces.iter().any(|known| known.trace.is_of(&trace))
        {
            batch.traces.push(Traced { payload: batch.payloads.len() - 1, trace });
        }
        Taken::Kept
    }

    /// When the first message of the batch was made or taken in, in milliseconds since 1970.
    pub(super) fn stamp(&mut self, millis: Option<i64>) {
        if let Some(batch) = &mut self.batch {
            batch.stamped = millis.map(Timestamp::from_millis);
        }
    }

    /// Between the last message and this offset there is nothing for us, or only what lies behind the end.
    pub(super) fn pass(&mut self, offset: i64, spare: &mut Vec<Batch>) -> Taken {
        let offset = self.end.map_or(offset, |end| offset.min(end));
        if self.stage != Stage::Fetching || offset <= self.next {
            return Taken::Left;
        }
        self.next = offset;
        if offset <= self.lead_end {
            return Taken::Left;
        }
        let batch = self.batch.get_or_insert_with(|| spare.pop().unwrap_or_default());
        batch.reached = before(offset);
        Taken::Kept
    }

    /// What was taken so far. `log_end` is the offset after the newest message.
    pub(super) fn finish(&mut self, log_end: Option<i64>) -> Option<Batch> {
        let mut batch = self.batch.take()?;
        batch.partition = Some(self.id.clone());
        batch.lag = log_end.map(|end| self.lag(end));
        Some(batch)
    }
}

/// The last offset before the next one.
pub(super) fn before(next: i64) -> Option<Offset> {
    u64::try_from(next).ok()?.checked_sub(1).map(Offset::from_u64)
}

/// Copy what stands beside a message behind its payload.
fn beside(message: Message<'_>, buffer: &mut Vec<u8>) -> Beside {
    let mut put = |bytes: &[u8]| {
        let start = buffer.len();
        buffer.extend_from_slice(bytes);
        start..buffer.len()
    };
    let key = message.key().map(&mut put);
    let mut headers = Vec::new();
    message.headers(|name, value| headers.push((put(name), value.map(&mut put))));
    Beside { key, headers, stamped: message.stamped().map(Timestamp::from_millis) }
}

/// The span that a message was made in, if that was recorded. Of several headers of a name the last one counts.
fn trace(message: Message<'_>) -> Option<Trace> {
    let (mut parent, mut state) = (None, None);
    message.headers(|name, value| match name {
        b"traceparent" => parent = value,
        b"tracestate" => state = value,
        _ => {}
    });
    Trace::recorded(parent?, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(stage: Stage, next: i64) -> Held {
        let at = Position { topic: "t".to_owned(), partition: 0, offset: None };
        Held { stage, next, ..Held::new(&TopicId::of([7; 16]), &at, &Start::Beginning) }
    }

    /// Give it messages with these offsets; the payload of each is its offset.
    fn give(held: &mut Held, offsets: impl IntoIterator<Item = i64>, spare: &mut Vec<Batch>) {
        for offset in offsets {
            let payload = offset.to_string();
            let raw = Message::sample_of(offset, payload.as_bytes());
            held.take(Message::sample(&raw), Along::default(), spare);
        }
    }

    fn delivered(batch: &Batch) -> Vec<(u64, &str)> {
        let text = |payload: &Payload| std::str::from_utf8(&batch.buffer[payload.bytes.clone()]).unwrap();
        batch.payloads.iter().map(|payload| (payload.offset.words()[3], text(payload))).collect()
    }

    #[test]
    fn what_leads_up_to_the_beginning_is_delivered_as_that_and_only_once() {
        let mut held = held(Stage::Fetching, 0);
        let mut spare = Vec::new();
        held.seek(Some(9), 4);
        held.begin_again(2);
        held.begun();
        assert_eq!(held.next, 6);
        give(&mut held, 5..8, &mut spare);
        assert_eq!(held.pass(9, &mut spare), Taken::Left, "a gap before the beginning is nothing that was reached");
        give(&mut held, 9..12, &mut spare);
        let batch = held.finish(None).unwrap();
        assert_eq!(
            (delivered(&batch).iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), batch.lead),
            (vec![6, 7, 9, 10, 11], 3)
        );
        assert_eq!(batch.reached, None);

        // Going on after a failure is no new beginning; a log that begins later leads up from there.
        held.refetch();
        held.begin_again(2);
        assert_eq!((held.stage, held.next), (Stage::Seeking, 12));
        held.seek(Some(9), 100);
        held.begin_again(7);
        assert_eq!(held.next, 7);
    }

    #[test]
    fn a_beginning_that_fails_on_the_way_is_made_again_with_the_same_lead() {
        let lead = |held: &mut Held| {
            held.begun();
            give(held, 5..12, &mut Vec::new());
            let batch = held.finish(None).unwrap();
            (delivered(&batch)[0].0, batch.payloads.len(), batch.lead)
        };
        let mut offered = held(Stage::Offered, 0);
        offered.seek(Some(9), 4);
        for _ in 0..3 {
            offered.begin_at(10, 2);
            assert_eq!((offered.stage, offered.next), (Stage::Sought(10), 6));
        }
        assert_eq!(lead(&mut offered), (6, 6, 4));

        let mut fetched = held(Stage::Fetching, 20);
        fetched.seek(Some(9), 4);
        for _ in 0..3 {
            fetched.begin_again(2);
            assert_eq!((fetched.stage, fetched.next), (Stage::Seeking, 6));
        }
        assert_eq!(lead(&mut fetched), (6, 6, 4));
    }

    #[test]
    fn a_group_commit_that_failed_is_made_again_once_with_the_newest_position() {
        let (mut held, now) = (held(Stage::Fetching, 9), Instant::now());
        assert_eq!(held.commit_again(now + 10 * COMMIT_AGAIN), None, "none has failed");
        held.durable = Some(5);
        held.commit_failed(now);
        // Another one that fails meanwhile, or more that is done, is part of the same.
        held.commit_failed(now + COMMIT_AGAIN / 2);
        held.durable = Some(7);
        assert_eq!(held.commit_again(now + COMMIT_AGAIN / 2), None, "not before its time");
        assert_eq!(held.commit_again(now + COMMIT_AGAIN), Some(held.at(Some(7))));
        assert_eq!(held.commit_again(now + 10 * COMMIT_AGAIN), None, "until the next one fails");
        held.commit_failed(now + 10 * COMMIT_AGAIN);
        assert_eq!(held.commit_again(now + 11 * COMMIT_AGAIN), Some(held.at(Some(7))), "as this one did again");
    }

    #[test]
    fn a_batch_has_the_messages_of_its_partition_and_how_many_wait() {
        let mut held = held(Stage::Fetching, 5);
        give(&mut held, [5, 6, 9, 10], &mut Vec::new());
        let batch = held.finish(Some(15)).unwrap();
        assert_eq!(batch.partition, Some(held.id.clone()));
        assert_eq!(delivered(&batch), [(5, "5"), (6, "6"), (9, "9"), (10, "10")]);
        assert_eq!((batch.lag, batch.reached), (Some(4), None));
        assert!(batch.beside.is_empty());
        assert!(held.finish(Some(15)).is_none());
    }

    #[test]
    fn how_many_wait_is_said_once_where_processing_begins_and_without_the_lead() {
        let mut held = held(Stage::Offered, 0);
        held.seek(Some(9), 4);
        held.begin_at(10, 0);
        held.begun();
        assert!(held.tell(None).is_none(), "nobody knows yet");
        let batch = held.tell(Some(15)).unwrap();
        assert_eq!((batch.partition.as_ref(), batch.lag, batch.reached), (Some(&held.id), Some(5), None));
        assert!(batch.payloads.is_empty() && held.tell(Some(15)).is_none(), "once");
        give(&mut held, 6..8, &mut Vec::new());
        assert_eq!(held.finish(Some(15)).unwrap().lag, Some(5), "these are only looked at");
        give(&mut held, 8..12, &mut Vec::new());
        assert_eq!(held.finish(Some(15)).unwrap().lag, Some(3));
        held.refetch();
        held.begun();
        assert!(held.tell(Some(15)).is_none(), "going on is no beginning");
        held.seek(Some(11), 0);
        held.begun();
        assert_eq!(held.tell(Some(15)).unwrap().lag, Some(3));
    }

    #[test]
    fn nothing_is_delivered_twice_or_before_the_engine_has_said_from_where() {
        let mut spare = Vec::new();
        for stage in [Stage::Offered, Stage::Sought(5), Stage::Seeking] {
            let mut held = held(stage, 5);
            give(&mut held, [5, 6], &mut spare);
            assert!(held.finish(None).is_none());
            assert_eq!(held.next, 5);
        }
        let mut held = held(Stage::Fetching, 5);
        give(&mut held, [3, 4, 5, 5, 6, 5], &mut spare);
        assert_eq!(delivered(&held.finish(None).unwrap()), [(5, "5"), (6, "6")]);
    }

    #[test]
    fn a_seek_makes_void_what_was_taken() {
        let mut spare = Vec::new();
        let mut held = held(Stage::Fetching, 0);
        give(&mut held, 50..60, &mut spare);
        held.seek(Some(44), 0);
        assert_eq!((held.stage, held.next), (Stage::Seeking, 45));
        give(&mut held, 60..70, &mut spare);
        assert!(held.finish(None).is_none());
        held.seek(None, 0);
        assert_eq!((held.stage, held.next), (Stage::Seeking, 0));
    }

    #[test]
    fn a_gap_that_is_accepted_is_said_to_the_engine_and_passed_once() {
        let mut offered = held(Stage::Offered, 0);
        offered.seek(Some(4), 0);
        offered.pass_gap(10);
        offered.begin_at(10, 10);
        offered.begun();
        let mut fetched = held(Stage::Fetching, 5);
        give(&mut fetched, [5], &mut Vec::new());
        fetched.pass_gap(10);
        assert_eq!((fetched.stage, fetched.next), (Stage::Seeking, 10));
        fetched.begun();
        for mut held in [offered, fetched] {
            let batch = held.tell(Some(10)).unwrap();
            assert_eq!((batch.payloads.len(), batch.lag, batch.reached), (0, Some(0), before(10)));
            assert!(held.tell(Some(10)).is_none());
            give(&mut held, [9, 10], &mut Vec::new());
            assert_eq!(delivered(&held.finish(None).unwrap()), [(10, "10")]);
        }
    }

    #[test]
    fn markers_and_gaps_are_passed_and_the_end_is_kept() {
        let mut spare = Vec::new();
        let mut held = held(Stage::Fetching, 0);
        held.end = Some(8);
        give(&mut held, [0, 1], &mut spare);
        assert!(!held.is_done());
        assert_eq!(held.pass(2, &mut spare), Taken::Left, "no gap");
        assert_eq!(held.pass(4, &mut spare), Taken::Kept);
        let batch = held.finish(Some(9)).unwrap();
        assert_eq!((delivered(&batch).len(), batch.reached, batch.lag), (2, Some(Offset::from_u64(3)), Some(5)));
        give(&mut held, [7, 8, 9], &mut spare);
        assert_eq!(delivered(&held.finish(Some(10)).unwrap()), [(7, "7")]);
        assert!(held.is_done());
        held.seek(Some(1), 0);
        assert!(!held.is_done());
    }

    #[test]
    fn what_was_left_behind_the_end_is_read_when_the_end_moves() {
        let mut spare = Vec::new();
        let mut held = held(Stage::Fetching, 0);
        held.end = Some(2);
        give(&mut held, 0..5, &mut spare);
        assert_eq!(delivered(&held.finish(Some(5)).unwrap()).len(), 2);
        assert_eq!(held.pass(5, &mut spare), Taken::Left, "a commit must not pass what was left");
        held.extend(1);
        assert!(held.is_done(), "an end does not move back");
        held.extend(4);
        assert_eq!((held.stage, held.next), (Stage::Seeking, 2));
        held.stage = Stage::Fetching;
        give(&mut held, 2..5, &mut spare);
        assert_eq!(delivered(&held.finish(Some(5)).unwrap()), [(2, "2"), (3, "3")]);

        let mut ahead = Held { end: Some(2), ..self::held(Stage::Fetching, 9) };
        give(&mut ahead, [9], &mut spare);
        assert_eq!(ahead.next, 9, "a commit may be behind the end");
    }

    #[test]
    fn buffers_are_used_again() {
        let mut held = held(Stage::Fetching, 0);
        let mut spare = vec![Batch { buffer: Vec::with_capacity(1_000), ..Batch::default() }];
        give(&mut held, 0..10, &mut spare);
        assert!(spare.is_empty());
        assert!(held.finish(None).unwrap().buffer.capacity() >= 1_000);
    }

    #[test]
    fn after_a_failure_nothing_is_taken_before_the_seek() {
        let mut spare = Vec::new();
        let mut held = held(Stage::Fetching, 0);
        give(&mut held, 0..3, &mut spare);
        held.refetch();
        give(&mut held, 4..6, &mut spare);
        assert_eq!(held.next, 3);
        assert_eq!(delivered(&held.finish(None).unwrap()).len(), 3, "what came before it counts");
        let mut offered = Held { stage: Stage::Offered, ..held };
        offered.refetch();
        assert_eq!(offered.stage, Stage::Offered);
    }
}
