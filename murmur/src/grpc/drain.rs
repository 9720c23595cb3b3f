//! When streams of replies end: with their deadline, with the standing of their caller, with their connection, or with the server.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::Extensions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

use super::access::standing::{Standing, ended};
use super::protocol::deadline;

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

    /// The parts of a stream, until the deadline passes, its caller has no standing any more, or the server stops. What a service has
    /// to say of that itself, such as that it does not serve any more, is passed on before.
    ///
    /// Deadline and standing hold for a reader that takes nothing too: what the stream holds is let go then.
    pub(super) fn guard<T: Send + 'static>(
        &self,
        parts: BoxStream<'static, Result<T, Status>>,
        at: Option<Instant>,
        standing: Option<Standing>,
    ) -> BoxStream<'static, Result<T, Status>> {
        let parts = Parts(Arc::new(Mutex::new(State { left: Left::Open(parts), reader: None })));
        let ends = (at.is_some() || standing.is_some()).then(|| Ends::at(&parts, at, standing));
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

/// A stream of replies that has an end.
struct Guarded<T> {
    parts: Parts<T>,
    drain: Drain,
    stopping: bool,
    _ends: Option<Ends>,
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
        match std::mem::replace(&mut state.left, Left::Nothing) {
            Left::Open(mut parts) => {
                let part = parts.poll_next_unpin(cx);
                if !matches!(part, Poll::Ready(None)) {
                    state.left = Left::Open(parts);
                }
                state.reader = part.is_pending().then(|| cx.waker().clone());
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
    fn at<T: Send + 'static>(parts: &Parts<T>, at: Option<Instant>, standing: Option<Standing>) -> Self {
        let parts = Arc::downgrade(&parts.0);
        Self(tokio::spawn(async move {
            let status = tokio::select! {
                biased;
                () = sleep_until(at) => deadline::passed(),
                status = ended(standing) => status,
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

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A stream that never has a part, and whoever holds it.
    fn silent() -> (BoxStream<'static, Result<(), Status>>, std::sync::Weak<()>) {
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
        let mut guarded = Drain::never().guard(parts, Some(at), None);
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
        let waiting = tokio::spawn(async move { Drain::never().guard(parts, Some(at), None).next().await });
        assert_eq!(waiting.await.unwrap().unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
        assert!(held.upgrade().is_none());
        let (parts, _held) = silent();
        let waiting = tokio::spawn(async move { Drain::new(stopping).guard(parts, None, None).next().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
        assert_eq!(waiting.await.unwrap().unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    }

    #[tokio::test]
    async fn a_stream_that_has_ended_ends() {
        let at = Instant::now() + Duration::from_secs(100);
        let parts = stream::iter([Ok(1), Ok(2)]).boxed();
        let all: Vec<_> = Drain::never().guard(parts, Some(at), None).map(Result::unwrap).collect().await;
        assert_eq!(all, [1, 2]);
    }
}
