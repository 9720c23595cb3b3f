//! Payloads in memory as a source: what a worker does alone, without a broker beside it.

use futures_util::future::BoxFuture;
use murmur::source::{Assignment, Batch, Offset, PartitionId, Payload, Poll, Source, Start};

const BATCH: usize = 1_000;

/// Payloads in memory, handed out in batches of one buffer, as a source does. A run goes round over them.
pub(crate) struct Pool {
    partition: PartitionId,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    next: u64,
    events: u64,
    assigned: bool,
    /// A batch that is done with, for the next one.
    spare: Batch,
}

impl Pool {
    /// A run of so many events over these payloads, each ending in `bytes` where `ends` says.
    pub(crate) fn new(bytes: Vec<u8>, ends: Vec<usize>, events: u64) -> Self {
        Self {
            partition: PartitionId::new("pool"),
            bytes,
            ends,
            next: 0,
            events,
            assigned: false,
            spare: Batch::default(),
        }
    }

    /// How many payloads there are.
    pub(crate) fn payloads(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of a payload, on average.
    pub(crate) fn mean(&self) -> usize {
        self.bytes.len() / self.ends.len().max(1)
    }

    pub(crate) fn payload(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    fn deliver(&mut self) -> Poll {
        if !self.assigned {
            self.assigned = true;
            return Poll::Assigned(vec![Assignment {
                partition: self.partition.clone(),
                start: Start::Beginning,
                among: None,
            }]);
        }
        if self.next == self.events {
            return Poll::End;
        }
        let at = (self.next % self.ends.len() as u64) as usize;
        let count = BATCH.min(self.ends.len() - at).min((self.events - self.next) as usize);
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        let mut batch = Batch { partition: Some(self.partition.clone()), ..std::mem::take(&mut self.spare) };
        batch.buffer.extend_from_slice(&self.bytes[from..self.ends[at + count - 1]]);
        let mut start = 0;
        batch.payloads.extend((0..count).map(|n| {
            let end = self.ends[at + n] - from;
            let bytes = std::mem::replace(&mut start, end)..end;
            Payload { offset: Offset::from_u64(self.next + n as u64), bytes, broken: None }
        }));
        self.next += count as u64;
        Poll::Batch(batch)
    }
}

impl Source for Pool {
    fn poll(&mut self) -> BoxFuture<'_, murmur::Result<Poll>> {
        let next = self.deliver();
        Box::pin(async { Ok(next) })
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, murmur::Result<()>> {
        self.next = after.map_or(0, |offset| offset.words()[3] + 1);
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, murmur::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn recycle(&mut self, mut batch: Batch) {
        batch.buffer.clear();
        batch.payloads.clear();
        self.spare = batch;
    }
}
