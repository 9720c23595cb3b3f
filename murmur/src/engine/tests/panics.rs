//! Code of the user that panics costs the event at which it does, wherever that is, and whoever reads it again.

use super::*;
use crate::aggregate::{DecodeError, Form, Monoid, Question, envelope};
use crate::source::LetterClass;

fn reads_or_panics(payload: &[u8]) -> Result<Word, Unreadable> {
    assert!(payload != b"hunter2", "at hunter2");
    decode(payload)
}

#[tokio::test]
async fn what_reads_payloads_may_panic() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let source = List::new(&["a", "hunter2", "a"]);
    let builder = Worker::builder(store.clone(), source, reads_or_panics, Box::new(letters.clone()));
    let summary = to_the_end(builder.pipeline::<Words>()).await;
    assert_eq!(count(&store, "words", "a").await, 2);
    assert_eq!((summary.progress.read, summary.progress.dead), (3, 1));
    let letters = letters.0.lock().unwrap();
    assert_eq!(letters[0].reason, "not a `Word`: what reads it panicked: at hunter2");
    assert_eq!((letters[0].class, letters[0].payload.as_slice()), (LetterClass::Undecodable, b"hunter2".as_slice()));
}

#[tokio::test]
async fn what_is_shown_of_such_a_panic_is_not_its_words() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let source = List::new(&["hunter2"; 200]);
    let builder = Worker::builder(store, source, reads_or_panics, Box::new(letters));
    let (_stop, stopped) = watch::channel(false);
    let error = builder.pipeline::<Words>().build().run(stopped).await.unwrap_err().to_string();
    assert!(error.contains("what reads it panicked") && !error.contains("hunter2"), "{error}");
}

/// Words that are told from each other by their first letters, and panics where there is none.
struct Initials;

impl Pipeline for Initials {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("initials", Window::AllTime);
    const DEDUP: Option<Dedup<Word>> = Some(Dedup {
        within: 10,
        identify: |word, identity| {
            identity.part(&word.text[..1].to_owned());
        },
    });

    fn apply(_: &Word, out: &mut Emissions<Count>) {
        out.begin("").field(&"all".to_owned());
        out.emit(Count::one());
    }
}

#[tokio::test]
async fn what_makes_out_identities_may_panic_also_while_they_are_learnt_again() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["one", "", "other", "two"];
    to_the_end(worker(&store, &payloads[..3], &letters).pipeline::<Initials>()).await;
    let again = to_the_end(worker(&store, &payloads, &letters).pipeline::<Initials>()).await;
    assert_eq!((again.progress.read, count(&store, "initials", "all").await), (1, 2));
    let letters = letters.0.lock().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.offset.words()[3]).collect::<Vec<_>>(), [2]);
    assert!(letters[0].reason.starts_with("what makes out its identity panicked: "), "{}", letters[0].reason);
}

/// A sum that does not say which numbers it does not take: it is half of both when it panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Narrow {
    events: u8,
    sum: u8,
}

impl Monoid for Narrow {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = 2;
    type Reply = u32;

    fn identity() -> Self {
        Self { events: 0, sum: 0 }
    }

    fn combine(&mut self, later: Self) {
        self.events += later.events;
        self.sum = self.sum.checked_add(later.sum).expect("too much");
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.events, self.sum]);
    }

    fn decode(bytes: &[u8]) -> std::result::Result<Self, DecodeError> {
        let [events, sum] = *bytes else { return Err(DecodeError("not two bytes".into())) };
        Ok(Self { events, sum })
    }

    fn reply(&self, _: &Question) -> Result<u32> {
        Ok(self.sum.into())
    }
}

pub(super) struct Narrows;

impl Pipeline for Narrows {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Narrow;
    const SPEC: Spec = spec("narrows", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Narrow>) {
        for key in ["all", "other"] {
            out.begin("").field(&key.to_owned());
            out.emit(Narrow { events: 1, sum: if key == "all" { event.text.parse().unwrap() } else { 1 } });
        }
    }
}

/// What stands there, and up to which event.
pub(super) async fn narrow(store: &MemoryStore, key: &str) -> (Narrow, u64) {
    let tile = Narrows::tiling().locate(Timestamp::EPOCH).0;
    let id = TileId { key: format!("={key}").into(), tile, part: Some(partition()) };
    let item = store.get(&Table::new("narrows", 1), &[id], Consistency::Strong).await.unwrap().remove(0).unwrap();
    let value = envelope::unseal(&item.values[0].1).and_then(Narrow::decode).unwrap();
    (value, item.offset(&partition()).unwrap().words()[3])
}

#[tokio::test]
async fn what_puts_values_together_may_panic_and_the_tile_is_as_it_was() {
    let payloads = ["200", "55", "7", "0", "1"];
    for flushed_before in 0..=payloads.len() {
        let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        to_the_end(worker(&store, &payloads[..flushed_before], &letters).pipeline::<Narrows>()).await;
        let both = worker(&store, &payloads, &letters).pipeline::<Narrows>().pipeline::<Words>();
        assert_eq!(to_the_end(both).await.progress.rewinds, 0, "no other owner was found");
        let all = (narrow(&store, "all").await, narrow(&store, "other").await, count(&store, "words", "7").await);
        let right = ((Narrow { events: 3, sum: 255 }, 4), (Narrow { events: 5, sum: 5 }, 5), 1);
        assert_eq!(all, right, "after {flushed_before}");
        let letters = letters.0.lock().unwrap();
        let dead: Vec<_> = letters.iter().map(|letter| (letter.offset.words()[3], letter.class)).collect();
        assert_eq!(dead, [(3, LetterClass::Full), (5, LetterClass::Full)], "after {flushed_before}");
        assert!(letters[0].reason.contains("does not take the event: what puts values together panicked: too much"));
    }
}
