//! The workers of a process: each on a thread of its own, with a runtime, a reader and where it needs one a store of its
//! own. They share nothing on the way of an event.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
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
    end: oneshot::Receiver<Result<Summary>>,
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
            let progress = gauge.subscribe();
            let (store, source, letters, options) = (store.clone(), source.clone(), dead_letters(), options.clone());
            let (entries, asked) = (entries.to_vec(), asked.clone());
            let work = move || async move {
                let parts = Parts {
                    store: store(number).await?,
                    source: source(number).await?,
                    dead_letters: letters,
                    options: Options { worker: number, ..options },
                };
                entry::worker(&entries, parts)?.run(asked, gauge).await
            };
            thread::Builder::new().name(format!("{NAME}{number}")).spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let summary = runtime.map_err(Error::from).and_then(|runtime| {
                    let summary = runtime.block_on(work());
                    runtime.shutdown_timeout(CLOSING);
                    summary
                });
                // Whoever waited for it may be gone with the process.
                let _ = end.send(summary);
            })?;
            members.push(Member { end: ended, progress });
        }
        let (by_signal, ask_all) = (stop.clone(), ask.clone());
        tokio::spawn(async move {
            by_signal.asked().await;
            ask_all.send_replace(true);
        });
        Ok(Self { members, stop: ask, drain_budget })
    }

    /// Wait for all of them. When one fails the others are asked to stop, and the first failure is the answer. Once they
    /// were asked none is waited for much longer than its drain budget: one that hangs in something that it cannot give up
    /// is left to the end of the process.
    pub(super) async fn ended(self) -> Result<Summary> {
        let Self { members, stop, drain_budget } = self;
        let all = members.into_iter().enumerate().map(|(number, Member { end, progress })| {
            let stop = stop.clone();
            async move {
                let mut asked = stop.subscribe();
                let overdue = async {
                    // An error means that nobody can ask any more; `stop` is one who can.
                    let _ = asked.wait_for(|asked| *asked).await;
                    tokio::time::sleep(drain_budget.to_std() + GRACE).await;
                };
                let ended = tokio::select! {
                    biased;
                    ended = end => ended.unwrap_or_else(|_| Err(broke_down(number))),
                    () = overdue => Err(Stopping::overdue(progress.borrow().stopping, drain_budget)),
                };
                if ended.is_err() {
                    stop.send_replace(true);
                }
                ended
            }
        });
        // As they end: what failed later may only be a consequence.
        let all: Vec<Result<Summary>> = all.collect::<FuturesUnordered<_>>().collect().await;
        let mut all = all.into_iter();
        let first = all.next().unwrap_or_else(|| Ok(Summary { progress: Progress::default(), ended: true }))?;
        all.try_fold(first, |all, one| {
            let one = one?;
            Ok(Summary { progress: all.progress.with(one.progress), ended: all.ended && one.ended })
        })
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
    use std::sync::Mutex;

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
                1 => Poll::Assigned(vec![Assignment { partition, start: Start::Beginning }]),
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
        let commits = |progress: &Progress| progress.partitions.iter().any(|status| status.commit.is_some());
        gauges[1].wait_for(commits).await.unwrap();
        team.stop.send_replace(true);
        assert_eq!(team.ended().await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(*committed.lock().unwrap(), [PartitionId::new("p1")].into());
    }

    /// What a source does instead of what it is asked for.
    #[derive(Clone, Copy)]
    enum Trouble {
        /// It never gives the thread back that lets go of it.
        Hangs,
        Panics,
    }

    struct Troubled(One, Trouble);

    impl Source for Troubled {
        fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
            assert!(self.0.polls < 2 || matches!(self.1, Trouble::Hangs), "as asked");
            self.0.poll()
        }

        fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
            self.0.seek(partition, after)
        }

        fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
            self.0.commit(commits)
        }

        fn release<'a>(&'a mut self, _: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
            loop {
                thread::park();
            }
        }
    }

    /// A team of which the second worker has this trouble.
    fn troubled(trouble: Trouble) -> (Team, Gauges) {
        let (reports, gauges) = gauges(2);
        let source: Equip<Box<dyn Source>> = Arc::new(move |number| {
            let one = One::new(number, b"good", &Committed::default());
            let source: Box<dyn Source> = if number == 1 { Box::new(Troubled(one, trouble)) } else { Box::new(one) };
            async { Ok(source) }.boxed()
        });
        let entries = [Entry::of::<Stock, GoodOrBad>()];
        (Team::start(&entries, equipment(reports, source), &Stop::listen().unwrap()).unwrap(), gauges)
    }

    #[tokio::test]
    async fn a_worker_that_hangs_in_what_it_cannot_give_up_does_not_keep_the_process_beyond_its_budget() {
        let (team, Gauges(mut gauges)) = troubled(Trouble::Hangs);
        let commits = |progress: &Progress| progress.partitions.iter().any(|status| status.commit.is_some());
        gauges[1].wait_for(commits).await.unwrap();
        team.stop.send_replace(true);
        let error = team.ended().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
        assert!(error.to_string().contains("the source (the brokers, with Kafka)"), "{error}");
    }

    #[tokio::test]
    async fn a_worker_that_breaks_down_is_named_with_the_way_out() {
        let (team, _) = troubled(Trouble::Panics);
        let error = team.ended().await.unwrap_err().to_string();
        assert!(error.contains("`worker-1`") && error.contains("the log says"), "{error}");
    }
}
