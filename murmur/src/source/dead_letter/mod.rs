mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
#[cfg(feature = "kafka")]
mod kafka;

pub use file::FileDeadLetters;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaDeadLetters, KafkaLettersConfig};

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Metadata, Offset, PartitionId};
use crate::Result;
use crate::time::Timestamp;

/// A payload that cannot be counted, with why and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Whose.
    pub partition: PartitionId,
    /// Where in the partition.
    pub offset: Offset,
    /// The pipelines that it is not counted in; all of them when it does not decode. Others have counted it.
    pub pipelines: Vec<&'static str>,
    /// Where a person finds it (file and line), when [`Source::place`](super::Source::place) knows.
    pub place: Option<String>,
    /// Why it cannot be counted.
    pub reason: String,
    /// What kind of reason that is.
    pub class: LetterClass,
    /// When it happened, when that could be read.
    pub at: Option<Timestamp>,
    /// Its bytes as the source gave them.
    pub payload: Vec<u8>,
    /// What stood beside it, as far as the source was asked for it.
    pub metadata: Metadata,
}

/// What keeps a payload from being counted, in one word: `undecodable`, `refused` or `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterClass {
    /// It is no event.
    Undecodable,
    /// The pipeline does not take the event: its function panicked, or made a key or a value that cannot be kept.
    Refused,
    /// A tile does not take the event: it is full, or a sum would leave its range.
    Full,
}

impl LetterClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Undecodable, Self::Refused, Self::Full];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Refused => "refused",
            Self::Full => "full",
        }
    }
}

/// How far each pipeline of a worker has a partition durable.
pub type Commits<'a> = &'a [(&'static str, Option<Offset>)];

/// Where payloads go that cannot be counted. A payload leaves a pipeline only as applied, filtered, late beyond policy,
/// or stored here *before* the pipeline's commit passes it.
///
/// The owner of a partition calls [`rewind`](Self::rewind) whenever it takes the partition at its commits, as it will
/// meet the same bad payloads after them again; so each of them is here once for each pipeline that lacks it. Where
/// processes have places of their own, another one may have it too.
pub trait DeadLetters: Send {
    /// Make sure that letters can be put here. Comes before anything is read, and again after an error that is
    /// retryable.
    fn prepare(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Forget that these pipelines lack what lies beyond their commits in `partition`. A letter stays for the pipelines
    /// that are not named, and for those whose commit has passed it. It may stay for all, and then is not taken in again:
    /// a place that workers share must keep what one of them has put, as that one may still raise the commit over it.
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>>;

    /// These pipelines will not meet what lies before their commits again.
    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()>;

    /// Take letters in. They are durable only after the next [`sync`](Self::sync).
    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>>;

    /// Make everything that was put durable. The commits may pass the letters when this returns.
    ///
    /// After an error nobody may take them for durable: it comes again, however often and by whomever is asked, until
    /// they are put again.
    fn sync(&mut self) -> BoxFuture<'_, Result<()>>;
}
