use std::ffi::CString;

use tokio::time::Instant;

use super::identity::{Place, TopicId};
use super::queue::{Message, Position};
use crate::source::{Batch, Beside, Offset, PartitionId, Payload};
use crate::time::Timestamp;

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
    /// Where reading began for want of any position.
    pub(super) begin: Option<i64>,
    /// The offset of the next message to deliver.
    pub(super) next: i64,
    /// Messages from here on are not delivered.
    pub(super) end: Option<i64>,
    /// What the engine has said to be done; the offset of the next message.
    pub(super) durable: Option<i64>,
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
    /// It has (`None`: from the beginning), and nothing is fetched yet.
    Sought(Option<i64>),
    /// Messages arrive.
    Fetching,
    /// The engine wants to go on at `next`; what arrives until the seek is done is void.
    Seeking,
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
    pub(super) fn new(id: &TopicId, at: &Position) -> Self {
        Self {
            id: id.partition(at.partition),
            topic: at.topic.clone(),
            // Names of topics have no NUL; one that had would be no topic, and nothing would be found of it.
            c_topic: CString::new(at.topic.as_str()).unwrap_or_default(),
            partition: at.partition,
            stage: Stage::Offered,
            committed: at.offset,
            begin: None,
            next: 0,
            end: None,
            durable: None,
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

    /// Continue after this offset. What was taken before is void.
    pub(super) fn seek(&mut self, after: Option<i64>) {
        self.batch = None;
        self.stage = match self.stage {
            Stage::Offered | Stage::Sought(_) => Stage::Sought(after.map(|after| after + 1)),
            Stage::Fetching | Stage::Seeking => {
                self.next = after.map(|after| after + 1).or(self.begin).unwrap_or(0);
                Stage::Seeking
            }
        };
    }

    /// librdkafka has reported a failure; it would go on behind it (see [`Consumer::position`](super::queue::Consumer)).
    pub(super) fn failed(&mut self) {
        if self.stage == Stage::Fetching {
            self.stage = Stage::Seeking;
        }
    }

    /// Copy a message into the batch.
    pub(super) fn take(&mut self, message: Message<'_>, metadata: bool, spare: &mut Vec<Batch>) -> Taken {
        let offset = message.offset();
        let wanted = self.stage == Stage::Fetching && offset >= self.next;
        if wanted {
            self.next = offset + 1;
        }
        if !wanted || self.end.is_some_and(|end| offset >= end) {
            return Taken::Left;
        }
        let batch = self.batch.get_or_insert_with(|| spare.pop().unwrap_or_default());
        let start = batch.buffer.len();
        batch.buffer.extend_from_slice(message.payload());
        let bytes = start..batch.buffer.len();
        // The group's offsets are not negative.
        batch.payloads.push(Payload { offset: Offset::from_u64(offset as u64), bytes, broken: None });
        if metadata {
            let beside = beside(message, &mut batch.buffer);
            batch.beside.push(beside);
        }
        Taken::Kept
    }

    /// Between the last message and this offset there is nothing for us.
    pub(super) fn pass(&mut self, offset: i64, spare: &mut Vec<Batch>) -> Taken {
        if self.stage != Stage::Fetching || offset <= self.next {
            return Taken::Left;
        }
        self.next = offset;
        let batch = self.batch.get_or_insert_with(|| spare.pop().unwrap_or_default());
        batch.reached = Some(Offset::from_u64((offset - 1) as u64));
        Taken::Kept
    }

    /// What was taken so far. `log_end` is the offset after the newest message.
    pub(super) fn finish(&mut self, log_end: Option<i64>) -> Option<Batch> {
        let mut batch = self.batch.take()?;
        batch.partition = Some(self.id.clone());
        batch.lag = log_end.map(|end| u64::try_from(end - self.next).unwrap_or(0));
        Some(batch)
    }
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
