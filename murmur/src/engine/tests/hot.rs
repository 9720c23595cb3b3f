//! A key whose writes have to wait, and the others beside it.

use std::time::Duration;

use super::faulty::{Fault, Faulty};
use super::one_key::Lasts;
use super::*;

/// A list of which a payload comes ten times a second.
struct Drip(Box<List>);

impl Source for Drip {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.0.poll().await
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.0.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.0.commit(commits)
    }
}

/// So often in turn, each with a time of its own.
fn turns(words: &[&str], times: usize) -> Vec<&'static str> {
    let all = (0..times * words.len()).map(|n| format!("{}@{n}", words[n % words.len()]));
    all.map(|text| &*text.leak()).collect()
}

/// Whatever is written of the key fails, so often.
fn refuse(store: &Faulty, table: &'static str, times: usize) {
    let kind = ErrorKind::Unavailable;
    store.fail(Fault { table, key: Some("hot"), carried_out: false, kind, times });
}

/// A worker over what comes, and what tells how far it is.
fn start<P: Pipeline<Event = Word>>(
    store: &Arc<Faulty>,
    payloads: &[&'static str],
    stopped: watch::Receiver<bool>,
) -> (watch::Receiver<Progress>, tokio::task::JoinHandle<Result<Summary>>) {
    let source = Box::new(Drip(List::new(payloads)));
    let worker = worker_of(store, source, &Letters::default()).pipeline::<P>().build();
    (worker.progress(), tokio::spawn(worker.run(stopped)))
}

#[tokio::test(start_paused = true)]
async fn other_keys_are_written_while_one_waits_and_nothing_is_committed_before_it() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    let (_stop, stopped) = watch::channel(false);
    let (mut progress, running) = start::<Words>(&store, &turns(&["hot", "a", "b"], 40), stopped);
    progress.wait_for(|progress| progress.flushes >= 5).await.unwrap();
    let counted = [count(&kept, "words", "a").await, count(&kept, "words", "b").await];
    assert!(counted.iter().all(|counted| *counted >= 10), "a flush a second, of ten events: {counted:?}");
    assert_eq!(count(&kept, "words", "hot").await, 0);
    assert_eq!(progress.borrow().partitions[0].commit, None);
    refuse(&store, "words", 0);
    let summary = running.await.unwrap().unwrap();
    for word in ["hot", "a", "b"] {
        assert_eq!(count(&kept, "words", word).await, 40, "{word}");
    }
    assert_eq!(summary.progress.partitions[0].commit, Some(Offset::from_u64(120)));
    assert_eq!(summary.progress.rewinds, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fold_that_waits_to_be_written_is_written_in_its_order_and_as_a_whole() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "lasts", 15);
    let (_stop, stopped) = watch::channel(false);
    let words = turns(&["hot", "a", "b"], 40);
    let (_, running) = start::<Lasts>(&store, &words, stopped);
    assert_eq!(running.await.unwrap().unwrap().progress.rewinds, 0);
    let items = kept.scan(&Table::new("lasts", 1), None, 9).await.unwrap();
    let reached: Vec<_> = items.iter().map(|(id, item)| (&*id.key, item.offsets[0].1)).collect();
    let right = [("=a", 119), ("=b", 120), ("=hot", 118)].map(|(key, last)| (key, Offset::from_u64(last)));
    assert_eq!(reached, right);
}

#[tokio::test(start_paused = true)]
async fn what_came_while_a_key_waited_is_read_again_after_a_crash_and_counts_once() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    let (_stop, stopped) = watch::channel(false);
    let words = turns(&["hot", "a", "b"], 40);
    let (mut progress, running) = start::<Words>(&store, &words, stopped.clone());
    progress.wait_for(|progress| progress.flushes >= 5).await.unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    refuse(&store, "words", 0);
    let (_, running) = start::<Words>(&store, &words, stopped);
    assert!(running.await.unwrap().unwrap().progress.already_applied >= 20);
    for word in ["hot", "a", "b"] {
        assert_eq!(count(&kept, "words", word).await, 40, "{word}");
    }
}

