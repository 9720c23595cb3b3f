//! The workers of a process: each on a thread of its own, with a runtime, a reader and where it needs one a store of its
//! own. They share nothing on the way of an event.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{oneshot, watch};

use super::entry::{self, Entry, Parts};
use super::signals::Stop;
use crate::engine::{Options, Progress, Stopping, Summary};
use crate::source::{DeadLetters, Source};
use crate::store::Store;
use crate::time::Span;
use crate::{Error, ErrorKind, Result};

/// How the threads of workers are called, with their number behind it.
const NAME: &str = "worker-";

/// Makes what one worker has to itself, on its own thread; the number is the worker's.
pub(super) type Equip<T> = Arc<dyn Fn(u32) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// One more writer of dead letters to the place that all workers of the process have: a partition that moves from one to
/// another finds its letters there. In a topic each waits for its own letters, and fails by its own only. In a folder those
/// that have letters wait for each other and fail together: it is one disk. Nobody waits to tell of a commit.
pub(super) type Share = Box<dyn Fn() -> Box<dyn DeadLetters> + Send>;

/// What the workers are made of.
pub(super) struct Equipment {
    /// Where each worker says how far it is; as many as there are workers.
    pub(super) reports: Vec<watch::Sender<Progress>>,
    pub(super) store: Equip<Arc<dyn Store>>,
    pub(super) source: Equip<Box<dyn Source>>,
    pub(super) dead_letters: Share,
    pub(super) options: Options,
}

/// How long a worker's runtime waits at its end for what it has begun beside the work, such as a look at the topics.
const CLOSING: Duration = Duration::from_secs(2);
/// How long after the drain budget a worker is still waited for, which ends by itself when that is over.
const GRACE: Duration = Duration::from_secs(1);

/// Workers at work.
pub(super) struct Team {
    members: Vec<Member>,
    /// Asks all of them to stop.
    stop: watch::Sender<bool>,
    drain_budget: Span,
}

struct Member {
    /// How it ended, as soon as that is known.
    end: oneshot::Receiver<Result<Summary>>,
    /// Fails when it has let go of all that it had, as of its source, which may take as long as brokers take.
    gone: oneshot::Receiver<Infallible>,
    progress: watch::Receiver<Progress>,
}

/// How far the workers are, all together.
#[derive(Debug, Clone)]
pub(super) struct Gauges(Vec<watch::Receiver<Progress>>);

/// For so many workers: where each says how far it is, and where that can be seen.
pub(super) fn gauges(threads: u32) -> (Vec<watch::Sender<Progress>>, Gauges) {
    let (reports, gauges) = (0..threads).map(|_| watch::channel(Progress::default())).unzip();
    (reports, Gauges(gauges))
}

impl Gauges {
    pub(super) fn now(&self) -> Progress {
        let mut all = self.0.iter().map(|gauge| gauge.borrow().clone());
        let first = all.next().unwrap_or_default();
        all.fold(first, Progress::with)
    }
}

