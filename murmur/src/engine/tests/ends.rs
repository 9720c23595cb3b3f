//! Stops, sources that are away, partitions that are lost.

use std::sync::atomic::{AtomicBool, Ordering};

use super::faulty::{Fault, Faulty};
use super::*;
use crate::engine::progress::Contact;
use crate::source::Ends;

/// A sink that makes no letter durable.
enum Stuck {
    /// As its disk is full.
    Full,
    /// And says nothing.
    Silent,
}

impl DeadLetters for Stuck {
    fn rewind<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, _: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            Self::Full => Box::pin(async { Err(Error::new(ErrorKind::Io, "no space left")) }),
            Self::Silent => Box::pin(std::future::pending()),
        }
    }
}

#[tokio::test]
async fn nothing_is_committed_past_a_letter_that_is_not_durable() {
    let store = Arc::new(MemoryStore::new());
    let full =
        Worker::builder(store.clone(), List::new(&["a", "!"]), decode, Box::new(Stuck::Full)).pipeline::<Words>();
    let (_stop, stopped) = watch::channel(false);
    assert_eq!(full.build().run(stopped).await.unwrap_err().kind(), ErrorKind::Io);
    let record = PartitionRecord::load(&*store, &Table::new("words", 1), &partition()).await.unwrap().record;
    assert_eq!(record.commit, None);
    assert_eq!(count(&store, "words", "a").await, 0, "nor is anything written");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_held_up_by_a_flush_that_waits_for_ever() {
    let store = Arc::new(MemoryStore::new());
    let worker =
        Worker::builder(store.clone(), List::new(&["a", "!"]), decode, Box::new(Stuck::Silent)).pipeline::<Words>();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.build().run(stopped));
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert!(!running.is_finished(), "without a request it waits");
    stop.send_replace(true);
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    assert!(error.to_string().contains("25s"), "{error}");
    let record = PartitionRecord::load(&*store, &Table::new("words", 1), &partition()).await.unwrap().record;
    assert_eq!(record.commit, None);
}

/// A list that waits at its end for more, and notes what it is told to be done.
struct Noting {
    list: List,
    told: Arc<Mutex<Vec<Offset>>>,
}

