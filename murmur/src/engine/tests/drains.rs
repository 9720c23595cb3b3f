//! What a request to stop promises, when the last flush comes to nothing or nobody answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::ends::Paused;
use super::sums::Floats;
use super::*;

/// Flushed by a request to stop alone.
fn only_at_the_end() -> Options {
    Options { flush_interval: Span::from_seconds(86_400), ..Options::default() }
}

/// Run until so much is read, ask to stop, and see how that ends.
async fn stopped_after(read: u64, builder: WorkerBuilder<Word>) -> Result<Summary> {
    let worker = builder.build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read >= read).await.unwrap();
    stop.send_replace(true);
    running.await.unwrap()
}

async fn committed(store: &MemoryStore, table: &'static str) -> Option<Offset> {
    PartitionRecord::load(store, &Table::new(table, 1), &partition()).await.unwrap().record.commit
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_last_flush_meets_another_owner_makes_all_that_was_read_durable_all_the_same() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    written_by_someone_else(&store).await;
    let builder = worker_of(&store, List::waiting(&["a", "a", "!", "b"]), &letters).options(only_at_the_end());
    let summary = stopped_after(4, builder.pipeline::<Words>()).await.unwrap();
    assert_eq!((summary.progress.rewinds, summary.ended), (1, false));
    assert_eq!(committed(&store, "words").await, Some(Offset::from_u64(4)));
    // The first one is the other owner's.
    assert_eq!((count(&store, "words", "a").await, count(&store, "words", "b").await), (1, 1));
    assert_eq!(letters.0.lock().unwrap().len(), 1);
    assert_eq!(
        (summary.progress.partitions[0].commit, summary.progress.uncommitted_since()),
        (Some(Offset::from_u64(4)), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_last_flush_finds_a_tile_full_moves_its_events_to_the_letters_and_counts_the_others() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a 1e308", "b 1", "a 1e308", "b 2"];
    let builder = worker_of(&store, List::waiting(&payloads), &letters).options(only_at_the_end());
    stopped_after(4, builder.pipeline::<Floats>()).await.unwrap();
    assert_eq!(committed(&store, "floats").await, Some(Offset::from_u64(4)));
    let dead: Vec<u64> = letters.0.lock().unwrap().iter().map(|letter| letter.offset.words()[3]).collect();
    assert_eq!(dead, [1, 3]);
    let rest = to_the_end(worker(&store, &payloads, &letters).pipeline::<Floats>()).await;
    assert_eq!(rest.progress.read, 0, "nothing is read again");
}

/// A list that delivers nothing after it was sent back, until it is to go on.
struct Once {
    list: Box<List>,
    seeks: u32,
    goes_on: Arc<AtomicBool>,
}

impl Once {
    fn new(payloads: &[&'static str]) -> (Box<Self>, Arc<AtomicBool>) {
        let goes_on = Arc::new(AtomicBool::new(false));
        (Box::new(Self { list: List::waiting(payloads), seeks: 0, goes_on: goes_on.clone() }), goes_on)
    }
}

impl Source for Once {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        if self.seeks <= 1 || self.goes_on.load(Ordering::SeqCst) {
            return self.list.poll();
        }
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(Poll::Idle)
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.seeks += 1;
        self.list.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.list.commit(commits)
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_cannot_make_durable_what_it_had_read_is_no_success_and_says_why() {
    let store = Arc::new(MemoryStore::new());
    written_by_someone_else(&store).await;
    let (source, _) = Once::new(&["a", "a"]);
    let builder = worker_of(&store, source, &Letters::default()).options(only_at_the_end());
    let error = stopped_after(2, builder.pipeline::<Words>()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    for part in ["another owner", "not read again", "drain budget of 25s"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(committed(&store, "words").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_after_a_conflict_reads_again_what_that_had_dropped() {
    let store = Arc::new(MemoryStore::new());
    written_by_someone_else(&store).await;
    let (source, goes_on) = Once::new(&["a", "a", "b"]);
    let worker = worker_of(&store, source, &Letters::default()).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.rewinds == 1).await.unwrap();
    stop.send_replace(true);
    progress.wait_for(|progress| progress.stopping == Some(Stopping::Rereading)).await.unwrap();
    goes_on.store(true, Ordering::SeqCst);
    let Progress { read, read_again, .. } = running.await.unwrap().unwrap().progress;
    assert_eq!((read - read_again, read_again > 0), (3, true));
    assert_eq!(committed(&store, "words").await, Some(Offset::from_u64(3)));
}

/// A list that never answers who lets go of it.
struct Clinging(Box<List>);

impl Source for Clinging {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.0.poll()
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.0.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.0.commit(commits)
    }

    fn release<'a>(&'a mut self, _: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_the_source_does_not_answer_blames_the_source_and_not_the_flush() {
    let store = Arc::new(MemoryStore::new());
    let source = Box::new(Clinging(List::waiting(&["a"])));
    let builder = worker_of(&store, source, &Letters::default()).pipeline::<Words>();
    let error = stopped_after(1, builder).await.unwrap_err().to_string();
    assert!(error.contains("the brokers, with Kafka") && error.contains("drain budget"), "{error}");
    assert!(!error.contains("flush"), "{error}");
    assert_eq!(committed(&store, "words").await, Some(Offset::from_u64(1)));
}

#[tokio::test(start_paused = true)]
async fn what_was_read_and_dropped_is_as_old_as_it_was_until_it_is_durable() {
    let store = Arc::new(MemoryStore::new());
    written_by_someone_else(&store).await;
    let (source, goes_on) = Once::new(&["a", "a", "b"]);
    let options = Options { flush_interval: Span::from_seconds(60), ..Options::default() };
    let builder = worker_of(&store, source, &Letters::default()).options(options);
    let worker = builder.clock(Arc::new(Paused(Instant::now()))).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.rewinds == 1).await.unwrap();
    // The conflict was found after a minute, and then nothing comes for a while.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(progress.borrow_and_update().uncommitted_since(), Some(Noon.now()));
    goes_on.store(true, Ordering::SeqCst);
    progress.wait_for(|progress| progress.read == 6).await.unwrap();
    assert_eq!(progress.borrow_and_update().uncommitted_since(), Some(Noon.now()), "read again is not durable");
    let durable = progress.wait_for(|progress| progress.uncommitted_since().is_none()).await.unwrap().clone();
    assert_eq!(durable.partitions[0].commit, Some(Offset::from_u64(3)));
    running.abort();
}
