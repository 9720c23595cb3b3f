//! When streams of replies end: with their deadline, with the standing of their caller, with a reader that takes nothing, with their
//! connection, or with the server.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::Extensions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

use super::access::standing::{Standing, ended};
use super::protocol::deadline;
use super::refusal::Reason;
use crate::time::Span;

/// Knows when a server is stopping, or a connection: calls with one reply finish, streams end.
#[derive(Debug, Clone)]
pub(super) struct Drain {
    stopping: Option<watch::Receiver<bool>>,
    /// Of a stream: whether its connection is.
    connection: Option<watch::Receiver<bool>>,
}

impl Drain {
    /// Of a server that has no drain of its own.
    pub(super) fn never() -> Self {
        Self { stopping: None, connection: None }
    }

    pub(super) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { stopping: Some(stopping), connection: None }
    }

    /// That of a stream of a request with these extensions, in which a connection has put its own.
    pub(super) fn of(&self, extensions: &Extensions) -> Self {
        let connection = extensions.get::<Self>().and_then(|connection| connection.stopping.clone());
        Self { connection, ..self.clone() }
    }

    /// The parts of a stream, until that, or until the server stops. What a service has to say of that itself, such as that it does
    /// not serve any more, is passed on before.
    ///
    /// What ends it holds for a reader that takes nothing too: what the stream holds is let go then.
    pub(super) fn guard<T: Send + 'static>(
        &self,
        parts: BoxStream<'static, Result<T, Status>>,
        until: Until,
    ) -> BoxStream<'static, Result<T, Status>> {
        let state = State { left: Left::Open(parts), reader: None, offered: Some(Instant::now()) };
        let parts = Parts(Arc::new(Mutex::new(state)));
        let ends = Ends::at(&parts, until);
        let guarded = Guarded { parts, drain: self.clone(), stopping: false, _ends: ends };
        let parts = stream::unfold(Some(guarded), |guarded| async move {
            let mut guarded = guarded?;
            let part = guarded.next().await?;
            let rest = part.is_ok().then_some(guarded);
            Some((part, rest))
        });
        parts.boxed()
    }

    pub(super) async fn stopping(&mut self) {
        tokio::select! {
            () = stops(&mut self.stopping) => {}
            () = stops(&mut self.connection) => {}
        }
    }
}

/// What ends a stream of replies that goes on by itself.
pub(super) struct Until {
    /// When its deadline passes.
    pub(super) deadline: Option<Instant>,
    /// When its caller has no standing any more, where one has to be known.
    pub(super) standing: Option<Standing>,
    /// When its reader has taken nothing for so long, though there was something.
    pub(super) stall: Duration,
}

/// A stream of replies that has an end.
struct Guarded<T> {
    parts: Parts<T>,
    drain: Drain,
    stopping: bool,
    _ends: Ends,
}

impl<T: Send + 'static> Guarded<T> {
    async fn next(&mut self) -> Option<Result<T, Status>> {
        let Self { parts, drain, stopping, .. } = self;
        if !*stopping {
            tokio::select! {
                biased;
                () = drain.stopping() => *stopping = true,
                part = poll_fn(|cx| parts.poll(cx)) => return part,
            }
            if let Some(part) = poll_fn(|cx| parts.poll(cx)).now_or_never() {
                return part;
            }
        }
        Some(Err(shutting_down()))
    }
}

/// What is left of a stream, for its reader and for what ends it.
struct Parts<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    left: Left<T>,
    /// Who waits for the next part.
    reader: Option<Waker>,
    /// Since when there may be a next part that nobody has asked for: a connection without room for it does not ask.
    offered: Option<Instant>,
}

enum Left<T> {
    Open(BoxStream<'static, Result<T, Status>>),
    Ended(Status),
    Nothing,
}

impl<T> Parts<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Whoever panics under the lock takes the stream with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Status>>> {
        let mut state = self.state();
        state.offered = None;
        match std::mem::replace(&mut state.left, Left::Nothing) {
            Left::Open(mut parts) => {
                let part = parts.poll_next_unpin(cx);
                if !matches!(part, Poll::Ready(None)) {
                    state.left = Left::Open(parts);
                }
                state.reader = part.is_pending().then(|| cx.waker().clone());
                state.offered = part.is_ready().then(Instant::now);
                part
            }
            Left::Ended(status) => Poll::Ready(Some(Err(status))),
            Left::Nothing => Poll::Ready(None),
        }
    }

    /// Let go of what is left; its reader is told why.
    fn end(&self, status: Status) {
        let mut state = self.state();
        if matches!(state.left, Left::Open(_)) {
            let left = std::mem::replace(&mut state.left, Left::Ended(status));
            let reader = state.reader.take();
            drop(state);
            drop(left);
            reader.into_iter().for_each(Waker::wake);
        }
    }
}

