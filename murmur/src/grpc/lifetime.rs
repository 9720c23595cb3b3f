//! How long a connection is there: until it is too old, its client's certificate has ended, or nobody has used it for a while.

use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::header::CONNECTION;
use http::{HeaderValue, Response, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Instant;

use super::drain::Drain;
use super::limits::Limits;

/// How long a connection by HTTP/1 that comes to its end waits for one more request, whose answer says that it is the last one. By HTTP/2
/// so long after the end of its certificate: where callers have to be known, their calls and streams are told of that before.
const LAST: Duration = Duration::from_secs(10);

/// No time since a connection began.
const NONE: u64 = u64::MAX;

/// The life of one connection: what of it is being answered, and whether it comes to its end.
#[derive(Debug, Clone)]
pub(super) struct Life(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// Requests that are being answered, and are a use of the connection. Nobody is woken by them: the connection itself would be,
    /// twice for each.
    answering: AtomicUsize,
    /// When the last of them was over, in nanoseconds since it began.
    over: AtomicU64,
    ending: watch::Sender<bool>,
    /// Whether its requests come by HTTP/1, one after the other.
    by_one: AtomicBool,
    /// Whether any has begun that others may stand beside.
    begun: AtomicBool,
    /// By HTTP/1: whether a request is being answered, of strangers too.
    busy: AtomicBool,
    /// By HTTP/1: when the first byte of the headers came that are on their way, in nanoseconds since the connection began; [`NONE`]
    /// while none are.
    heard: AtomicU64,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Use);

/// Whether a request is a use of its connection. One of a stranger is not, or strangers could hold all connections.
#[derive(Debug, Clone)]
pub(super) struct Use {
    life: Life,
    counts: Arc<AtomicBool>,
}

impl Use {
    /// Who asks may ask: the connection is not idle before the answer is over.
    pub(super) fn count(&self) {
        if !self.counts.swap(true, Ordering::Relaxed) {
            self.life.0.answering.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Life {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            answering: AtomicUsize::new(0),
            over: AtomicU64::new(0),
            ending: watch::Sender::new(false),
            by_one: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            heard: AtomicU64::new(NONE),
        }))
    }

    /// A request begins.
    pub(super) fn begin(&self, version: Version) -> Answering {
        let Inner { by_one, begun, busy, heard, .. } = &*self.0;
        if version < Version::HTTP_2 {
            by_one.store(true, Ordering::Relaxed);
            busy.store(true, Ordering::Relaxed);
            heard.store(NONE, Ordering::Relaxed);
        } else {
            begun.store(true, Ordering::Relaxed);
        }
        Answering(Use { life: self.clone(), counts: Arc::new(AtomicBool::new(false)) })
    }

    /// Poll what serves the connection, which then waits behind the requests that it has begun, and so is there once for all of
    /// their answers. Otherwise the first one would have it run before the others, and each would be written alone.
    pub(super) fn poll_behind<F: Future + ?Sized>(
        &self,
        connection: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let polled = connection.poll(cx);
        if polled.is_pending() && self.0.begun.swap(false, Ordering::Relaxed) {
            cx.waker().wake_by_ref();
        }
        polled
    }

    /// What tells the streams of the connection when it comes to its end.
    pub(super) fn drain(&self) -> Drain {
        Drain::new(self.0.ending.subscribe())
    }

    /// Its streams end, with a status that lets them be resumed elsewhere.
    pub(super) fn end(&self) {
        self.0.ending.send_replace(true);
    }

    /// Whether its client has to be told that no other request is taken, with this answer.
    fn is_last(&self) -> bool {
        self.0.by_one.load(Ordering::Relaxed) && *self.0.ending.borrow()
    }

    /// Ends when it was not used for so long.
    async fn idle(&self, patience: Duration) {
        let Inner { began, answering, over, .. } = &*self.0;
        let asked = Instant::now();
        let since = |now| match answering.load(Ordering::Acquire) {
            0 => asked.max(*began + Duration::from_nanos(over.load(Ordering::Relaxed))),
            // What is being answered now is over later.
            _ => now,
        };
        passed(patience, since).await;
    }

    /// By HTTP/1: whether headers are on their way.
    fn is_asked(&self) -> bool {
        self.0.heard.load(Ordering::Relaxed) != NONE
    }

    /// Bytes have come by HTTP/1. While no request is being answered, they are of the headers of the next one.
    pub(super) fn hear(&self) {
        let Inner { began, busy, heard, .. } = &*self.0;
        if !busy.load(Ordering::Relaxed) && !self.is_asked() {
            heard.store(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Ends when the headers of a request by HTTP/1 are on their way for so long, however often another byte of them comes. A piece that
    /// came with the request before, and nothing after it, is as nothing: such a connection is idle.
    pub(super) async fn slow(&self, patience: Duration) {
        let Inner { began, heard, .. } = &*self.0;
        let since = |now| match heard.load(Ordering::Relaxed) {
            // What begins to come from now on is late later.
            NONE => now,
            nanos => *began + Duration::from_nanos(nanos),
        };
        passed(patience, since).await;
    }

    /// By HTTP/1: the next answer is the last one. Ends when nobody has asked for it.
    async fn last(&self) {
        self.end();
        tokio::time::sleep(LAST).await;
        if self.is_asked() {
            // Headers on their way have no longer than that: an answer is made by then, or they were cut off.
            tokio::time::sleep(LAST).await;
        }
    }

    /// Ends when the connection should: what is being answered is finished then, and nothing new begins. Whoever calls by it has shown
    /// a certificate that is good `until` then.
    pub(super) async fn over(&self, limits: &Limits, until: Option<SystemTime>) {
        let aged = async {
            match limits.age {
                Some(age) => tokio::time::sleep(spread(age)).await,
                None => std::future::pending().await,
            }
            // By HTTP/1 a client may be sending its next request just now, so the next answer says that it is the last one.
            if self.0.by_one.load(Ordering::Relaxed) {
                self.end();
                std::future::pending::<()>().await;
            }
        };
        let idle = async {
            self.idle(limits.idle).await;
            // Strangers may ask by it now and then, who are no use of it.
            if self.0.by_one.load(Ordering::Relaxed) {
                self.last().await;
            }
        };
        let outlived = async {
            ended(until).await;
            match self.0.by_one.load(Ordering::Relaxed) {
                true => self.last().await,
                false => tokio::time::sleep(LAST).await,
            }
        };
        tokio::select! {
            () = aged => {}
            () = idle => {}
            () = outlived => {}
        }
    }
}

impl Answering {
    /// For whoever finds out who asks.
    pub(super) fn as_use(&self) -> Use {
        self.0.clone()
    }

    /// The answer as the connection gives it.
    pub(super) fn answer<B>(self, mut answer: Response<B>) -> Response<Answer<B>> {
        if self.0.life.is_last() {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.map(|body| Answer { body, _answering: self })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Use { life, counts } = &self.0;
        life.0.busy.store(false, Ordering::Relaxed);
        if counts.load(Ordering::Relaxed) {
            let Inner { began, answering, over, .. } = &*life.0;
            over.fetch_max(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            answering.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Ends when a certificate has.
async fn ended(until: Option<SystemTime>) {
    /// The clock may be set meanwhile.
    const EVERY: Duration = Duration::from_secs(60);
    let Some(until) = until else { return std::future::pending().await };
    while let Some(left) = until.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero()) {
        tokio::time::sleep(left.min(EVERY)).await;
    }
}

/// Ends when so much time has passed since an instant, which may be a later one whenever it is asked for.
async fn passed(patience: Duration, since: impl Fn(Instant) -> Instant) {
    loop {
        let now = Instant::now();
        match since(now).checked_add(patience) {
            Some(end) if end <= now => return,
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
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
    use std::future::poll_fn;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A request of one who may ask.
    fn used(life: &Life) -> Answering {
        let answering = life.begin(Version::HTTP_2);
        answering.as_use().count();
        answering.as_use().count();
        answering
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_its_last_request_is_answered_and_no_other_comes() {
        let life = Life::new();
        let idle = async |after: Duration| tokio::time::timeout(after, life.idle(MINUTE)).await.is_ok();
        let first = used(&life);
        assert!(!idle(10 * MINUTE).await);
        let second = used(&life);
        drop(first);
        assert!(!idle(10 * MINUTE).await);
        drop(second);
        // One that nobody counts holds nothing up.
        let _of_a_stranger = life.begin(Version::HTTP_2);
        assert!(!idle(MINUTE / 2).await);
        assert!(idle(MINUTE).await);
        // One that has come and gone unseen is one.
        let mut waiting = std::pin::pin!(life.idle(MINUTE));
        tokio::select! {
            biased;
            () = &mut waiting => panic!("it is not idle yet"),
            () = tokio::time::sleep(MINUTE / 2) => drop(used(&life)),
        }
        let begun = tokio::time::Instant::now();
        waiting.await;
        assert_eq!(begun.elapsed(), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn by_http_1_the_answer_after_the_age_is_the_last_one_and_the_connection_waits_for_it() {
        let limits = Limits { age: Some(MINUTE), idle: 5 * MINUTE, ..Limits::default() };
        for (version, said) in [(Version::HTTP_11, Some("close")), (Version::HTTP_2, None)] {
            let life = Life::new();
            let close = |answering: Answering| {
                let answer = answering.answer(Response::new(String::new()));
                answer.headers().get(CONNECTION).map(|value| value.to_str().unwrap().to_owned())
            };
            assert_eq!(close(life.begin(version)), None);
            let over = tokio::time::timeout(2 * MINUTE, life.over(&limits, None)).await;
            assert_eq!(over.is_ok(), version == Version::HTTP_2);
            let answering = life.begin(version);
            if version == Version::HTTP_2 {
                life.end();
            }
            assert_eq!(close(answering).as_deref(), said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn by_http_1_a_connection_that_nobody_uses_has_a_last_answer_for_a_while() {
        for (version, waits) in [(Version::HTTP_11, LAST), (Version::HTTP_2, Duration::ZERO)] {
            let life = Life::new();
            drop(life.begin(version));
            let begun = tokio::time::Instant::now();
            life.over(&Limits { idle: MINUTE, ..Limits::default() }, None).await;
            assert_eq!(begun.elapsed(), MINUTE + waits);
            assert_eq!(life.is_last(), version == Version::HTTP_11);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_over_soon_after_the_end_of_its_certificate() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let life = Life::new();
            let answering = used(&life);
            drop(life.begin(version));
            let until = SystemTime::now() + Duration::from_millis(50);
            life.over(&Limits::default(), Some(until)).await;
            assert!(SystemTime::now() >= until);
            // By HTTP/2 whoever holds the connection says so.
            assert_eq!(life.is_last(), version == Version::HTTP_11);
            drop(answering);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn headers_by_http_1_are_slow_from_their_first_byte_on_and_not_while_their_request_is_answered() {
        let life = Life::new();
        let slow = async |after: Duration| tokio::time::timeout(after, life.slow(MINUTE)).await.is_ok();
        assert!(!slow(10 * MINUTE).await, "nothing comes");
        life.hear();
        assert!(!slow(MINUTE / 2).await);
        life.hear();
        assert!(slow(MINUTE * 2 / 3).await);
        let answering = life.begin(Version::HTTP_11);
        // Its body, or a piece of the next one.
        life.hear();
        assert!(!slow(10 * MINUTE).await);
        drop(answering);
        assert!(!slow(10 * MINUTE).await);
        life.hear();
        assert!(slow(MINUTE).await);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_connection_is_there_once_for_all_answers_to_requests_that_began_together() {
        const REQUESTS: usize = 5;
        let (life, answered) = (Life::new(), Arc::new(AtomicUsize::new(0)));
        let (of_requests, mut seen) = (life.clone(), Vec::new());
        // As it is with requests by HTTP/2: each has a task of its own, and wakes the connection for its answer.
        let connection = poll_fn(move |cx| {
            seen.push(answered.load(Ordering::Relaxed));
            if seen.len() == 1 {
                for _ in 0..REQUESTS {
                    let (answering, answered, waker) =
                        (of_requests.begin(Version::HTTP_2), answered.clone(), cx.waker().clone());
                    tokio::spawn(async move {
                        answered.fetch_add(1, Ordering::Relaxed);
                        drop(answering);
                        waker.wake();
                    });
                }
            }
            if seen.last() == Some(&REQUESTS) { Poll::Ready(std::mem::take(&mut seen)) } else { Poll::Pending }
        });
        let mut connection = Box::pin(connection);
        let seen = tokio::spawn(poll_fn(move |cx| life.poll_behind(connection.as_mut(), cx))).await.unwrap();
        assert_eq!(seen, [0, REQUESTS]);
    }

    #[test]
    fn connections_of_one_age_do_not_end_together() {
        let ages: Vec<Duration> = (0..100).map(|_| spread(MINUTE)).collect();
        assert!(ages.iter().all(|age| (MINUTE * 9 / 10..=MINUTE * 11 / 10).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age != ages[0]));
        assert!(spread(Duration::MAX) > MINUTE);
    }
}
