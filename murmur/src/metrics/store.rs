use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::Histogram;
use tokio::time::Instant;
use tracing::Instrument;

use super::catalogue::{STORE_OVERDUE, STORE_REQUEST_DURATION};
use crate::source::{Record, RecordOutcome, Records, Shelf, Version};
use crate::store::{Consistency, Ensured, Item, Outcome, Store, Table, TileId, Writes};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A store whose calls are measured, each with a span.
struct Measured {
    store: Arc<dyn Store>,
    durations: Durations,
}

/// How long calls took that ended well, for each of the [`OPS`]: looked up in the recorder once.
#[derive(Default)]
struct Durations([OnceLock<Histogram>; OPS.len()]);

impl Durations {
    fn record(&self, op: &'static str, outcome: &'static str, took: Duration) {
        let histogram = || STORE_REQUEST_DURATION.histogram([op, outcome]);
        match OPS.iter().position(|known| *known == op).filter(|_| outcome == OK) {
            Some(at) => self.0[at].get_or_init(histogram).record(took),
            None => histogram().record(took),
        }
    }
}

/// The same store, with its calls measured.
pub(crate) fn measured(store: Arc<dyn Store>) -> Arc<dyn Store> {
    begin_at_zero();
    Arc::new(Measured { store, durations: Durations::default() })
}

/// Values of the label `op`.
pub(crate) const OPS: [&str; 7] = [WRITE, "get", "range", "scan", "record", "records", "put_record"];
const WRITE: &str = "write";
/// Of the label `outcome`.
const OK: &str = "ok";
/// The same: repeating does not help.
const FAILED: &str = "failed";

/// Show at once what one call alone may raise an alarm by. Of a series that begins with 1 Prometheus does not know that
/// it was 0, so that it does not see it grow.
fn begin_at_zero() {
    for op in OPS {
        drop(STORE_REQUEST_DURATION.histogram([op, FAILED]));
        if op != WRITE {
            drop(STORE_OVERDUE.counter([op]));
        }
    }
}

/// How a request ended, as the label `outcome`.
fn outcome(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Ambiguous => "ambiguous",
        _ if error.is_retryable() => "unavailable",
        _ => FAILED,
    }
}

fn ok<T>(answer: &Result<T>) -> &'static str {
    answer.as_ref().map_or_else(outcome, |_| OK)
}

/// The worst of many: what could not be done at all says more than what was refused.
fn of_writes(answers: &[Result<Outcome>]) -> &'static str {
    if let Some(error) = answers.iter().find_map(|answer| answer.as_ref().err()) {
        return outcome(error);
    }
    if answers.iter().any(|answer| matches!(answer, Ok(Outcome::Refused(_)))) { "refused" } else { OK }
}

fn of_put(answer: &Result<RecordOutcome>) -> &'static str {
    match answer {
        Ok(RecordOutcome::Refused(_)) => "refused",
        other => ok(other),
    }
}

async fn call<T>(
    durations: &Durations,
    op: &'static str,
    table: &str,
    tiles: usize,
    request: impl Future<Output = T>,
    outcome: fn(&T) -> &'static str,
) -> T {
    debug_assert!(OPS.contains(&op), "`{op}` does not begin at zero");
    let span = tracing::debug_span!("store", op, table, tiles, outcome = tracing::field::Empty);
    let began = Instant::now();
    let answer = match op {
        // A large flush may take long; each of its requests is given up, and said, as soon as others are said.
        WRITE => request.instrument(span.clone()).await,
        _ => said_when_overdue(op, table, request).instrument(span.clone()).await,
    };
    let outcome = outcome(&answer);
    span.record("outcome", outcome);
    durations.record(op, outcome, began.elapsed());
    answer
}

/// After how long a call is said to have no answer yet. What has one, if only a failure, is for whoever called to say; but a
/// store may try for a while by itself before it fails.
const OVERDUE: Duration = Duration::from_secs(5);

/// The same, and said once if it takes long; of those that wait together, by one.
async fn said_when_overdue<T>(op: &'static str, table: &str, request: impl Future<Output = T>) -> T {
    let mut request = pin!(request);
    if let Ok(answer) = tokio::time::timeout(OVERDUE, &mut request).await {
        return answer;
    }
    STORE_OVERDUE.counter([op]).increment(1);
    if is_to_be_said() {
        tracing::warn!(op, table, seconds = OVERDUE.as_secs(), "the store has not answered yet; still waiting");
    }
    request.await
}

/// Whether nobody has said so of another call just now.
fn is_to_be_said() -> bool {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = said.is_none_or(|said| said.elapsed() >= OVERDUE);
    if is_new {
        *said = Some(Instant::now());
    }
    is_new
}

impl Records for Measured {
    fn record<'a>(&'a self, shelf: &'a Shelf, record: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        call(&self.durations, "record", shelf.name(), 0, self.store.record(shelf, record), ok).boxed()
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        record: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        call(
            &self.durations,
            "put_record",
            shelf.name(),
            0,
            self.store.put_record(shelf, record, bytes, expected),
            of_put,
        )
        .boxed()
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        call(&self.durations, "records", shelf.name(), 0, self.store.records(shelf, prefix), ok).boxed()
    }
}

impl Store for Measured {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        let count = writes.len();
        call(&self.durations, WRITE, table.as_str(), count, self.store.write(table, writes), |answers| {
            of_writes(answers)
        })
        .boxed()
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        call(&self.durations, "get", table.as_str(), ids.len(), self.store.get(table, ids, consistency), ok).boxed()
    }

    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        starts: TimeRange,
        limit: usize,
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        let request = self.store.range(table, key, level, starts, limit, consistency);
        call(&self.durations, "range", table.as_str(), limit, request, ok).boxed()
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        call(&self.durations, "scan", table.as_str(), limit, self.store.scan(table, after, limit), ok).boxed()
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        self.store.remove_expired(table, now, limit)
    }

    fn ensure<'a>(&'a self, shelf: &'a Shelf, tags: &'a [(String, String)]) -> BoxFuture<'a, Result<Ensured>> {
        self.store.ensure(shelf, tags)
    }
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    use super::*;
    use crate::metrics::Prometheus;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_counted_after_five_seconds_while_it_waits() {
        let recorder = Prometheus::builder().unwrap().build_recorder();
        let _here = metrics::set_default_local_recorder(&recorder);
        let counted = |op: &str| {
            let page = recorder.handle().render();
            page.lines().any(|line| line == format!("murmur_store_overdue_total{{op=\"{op}\"}} 1"))
        };
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let request = async { Ok(answered.await) };
        let durations = Durations::default();
        let mut get = pin!(call(&durations, "get", "likes", 1, request, ok));
        let mut write = pin!(call(&durations, "write", "likes", 1, std::future::pending::<Result<()>>(), ok));
        let mut wait = async |seconds| {
            let both = async { tokio::join!(&mut get, &mut write) };
            tokio::time::timeout(Duration::from_secs(seconds), both).await.unwrap_err();
        };
        wait(4).await;
        assert!(!counted("get"));
        wait(2).await;
        assert!(counted("get"));
        wait(60).await;
        assert!(counted("get"), "it is said once");
        assert!(!counted("write"));
        answer.send(()).unwrap();
        get.await.unwrap().unwrap();
    }
}