#[tokio::test(start_paused = true)]
async fn for_half_a_minute_flushes_go_on_without_a_key_that_waits() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    let (_stop, stopped) = watch::channel(false);
    let (mut progress, running) = start::<Words>(&store, &turns(&["hot", "a", "b"], 300), stopped);
    progress.wait_for(|progress| progress.read >= 600).await.unwrap();
    let flushes = progress.borrow().flushes;
    assert!((25..=32).contains(&flushes), "{flushes} in a minute");
    refuse(&store, "words", 0);
    running.await.unwrap().unwrap();
    assert_eq!(count(&kept, "words", "hot").await, 300);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_less_than_half_is_not_sent_more_beside_it() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    let (_stop, stopped) = watch::channel(false);
    let (mut progress, running) = start::<Words>(&store, &turns(&["hot"], 100), stopped);
    progress.wait_for(|progress| progress.read >= 90).await.unwrap();
    assert_eq!((progress.borrow().flushes, count(&kept, "words", "hot").await), (0, 0));
    refuse(&store, "words", 0);
    running.await.unwrap().unwrap();
    assert_eq!(count(&kept, "words", "hot").await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_to_wait_while_another_one_is_behind_is_written_once_at_a_time() {
    for flushes in 3..8 {
        let kept = Arc::new(MemoryStore::new());
        let store = Faulty::over(&kept);
        refuse(&store, "words", usize::MAX);
        let (_stop, stopped) = watch::channel(false);
        let (mut progress, running) = start::<Words>(&store, &turns(&["hot", "a", "b", "c"], 60), stopped);
        progress.wait_for(|progress| progress.flushes >= flushes).await.unwrap();
        // The hot one is behind, and will be let through within two seconds; another one is refused from now on.
        let kind = ErrorKind::Unavailable;
        store.fail(Fault { table: "words", key: Some("a"), carried_out: false, kind, times: 20 });
        assert_eq!(running.await.unwrap().unwrap().progress.rewinds, 0);
        for word in ["hot", "a", "b", "c"] {
            assert_eq!(count(&kept, "words", word).await, 60, "{word}, after {flushes} flushes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_says_no_commit_takes_none_back() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    let (_stop, stopped) = watch::channel(false);
    let (mut progress, running) = start::<Words>(&store, &turns(&["hot", "a", "b"], 40), stopped);
    let commit = |progress: &Progress| progress.partitions.first().and_then(|status| status.commit);
    let before = commit(&progress.wait_for(|progress| commit(progress).is_some()).await.unwrap());
    refuse(&store, "words", usize::MAX);
    let flushes = progress.borrow().flushes;
    progress.wait_for(|progress| progress.flushes >= flushes + 3).await.unwrap();
    assert!(commit(&progress.borrow()) >= before);
    refuse(&store, "words", 0);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn flushes_beside_a_key_that_waits_do_not_let_letters_become_ever_more() {
    let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    let payloads = ["hot", "a", "b", "c", "!"].repeat(200);
    let options = Options { flush_letters: 30, ..Options::default() };
    let source = Box::new(Drip(List::new(&payloads)));
    let worker = worker_of(&store, source, &letters).options(options).pipeline::<Words>().build();
    let progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    tokio::time::sleep(Duration::from_secs(80)).await;
    // A hundred payloads until the breaker knows enough, and five for each letter from then on.
    let read = progress.borrow().read;
    assert!((200..=300).contains(&read), "only a flush that takes everything lets letters be forgotten: {read}");
    refuse(&store, "words", 0);
    running.await.unwrap().unwrap();
    assert_eq!((count(&kept, "words", "hot").await, letters.0.lock().unwrap().len()), (200, 200));
}

#[tokio::test(start_paused = true)]
async fn flushes_beside_a_key_that_waits_end_when_there_is_no_room_for_more_beside_it() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    refuse(&store, "words", usize::MAX);
    // First a few keys, of which one waits, and then ever new ones.
    let mut payloads = turns(&["hot", "a", "b", "c"], 3);
    payloads.extend((0..300).map(|n| &*format!("word {n}").leak()));
    let options = Options { flush_bytes: 1_500, roll_every: None, ..Options::default() };
    let source = Box::new(Drip(List::new(&payloads)));
    let worker = worker_of(&store, source, &Letters::default()).options(options).pipeline::<Words>().build();
    let progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    tokio::time::sleep(Duration::from_secs(25)).await;
    let read = progress.borrow().read;
    assert!((12..100).contains(&read), "its events take up the room that others have: {read}");
    refuse(&store, "words", 0);
    assert!(running.await.unwrap().unwrap().ended);
    assert_eq!((count(&kept, "words", "hot").await, count(&kept, "words", "word 299").await), (3, 1));
}
