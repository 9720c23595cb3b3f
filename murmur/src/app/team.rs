//! The workers of a process: each on a thread of its own, with a runtime, a reader and where it needs one a store of its
//! own. They share nothing on the way of an event.

use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Mutex, oneshot, watch};

use super::entry::{self, Entry, Parts};
use super::signals::Stop;
use crate::engine::{Options, Progress, Summary};
use crate::source::{Commits, DeadLetters, Letter, PartitionId, Source};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// Makes what one worker has to itself, on its own thread; the number is the worker's.
pub(super) type Equip<T> = Arc<dyn Fn(u32) -> BoxFuture<'static, Result<T>> + Send + Sync>;

/// What the workers are made of.
pub(super) struct Equipment {
    /// Where each worker says how far it is; as many as there are workers.
    pub(super) reports: Vec<watch::Sender<Progress>>,
    pub(super) store: Equip<Arc<dyn Store>>,
    pub(super) source: Equip<Box<dyn Source>>,
    pub(super) dead_letters: Box<dyn DeadLetters>,
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
        let letters = SharedLetters(Arc::new(Mutex::new(dead_letters)));
        let (ask, asked) = watch::channel(false);
        let mut ends = Vec::new();
        for (number, gauge) in (0..).zip(reports) {
            let (end, ended) = oneshot::channel();
            let (store, source, letters, options) = (store.clone(), source.clone(), letters.clone(), options.clone());
            let (entries, asked) = (entries.to_vec(), asked.clone());
            let work = move || async move {
                let parts = Parts {
                    store: store(number).await?,
                    source: source(number).await?,
                    dead_letters: Box::new(letters),
                    options: Options { worker: number, ..options },
                };
                entry::worker(&entries, parts)?.run(asked, gauge).await
            };
            thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
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

/// One place for the dead letters of all workers: a partition that moves from one to another finds its letters there.
#[derive(Clone)]
struct SharedLetters(Arc<Mutex<Box<dyn DeadLetters>>>);

impl DeadLetters for SharedLetters {
    fn prepare(&mut self) -> BoxFuture<'_, Result<()>> {
        async move { self.0.lock().await.prepare().await }.boxed()
    }

    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        async move { self.0.lock().await.rewind(partition, commits).await }.boxed()
    }

    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()> {
        async move { self.0.lock().await.passed(partition, commits).await }.boxed()
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        async move { self.0.lock().await.put(letters).await }.boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async move { self.0.lock().await.sync().await }.boxed()
    }
}