impl Source for Noting {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.list.poll()
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.told.lock().unwrap().extend(commits.iter().map(|(_, offset)| *offset));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_acknowledges_nothing_that_could_not_be_written() {
    let payloads = ["a", "b", "a"];
    let (kept, letters, told) = (Arc::new(MemoryStore::new()), Letters::default(), Arc::default());
    let source = || Box::new(Noting { list: List { idles: true, ..*List::new(&payloads) }, told: Arc::clone(&told) });
    let store = Faulty::over(&kept);
    let away = Fault { table: "words", key: None, carried_out: false, kind: ErrorKind::Unavailable, times: usize::MAX };
    for (fault, ends) in [(away, Err(ErrorKind::DeadlineExceeded)), (Fault { times: 0, ..away }, Ok(3))] {
        store.fail(fault);
        let worker = worker_of(&store, source(), &letters).pipeline::<Words>().build();
        let mut progress = worker.progress();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(worker.run(stopped));
        progress.wait_for(|progress| progress.read == 3).await.unwrap();
        stop.send_replace(true);
        let ended = running.await.unwrap();
        assert_eq!(ended.map(|summary| summary.progress.read).map_err(|error| error.kind()), ends);
        let last = told.lock().unwrap().last().copied();
        assert_eq!(last, ends.is_ok().then(|| Offset::from_u64(3)), "what is acknowledged");
        assert!(letters.0.lock().unwrap().is_empty(), "nothing of it is bad");
    }
    assert_eq!((count(&kept, "words", "a").await, count(&kept, "words", "b").await), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_place_of_the_dead_letters_says_since_when() {
    let store = Arc::new(MemoryStore::new());
    let worker = Worker::builder(store, List::new(&["a", "!"]), decode, Box::new(Stuck::Silent)).clock(Arc::new(Noon));
    let worker = worker.pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let waits = progress.wait_for(|progress| progress.letters_since.is_some()).await.unwrap().clone();
    assert_eq!(waits.letters_since, Some(Noon.now()));
    assert_eq!(waits.uncommitted_since(), Some(Noon.now()), "this too is said before the wait");
    running.abort();
}

/// A list that cannot be reached behind its first payload, neither to read nor to commit, until it is back.
struct Away {
    list: Box<List>,
    back: Arc<AtomicBool>,
}

impl Away {
    fn fails(&self) -> Option<Error> {
        let is_away = self.list.next > 0 && !self.back.load(Ordering::SeqCst);
        is_away.then(|| Error::new(ErrorKind::Unavailable, "away"))
    }
}

impl Source for Away {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        match self.fails() {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.list.poll(),
        }
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        match self.fails() {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.list.commit(commits),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_flushed_while_the_source_is_away_and_the_rest_is_read_when_it_is_back() {
    let (store, back) = (Arc::new(MemoryStore::new()), Arc::new(AtomicBool::new(false)));
    let source = Box::new(Away { list: List::new(&["a", "b"]), back: back.clone() });
    let worker = Worker::builder(store.clone(), source, decode, Box::new(Letters::default())).pipeline::<Words>();
    let worker = worker.build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let durable = progress.wait_for(|progress| progress.partitions.iter().any(|status| status.commit.is_some()));
    // The clock of the test goes on by itself while nobody can do anything.
    let waited = tokio::time::timeout(std::time::Duration::from_secs(600), durable).await;
    assert_eq!(waited.expect("it waits for the source").unwrap().writes, 1);
    assert_eq!(count(&store, "words", "a").await, 1);
    back.store(true, Ordering::SeqCst);
    let summary = running.await.unwrap().unwrap();
    assert!(summary.ended);
    assert_eq!((summary.progress.read, summary.progress.rewinds), (2, 0));
    assert_eq!((count(&store, "words", "a").await, count(&store, "words", "b").await), (1, 1));
}

#[tokio::test]
async fn a_request_to_stop_makes_everything_read_durable_and_committed() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let worker = worker(&store, &["a", "b", "c", "d"], &letters).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read >= 1).await.unwrap();
    stop.send_replace(true);
    let summary = running.await.unwrap().unwrap();
    let record = PartitionRecord::load(&*store, &Table::new("words", 1), &partition()).await.unwrap().record;
    assert_eq!(record.commit, Some(Offset::from_u64(summary.progress.read)));
    let rest = to_the_end(super::worker(&store, &["a", "b", "c", "d"], &letters).pipeline::<Words>()).await;
    assert_eq!(rest.progress.read + summary.progress.read, 4);
    assert_eq!(count(&store, "words", "d").await, 1);
}

/// One partition with two payloads, which is lost while the flush of them is under way.
struct Losing {
    step: usize,
    gone: bool,
}

impl Source for Losing {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            self.step += 1;
            Ok(match self.step {
                1 => Poll::Assigned(vec![Assignment { partition: partition(), start: Start::Beginning, among: None }]),
                2 => {
                    let payload = |at: u64| Payload { offset: Offset::from_u64(at), bytes: 0..1, broken: None };
                    let payloads = vec![payload(1), payload(2)];
                    Poll::Batch(Batch {
                        partition: Some(partition()),
                        buffer: b"a".to_vec(),
                        payloads,
                        ..Batch::default()
                    })
                }
                3 => {
                    // Meanwhile the flush finds its conflict.
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                    self.gone = true;
                    Poll::Lost(vec![partition()])
                }
                _ => Poll::End,
            })
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, _: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        let gone = self.gone;
        Box::pin(async move {
            if gone {
                return Err(Error::new(ErrorKind::InvalidArgument, format!("`{partition}` is not assigned")));
            }
            Ok(())
        })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_conflict_that_is_found_with_the_loss_of_the_partition_is_no_error() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    written_by_someone_else(&store).await;
    let options = Options { flush_interval: Span::from_micros(0), ..Options::default() };
    let source = Box::new(Losing { step: 0, gone: false });
    let builder = Worker::builder(store.clone(), source, decode, Box::new(letters)).options(options);
    to_the_end(builder.pipeline::<Words>()).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_when_it_has_heard_from_its_source_when_it_lost_it_and_when_it_has_it_back() {
    let (store, back) = (Arc::new(MemoryStore::new()), Arc::new(AtomicBool::new(false)));
    let source = Box::new(Away { list: List::new(&["a", "b"]), back: back.clone() });
    let worker = Worker::builder(store, source, decode, Box::new(Letters::default())).pipeline::<Words>().build();
    let mut progress = worker.progress();
    assert_eq!(progress.borrow().contact, Contact::Unasked);
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    // Who was never heard from cannot be lost.
    progress.wait_for(|progress| progress.contact == Contact::Lost).await.unwrap();
    back.store(true, Ordering::SeqCst);
    progress.wait_for(|progress| progress.contact == Contact::Made).await.unwrap();
    assert!(running.await.unwrap().unwrap().ended);
}

/// A source that has nothing for this reader, after a while in which it could not be asked.
struct Nothing(usize);

impl Source for Nothing {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            self.0 += 1;
            match self.0 {
                ..=3 => Err(Error::new(ErrorKind::Unavailable, "not there")),
                4 => Ok(Poll::Idle),
                5 => Ok(Poll::Assigned(Vec::new())),
                _ => Ok(Poll::Idle),
            }
        })
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, _: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_gets_nothing_has_heard_from_its_source_once_it_is_told_so() {
    let store = Arc::new(MemoryStore::new());
    let worker = Worker::builder(store, Box::new(Nothing(0)), decode, Box::new(Letters::default()));
    let worker = worker.pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let mut seen = vec![progress.borrow_and_update().contact];
    while seen.last() != Some(&Contact::Made) {
        progress.changed().await.unwrap();
        seen.push(progress.borrow_and_update().contact);
    }
    seen.dedup();
    assert_eq!(seen, [Contact::Unasked, Contact::Awaited, Contact::Made]);
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

/// One payload without a word of how many wait, and then nothing.
struct Mute {
    list: Box<List>,
    /// Where the partition ends, for who asks; a source that cannot be asked has none.
    end: Option<Arc<Mutex<Option<Offset>>>>,
}

impl Source for Mute {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            match self.list.poll().await? {
                Poll::End => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    Ok(Poll::Idle)
                }
                poll => Ok(poll),
            }
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }

    fn ends(&self) -> Option<Ends> {
        let end = self.end.clone()?;
        Some(Box::new(move || {
            let end = *end.lock().unwrap();
            Box::pin(async move { end.map(|end| (partition(), Some(end))).into_iter().collect() })
        }))
    }
}

/// The clock of the test.
pub(super) struct Paused(pub(super) tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(NOON + self.0.elapsed().as_secs() as i64)
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_since_when_nobody_knows_how_much_waits() {
    let minute = std::time::Duration::from_secs(60);
    for can_tell in [true, false] {
        let (store, end) = (Arc::new(MemoryStore::new()), Arc::new(Mutex::new(None)));
        let source = Box::new(Mute { list: List::new(&["a"]), end: can_tell.then(|| end.clone()) });
        let clock = Arc::new(Paused(tokio::time::Instant::now()));
        let worker = Worker::builder(store, source, decode, Box::new(Letters::default())).clock(clock);
        let worker = worker.pipeline::<Words>().build();
        let mut progress = worker.progress();
        let (_stop, stopped) = watch::channel(false);
        let running = tokio::spawn(worker.run(stopped));
        tokio::time::sleep(minute).await;
        let seen = progress.borrow_and_update().clone();
        assert_eq!((seen.read, seen.lag), (1, None));
        assert_eq!(seen.lag_unknown_since, can_tell.then(|| Noon.now()), "a source that cannot tell is not waited for");
        if can_tell {
            *end.lock().unwrap() = Some(Offset::from_u64(3));
            let known = progress.wait_for(|progress| progress.lag.is_some());
            let known = tokio::time::timeout(minute, known).await.expect("nobody looks").unwrap().clone();
            assert_eq!((known.lag, known.lag_unknown_since), (Some(2), None));
            tokio::time::sleep(minute).await;
            assert_eq!(progress.borrow().lag_unknown_since, None);
        }
        running.abort();
    }
}
