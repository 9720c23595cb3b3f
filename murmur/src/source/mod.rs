//! Where events come from: partitions, offsets, batches and commits.
//!
//! A source deals out ordered partitions. The engine reads batches from them, and tells the source the highest offset
//! below which everything is durable. After a conflict the engine asks to read a partition again from a position.

use std::ops::Range;

use futures_util::future::BoxFuture;

pub(crate) mod dead_letter;
#[cfg(feature = "jsonl")]
pub mod jsonl;
#[cfg(feature = "kafka")]
pub mod kafka;
mod metadata;
mod position;
mod records;
mod trace;

pub use dead_letter::{Commits, DeadLetters, FileDeadLetters, Letter, LetterClass};
#[cfg(feature = "kafka")]
pub use dead_letter::{KafkaDeadLetters, KafkaLettersConfig};
pub use metadata::{Beside, Envelope, Metadata};
pub use position::{Offset, PartitionId};
pub use records::{Record, RecordOutcome, Records, Shelf, Version};
pub use trace::{Trace, Traced};

use crate::Result;
use crate::time::Timestamp;

/// What [`Source::poll`] has to say.
#[derive(Debug)]
pub enum Poll {
    /// These partitions are this reader's from now on. Reading one starts only when the engine has called
    /// [`Source::seek`] for it. A source says so at least once, with none where it has none for this reader: until then
    /// the worker does not count as ready.
    Assigned(Vec<Assignment>),
    /// These partitions are to be given up: flush and commit what is owned, then call [`Source::release`].
    Revoked(Vec<PartitionId>),
    /// These partitions are already someone else's: drop what is unflushed, commit nothing.
    Lost(Vec<PartitionId>),
    /// Payloads of one partition, in offset order.
    Batch(Batch),
    /// Nothing new within the source's own waiting time.
    Idle,
    /// All that is this reader's was delivered, and others still read theirs; they may wait for what this one commits,
    /// so it is better made durable now than when it is due.
    Settle,
    /// Everything there is has been delivered; only bounded sources say so, and only once nothing can follow.
    End,
}

/// A partition given to this reader.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Which.
    pub partition: PartitionId,
    /// Where a pipeline begins that has no record of this partition in its store. One that has a record goes on where
    /// that says, whatever the source has as its own commit.
    pub start: Start,
    /// Where others may be added beside it.
    pub among: Option<Among>,
}

/// A partition's place among those of a whole that grows, as a topic does.
///
/// Where a pipeline begins decides about what has been there so far. In a partition that is added later it has nothing to pass
/// over, whichever worker has it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Among {
    /// What all of them belong to; names a record of each table.
    pub whole: Box<str>,
    /// Its place, from 0 on. What is added comes last.
    pub place: u32,
    /// How many there are, as far as the reader knew when it began.
    pub count: u32,
    /// Where to begin in this one, if it was added after the pipeline had begun.
    pub if_added: Start,
}

/// Where a pipeline begins in a partition that is new to it. The engine makes it durable before anything is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the first payload that there ever was.
    Beginning,
    /// After this one: what stands up to here is not for this pipeline.
    After(Offset),
    /// Nowhere, for this reason: it is an error that there is no record.
    Nowhere(Box<str>),
}

/// Payloads of one partition, in offset order, in one buffer: no allocation per event.
#[derive(Debug, Default)]
pub struct Batch {
    /// Whose.
    pub partition: Option<PartitionId>,
    /// The bytes that the payload ranges point into.
    pub buffer: Vec<u8>,
    /// Offset and place of each payload.
    pub payloads: Vec<Payload>,
    /// How many more payloads are known to wait in this partition; `None` when the source cannot tell.
    pub lag: Option<u64>,
    /// When the source took in the first of these payloads, by the source's clock; `None` when it keeps no such time.
    pub stamped: Option<Timestamp>,
    /// The newest position already looked at, if that is past the last payload (skipped blanks, end of a file).
    pub reached: Option<Offset>,
    /// How many records were passed over that say only that a key is gone, and have no payload at all.
    pub tombstones: u64,
    /// What stands beside each payload, in their order. Empty when the source has no such thing or was not asked for it.
    pub beside: Vec<Beside>,
    /// The spans that payloads were made in, where someone has recorded them ([`Source::carry_traces`]); in the order of
    /// the payloads, of a few of them, and each span once.
    pub traces: Vec<Traced>,
    /// How many payloads at the front stand before the place where processing begins
    /// ([`seek_before`](Source::seek_before)).
    pub lead: usize,
}

