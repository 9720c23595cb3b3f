//! The batch of a partition, as messages come.

use super::{Held, Stage, before};
use crate::source::kafka::queue::Message;
use crate::source::{Batch, Beside, Offset, Payload, Trace, Traced};
use crate::time::Timestamp;

/// What is taken along of messages beside their payloads.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::source::kafka) struct Along {
    /// Keys, headers and times.
    pub(in crate::source::kafka) metadata: bool,
    /// The spans that they were made in, of so many messages of a batch.
    pub(in crate::source::kafka) traces: usize,
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) enum Taken {
    /// It lies in the batch.
    Kept,
    /// It is not to be delivered.
    Left,
}

impl Held {
    /// Copy a message into the batch. One without a value is no payload: it is counted and passed over.
    pub(in crate::source::kafka) fn take(
        &mut self,
        message: Message<'_>,
        along: Along,
        spare: &mut Vec<Batch>,
    ) -> Taken {
        let offset = message.offset();
        if self.stage != Stage::Fetching || offset < self.next {
            return Taken::Left;
        }
        if let Some(end) = self.end.filter(|end| offset >= *end) {
            // Everything before the end is passed, and not this one, as the end may move.
            self.next = self.next.max(end);
            return Taken::Left;
        }
        let leads = offset < self.lead_end;
        let Some(payload) = message.payload() else {
            let taken = self.pass(offset + 1, spare);
            if let Some(batch) = self.batch.as_mut().filter(|_| !leads) {
                batch.tombstones += 1;
            }
            return taken;
        };
        self.next = offset + 1;
        let batch = self.batch.get_or_insert_with(|| spare.pop().unwrap_or_default());
        batch.lead += usize::from(leads);
        let start = batch.buffer.len();
        batch.buffer.extend_from_slice(payload);
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
    pub(in crate::source::kafka) fn stamp(&mut self, millis: Option<i64>) {
        if let Some(batch) = &mut self.batch {
            batch.stamped = millis.map(Timestamp::from_millis);
        }
    }

    /// Between the last message and this offset there is nothing for us, or only what lies behind the end.
    pub(in crate::source::kafka) fn pass(&mut self, offset: i64, spare: &mut Vec<Batch>) -> Taken {
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
    pub(in crate::source::kafka) fn finish(&mut self, log_end: Option<i64>) -> Option<Batch> {
        let mut batch = self.batch.take()?;
        batch.partition = Some(self.id.clone());
        batch.lag = log_end.map(|end| self.lag(end));
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
