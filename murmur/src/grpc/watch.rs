//! The value of a key now, and again whenever it changes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::Notify;

use super::handler::value_response;
use super::protocol::deadline;
use super::protocol::rpc::encode;
use super::status;
use crate::pipeline::Pipeline;
use crate::query::{Ask, Presence, Reader};
use crate::store::Consistency;

/// When watched keys are looked at again.
#[derive(Debug, Clone)]
pub struct Watching {
    every: Duration,
    wake: Option<Arc<Notify>>,
}

impl Default for Watching {
    /// Every second.
    fn default() -> Self {
        Self::every(Duration::from_secs(1))
    }
}

impl Watching {
    /// Look at intervals of this length.
    pub fn every(every: Duration) -> Self {
        Self { every, wake: None }
    }

    /// Look also when `wake` is notified, by [`Notify::notify_waiters`]: a worker in the same process does so after
    /// each flush. A notification that comes while a watcher is busy costs it at most one interval.
    #[must_use]
    pub fn woken_by(mut self, wake: Arc<Notify>) -> Self {
        self.wake = Some(wake);
        self
    }

    async fn next(&self) {
        let interval = tokio::time::sleep(self.every);
        match &self.wake {
            Some(wake) => tokio::select! {
                () = wake.notified() => {}
                () = interval => {}
            },
            None => interval.await,
        }
    }
}

/// The replies to a watcher: the answer as it stands, then each answer whose value or presence is another one. A
/// watcher that is slow sees the newest and misses those between; nothing is kept for it.
pub(super) fn changes<P: Pipeline>(
    reader: Reader<P>,
    consistency: Consistency,
    key: P::Key,
    ask: Ask,
    watching: Watching,
) -> BoxStream<'static, Result<Vec<u8>, tonic::Status>> {
    let start = State { reader, consistency, key, ask, watching, last: None };
    stream::unfold(Some(start), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(reply) => Some((Ok(reply), Some(state))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct State<P: Pipeline> {
    reader: Reader<P>,
    consistency: Consistency,
    key: P::Key,
    ask: Ask,
    watching: Watching,
    last: Option<(Presence, super::handler::Reply<P>)>,
}

impl<P: Pipeline> State<P> {
    async fn next(&mut self) -> Result<Vec<u8>, tonic::Status> {
        loop {
            if self.last.is_some() {
                self.watching.next().await;
            }
            let look = self.reader.ask(&self.key, self.ask, self.consistency);
            let answer = tokio::time::timeout(LOOK, look).await.map_err(|_| deadline::passed())?;
            let answer = answer.map_err(|error| status::of(&error))?;
            let now = (answer.presence, answer.value.clone());
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now);
                return encode(&value_response(answer));
            }
        }
    }
}

/// How long one look at the store may take.
const LOOK: Duration = Duration::from_secs(5);