/// One payload of a [`Batch`].
#[derive(Debug, Clone)]
pub struct Payload {
    /// Where it stands.
    pub offset: Offset,
    /// Its bytes within [`Batch::buffer`].
    pub bytes: Range<usize>,
    /// Why the source itself cannot hand this one over whole (a line over the size limit, broken compression); it
    /// goes to the dead letters with this reason. An error of a worker says it too, so it has nothing of the payload.
    pub broken: Option<Box<str>>,
}

/// How the distance between two payloads of a partition is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruler {
    /// By the payloads between them.
    Payloads,
    /// By their offsets, which are numbers: gaps count as well.
    Offsets,
}

/// What a source may want to be asked about ([`Source::asks`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Partitions are to be given up, or are lost.
    Back,
    /// Any news about partitions.
    Anything,
}

/// Asks for the offsets of the newest payloads of the partitions that the reader has now, as far as they can be found;
/// `None` of one that holds nothing.
pub type Ends = Box<dyn Fn() -> BoxFuture<'static, Vec<(PartitionId, Option<Offset>)>> + Send>;

/// A stream of partitions and batches. One reader owns it; [`poll`](Self::poll) and
/// [`release`](Self::release) may be cancelled only by dropping the source.
pub trait Source: Send {
    /// Have batches carry what stands beside the payloads ([`Batch::beside`]); whether this source has such a thing.
    /// Called before the first poll, if at all.
    fn carry_beside(&mut self) -> bool {
        false
    }

    /// Have batches carry the spans that their payloads were made in ([`Batch::traces`]), `at_most` so many of them in each
    /// batch. Called before the first poll, if at all. Sources whose payloads say no such thing leave it as it is.
    fn carry_traces(&mut self, at_most: usize) {
        let _ = at_most;
    }

    /// What is read is kept in these tables, each by a name that no other store has. A source that is shared out among
    /// programs can tell by that whether the others are the same one. Called before the first poll, if at all.
    fn read_for(&mut self, tables: &[String]) {
        let _ = tables;
    }

    /// What comes next. Partitions that were not [`seek`](Self::seek)ed yet deliver nothing.
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>>;

    /// Deliver `partition` from just after `after` (from its first payload when `None`): neither later, whatever the
    /// source has as its commit, nor with a gap that is not said. Payloads of this partition that were polled earlier are
    /// void.
    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>>;

    /// As [`seek`](Self::seek), but deliver first what led up to it: all payloads whose [`Ruler`] says that they stand
    /// at most `count` before.
    fn seek_before<'a>(
        &'a mut self,
        partition: &'a PartitionId,
        after: Option<Offset>,
        count: u64,
    ) -> BoxFuture<'a, Result<()>> {
        let _ = (after, count);
        self.seek(partition, None)
    }

    /// How the distance between two payloads of a partition is measured.
    fn ruler(&self) -> Ruler {
        Ruler::Payloads
    }

    /// Everything of `partition` up to and including `offset` is durable. It is for those who look at the source from
    /// outside; nobody goes on from it. A commit that fails is no loss, as the store has the position: an error that is
    /// retryable does not stop the worker, and repeating is the source's own matter.
    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>>;

    /// The partitions of [`Poll::Revoked`] are flushed and committed; let them go.
    fn release<'a>(&'a mut self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
        let _ = partitions;
        Box::pin(async { Ok(()) })
    }

    /// Completes when the next [`poll`](Self::poll) has this to say about partitions. The engine waits for it while
    /// something else keeps it from polling for long, and may drop it at any time. Sources whose partitions nobody takes
    /// away leave it as it is.
    fn asks(&self, what: Asks) -> BoxFuture<'static, ()> {
        let _ = what;
        Box::pin(std::future::pending())
    }

    /// How to ask where the partitions end, for as long as this source lives; `None` when there is nothing to know beyond
    /// what batches say. Such offsets are numbers, and their distance is what waits.
    fn ends(&self) -> Option<Ends> {
        None
    }

    /// A batch that was polled and is done with; a source can use its buffers again.
    fn recycle(&mut self, batch: Batch) {
        drop(batch);
    }

    /// Whether what it reads from can be reached, as far as it knows where [`poll`](Self::poll) gives no error.
    fn answers(&self) -> bool {
        true
    }

    /// Where a person finds the payload at `offset` (file and line); `None` when the source cannot say more than the
    /// offset does.
    fn place(&self, partition: &PartitionId, offset: Offset) -> Option<String> {
        let _ = (partition, offset);
        None
    }
}
