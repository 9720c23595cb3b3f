//! The workers of a process: each on a thread of its own, with a runtime, a reader and where it needs one a store of its
//! own. They share nothing on the way of an event.

use std::sync::Arc;
use std::thread;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{oneshot, watch};

use super::entry::{self, Entry, Parts};
use super::signals::Stop;
use crate::engine::{Options, Progress, Summary};
use crate::source::{DeadLetters, Source};
use crate::store::Store;
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

/// Workers at work.
pub(super) struct Team {
    ends: Vec<oneshot::Receiver<Result<Summary>>>,
    /// Asks all of them to stop.
    stop: watch::Sender<bool>,
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
        let mut ends = Vec::new();
        for (number, gauge) in (0..).zip(reports) {
            let (end, ended) = oneshot::channel();
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
                let summary = runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(work()));
                // Whoever waited for it may be gone with the process.
                let _ = end.send(summary);
            })?;
            ends.push(ended);
        }
        let (by_signal, ask_all) = (stop.clone(), ask.clone());
        tokio::spawn(async move {
            by_signal.asked().await;
            ask_all.send_replace(true);
        });
        Ok(Self { ends, stop: ask })
    }

    /// Wait for all of them. When one fails the others are asked to stop, and the first failure is the answer.
    pub(super) async fn ended(self) -> Result<Summary> {
        let Self { ends, stop, .. } = self;
        let all = ends.into_iter().map(|end| {
            let stop = stop.clone();
            async move {
                let broke_down = |_| Err(Error::new(ErrorKind::Internal, "a worker broke down"));
                let ended = end.await.unwrap_or_else(broke_down);
                if ended.is_err() {
                    stop.send_replace(true);
                }
                ended
            }
        });
        let mut all = join_all(all.collect::<Vec<_>>()).await.into_iter();
        let first = all.next().unwrap_or_else(|| Ok(Summary { progress: Progress::default(), ended: true }))?;
        all.try_fold(first, |all, one| {
            let one = one?;
            Ok(Summary { progress: all.progress.with(one.progress), ended: all.ended && one.ended })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::engine::{DeadLetterLimit, Decoder, Format};
    use crate::grpc::tests::{Nothing, Stock};
    use crate::source::{Assignment, Batch, Commits, Letter, Offset, PartitionId, Payload, Poll, Start};
    use crate::store::MemoryStore;
    use crate::time::Span;

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
                let partition = PartitionId::new(format!("p{number}"));
                let source: Box<dyn Source> =
                    Box::new(One { partition, payload, polls: 0, committed: committed.clone() });
                async { Ok(source) }.boxed()
            })
        };
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let options = Options {
            flush_interval: Span::from_micros(1),
            drain_budget: Span::from_micros(100_000),
            dead_letter_limit: DeadLetterLimit { percent: 100 },
            ..Options::default()
        };
        let equipment = Equipment {
            reports,
            store: Arc::new(move |_| {
                let store = store.clone();
                async { Ok(store) }.boxed()
            }),
            source,
            dead_letters: Box::new(|| Box::new(Away { has_letters: false })),
            options,
        };
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
}
