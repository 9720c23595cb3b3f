//! What stands after a write has failed: nothing is missing and nothing is there twice when it is read again.

use std::time::Duration;

use super::counts::Once;
use super::faulty::{Fault, Faulty};
use super::*;

/// Run to the end, however often a table does not take a write; how often that was. What was carried out is not sent
/// again by the next run.
async fn until_it_is_done<P: Pipeline<Event = Word>>(store: &Arc<Faulty>, payloads: &[&'static str]) -> usize {
    let letters = Letters::default();
    for failures in 0.. {
        let (_stop, stopped) = watch::channel(false);
        let worker = worker_of(store, List::new(payloads), &letters).pipeline::<P>().build();
        match worker.run(stopped).await {
            Ok(summary) => {
                assert!(summary.ended && letters.0.lock().unwrap().is_empty());
                return failures;
            }
            Err(error) => assert!(error.kind() == ErrorKind::Io && error.to_string().contains(P::SPEC.name), "{error}"),
        }
    }
    0
}

#[tokio::test]
async fn the_identity_of_an_event_whose_write_failed_does_not_make_it_vanish() {
    for (carried_out, failures) in [(false, 3), (true, 1)] {
        let kept = Arc::new(MemoryStore::new());
        let store = Faulty::over(&kept);
        store.fail(Fault { table: "once", key: None, carried_out, kind: ErrorKind::Io, times: 3 });
        assert_eq!(until_it_is_done::<Once>(&store, &["a@1", "a@2"]).await, failures);
        assert_eq!(count(&kept, "once", "a").await, 1, "carried out: {carried_out}");
    }
}

/// Counts each letter of a word under a key of its own.
struct Spelled;

impl Pipeline for Spelled {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("spelled", Window::AllTime);

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        for letter in event.text.chars() {
            out.begin("").field(&letter.to_string());
            out.emit(Count::one());
        }
    }
}

#[tokio::test]
async fn an_event_of_several_keys_counts_once_for_each_whichever_of_them_fails() {
    for (key, carried_out, failures) in [("a", false, 2), ("a", true, 1), ("c", false, 2), ("c", true, 1)] {
        let kept = Arc::new(MemoryStore::new());
        let store = Faulty::over(&kept);
        store.fail(Fault { table: "spelled", key: Some(key), carried_out, kind: ErrorKind::Io, times: 2 });
        assert_eq!(until_it_is_done::<Spelled>(&store, &["abc", "ab"]).await, failures);
        let counts = [count(&kept, "spelled", "a").await, count(&kept, "spelled", "b").await];
        assert_eq!((counts, count(&kept, "spelled", "c").await), ([2, 2], 1), "`{key}`, carried out: {carried_out}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_carried_out_is_not_carried_out_again_because_of_an_error() {
    // The worker sends it again by itself, and ends by another kind of error.
    for (kind, failures) in [(ErrorKind::Ambiguous, 0), (ErrorKind::Io, 1)] {
        let kept = Arc::new(MemoryStore::new());
        let store = Faulty::over(&kept);
        store.fail(Fault { table: "words", key: None, carried_out: true, kind, times: 5 });
        assert_eq!(until_it_is_done::<Words>(&store, &["a", "a"]).await, failures);
        assert_eq!(count(&kept, "words", "a").await, 2, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_source_waits_for_its_last_write_however_slow_the_store_is() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::slow(&kept, Duration::from_secs(3_600));
    let options = Options { flush_interval: Span::from_seconds(86_400), flush_tiles: 2, ..Options::default() };
    let builder = worker_of(&store, List::new(&["a", "b", "c", "d", "e", "a"]), &Letters::default()).options(options);
    assert!(to_the_end(builder.pipeline::<Words>()).await.ended);
    for (word, times) in [("a", 2), ("b", 1), ("c", 1), ("d", 1), ("e", 1)] {
        assert_eq!(count(&kept, "words", word).await, times, "{word}");
    }
}

/// A fault that lasts.
fn fails(table: &'static str, kind: ErrorKind, times: usize) -> Fault {
    Fault { table, key: None, carried_out: false, kind, times }
}

/// A worker that flushes both pipelines at once, as soon as it can.
fn both(store: &Arc<Faulty>, source: Box<dyn Source>) -> Worker<Word> {
    let builder = worker_of(store, source, &Letters::default());
    builder.pipeline::<Words>().pipeline::<Hours>().build()
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_a_table_fails_is_waited_for_but_not_for_ever() {
    for (times, counted) in [(5, 2), (usize::MAX, 0)] {
        let kept = Arc::new(MemoryStore::new());
        let store = Faulty::over(&kept);
        store.fail(fails("hours", ErrorKind::Io, 1));
        store.fail(fails("words", ErrorKind::Unavailable, times));
        let (_stop, stopped) = watch::channel(false);
        let running = both(&store, List::new(&["a@860000", "a@860001"])).run(stopped);
        let ended = tokio::time::timeout(Duration::from_secs(60), running).await.expect("it waits for ever");
        let error = ended.unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("`hours_v1`"), "{error}");
        assert_eq!(count(&kept, "words", "a").await, counted, "a table that refuses {times} times");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_right_before_its_budget_is_over_says_why_and_not_that_it_is_overdue() {
    // The other table takes nothing, and is waited for when the first one has failed: then the budget of 25 s is over.
    for tenths in 220..230 {
        let store = Faulty::over(&Arc::new(MemoryStore::new()));
        store.fail(fails("hours", ErrorKind::Unavailable, usize::MAX));
        store.fail(fails("words", ErrorKind::Unavailable, usize::MAX));
        let worker = both(&store, List::waiting(&["a@860000"]));
        let mut progress = worker.progress();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(worker.run(stopped));
        progress.wait_for(|progress| progress.read == 1).await.unwrap();
        stop.send_replace(true);
        tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
        store.fail(fails("words", ErrorKind::Io, usize::MAX));
        let error = running.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "after {tenths} tenths of a second: {error}");
    }
}