impl Team {
    /// Start the workers of these pipelines. They stop when `stop` says so, or when one of them fails.
    pub(super) fn start(entries: &[Entry], equipment: Equipment, stop: &Stop) -> Result<Self> {
        entry::same_events(entries)?;
        let Equipment { reports, store, source, dead_letters, options } = equipment;
        let (ask, asked) = watch::channel(false);
        let drain_budget = options.drain_budget;
        let mut members = Vec::new();
        for (number, gauge) in (0..).zip(reports) {
            let (end, ended) = oneshot::channel();
            let (alive, gone) = oneshot::channel();
            let progress = gauge.subscribe();
            let (store, source, letters, options) = (store.clone(), source.clone(), dead_letters(), options.clone());
            let (entries, asked) = (entries.to_vec(), asked.clone());
            let equip = move || async move {
                let parts = Parts {
                    store: store(number).await?,
                    source: source(number).await?,
                    dead_letters: letters,
                    options: Options { worker: number, ..options },
                    gauge,
                };
                entry::worker(&entries, parts)
            };
            // Whoever waits for it may be gone with the process.
            let tell = move |ended: Result<Summary>| drop(end.send(ended));
            thread::Builder::new().name(format!("{NAME}{number}")).spawn(move || {
                let _alive: oneshot::Sender<Infallible> = alive;
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return tell(Err(error.into())),
                };
                runtime.block_on(async {
                    match equip().await {
                        Ok(mut worker) => match worker.work(asked.clone()).await {
                            Ok(summary) => tell(Ok(worker.finish(summary, asked).await)),
                            // Told before the worker is dropped.
                            failed => tell(failed),
                        },
                        Err(error) => tell(Err(error)),
                    }
                });
                runtime.shutdown_timeout(CLOSING);
            })?;
            members.push(Member { end: ended, gone, progress });
        }
        let (by_signal, ask_all) = (stop.clone(), ask.clone());
        tokio::spawn(async move {
            by_signal.asked().await;
            ask_all.send_replace(true);
        });
        Ok(Self { members, stop: ask, drain_budget })
    }

    /// Wait for all of them. When one fails the others are asked to stop, and the first failure is the answer; that one is
    /// overdue is the answer only where there is no other failure. Once they were asked none is waited for much longer than
    /// its drain budget: one that hangs in something that it cannot give up is left to the end of the process.
    pub(super) async fn ended(self) -> Result<Summary> {
        let Self { members, stop, drain_budget } = self;
        // As they fail: what failed later may only be a consequence.
        let failures = Mutex::new(Vec::new());
        let fail = |error: Error| {
            failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
            stop.send_replace(true);
        };
        let all = members.into_iter().enumerate().map(|(number, Member { end, gone, progress })| {
            let (mut asked, fail) = (stop.subscribe(), &fail);
            async move {
                let overdue = async {
                    // An error means that nobody can ask any more; `stop` is one who can.
                    let _ = asked.wait_for(|asked| *asked).await;
                    tokio::time::sleep(drain_budget.to_std() + GRACE).await;
                };
                let is_overdue = || Stopping::overdue(progress.borrow().stopping, drain_budget);
                let mut overdue = pin!(overdue);
                let ended = tokio::select! {
                    biased;
                    ended = end => ended.unwrap_or_else(|_| Err(broke_down(number))),
                    () = &mut overdue => {
                        fail(is_overdue());
                        return None;
                    }
                };
                let ended = ended.map_err(fail).ok();
                tokio::select! {
                    biased;
                    _ = gone => {}
                    () = overdue => {
                        if ended.is_some() {
                            fail(is_overdue());
                        }
                    }
                }
                ended
            }
        });
        let ended: Vec<Option<Summary>> = join_all(all).await;
        let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        let says_most = failures.iter().position(|error| error.kind() != ErrorKind::DeadlineExceeded).unwrap_or(0);
        if says_most < failures.len() {
            return Err(failures.swap_remove(says_most));
        }
        let together = |all: Summary, one: Summary| Summary {
            progress: all.progress.with(one.progress),
            ended: all.ended && one.ended,
        };
        let none = Summary { progress: Progress::default(), ended: true };
        Ok(ended.into_iter().flatten().reduce(together).unwrap_or(none))
    }
}

