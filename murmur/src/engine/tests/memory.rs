//! How much is held.

use super::*;
use crate::aggregate::Last;

/// The last event of each word, as a text of 1,000 bytes.
pub(super) struct Texts;

const LONG: usize = 1_000;

impl Pipeline for Texts {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Last<String>;
    const SPEC: Spec = spec("texts", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Last<String>>) {
        out.begin("").field(&event.text);
        out.emit(Last::at(Timestamp::EPOCH, "x".repeat(LONG)));
    }
}

/// So many words in one batch.
pub(super) struct Lump {
    words: u64,
    /// The word at an offset.
    word: fn(u64) -> String,
    assigned: bool,
    next: u64,
}

impl Lump {
    pub(super) fn new(words: u64, word: fn(u64) -> String) -> Box<Self> {
        Box::new(Self { words, word, assigned: false, next: 0 })
    }
}

impl Source for Lump {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        Box::pin(async {
            if !std::mem::replace(&mut self.assigned, true) {
                return Ok(Poll::Assigned(vec![Assignment {
                    partition: partition(),
                    start: Start::Beginning,
                    among: None,
                }]));
            }
            if self.next == self.words {
                return Ok(Poll::End);
            }
            let mut batch = Batch { partition: Some(partition()), ..Batch::default() };
            while self.next < self.words {
                self.next += 1;
                let start = batch.buffer.len();
                batch.buffer.extend_from_slice((self.word)(self.next).as_bytes());
                let bytes = start..batch.buffer.len();
                batch.payloads.push(Payload { offset: Offset::from_u64(self.next), bytes, broken: None });
            }
            Ok(Poll::Batch(batch))
        })
    }

    fn seek<'a>(&'a mut self, _: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.next = after.map_or(0, |after| after.words()[3]);
        Box::pin(async { Ok(()) })
    }

    fn commit<'a>(&'a mut self, _: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_bound_in_bytes_holds_with_large_folds_in_the_midst_of_a_batch() {
    const WORDS: u64 = 8_000;
    let store = Arc::new(MemoryStore::new());
    let source = Lump::new(WORDS, |at| at.to_string());
    let options = Options { flush_bytes: 1 << 20, flush_interval: Span::from_seconds(3_600), ..Options::default() };
    let builder = Worker::builder(store.clone(), source, decode, Box::new(Letters::default())).options(options);
    let summary = to_the_end(builder.pipeline::<Texts>()).await;
    assert_eq!((summary.progress.read, summary.progress.writes), (WORDS, WORDS));
    // 8 MB, of which 1 MiB, and what one read of bases brings, may be held.
    assert!(summary.progress.flushes >= 7, "{} flushes", summary.progress.flushes);
    let items = store.scan(&Table::new("texts", 1), None, 2 * WORDS as usize).await.unwrap();
    assert_eq!(items.len() as u64, WORDS);
}
