//! What becomes of events that cannot be counted.

use std::time::Duration;

use super::faulty::{Fault, Faulty};
use super::memory::{Lump, Texts};
use super::*;
use crate::engine::record::PartitionRecord;
use crate::source::{FileDeadLetters, LetterClass, Metadata};

#[tokio::test]
async fn what_cannot_be_counted_is_a_dead_letter_and_the_rest_is_counted() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let long: &'static str = Box::leak("x".repeat(5_000).into_boxed_str());
    let payloads = ["a", "!", "panic", "skip", long, "a"];
    let summary = to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    assert_eq!(count(&store, "words", "a").await, 2);
    assert_eq!((summary.progress.read, summary.progress.applied, summary.progress.dead), (6, 3, 3));
    let letters = letters.0.lock().unwrap();
    let why: Vec<(u64, &str)> = letters.iter().map(|l| (l.offset.words()[3], l.reason.as_str())).collect();
    assert_eq!(why[0], (2, "an exclamation"));
    assert_eq!(why[1], (3, "the aggregate function panicked: as asked"));
    assert!(letters.iter().all(|letter| letter.pipelines == ["words"]));
    assert!(why[2].1.contains("5001 bytes"), "{}", why[2].1);
    assert_eq!(letters[2].payload.len(), 5_000);
    let classes: Vec<_> = letters.iter().map(|letter| letter.class).collect();
    assert_eq!(classes, [LetterClass::Undecodable, LetterClass::Refused, LetterClass::Refused]);
}

#[tokio::test]
async fn a_second_run_reads_nothing_again_and_letters_are_there_once() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a", "!", "skip"];
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    let again = to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    assert_eq!((again.progress.read, again.ended), (0, true));
    assert_eq!(count(&store, "words", "a").await, 1);
    assert_eq!(letters.0.lock().unwrap().len(), 1);
}

/// Counts words, those too at which the others panic; does not take `!!`.
struct Brave;

impl Pipeline for Brave {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("brave", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        assert!(event.text != "!!", "as asked");
        out.begin("").field(&event.text);
        out.emit(Count::one());
    }
}

#[tokio::test]
async fn letters_are_each_pipelines_own_and_outlive_a_pipeline_that_catches_up() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["panic", "!", "!!", "a"];
    let there = || {
        let letters = letters.0.lock().unwrap();
        let mut there: Vec<(u64, &'static str)> =
            letters.iter().flat_map(|l| l.pipelines.iter().map(|name| (l.offset.words()[3], *name))).collect();
        there.sort_unstable();
        there
    };
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    assert_eq!(there(), [(1, "words"), (2, "words")]);
    // Another one alone, from the beginning, and then both.
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Brave>()).await;
    let both = [(1, "words"), (2, "brave"), (2, "words"), (3, "brave")];
    assert_eq!(there(), both);
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>().pipeline::<Brave>()).await;
    assert_eq!(there(), both);
    assert_eq!((count(&store, "words", "a").await, count(&store, "brave", "panic").await), (1, 1));
}

/// A list that has nothing more for a while, and then says so again.
struct Rests(Box<List>);

impl Source for Rests {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            match self.0.poll().await? {
                Poll::End => {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    Ok(Poll::Idle)
                }
                more => Ok(more),
            }
        })
    }

    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.0.seek(partition, after)
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        self.0.commit(commits)
    }
}

/// A worker that flushes after every payload if it may, with its letters.
fn eager(store: &Arc<MemoryStore>, source: Box<dyn Source>, letters: &Letters) -> Worker<Word> {
    let options = Options { flush_interval: Span::from_micros(1), ..Options::default() };
    let worker = Worker::builder(store.clone(), source, decode, Box::new(letters.clone())).options(options);
    worker.pipeline::<Words>().build()
}

fn those(letters: &Letters) -> Vec<u64> {
    letters.0.lock().unwrap().iter().map(|letter| letter.offset.words()[3]).collect()
}

async fn commit(store: &MemoryStore) -> Option<Offset> {
    PartitionRecord::load(store, &Table::new("words", 1), &partition()).await.unwrap().record.commit
}