/// The worker of this number is gone without a word.
fn broke_down(number: usize) -> Error {
    let context = format!(
        "the worker on the thread `{NAME}{number}` broke down by a panic, whose place the log says (`RUST_BACKTRACE=1` adds \
         how it came to be there); what was not durable is read again by the next start. Where that ends at the same place, \
         the program needs mending there: a panic of a pipeline's function alone would have been a dead letter"
    );
    Error::new(ErrorKind::Internal, context)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use futures_util::FutureExt;

    use super::*;
    use crate::engine::{DeadLetterLimit, Decoder, Format};
    use crate::grpc::tests::{Nothing, Stock};
    use crate::source::{Assignment, Batch, Commits, Letter, Offset, PartitionId, Payload, Poll, Start};
    use crate::store::MemoryStore;

    enum GoodOrBad {}

    impl Format<Nothing> for GoodOrBad {
        fn decoder() -> Result<Decoder<Nothing>> {
            Ok(Box::new(|payload| if payload == b"good" { Ok(Nothing) } else { Err("bad".into()) }))
        }
    }

    /// Those whose commits reached the source.
    type Committed = Arc<Mutex<BTreeSet<PartitionId>>>;

    /// A partition with one payload, and then nothing.
    struct One {
        partition: PartitionId,
        payload: &'static [u8],
        polls: u32,
        committed: Committed,
    }

    impl One {
        fn new(number: u32, payload: &'static [u8], committed: &Committed) -> Self {
            let partition = PartitionId::new(format!("p{number}"));
            Self { partition, payload, polls: 0, committed: committed.clone() }
        }
    }

    fn equipment(reports: Vec<watch::Sender<Progress>>, source: Equip<Box<dyn Source>>) -> Equipment {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let options = Options {
            flush_interval: Span::from_micros(1),
            drain_budget: Span::from_micros(100_000),
            dead_letter_limit: DeadLetterLimit { percent: 100 },
            ..Options::default()
        };
        Equipment {
            reports,
            store: Arc::new(move |_| {
                let store = store.clone();
                async { Ok(store) }.boxed()
            }),
            source,
            dead_letters: Box::new(|| Box::new(Away { has_letters: false })),
            options,
        }
    }

    impl Source for One {
        fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
            self.polls += 1;
            let partition = self.partition.clone();
            let payload = Payload { offset: Offset::from_u64(1), bytes: 0..self.payload.len(), broken: None };
            let poll = match self.polls {
                1 => Poll::Assigned(vec![Assignment { partition, start: Start::Beginning, among: None }]),
                2 => Poll::Batch(Batch {
                    partition: Some(partition),
                    buffer: self.payload.to_vec(),
                    payloads: vec![payload],
                    ..Batch::default()
                }),
                _ => Poll::Idle,
            };
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(poll)
            }
            .boxed()
        }

        fn seek<'a>(&'a mut self, _: &'a PartitionId, _: Option<Offset>) -> BoxFuture<'a, Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
            self.committed.lock().unwrap().extend(commits.iter().map(|(partition, _)| partition.clone()));
            async { Ok(()) }.boxed()
        }
    }

    fn commits(progress: &Progress) -> bool {
        progress.partitions.iter().any(|status| status.commit.is_some())
    }

    /// Letters whose place never answers.
    struct Away {
        has_letters: bool,
    }

    impl DeadLetters for Away {
        fn rewind<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, Result<()>> {
            self.sync()
        }

        fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
            async {}.boxed()
        }

        fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
            self.has_letters |= !letters.is_empty();
            async { Ok(()) }.boxed()
        }

        fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
            let waits = self.has_letters;
            async move { if waits { std::future::pending().await } else { Ok(()) } }.boxed()
        }
    }

    #[tokio::test]
    async fn a_worker_that_waits_with_its_letters_holds_no_other_up_and_its_commit_never_passes_them() {
        let committed = Committed::default();
        let (reports, Gauges(mut gauges)) = gauges(3);
        let source: Equip<Box<dyn Source>> = {
            let committed = committed.clone();
            Arc::new(move |number| {
                let payload: &[u8] = if number == 1 { b"good" } else { b"bad" };
                let source: Box<dyn Source> = Box::new(One::new(number, payload, &committed));
                async { Ok(source) }.boxed()
            })
        };
        let equipment = equipment(reports, source);
        let entries = [Entry::of::<Stock, GoodOrBad>()];
        let team = Team::start(&entries, equipment, &Stop::listen().unwrap()).unwrap();
        for waits in [0, 2] {
            gauges[waits].wait_for(|progress| progress.letters_since.is_some()).await.unwrap();
        }
        gauges[1].wait_for(commits).await.unwrap();
        team.stop.send_replace(true);
        assert_eq!(team.ended().await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(*committed.lock().unwrap(), [PartitionId::new("p1")].into());
    }

    /// What a source does instead of what it is asked for.
    #[derive(Clone)]
    enum Trouble {
        /// It never gives the thread back that lets go of its partitions.
        Hangs,
        Panics,
        /// It does not let go of its partitions, and never gives the thread back that drops it.
        FailsAndHangs,
        /// It never answers who lets go of its partitions. Whoever else is there hears of it when it is dropped.
        Clings(Arc<Barrier>),
        /// It does not let go of its partitions, once that has happened.
        FailsThen(Arc<Barrier>),
    }

    fn hang() -> ! {
        loop {
            thread::park();
        }
    }

    struct Troubled(One, Trouble);

    impl Source for Troubled {
        fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
            assert!(self.0.polls < 2 || !matches!(self.1, Trouble::Panics), "as asked");
            self.0.poll()
        }

        fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
            self.0.seek(partition, after)
        }

        fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
            self.0.commit(commits)
        }

        fn release<'a>(&'a mut self, _: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
            match &self.1 {
                Trouble::Clings(_) => return std::future::pending().boxed(),
                Trouble::FailsThen(dropped) => drop(dropped.wait()),
                Trouble::FailsAndHangs => {}
                Trouble::Hangs | Trouble::Panics => hang(),
            }
            async { Err(Error::new(ErrorKind::Corrupt, "as asked")) }.boxed()
        }
    }

    impl Drop for Troubled {
        fn drop(&mut self) {
            match &self.1 {
                Trouble::FailsAndHangs => hang(),
                Trouble::Clings(dropped) => drop(dropped.wait()),
                _ => {}
            }
        }
    }

    /// A team of which the last workers have these troubles, behind one that has none.
    fn troubled<const N: usize>(troubles: [Trouble; N]) -> (Team, Gauges) {
        let (reports, gauges) = gauges(1 + N as u32);
        let source: Equip<Box<dyn Source>> = Arc::new(move |number| {
            let one = One::new(number, b"good", &Committed::default());
            let trouble = number.checked_sub(1).map(|at| troubles[at as usize].clone());
            let source: Box<dyn Source> = match trouble {
                Some(trouble) => Box::new(Troubled(one, trouble)),
                None => Box::new(one),
            };
            async { Ok(source) }.boxed()
        });
        let entries = [Entry::of::<Stock, GoodOrBad>()];
        (Team::start(&entries, equipment(reports, source), &Stop::listen().unwrap()).unwrap(), gauges)
    }

    #[tokio::test]
    async fn a_worker_that_hangs_in_what_it_cannot_give_up_does_not_keep_the_process_beyond_its_budget() {
        let (team, Gauges(mut gauges)) = troubled([Trouble::Hangs]);
        gauges[1].wait_for(commits).await.unwrap();
        team.stop.send_replace(true);
        let error = team.ended().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(error.to_string().contains("the source (the brokers, with Kafka)"), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_fails_and_cannot_let_go_of_its_source_ends_the_process_by_its_failure() {
        let (team, Gauges(mut gauges)) = troubled([Trouble::FailsAndHangs]);
        gauges[1].wait_for(commits).await.unwrap();
        team.stop.send_replace(true);
        let error = team.ended().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("as asked")), (ErrorKind::Corrupt, true), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_fails_late_is_the_answer_and_not_one_that_was_overdue_before() {
        let dropped = Arc::new(Barrier::new(2));
        let (team, Gauges(mut gauges)) = troubled([Trouble::Clings(dropped.clone()), Trouble::FailsThen(dropped)]);
        for gauge in &mut gauges[1..] {
            gauge.wait_for(commits).await.unwrap();
        }
        team.stop.send_replace(true);
        assert_eq!(team.ended().await.unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn a_worker_that_breaks_down_is_named_with_the_way_out() {
        let (team, _) = troubled([Trouble::Panics]);
        let error = team.ended().await.unwrap_err().to_string();
        assert!(error.contains("`worker-1`") && error.contains("the log says"), "{error}");
    }
}
