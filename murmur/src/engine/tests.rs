//! What the simulation does not ask: refusals, filters, stopping, and pipelines that join later.

#[cfg(all(feature = "jsonl", feature = "embedded"))]
mod kill;
mod sums;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::*;
use crate::aggregate::{Count, Sum};
use crate::event::Event;
use crate::pipeline::{Dedup, Emissions, Pipeline, Spec};
use crate::source::{
    Assignment, Batch, Commits, DeadLetters, Letter, Offset, PartitionId, Payload, Poll, Source, Start,
};
use crate::store::{Consistency, MemoryStore, Store, Table, TileId};
use crate::time::{Span, Timestamp, Window};
use crate::{Error, ErrorKind, Result};

struct Word {
    text: String,
    at: Option<Timestamp>,
}

impl Event for Word {
    const NAME: &'static str = "Word";
    const FIELDS: &'static [&'static str] = &["text"];

    fn time(&self) -> Option<Timestamp> {
        self.at
    }
}

/// `text` or `text@seconds`; `!` does not decode.
fn decode(payload: &[u8]) -> Result<Word, String> {
    let text = String::from_utf8_lossy(payload).into_owned();
    match text.split_once('@') {
        _ if text == "!" => Err("an exclamation".into()),
        Some((text, seconds)) => {
            let seconds = seconds.parse().map_err(|_| "not a time".to_owned())?;
            Ok(Word { text: text.into(), at: Some(Timestamp::from_seconds(seconds)) })
        }
        None => Ok(Word { text, at: None }),
    }
}

crate::key! {
    /// A word.
    struct WordKey: "test.v1.WordKey" {
        /// Itself.
        text: String = 1,
    }
}

const fn spec(name: &'static str, window: Window) -> Spec {
    Spec { name, package: "test.v1", service: "WordsService", about: "", window, fingerprint: 0 }
}

/// Counts words, panics at `panic`, leaves out `skip`.
struct Words;

impl Pipeline for Words {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("words", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        assert!(event.text != "panic", "as asked");
        if event.text != "skip" {
            out.begin("").field(&event.text);
            out.emit(Count::one());
        }
    }
}

/// Counts words per hour and keeps them for a day.
struct Hours;

impl Pipeline for Hours {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec =
        spec("hours", Window::Tumbling { size: Span::from_seconds(3_600), keep: Span::from_seconds(86_400) });

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        Words::apply(event, out);
    }
}

/// Sums zeros per hour.
struct Zeros;

impl Pipeline for Zeros {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Sum<i64>;
    const SPEC: Spec =
        spec("zeros", Window::Tumbling { size: Span::from_seconds(3_600), keep: Span::from_seconds(86_400) });

    fn apply(event: &Word, out: &mut Emissions<Sum<i64>>) {
        out.begin("").field(&event.text);
        out.emit(Sum::of(0));
    }
}

/// A list of payloads as one partition without commits of its own.
struct List {
    payloads: Vec<&'static str>,
    next: usize,
    assigned: bool,
}

impl List {
    fn new(payloads: &[&'static str]) -> Box<Self> {
        Box::new(Self { payloads: payloads.to_vec(), next: 0, assigned: false })
    }
}

fn partition() -> PartitionId {
    PartitionId::new("list")
}

impl Source for List {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        let poll = if !self.assigned {
            self.assigned = true;
            Poll::Assigned(vec![Assignment { partition: partition(), start: Start::Stored }])
        } else if let Some(payload) = self.payloads.get(self.next) {
            self.next += 1;
            Poll::Batch(Batch {
                partition: Some(partition()),
                buffer: payload.as_bytes().to_vec(),
                payloads: vec![Payload {
                    offset: Offset::from_u64(self.next as u64),
                    bytes: 0..payload.len(),
                    broken: None,
                }],
                ..Batch::default()
            })
        } else {
            Poll::End
        };
        Box::pin(async { Ok(poll) })
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.next = after.map_or(0, |offset| offset.words()[3] as usize);
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[derive(Clone, Default)]
struct Letters(Arc<Mutex<Vec<Letter>>>);

impl DeadLetters for Letters {
    fn rewind<'a>(&'a mut self, _: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        let mut letters = self.0.lock().unwrap();
        for letter in letters.iter_mut() {
            let passed = |name: &str| commits.iter().all(|(of, commit)| *of != name || Some(letter.offset) <= *commit);
            letter.pipelines.retain(|name| passed(name));
        }
        letters.retain(|letter| !letter.pipelines.is_empty());
        Box::pin(async { Ok(()) })
    }

    fn passed<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        self.0.lock().unwrap().extend(letters);
        Box::pin(async { Ok(()) })
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

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

struct Noon;

/// 1970-01-11T12:00:00Z.
const NOON: i64 = 10 * 86_400 + 43_200;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(NOON)
    }
}

async fn count(store: &MemoryStore, table: &str, key: &str) -> i128 {
    let id = TileId { key: format!("={key}").into(), tile: Words::tiling().locate(Timestamp::EPOCH).0, part: None };
    let items = store.get(&Table::new(table, 1), &[id], Consistency::Strong).await.unwrap();
    let numbers = items[0].iter().flat_map(|item| &item.numbers);
    numbers.map(|(_, number)| if let crate::store::Number::Int(n) = number { *n } else { 0 }).sum()
}

