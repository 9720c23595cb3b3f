//! Sending: every request until it has a definite answer.

use std::time::Duration;

use crate::store::{Consistency, Item, Outcome, Store, Table, TileId, Write};
use crate::{Error, ErrorKind, Result};

/// Most tiles asked for in one read.
const READ_CHUNK: usize = 1_000;

/// How requests are repeated: doubling pauses from 10 ms to 2 s.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    const LONGEST: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Self { pause: Duration::from_millis(10) }
    }

    /// Say why there will be a pause: for whoever looks closely, until it has gone on for some seconds.
    fn say(&self, error: &Error) {
        if error.kind() == ErrorKind::Denied {
            tracing::warn!(%error, "the store does not let this worker in; asking again");
        } else if self.pause < Self::LONGEST {
            tracing::debug!(%error, "the store did not do it; asking again");
        } else {
            tracing::warn!(%error, "the store has not done it for a while; asking again");
        }
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Self::LONGEST);
    }
}

/// Whether to send a request again. Credentials expire and come back, and permissions are granted, while a worker runs:
/// it waits and says so, as a worker that ended would be started again only to end again.
pub(super) fn can_pass(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Denied
}

/// Whether all writes are durable now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    Durable,
    /// A condition failed and the item does not hold our delta: someone else writes these partitions.
    Conflict,
    /// Tiles took no more, and are closed now: their events have to be met again, as they belong to the dead letters.
    Closed,
}

impl Flushed {
    /// What two parts of a flush come to.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Conflict, _) | (_, Self::Conflict) => Self::Conflict,
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::Durable, Self::Durable) => Self::Durable,
        }
    }
}

/// Write until every write has a definite outcome, and how many had to be sent again. An ambiguous write is sent again
/// as it was: its condition makes the second one harmless.
///
/// A tile that has no room for its delta, or where a number would leave its range by it, is closed to the partitions of the delta before anyone may say so in a dead
/// letter. What the item says then decides for all times and owners which events are in it and which are letters: a
/// smaller delta, which might fit after a restart, and a late copy of one are refused by their conditions.
pub(super) async fn write_all(store: &dyn Store, table: &Table, mut writes: Vec<Write>) -> Result<(Flushed, u64)> {
    let mut backoff = Backoff::new();
    let mut resent = 0;
    let mut flushed = Flushed::Durable;
    loop {
        let (mut again, mut closing) = (Vec::new(), Vec::new());
        let mut conflict = false;
        // All of them in one call, so that a store whose transactions cost by the pages they touch touches each once.
        let outcomes = store.write(table, &writes).await;
        if outcomes.len() != writes.len() {
            return Err(Error::new(ErrorKind::Internal, "the store answered fewer writes than it was given"));
        }
        for (write, outcome) in writes.into_iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Applied) => {}
                Ok(Outcome::Refused(standing)) => conflict |= !holds(&standing, &write),
                Err(error) if can_pass(&error) => {
                    if again.is_empty() {
                        backoff.say(&error);
                    }
                    again.push(write);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Oversize | ErrorKind::Overflow) => {
                    match write.closing() {
                        Some(close) => {
                            tracing::warn!(%error, "a tile takes no more; its further events go to the dead letters");
                            closing.push(close);
                        }
                        None => return Err(error.while_doing(format!("closing a tile of `{}`", table.as_str()))),
                    }
                }
                Err(error) => return Err(error.while_doing(format!("writing to `{}`", table.as_str()))),
            }
        }
        if conflict {
            return Ok((Flushed::Conflict, resent));
        }
        resent += again.len() as u64;
        if !closing.is_empty() {
            super::failpoint::reach("before_closing");
            flushed = Flushed::Closed;
        } else if again.is_empty() {
            if flushed == Flushed::Closed {
                super::failpoint::reach("after_closing");
            }
            return Ok((flushed, resent));
        } else {
            backoff.pause().await;
        }
        writes = again;
        writes.append(&mut closing);
    }
}

/// Whether the standing item contains everything that the refused write would have put there.
fn holds(standing: &Item, write: &Write) -> bool {
    match write {
        Write::Add { applied, .. } => applied.iter().all(|span| standing.holds(&span.partition, span.last)),
        Write::Put { id, last, .. } => id.part.as_ref().is_some_and(|partition| standing.holds(partition, *last)),
        Write::Roll { slots, .. } => slots.iter().all(|slot| standing.is_rolled(*slot)),
    }
}

/// Read tiles strongly, in their order.
pub(super) async fn read_all(store: &dyn Store, table: &Table, ids: &[TileId]) -> Result<Vec<Option<Item>>> {
    let mut items = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(READ_CHUNK) {
        let got = retry(|| store.get(table, chunk, Consistency::Strong)).await?;
        items.extend(got);
    }
    Ok(items)
}

/// Repeat a request that may be repeated until it has a definite answer.
pub(super) async fn retry<T, F: Future<Output = Result<T>>>(mut request: impl FnMut() -> F) -> Result<T> {
    let mut backoff = Backoff::new();
    loop {
        match request().await {
            Err(error) if can_pass(&error) => {
                backoff.say(&error);
                backoff.pause().await;
            }
            definite => return definite,
        }
    }
}
