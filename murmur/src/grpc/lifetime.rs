//! How long a connection is there: until it is too old, or nobody has used it for a while.

use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

use super::limits::Limits;

/// How many requests of a connection are being answered.
#[derive(Debug, Clone)]
pub(super) struct Busy(watch::Sender<usize>);

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(watch::Sender<usize>);

impl Busy {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn begin(&self) -> Answering {
        self.0.send_modify(|requests| *requests += 1);
        Answering(self.0.clone())
    }

    /// Ends when there was no request for so long.
    async fn idle(&self, patience: Duration) {
        let mut requests = self.0.subscribe();
        loop {
            // Its sender is here, so that it changes or does not.
            if *requests.borrow_and_update() > 0 {
                let _ = requests.changed().await;
            } else if tokio::time::timeout(patience, requests.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Ends when the connection should: what is being answered is finished then, and nothing new begins.
    pub(super) async fn over(&self, limits: &Limits) {
        let aged = async {
            match limits.age {
                Some(age) => tokio::time::sleep(spread(age)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = aged => {}
            () = self.idle(limits.idle) => {}
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

/// A tenth more or less, so that connections that began together do not begin anew together.
fn spread(age: Duration) -> Duration {
    // Whoever makes a table of hashes gets other numbers each time.
    let random = RandomState::new().hash_one(()) % 201;
    age.saturating_mul(900 + u32::try_from(random).unwrap_or_default()) / 1_000
}

/// The body of an answer; while it is there, its request is being answered.
pub(super) struct Answer<B> {
    body: B,
    _answering: Answering,
}

impl<B> Answer<B> {
    pub(super) fn new(body: B, answering: Answering) -> Self {
        Self { body, _answering: answering }
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_its_last_request_is_answered_and_no_other_comes() {
        let busy = Busy::new();
        let idle = async |after: Duration| tokio::time::timeout(after, busy.idle(MINUTE)).await.is_ok();
        let first = busy.begin();
        assert!(!idle(10 * MINUTE).await);
        let second = busy.begin();
        drop(first);
        assert!(!idle(10 * MINUTE).await);
        drop(second);
        assert!(!idle(MINUTE / 2).await);
        assert!(idle(MINUTE).await);
        // One that has come and gone unseen is one.
        let mut waiting = std::pin::pin!(busy.idle(MINUTE));
        tokio::select! {
            biased;
            () = &mut waiting => panic!("it is not idle yet"),
            () = tokio::time::sleep(MINUTE / 2) => drop(busy.begin()),
        }
        let begun = tokio::time::Instant::now();
        waiting.await;
        assert_eq!(begun.elapsed(), MINUTE);
    }

    #[test]
    fn connections_of_one_age_do_not_end_together() {
        let ages: Vec<Duration> = (0..100).map(|_| spread(MINUTE)).collect();
        assert!(ages.iter().all(|age| (MINUTE * 9 / 10..=MINUTE * 11 / 10).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age != ages[0]));
        assert!(spread(Duration::MAX) > MINUTE);
    }
}