/// Ends a stream at its time, in a task that goes with it.
struct Ends(JoinHandle<()>);

impl Ends {
    fn at<T: Send + 'static>(parts: &Parts<T>, until: Until) -> Self {
        let parts = Arc::downgrade(&parts.0);
        let Until { deadline: at, standing, stall } = until;
        Self(tokio::spawn(async move {
            let status = tokio::select! {
                biased;
                () = sleep_until(at) => deadline::passed(),
                status = ended(standing) => status,
                () = stalled(&parts, stall) => {
                    let span = Span::from(stall);
                    Reason::READER_STALLED.bare(format!("nothing of this stream was read for {span}; go on where it stood"))
                }
            };
            if let Some(parts) = parts.upgrade() {
                Parts(parts).end(status);
            }
        }))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn stops(stopping: &mut Option<watch::Receiver<bool>>) {
    match stopping {
        // An error: the server itself is gone.
        Some(stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
        None => std::future::pending().await,
    }
}

fn shutting_down() -> Status {
    Status::unavailable("the server is shutting down; call again")
}

/// Ends when the reader has taken nothing for so long.
async fn stalled<T>(parts: &Weak<Mutex<State<T>>>, patience: Duration) {
    // Without parts nothing is left to end.
    while let Some(parts) = parts.upgrade().map(Parts) {
        let stands = parts.state().offered.map_or(Duration::ZERO, |since| since.elapsed());
        if stands >= patience {
            return;
        }
        drop(parts);
        tokio::time::sleep(patience - stands).await;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(300);

    fn until(deadline: Option<Instant>) -> Until {
        Until { deadline, standing: None, stall: STALL }
    }

    /// A stream that never has a part, and whoever holds it.
    fn silent() -> (BoxStream<'static, Result<(), Status>>, Weak<()>) {
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let parts = stream::poll_fn(move |_| {
            let _held = &held;
            Poll::Pending
        });
        (parts.boxed(), weak)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stream_holds_is_let_go_at_its_deadline_though_its_reader_takes_nothing() {
        let (parts, held) = silent();
        let at = Instant::now() + Duration::from_secs(1);
        let mut guarded = Drain::never().guard(parts, until(Some(at)));
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert!(held.upgrade().is_some());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(held.upgrade().is_none());
        assert_eq!(guarded.next().await.unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
        assert!(guarded.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_is_told_of_the_end() {
        let (stop, stopping) = watch::channel(false);
        let (parts, held) = silent();
        let at = Instant::now() + Duration::from_secs(1);
        let waiting = tokio::spawn(async move { Drain::never().guard(parts, until(Some(at))).next().await });
        assert_eq!(waiting.await.unwrap().unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
        assert!(held.upgrade().is_none());
        let (parts, _held) = silent();
        let waiting = tokio::spawn(async move { Drain::new(stopping).guard(parts, until(None)).next().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
        assert_eq!(waiting.await.unwrap().unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn a_stream_that_has_ended_ends() {
        let at = Instant::now() + Duration::from_secs(100);
        let parts = stream::iter([Ok(1), Ok(2)]).boxed();
        let all: Vec<_> = Drain::never().guard(parts, until(Some(at))).map(Result::unwrap).collect().await;
        assert_eq!(all, [1, 2]);
    }

    /// A stream of parts without end, and whoever holds it.
    fn talking() -> (BoxStream<'static, Result<(), Status>>, Weak<()>) {
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let parts = stream::repeat_with(move || {
            let _held = &held;
            Ok(())
        });
        (parts.boxed(), weak)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stream_holds_is_let_go_when_its_reader_takes_nothing_for_long() {
        for parts_before in [0, 3] {
            let (parts, held) = talking();
            let mut guarded = Drain::never().guard(parts, until(None));
            for _ in 0..parts_before {
                // Slowly is no reason to end.
                tokio::time::sleep(STALL * 9 / 10).await;
                guarded.next().await.unwrap().unwrap();
            }
            tokio::time::sleep(STALL * 9 / 10).await;
            assert!(held.upgrade().is_some());
            tokio::time::sleep(STALL / 5).await;
            assert!(held.upgrade().is_none());
            let status = guarded.next().await.unwrap().unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unavailable);
            assert!(status.message().contains("for 5m"), "{status}");
            assert!(guarded.next().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_waits_for_what_does_not_come_is_not_stalled() {
        let (parts, held) = silent();
        let mut guarded = Drain::never().guard(parts, until(None));
        assert!(tokio::time::timeout(STALL * 10, guarded.next()).await.is_err());
        assert!(held.upgrade().is_some());
    }
}
