//! The end that was asked for: what was read becomes durable and is committed, or the worker says what it waited for.

use tokio::sync::watch;

use super::flush::{Backoff, Flushed};
use super::progress::{Progress, Summary};
use super::worker::{Turn, Worker};
use crate::event::Event;
use crate::source::PartitionId;
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// What a worker is at after it was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopping {
    /// It makes durable what it has read.
    Flushing,
    /// What it had read had to be dropped (another owner has written, a tile is full, letters were too large to be held, or
    /// partitions were wanted elsewhere), and it reads that again.
    Rereading,
    /// All of that is durable. The source is told so, and is to let it go.
    Leaving,
}

impl Stopping {
    /// Why a worker that was at this, or in the midst of its work, has not ended within its budget.
    pub(crate) fn overdue(at: Option<Self>, budget: Span) -> Error {
        let missing = "nothing was committed that is not durable, and what is missing will be read again";
        let context = match at {
            None => format!(
                "the worker did not come to its last flush within the drain budget of {budget}, as its store, the place of \
                 its dead letters or its source did not answer; {missing}"
            ),
            Some(Self::Flushing) => format!(
                "the last flush did not finish within the drain budget of {budget}, as the store or the place of the dead \
                 letters did not take all of it; {missing}"
            ),
            Some(Self::Rereading) => format!(
                "what the worker had read had to be dropped (another owner has written, a tile is full, dead letters were \
                 too large to be held, or partitions were wanted elsewhere), and was not read again and written within the \
                 drain budget of {budget}; {missing}"
            ),
            Some(Self::Leaving) => format!(
                "the source (the brokers, with Kafka) did not answer the last commit, or let this worker go, within the \
                 drain budget of {budget}; everything that was read is durable, and the tables say where reading goes on"
            ),
        };
        Error::new(ErrorKind::DeadlineExceeded, context)
    }
}

impl<E: Event> Worker<E> {
    /// Make everything that was read durable and commit it. What a conflict or a full tile sends back to the source is
    /// read again first, as it would be by a worker that goes on.
    pub(super) async fn drain(&mut self, mut turn: Turn, mut backoff: Backoff) -> Result<Summary> {
        loop {
            self.is_at(Stopping::Flushing);
            if !self.lacks_what_it_had() && self.flush().await? == Flushed::Durable {
                break;
            }
            self.is_at(Stopping::Rereading);
            if turn != Turn::Called {
                self.begin(std::future::pending()).await?;
            }
            turn = self.turn(&mut backoff).await?;
            if turn == Turn::Ended {
                return Ok(self.summary(true));
            }
        }
        self.is_at(Stopping::Leaving);
        let partitions: Vec<PartitionId> = self.partitions().cloned().collect();
        self.source.release(&partitions).await?;
        Ok(self.summary(false))
    }

    /// Whether anything was read, dropped before it was durable, and not read again.
    fn lacks_what_it_had(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.met.is_some())
            || self.owned.iter().any(|owned| owned.read < owned.met)
    }

    fn is_at(&mut self, stopping: Stopping) {
        self.progress.stopping = Some(stopping);
        self.publish();
    }
}

/// Completes when the time after a request to stop is over, whatever the worker waits for by then.
pub(super) async fn overdue(
    mut shutdown: watch::Receiver<bool>,
    budget: Span,
    progress: watch::Receiver<Progress>,
) -> Error {
    // A sender that is gone asks too.
    let _ = shutdown.wait_for(|stop| *stop).await;
    tokio::time::sleep(budget.to_std()).await;
    let at = progress.borrow().stopping;
    Stopping::overdue(at, budget)
}
