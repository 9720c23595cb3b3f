//! Sending: every request until it has a definite answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::failpoint::{self, Point};
use crate::store::{Consistency, Item, Outcome, Store, Table, TileId, Write, Writes};
use crate::{Error, ErrorKind, Result};

/// Most tiles asked for in one read.
const READ_CHUNK: usize = 1_000;

/// How the requests of a worker are repeated. Clones go on with the same random numbers: a worker with a seed makes the
/// same pauses again.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed | 1)))
    }

    /// A random number: xorshift (Marsaglia 2003) is enough for a pause.
    pub(super) fn random(&self) -> u64 {
        let mut x = self.0.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.store(x, Ordering::Relaxed);
        x
    }

    /// For something that is about to be tried.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff { patience: self.clone(), pause: FIRST, began: Instant::now(), say_after: SOON }
    }

    /// Repeat a request that may be repeated until it has a definite answer.
    pub(super) async fn retry<T, F: Future<Output = Result<T>>>(&self, mut request: impl FnMut() -> F) -> Result<T> {
        let mut backoff = self.backoff();
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
}

/// Pauses double from the first to the longest; each is shorter by up to its half, so that those who failed together do
/// not come back together.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(2);
/// After how long a failure that may pass is said to people. From then on it is said whenever it lasts twice as long, or
/// once more after [`RARELY`].
const SOON: Duration = Duration::from_secs(3);
const RARELY: Duration = Duration::from_secs(600);
/// For so long a flush tries by itself what the store does not take at once.
const LEAVES_AFTER: Duration = Duration::from_millis(100);
/// One in so many of its tiles a flush may leave behind: where more have to wait it is not for their keys, and the store had
/// better be left alone.
const LEAVES_OF: usize = 2;

/// Something that has failed and is tried again.
#[derive(Debug)]
pub(super) struct Backoff {
    patience: Patience,
    pause: Duration,
    began: Instant,
    say_after: Duration,
}

impl Backoff {
    /// For what people should hear of the first time already.
    pub(super) fn said_at_once(self) -> Self {
        Self { say_after: Duration::ZERO, ..self }
    }

    /// Whether it is time to say to people that it fails.
    pub(super) fn is_to_be_said(&mut self) -> bool {
        let lasts = self.began.elapsed();
        let is_due = lasts >= self.say_after;
        if is_due {
            self.say_after = lasts + lasts.clamp(SOON, RARELY);
        }
        is_due
    }

    /// Say what a store has answered: for whoever looks closely, until it has gone on for some seconds.
    fn say(&mut self, error: &Error) {
        let is_due = self.is_to_be_said();
        let seconds = self.began.elapsed().as_secs();
        if error.kind() == ErrorKind::Denied && (is_due || self.pause == FIRST) {
            tracing::warn!(%error, seconds, "the store does not let this worker in; asking again");
        } else if is_due {
            tracing::warn!(%error, seconds, "the store has not done it for a while; asking again");
        } else {
            tracing::debug!(%error, "the store did not do it; asking again");
        }
    }

