//! What is known of a key that is watched.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tonic::Status;

use super::super::handler::Reply;
use super::How;
use super::partitions::Partitions;
use crate::pipeline::Pipeline;
use crate::wire::types::Answer;

/// A key that is watched in one way, by any number of streams.
pub(super) struct Entry<P: Pipeline> {
    pub(super) key: P::Key,
    /// The key as the store has it.
    pub(super) text: Arc<str>,
    pub(super) how: Arc<How<P>>,
    newest: Mutex<Newest<P>>,
}

/// What the last look has found.
pub(super) enum Newest<P: Pipeline> {
    /// Nobody has looked yet.
    Unknown,
    Found(Arc<Found<P>>),
    /// No more looks are taken.
    Failed(Status),
}

impl<P: Pipeline> Clone for Newest<P> {
    fn clone(&self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Found(found) => Self::Found(found.clone()),
            Self::Failed(status) => Self::Failed(status.clone()),
        }
    }
}

/// An answer, with what replies have of it once somebody wants them.
pub(super) struct Found<P: Pipeline> {
    /// Which look has found it; they are counted.
    pub(super) look: u64,
    pub(super) digest: u64,
    /// How often its entry had another digest before.
    pub(super) change: u64,
    pub(super) value: Reply<P>,
    pub(super) present: bool,
    /// The truth about it, without the partitions.
    pub(super) truth: Answer,
    pub(super) partitions: Arc<Partitions>,
    /// Bytes of its key, its value and the truth about it, as replies have them.
    pub(super) bytes: usize,
    /// What a reply of `Watch` has before the truth.
    pub(super) reply: OnceLock<Box<[u8]>>,
    /// What an entry of a reply of `WatchMany` has before the truth.
    pub(super) entry: OnceLock<Box<[u8]>>,
}

impl<P: Pipeline> Entry<P> {
    /// One that nobody has looked at.
    pub(super) fn new((key, text): (P::Key, Arc<str>), how: Arc<How<P>>) -> Self {
        Self { key, text, how, newest: Mutex::new(Newest::Unknown) }
    }

    pub(super) fn newest(&self) -> Newest<P> {
        self.slot().clone()
    }

    /// Put this in place of what was found before; whether it is another value.
    pub(super) fn put(&self, mut found: Found<P>) -> bool {
        let mut newest = self.slot();
        let is_new = match &*newest {
            Newest::Found(before) => {
                let is_new = before.digest != found.digest;
                found.change = before.change + u64::from(is_new);
                is_new
            }
            Newest::Unknown | Newest::Failed(_) => true,
        };
        *newest = Newest::Found(Arc::new(found));
        is_new
    }

    /// No more looks are taken.
    pub(super) fn fail(&self, status: Status) {
        *self.slot() = Newest::Failed(status);
    }

    fn slot(&self) -> MutexGuard<'_, Newest<P>> {
        // It is replaced as a whole.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