/// Where it stopped for too many bad payloads.
async fn refused(store: &Arc<MemoryStore>, payloads: &[&'static str], letters: &Letters) -> Option<Offset> {
    let (_stop, stopped) = watch::channel(false);
    let error = eager(store, Box::new(Rests(List::new(payloads))), letters).run(stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
    commit(store).await
}

#[tokio::test]
async fn a_worker_that_is_started_into_a_storm_moves_nothing_however_often() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["!"; 2 * DeadLetterLimit::WINDOW];
    for _ in 0..3 {
        assert_eq!(refused(&store, &payloads, &letters).await, None);
        assert!(those(&letters).is_empty());
    }
}

#[tokio::test]
async fn a_storm_later_on_moves_what_half_of_the_limit_is_and_no_more_with_restarts() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let good = 3_000;
    let payloads: Vec<&str> = (0..3 * good).map(|n| if n < good { "a" } else { "!" }).collect();
    let reached = refused(&store, &payloads, &letters).await;
    let moved = those(&letters);
    assert!(moved.len() <= DeadLetterLimit::WINDOW / 4, "{}", moved.len());
    assert_eq!(count(&store, "words", "a").await, good as i128);
    for _ in 0..3 {
        assert_eq!(refused(&store, &payloads, &letters).await, reached);
        assert_eq!(those(&letters), moved);
    }
}

#[tokio::test(start_paused = true)]
async fn letters_below_the_limit_all_go_and_not_only_at_the_end() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let bad = |n: u64| n % 5 < 2;
    let payloads: Vec<&str> = (1..=9_000).map(|n| if bad(n) { "!" } else { "a" }).collect();
    let (_stop, stopped) = watch::channel(false);
    let summary = eager(&store, List::new(&payloads), &letters).run(stopped).await.unwrap();
    assert!(summary.ended && summary.progress.flushes >= 4, "{}", summary.progress.flushes);
    assert_eq!(those(&letters), (1..=9_000).filter(|n| bad(*n)).collect::<Vec<_>>());
    assert_eq!(commit(&store).await, Some(Offset::from_u64(9_000)));
}

#[tokio::test(start_paused = true)]
async fn one_bad_payload_alone_is_a_letter_when_the_source_is_at_rest() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let worker = eager(&store, Box::new(Rests(List::new(&["!"]))), &letters);
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read == 1).await.unwrap();
    assert!(those(&letters).is_empty() && commit(&store).await.is_none(), "more of them may follow");
    progress.wait_for(|progress| progress.partitions.iter().any(|status| status.commit.is_some())).await.unwrap();
    assert_eq!(those(&letters), [1]);
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_moves_nothing_while_most_are_bad_and_everything_else() {
    for (payloads, moved) in [(["!"; 60], 0), (std::array::from_fn(|n| if n < 30 { "!" } else { "a" }), 30)] {
        let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        let worker = eager(&store, Box::new(Rests(List::new(&payloads))), &letters);
        let mut progress = worker.progress();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(worker.run(stopped));
        progress.wait_for(|progress| progress.read == 60).await.unwrap();
        stop.send_replace(true);
        let summary = running.await.unwrap().unwrap();
        assert_eq!(
            (those(&letters).len(), summary.progress.dead),
            (moved, moved as u64),
            "those that wait lie nowhere"
        );
        assert_eq!(commit(&store).await, (moved > 0).then(|| Offset::from_u64(60)));
    }
}

#[tokio::test(start_paused = true)]
async fn letters_too_large_to_be_held_are_read_again_once_they_may_go() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let large: &'static str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    let payloads: Vec<&str> = (0..300).map(|n| if n < 20 { large } else { "a" }).collect();
    let worker = eager(&store, List::new(&payloads), &letters);
    let (_stop, stopped) = watch::channel(false);
    let summary = worker.run(stopped).await.unwrap();
    let Progress { read, read_again, dead, .. } = summary.progress;
    assert!(read > 300, "they were let go meanwhile");
    assert_eq!((read - read_again, dead), (300, 20));
    assert_eq!(those(&letters), (1..=20).collect::<Vec<_>>());
    assert!(letters.0.lock().unwrap().iter().all(|letter| letter.payload.len() == 1 << 20));
    assert_eq!(count(&store, "words", "a").await, 280);
}

#[tokio::test(start_paused = true)]
async fn letters_too_large_to_be_held_until_their_verdict_are_read_again_once() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let large: &'static str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    let bad = |n: u64| n % 5 < 2;
    let payloads: Vec<&str> = (1..=5_000)
        .map(|n| {
            if bad(n) && n <= 50 {
                large
            } else if bad(n) {
                "!"
            } else {
                "a"
            }
        })
        .collect();
    let worker = eager(&store, List::new(&payloads), &letters);
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    tokio::select! {
        biased;
        _ = progress.wait_for(|progress| progress.read > 20_000) => panic!("it reads the same again and again"),
        ended = worker.run(stopped) => {
            let Progress { read, read_again, dead, .. } = ended.unwrap().progress;
            assert!(read > 5_000, "they were let go meanwhile");
            assert_eq!((read - read_again, dead), (5_000, 2_000));
        }
    }
    assert_eq!(those(&letters), (1..=5_000).filter(|n| bad(*n)).collect::<Vec<_>>());
    assert_eq!(count(&store, "words", "a").await, 3_000);
}

