//! Partitions that the group wants back while the store says nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::faulty::Faulty;
use super::*;
use crate::source::Asks;

/// Two partitions of three payloads each, all the same word, of which the group wants the first one back when it says so.
struct Group {
    /// Where each continues; `None` while it is not to be read.
    next: [Option<u64>; 2],
    said: bool,
    /// Hangs from the moment on that the partitions are assigned.
    hangs: Option<Arc<Faulty>>,
    wants: watch::Receiver<bool>,
    given: watch::Sender<Option<Instant>>,
    committed: Arc<Mutex<Vec<(PartitionId, Offset)>>>,
}

const WORDS: [&str; 2] = ["given", "kept"];

fn ids() -> [PartitionId; 2] {
    WORDS.map(PartitionId::new)
}

impl Group {
    fn news(&mut self) -> Option<Poll> {
        if !std::mem::replace(&mut self.said, true) {
            if let Some(store) = &self.hangs {
                store.hangs.send_replace(true);
            }
            let all = ids().map(|partition| Assignment { partition, start: Start::Beginning, among: None });
            return Some(Poll::Assigned(all.to_vec()));
        }
        let is_given = self.given.borrow().is_some();
        (*self.wants.borrow() && !is_given).then(|| Poll::Revoked(vec![ids()[0].clone()]))
    }
}

impl Source for Group {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            if let Some(news) = self.news() {
                return Ok(news);
            }
            for (at, next) in self.next.iter_mut().enumerate() {
                let Some(next) = next.as_mut().filter(|next| **next <= 3) else { continue };
                let payload = Payload { offset: Offset::from_u64(*next), bytes: 0..WORDS[at].len(), broken: None };
                *next += 1;
                return Ok(Poll::Batch(Batch {
                    partition: Some(ids()[at].clone()),
                    buffer: WORDS[at].as_bytes().to_vec(),
                    payloads: vec![payload],
                    ..Batch::default()
                }));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(Poll::Idle)
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        let at = ids().iter().position(|id| id == partition).unwrap();
        self.next[at] = Some(after.map_or(1, |after| after.words()[3] + 1));
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.committed.lock().unwrap().extend_from_slice(commits);
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a mut self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
        if *partitions == ids()[..1] {
            self.next[0] = None;
            self.given.send_replace(Some(Instant::now()));
        }
        Box::pin(async { Ok(()) })
    }

    fn asks(&self, what: Asks) -> BoxFuture<'static, ()> {
        let (mut wants, given) = (self.wants.clone(), self.given.subscribe());
        Box::pin(async move {
            if given.borrow().is_some() {
                std::future::pending::<()>().await;
            }
            assert!(matches!(what, Asks::Back | Asks::Anything));
            let _ = wants.wait_for(|wants| *wants).await;
        })
    }
}

/// A worker that has given one partition back while its store hangs.
struct GivenBack {
    store: Arc<MemoryStore>,
    hanging: Arc<Faulty>,
    want: watch::Sender<bool>,
    committed: Arc<Mutex<Vec<(PartitionId, Offset)>>>,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Result<Summary>>,
}

/// With a store that hangs after the partitions were taken, and a worker that flushes at so many tiles.
async fn give_back(flush_tiles: usize) -> GivenBack {
    let store = Arc::new(MemoryStore::new());
    let hanging = Faulty::over(&store);
    let (want, wants) = watch::channel(false);
    let (given, mut is_given) = watch::channel(None);
    let committed = Arc::new(Mutex::new(Vec::new()));
    let group = Group { next: [None; 2], said: false, hangs: None, wants, given, committed: committed.clone() };
    let options = Options { flush_tiles, ..Options::default() };
    let builder = Worker::builder(hanging.clone(), Box::new(group), decode, Box::new(Letters::default()));
    let worker = builder.options(options).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read >= 1).await.unwrap();
    hanging.hangs.send_replace(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let wanted = Instant::now();
    want.send_replace(true);
    let released = tokio::time::timeout(Duration::from_secs(30), is_given.wait_for(Option::is_some)).await;
    let released = released.expect("it still has the partition").unwrap().unwrap();
    let patience = Options::default().revoke_budget.to_std() + Duration::from_secs(1);
    assert!(released - wanted <= patience, "{:?}", released - wanted);
    assert_eq!(*committed.lock().unwrap(), [], "nothing of it is durable");
    GivenBack { store, hanging, want, committed, progress, stop, running }
}

/// What is left waits for the store, and is read again from its record.
async fn goes_on(given_back: GivenBack) {
    let GivenBack { store, hanging, want, committed, mut progress, stop, running } = given_back;
    assert_eq!(progress.borrow_and_update().lag, None, "nobody knows while it waits");
    tokio::time::sleep(Duration::from_secs(60)).await;
    hanging.hangs.send_replace(false);
    want.send_replace(false);
    stop_when_done(running, stop, &mut progress).await;
    assert_eq!((count(&store, "words", "given").await, count(&store, "words", "kept").await), (0, 3));
    assert_eq!(committed.lock().unwrap().last(), Some(&(ids()[1].clone(), Offset::from_u64(3))));
}

async fn stop_when_done(
    running: tokio::task::JoinHandle<Result<Summary>>,
    stop: watch::Sender<bool>,
    progress: &mut watch::Receiver<Progress>,
) {
    let done = |progress: &Progress| {
        let [status] = &progress.partitions[..] else { return false };
        status.commit == Some(Offset::from_u64(3))
    };
    tokio::time::timeout(Duration::from_secs(600), progress.wait_for(done)).await.expect("it is stuck").unwrap();
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn partitions_are_given_back_within_the_budget_whatever_the_store_does() {
    goes_on(give_back(Options::default().flush_tiles).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_for_the_store_hears_that_its_partitions_are_wanted_back() {
    goes_on(give_back(1).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_partitions_wait_for_their_table_loses_nothing_of_what_was_read_of_them() {
    for answers in [false, true] {
        let GivenBack { store, hanging, want: _want, mut progress, stop, running, .. } =
            give_back(Options::default().flush_tiles).await;
        let read = progress.borrow_and_update().read;
        assert!(read > 0 && progress.borrow().partitions.len() == 1, "it waits: {:?}", progress.borrow());
        stop.send_replace(true);
        progress.wait_for(|progress| progress.stopping == Some(Stopping::Rereading)).await.unwrap();
        hanging.hangs.send_replace(!answers);
        let ended = running.await.unwrap();
        let kept = count(&store, "words", "kept").await;
        match ended {
            Ok(summary) if answers => assert!(kept > 0 && summary.progress.uncommitted_since().is_none(), "{kept}"),
            Err(error) if !answers => assert_eq!((error.kind(), kept), (ErrorKind::DeadlineExceeded, 0), "{error}"),
            other => panic!("answers: {answers}, {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_does_not_wait_for_a_partition_that_cannot_be_begun() {
    let store = Faulty::over(&Arc::new(MemoryStore::new()));
    let (_want, wants) = watch::channel(false);
    let group = Group {
        next: [None; 2],
        said: false,
        hangs: Some(store.clone()),
        wants,
        given: watch::Sender::new(None),
        committed: Arc::default(),
    };
    let worker = Worker::builder(store.clone(), Box::new(group), decode, Box::new(Letters::default()));
    let worker = worker.pipeline::<Words>().build();
    let progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((progress.borrow().partitions.len(), progress.borrow().read), (2, 0));
    let asked = Instant::now();
    stop.send_replace(true);
    assert!(!running.await.unwrap().unwrap().ended);
    assert_eq!(asked.elapsed(), Duration::ZERO);
}