    pub(super) async fn pause(&mut self) {
        let shorter = self.pause.mul_f64((self.patience.random() % 1_024) as f64 / 2_048.0);
        tokio::time::sleep(self.pause - shorter).await;
        self.pause = (self.pause * 2).min(LONGEST);
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

/// What became of writes.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) flushed: Flushed,
    /// How many had to be sent again.
    pub(super) resent: u64,
    /// Those of them of which nobody knew whether they had been carried out.
    pub(super) ambiguous: u64,
    /// Those that still wait, to be sent as they are. Only of a flush that leaves some.
    pub(super) left: Vec<Write>,
}

/// Write until every write has a definite outcome. An ambiguous write is sent again
/// as it was: its condition makes the second one harmless.
///
/// A tile that has no room for its delta, or where a number would leave its range by it, is closed to the partitions of the delta before anyone may say so in a dead
/// letter. What the item says then decides for all times and owners which events are in it and which are letters: a
/// smaller delta, which might fit after a restart, and a late copy of one are refused by their conditions.
///
/// With `leaves` it ends before that when some have had to wait for [`LEAVES_AFTER`] and most are durable.
pub(super) async fn write_all(
    store: &dyn Store,
    table: &Table,
    mut writes: Vec<Write>,
    backoff: &mut Backoff,
    leaves: bool,
) -> Result<Written> {
    let (mut resent, mut ambiguous) = (0, 0);
    let mut flushed = Flushed::Durable;
    let few = if leaves { writes.len() / LEAVES_OF } else { 0 };
    loop {
        let (mut again, mut closing) = (Vec::new(), Vec::new());
        let mut conflict = false;
        // All of them in one call, so that a store whose transactions cost by the pages they touch touches each once.
        let asked = Writes::from(writes);
        let outcomes = store.write(table, asked.clone()).await;
        if outcomes.len() != asked.len() {
            return Err(Error::new(ErrorKind::Internal, "the store answered fewer writes than it was given"));
        }
        for (write, outcome) in asked.iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Applied) => {}
                Ok(Outcome::Refused(standing)) => conflict |= !holds(&standing, write),
                Err(error) if can_pass(&error) => {
                    if again.is_empty() {
                        backoff.say(&error);
                    }
                    ambiguous += u64::from(error.kind() == ErrorKind::Ambiguous);
                    again.push(write.clone());
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
            return Ok(Written { flushed: Flushed::Conflict, resent, ambiguous, left: Vec::new() });
        }
        resent += again.len() as u64;
        if !closing.is_empty() {
            failpoint::reach(Point::BeforeClosing);
            flushed = Flushed::Closed;
        } else if again.is_empty() {
            if flushed == Flushed::Closed {
                failpoint::reach(Point::AfterClosing);
            }
            return Ok(Written { flushed, resent, ambiguous, left: Vec::new() });
        } else {
            backoff.pause().await;
            if again.len() <= few && flushed == Flushed::Durable && backoff.began.elapsed() >= LEAVES_AFTER {
                return Ok(Written { flushed, resent, ambiguous, left: again });
            }
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
pub(super) async fn read_all(
    store: &dyn Store,
    table: &Table,
    ids: &[TileId],
    patience: &Patience,
) -> Result<Vec<Option<Item>>> {
    let mut items = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(READ_CHUNK) {
        let got = patience.retry(|| store.get(table, chunk, Consistency::Strong)).await?;
        items.extend(got);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_lasts_is_said_after_seconds_and_then_ever_more_rarely() {
        let (patience, began) = (Patience::new(7), Instant::now());
        let mut backoff = patience.backoff();
        let mut said = Vec::new();
        while began.elapsed() < Duration::from_secs(3_600) {
            if backoff.is_to_be_said() {
                said.push(began.elapsed().as_secs());
            }
            backoff.pause().await;
        }
        assert!((3..6).contains(&said[0]), "{said:?}");
        assert!(said.len() < 16, "{said:?}");
        assert!(said.windows(2).all(|pair| pair[1] - pair[0] <= 602), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_long_to_fail_is_said_at_once() {
        let mut backoff = Patience::new(7).backoff();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(backoff.is_to_be_said() && !backoff.is_to_be_said());
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_vanishes_or_outgrows_the_longest_however_often_it_fails() {
        for seed in [0, 1, u64::MAX] {
            let mut backoff = Patience::new(seed).backoff();
            for failures in 0..1_000 {
                let began = Instant::now();
                backoff.pause().await;
                let least = (FIRST * 2_u32.pow(failures.min(20))).min(LONGEST) / 2;
                let range = least..=LONGEST + Duration::from_millis(1);
                assert!(range.contains(&began.elapsed()), "{:?} after {failures}", began.elapsed());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_differ_between_workers_and_are_the_same_with_the_same_seed() {
        let pauses = async |seed| {
            let (mut backoff, mut pauses) = (Patience::new(seed).backoff(), Vec::new());
            for longest in [10, 20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000] {
                let began = Instant::now();
                backoff.pause().await;
                assert!((longest / 2..=longest + 1).contains(&(began.elapsed().as_millis() as u64)));
                pauses.push(began.elapsed());
            }
            pauses
        };
        assert_eq!(pauses(3).await, pauses(3).await);
        assert_ne!(pauses(3).await, pauses(4).await);
    }
}