fn worker(store: &Arc<MemoryStore>, payloads: &[&'static str], letters: &Letters) -> WorkerBuilder<Word> {
    Worker::builder(store.clone(), List::new(payloads), decode, Box::new(letters.clone())).clock(Arc::new(Noon))
}

async fn to_the_end(builder: WorkerBuilder<Word>) -> Summary {
    let (_stop, stopped) = watch::channel(false);
    builder.build().run(stopped).await.unwrap()
}

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
    assert_eq!(why[1], (3, "the aggregate function panicked"));
    assert!(letters.iter().all(|letter| letter.pipelines == ["words"]));
    assert!(why[2].1.contains("5001 bytes"), "{}", why[2].1);
    assert_eq!(letters[2].payload.len(), 5_000);
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

#[tokio::test]
async fn a_pipeline_that_joins_later_sees_everything_and_the_others_count_nothing_twice() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@860000", "a@860001"];
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>()).await;
    to_the_end(worker(&store, &payloads, &letters).pipeline::<Words>().pipeline::<Hours>()).await;
    assert_eq!(count(&store, "words", "a").await, 2);
    let hours = store.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    assert_eq!(hours.len(), 1);
    assert_eq!(hours[0].1.numbers[0].1, crate::store::Number::Int(2));
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

/// Counts each word once, as long as it is among the last three.
struct Once;

impl Pipeline for Once {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("once", Window::AllTime);
    const DEDUP: Option<Dedup<Word>> = Some(Dedup {
        within: 2,
        identify: |event, identity| {
            identity.part(&event.text);
        },
    });

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        Words::apply(event, out);
    }
}

#[tokio::test]
async fn an_event_that_was_sent_before_is_left_out_also_by_the_next_owner() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    // The second `a` and the third `b` repeat what stands before the second run; what panics was met as well.
    let payloads = ["b", "a", "!", "a", "panic", "panic", "b"];
    let mut repeated = Vec::new();
    for end in [3, 5, 7] {
        let summary = to_the_end(worker(&store, &payloads[..end], &letters).pipeline::<Once>()).await;
        repeated.push(summary.progress.repeated);
    }
    assert_eq!(repeated, [0, 1, 1]);
    assert_eq!((count(&store, "once", "a").await, count(&store, "once", "b").await), (1, 2));
    let refused: Vec<u64> = letters.0.lock().unwrap().iter().map(|letter| letter.offset.words()[3]).collect();
    assert_eq!(refused, [3, 5], "a repetition is no second letter");
}

#[tokio::test]
async fn an_event_older_than_retention_is_counted_as_expired_and_not_stored() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    // Kept until a day after the end of its day's tile: the 9th expires at the end of the 10th.
    let payloads = ["old@700000", "kept@800000"];
    let summary = to_the_end(worker(&store, &payloads, &letters).pipeline::<Hours>()).await;
    assert_eq!((summary.progress.expired, summary.progress.writes), (1, 1));
    let kept = store.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    assert_eq!(&*kept[0].0.key, "=kept");
}

#[tokio::test]
async fn an_event_of_a_broken_clock_is_counted_and_does_not_say_how_far_the_stream_is() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@900000", "a@99000000", "a@909000"];
    let summary = to_the_end(worker(&store, &payloads, &letters).pipeline::<Hours>()).await;
    assert_eq!((summary.progress.applied, summary.progress.ahead), (3, 1));
    assert_eq!(summary.progress.newest, Some(Timestamp::from_seconds(909_000)), "half an hour ahead is still a clock");
    let record = PartitionRecord::load(&*store, &Table::new("hours", 1), &partition()).await.unwrap().record;
    assert_eq!(record.watermark, Some(Timestamp::from_seconds(909_000)));
    assert_eq!(store.scan(&Table::new("hours", 1), None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn events_that_sum_to_zero_are_stored_as_events() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    to_the_end(worker(&store, &["a@860000"], &letters).pipeline::<Zeros>()).await;
    let kept = store.scan(&Table::new("zeros", 1), None, 10).await.unwrap();
    assert_eq!(kept[0].1.numbers.len(), 1);
    assert!(kept[0].1.numbers[0].1.is_zero());
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
    assert!(record.horizon >= Some(Offset::from_u64(2)), "raised before anything could be written");
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
    let rest = to_the_end(super::tests::worker(&store, &["a", "b", "c", "d"], &letters).pipeline::<Words>()).await;
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
                1 => Poll::Assigned(vec![Assignment { partition: partition(), start: Start::Committed(None) }]),
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
    let id = TileId { key: "=a".into(), tile: Words::tiling().locate(Timestamp::EPOCH).0, part: None };
    let (first, last) = (Offset::from_u64(1), Offset::from_u64(1));
    let applied = vec![crate::store::Applied { partition: partition(), first, last }];
    let write = crate::store::Write::Add { id, numbers: Vec::new(), applied, expires: None };
    assert!(store.write(&Table::new("words", 1), &[write]).await.remove(0).is_ok());
    let options = Options { flush_interval: Span::from_micros(0), ..Options::default() };
    let source = Box::new(Losing { step: 0, gone: false });
    let builder = Worker::builder(store.clone(), source, decode, Box::new(letters)).options(options);
    to_the_end(builder.pipeline::<Words>()).await;
}
