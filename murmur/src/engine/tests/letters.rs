//! What becomes of events that cannot be counted.

use super::*;

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