#[tokio::test]
async fn a_storm_of_which_some_can_be_counted_moves_nothing_in_the_midst_of_a_large_batch() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    for _ in 0..3 {
        // Large folds stop every few hundred events to make room, which is before the batch, and a window, is over.
        let source = Lump::new(4_096, |at| if at % 5 < 3 { "!".to_owned() } else { at.to_string() });
        let worker = Worker::builder(store.clone(), source, decode, Box::new(letters.clone()));
        let (_stop, stopped) = watch::channel(false);
        let error = worker.pipeline::<Texts>().build().run(stopped).await.unwrap_err().to_string();
        assert!(error.contains("1200 of the last 2000 payloads could not be counted"), "{error}");
        assert_eq!(those(&letters), [0; 0]);
        let record = PartitionRecord::load(&*store, &Table::new("texts", 1), &partition()).await.unwrap().record;
        assert_eq!(record.commit, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_table_is_away_stops_reading_when_so_many_letters_lie_beyond_the_commit() {
    let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let store = Faulty::over(&kept);
    let away = Fault { table: "words", key: None, carried_out: false, kind: ErrorKind::Unavailable, times: usize::MAX };
    store.fail(away);
    let bad = |n: u64| n.is_multiple_of(5);
    let payloads: Vec<&str> = (1..=9_000).map(|n| if bad(n) { "!" } else { "a" }).collect();
    let options = Options { flush_interval: Span::from_seconds(86_400), flush_letters: 30, ..Options::default() };
    let worker = worker_of(&store, List::new(&payloads), &letters).options(options).pipeline::<Words>().build();
    let progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let read = progress.borrow().read;
    assert!((150..=300).contains(&read), "one flush is on its way, and the next one is full: {read}");
    store.fail(Fault { times: 0, ..away });
    assert!(running.await.unwrap().unwrap().ended);
    assert_eq!(those(&letters), (1..=9_000).filter(|n| bad(*n)).collect::<Vec<_>>());
    assert_eq!(count(&kept, "words", "a").await, 7_200);
}

/// Two workers of a process. One has lost the partition and does not know it: its letter is stored, and it is about to
/// raise the commit over it, when the other one takes the partition.
#[tokio::test]
async fn a_letter_outlives_the_worker_that_takes_the_partition_before_the_commit_passes_it() {
    let (store, table, partition) = (MemoryStore::new(), Table::new("words", 1), PartitionId::new("p"));
    let folder = tempfile::tempdir().unwrap();
    let bad = Letter {
        partition: partition.clone(),
        offset: Offset::from_u64(8),
        pipelines: vec!["words"],
        place: None,
        reason: "an exclamation".to_owned(),
        class: LetterClass::Undecodable,
        at: None,
        payload: b"!".to_vec(),
        metadata: Metadata::default(),
    };
    let there = || std::fs::read_to_string(folder.path().join("p.jsonl")).unwrap_or_default().lines().count();
    let mut late = FileDeadLetters::open(folder.path()).unwrap();
    let mut next = late.share();
    let horizon = PartitionRecord { horizon: Some(Offset::from_u64(9)), ..PartitionRecord::default() };
    let taken = PartitionRecord::take_over(&store, &table, &partition).await.unwrap();
    late.rewind(&partition, &[("words", taken.record.commit)]).await.unwrap();
    let taken = horizon.raise(&store, &table, &partition, taken).await.unwrap();
    late.put(vec![bad.clone()]).await.unwrap();
    late.sync().await.unwrap();

    let standing = PartitionRecord::take_over(&store, &table, &partition).await.unwrap();
    assert_eq!(standing.record.commit, None);
    next.rewind(&partition, &[("words", standing.record.commit)]).await.unwrap();
    let commit = PartitionRecord { commit: Some(Offset::from_u64(8)), ..PartitionRecord::default() };
    commit.raise(&store, &table, &partition, taken).await.unwrap();
    // Both are killed.
    drop((late, next));
    let mut letters = FileDeadLetters::open(folder.path()).unwrap();
    let standing = PartitionRecord::take_over(&store, &table, &partition).await.unwrap();
    assert_eq!(standing.record.commit, Some(bad.offset));
    letters.rewind(&partition, &[("words", standing.record.commit)]).await.unwrap();
    assert_eq!(there(), 1, "nobody will read the event again");
}
