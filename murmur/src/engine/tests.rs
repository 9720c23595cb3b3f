//! What the simulation does not ask: refusals, filters, stopping, and pipelines that join later.

mod begins;
mod behind;
mod counts;
mod drains;
mod ends;
mod failing;
mod faulty;
mod giving;
mod hot;
#[cfg(all(feature = "jsonl", feature = "embedded"))]
mod kill;
mod letters;
#[cfg(feature = "otlp")]
mod links;
#[cfg(feature = "metrics")]
mod measured;
mod memory;
mod one_key;
mod panics;
mod rolling;
mod silent;
mod sums;
mod together;

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::flush::Patience;
use super::ownership::Ownership;
use super::*;
use crate::aggregate::{Count, Sum};
use crate::event::Event;
use crate::pipeline::{Dedup, Emissions, Pipeline, Spec};
use crate::source::{
    Assignment, Batch, Commits, DeadLetters, Letter, Offset, PartitionId, Payload, Poll, Source, Start,
};
use crate::store::{Applied, Consistency, MemoryStore, Store, Table, TileId, Write};
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
fn decode(payload: &[u8]) -> Result<Word, Unreadable> {
    let text = String::from_utf8_lossy(payload).into_owned();
    match text.split_once('@') {
        _ if text == "!" => Err("an exclamation".into()),
        Some((text, seconds)) => {
            let seconds = seconds.parse().map_err(|_| format!("`{seconds}` is not a time"))?;
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

/// A list of payloads as one partition.
struct List {
    payloads: Vec<&'static str>,
    /// Where pipelines begin that are new to it.
    start: Start,
    next: usize,
    assigned: bool,
    /// Whether it waits at its end for more, which never comes.
    idles: bool,
}

impl List {
    fn new(payloads: &[&'static str]) -> Box<Self> {
        Self::from(Start::Beginning, payloads)
    }

    /// One that waits for more.
    fn waiting(payloads: &[&'static str]) -> Box<Self> {
        Box::new(Self { idles: true, ..*Self::new(payloads) })
    }

    fn from(start: Start, payloads: &[&'static str]) -> Box<Self> {
        Box::new(Self { payloads: payloads.to_vec(), start, next: 0, assigned: false, idles: false })
    }
}

fn partition() -> PartitionId {
    PartitionId::new("list")
}

impl Source for List {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        let poll = if !self.assigned {
            self.assigned = true;
            Poll::Assigned(vec![Assignment { partition: partition(), start: self.start.clone(), among: None }])
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
        } else if self.idles {
            return Box::pin(async {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                Ok(Poll::Idle)
            });
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
    worker_of(store, List::new(payloads), letters)
}

fn worker_of<S: Store>(store: &Arc<S>, source: Box<dyn Source>, letters: &Letters) -> WorkerBuilder<Word> {
    Worker::builder(store.clone(), source, decode, Box::new(letters.clone())).clock(Arc::new(Noon))
}

/// Someone else has written the first event, an `a`, and nothing of it stands in the record.
async fn written_by_someone_else(store: &MemoryStore) {
    let table = Table::new("words", 1);
    let id = TileId { key: "=a".into(), tile: Words::tiling().locate(Timestamp::EPOCH).0, part: None };
    let (first, last) = (Offset::from_u64(1), Offset::from_u64(1));
    let applied = vec![Applied { partition: partition(), first, last }];
    Ownership::of::<Words>(1).claim(store, &table, &Patience::new(1)).await.unwrap();
    let write = Write::Add { id, numbers: Vec::new(), applied, expires: None };
    store.write(&table, [write].into()).await.remove(0).unwrap();
}

async fn to_the_end(builder: WorkerBuilder<Word>) -> Summary {
    let (_stop, stopped) = watch::channel(false);
    builder.build().run(stopped).await.unwrap()
}
