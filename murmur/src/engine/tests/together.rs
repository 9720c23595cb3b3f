//! Several pipelines of one source: what becomes of one is not what becomes of the others.

use super::counts::Once;
use super::faulty::{Fault, Faulty};
use super::*;

/// Leaves out the same repetitions as [`Once`].
struct OnceToo;

impl Pipeline for OnceToo {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("once_too", Window::AllTime);
    const DEDUP: Option<Dedup<Word>> = Once::DEDUP;

    fn apply(event: &Word, out: &mut Emissions<Count>) {
        Words::apply(event, out);
    }
}

#[tokio::test]
async fn pipelines_leave_out_the_repetitions_of_their_own_and_others_count_them() {
    let payloads = ["a@1", "b@1", "a@1"];
    // In one worker, and as services of their own on the same store.
    for apart in [false, true] {
        let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        let builder = || worker(&store, &payloads, &letters);
        if apart {
            to_the_end(builder().pipeline::<Once>()).await;
            to_the_end(builder().pipeline::<OnceToo>()).await;
            to_the_end(builder().pipeline::<Words>()).await;
        } else {
            to_the_end(builder().pipeline::<Once>().pipeline::<OnceToo>().pipeline::<Words>()).await;
        }
        for (table, times) in [("once", 1), ("once_too", 1), ("words", 2)] {
            let counts = (count(&store, table, "a").await, count(&store, table, "b").await);
            assert_eq!(counts, (times, 1), "`{table}`, apart: {apart}");
        }
    }
}

#[tokio::test]
async fn leaving_out_repetitions_costs_no_write() {
    let mut writes = Vec::new();
    for once in [false, true] {
        let store = Faulty::over(&Arc::new(MemoryStore::new()));
        let options = Options { flush_interval: Span::ZERO, ..Options::default() };
        let builder = worker_of(&store, List::new(&["a@1", "b@1", "c@1"]), &Letters::default()).options(options);
        to_the_end(if once { builder.pipeline::<Once>() } else { builder.pipeline::<Words>() }).await;
        writes.push(store.writes());
    }
    assert_eq!(writes[0], writes[1]);
}

/// Can count nothing.
struct Never;

impl Pipeline for Never {
    type Event = Word;
    type Key = WordKey;
    type Aggregate = Count;
    const SPEC: Spec = spec("never", Window::AllTime);

    fn apply(_: &Word, _: &mut Emissions<Count>) {
        panic!("as asked");
    }
}

#[tokio::test]
async fn a_pipeline_that_can_count_nothing_takes_nothing_from_the_others() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let options = Options { dead_letter_limit: "100%".parse().unwrap(), ..Options::default() };
    let builder = worker(&store, &["a", "b", "a"], &letters).options(options);
    let summary = to_the_end(builder.pipeline::<Never>().pipeline::<Words>()).await;
    assert_eq!((summary.ended, summary.progress.read, summary.progress.dead), (true, 3, 3));
    assert_eq!((count(&store, "words", "a").await, count(&store, "words", "b").await), (2, 1));
    let letters = letters.0.lock().unwrap();
    assert!(letters.len() == 3 && letters.iter().all(|letter| letter.pipelines == ["never"]));
}

#[tokio::test]
async fn a_table_that_takes_nothing_ends_the_worker_by_its_name_and_no_pipeline_lacks_or_doubles_anything() {
    let kept = Arc::new(MemoryStore::new());
    let (store, letters) = (Faulty::over(&kept), Letters::default());
    let payloads = ["a@860000", "a@860001"];
    let (_stop, stopped) = watch::channel(false);
    let both = || worker_of(&store, List::new(&payloads), &letters).pipeline::<Words>().pipeline::<Hours>();
    store.fail(Fault { table: "hours", key: None, carried_out: false, kind: ErrorKind::Io, times: 1 });
    let error = both().build().run(stopped).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("`hours_v1`"), "{error}");
    assert_eq!(count(&kept, "words", "a").await, 2, "what was sent is not left alone");
    to_the_end(both()).await;
    let hours = kept.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    assert_eq!((hours.len(), hours[0].1.numbers[0].1), (1, crate::store::Number::Int(2)));
    assert_eq!(count(&kept, "words", "a").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_reached_for_a_while_is_waited_for_by_all() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    store.fail(Fault { table: "words", key: None, carried_out: false, kind: ErrorKind::Unavailable, times: 40 });
    let builder = worker_of(&store, List::new(&["a@860000", "a@860001"]), &Letters::default());
    let summary = to_the_end(builder.pipeline::<Words>().pipeline::<Hours>()).await;
    assert_eq!((summary.ended, summary.progress.resent, summary.progress.rewinds), (true, 40, 0));
    let hours = kept.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    assert_eq!((count(&kept, "words", "a").await, &hours[0].1.numbers[0].1), (2, &crate::store::Number::Int(2)));
}

/// Whether a pipeline lacks something that was read.
fn waits(progress: &Progress, pipeline: &str) -> bool {
    let status = progress.pipelines.iter().find(|status| status.pipeline == pipeline);
    status.is_none_or(|status| status.uncommitted_since.is_some())
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_nothing_holds_up_its_own_pipeline_alone_until_that_is_full() {
    let kept = Arc::new(MemoryStore::new());
    let store = Faulty::over(&kept);
    let closed = |times| Fault { table: "hours", key: None, carried_out: false, kind: ErrorKind::Unavailable, times };
    store.fail(closed(usize::MAX));
    // Of two days by turns: tiles of `hours` enough for a flush, and one of `words`, which waits for its interval.
    let payloads = ["a@860000", "a@867200", "a@860001", "a@867201", "a@860002"];
    let source = Box::new(List { idles: true, ..*List::new(&payloads) });
    let options = Options { flush_tiles: 2, roll_every: None, ..Options::default() };
    let builder = worker_of(&store, source, &Letters::default()).options(options);
    let worker = builder.pipeline::<Words>().pipeline::<Hours>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let is_held = |progress: &Progress| progress.read == 4 && !waits(progress, "words") && waits(progress, "hours");
    let held = tokio::time::timeout(std::time::Duration::from_secs(60), progress.wait_for(is_held)).await;
    drop(held.expect("one waits for the other").unwrap());
    let record = PartitionRecord::load(&*kept, &Table::new("words", 1), &partition()).await.unwrap().record;
    assert_eq!((record.commit, count(&kept, "words", "a").await), (Some(Offset::from_u64(4)), 4));
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(progress.borrow_and_update().read, 4, "what waits for a table is bounded");

    store.fail(closed(0));
    let is_done = |progress: &Progress| progress.read == 5 && !waits(progress, "words") && !waits(progress, "hours");
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), progress.wait_for(is_done)).await;
    drop(done.expect("it is stuck").unwrap());
    stop.send_replace(true);
    assert_eq!(running.await.unwrap().unwrap().progress.rewinds, 0);
    let hours = kept.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    let numbers = hours.iter().flat_map(|(_, item)| &item.numbers);
    let counted = numbers.map(|(_, number)| if let crate::store::Number::Int(n) = number { *n } else { 0 });
    assert_eq!((counted.sum::<i128>(), count(&kept, "words", "a").await), (5, 5));
}

#[tokio::test]
async fn a_stop_makes_durable_what_was_read_for_every_pipeline() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@860000", "skip", "a@860001", "a@860002"];
    let worker = worker(&store, &payloads, &letters).pipeline::<Words>().pipeline::<Hours>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read >= 2).await.unwrap();
    stop.send_replace(true);
    let read = running.await.unwrap().unwrap().progress.read;
    for table in ["words", "hours"] {
        let record = PartitionRecord::load(&*store, &Table::new(table, 1), &partition()).await.unwrap().record;
        assert_eq!(record.commit, Some(Offset::from_u64(read)), "`{table}`");
    }
    let counted = count(&store, "words", "a").await;
    assert_eq!(counted, i128::from(read) - 1, "one of them is left out");
}

#[tokio::test]
async fn each_pipeline_is_flushed_at_its_own_interval() {
    let payloads = ["a@860000", "a@860001", "a@860002", "a@860003"];
    let writes = async |hours: Span| {
        let pipeline_intervals = [("hours".to_owned(), hours)].into();
        let options = Options { flush_interval: Span::ZERO, pipeline_intervals, ..Options::default() };
        let builder = worker(&Arc::new(MemoryStore::new()), &payloads, &Letters::default()).options(options);
        to_the_end(builder.pipeline::<Words>().pipeline::<Hours>()).await.progress.writes
    };
    let often = writes(Span::ZERO).await;
    assert!(often >= 4 && often.is_multiple_of(2), "both are written at the same moments: {often}");
    assert_eq!(writes(Span::from_seconds(86_400)).await, often / 2 + 1, "one of them only at the end");
}

/// Two of five payloads cannot be counted up to here, so that all of them wait for verdicts; what comes next is all bad.
const STORM: u64 = 7_000;

fn is_bad(n: u64) -> bool {
    n % 5 < 2 || n > STORM
}

fn payloads(count: u64) -> Vec<&'static str> {
    (1..=count).map(|n| if is_bad(n) { "!" } else { "a@860000" }).collect()
}

/// Where the letters stand that a pipeline has.
fn letters_of(letters: &Letters, pipeline: &str) -> Vec<u64> {
    let letters = letters.0.lock().unwrap();
    let of = letters.iter().filter(|letter| letter.pipelines.contains(&pipeline));
    of.map(|letter| letter.offset.words()[3]).collect()
}

async fn commit(store: &MemoryStore, table: &str) -> Option<u64> {
    let record = PartitionRecord::load(store, &Table::new(table, 1), &partition()).await.unwrap().record;
    record.commit.map(|commit| commit.words()[3])
}

/// What `hours` has counted in all.
async fn hours(store: &MemoryStore) -> i128 {
    let items = store.scan(&Table::new("hours", 1), None, 10).await.unwrap();
    let numbers = items.iter().flat_map(|(_, item)| &item.numbers);
    numbers.map(|(_, number)| if let crate::store::Number::Int(n) = number { *n } else { 0 }).sum()
}

const AWAY: Fault =
    Fault { table: "hours", key: None, carried_out: false, kind: ErrorKind::Unavailable, times: usize::MAX };

fn eager() -> Options {
    Options { flush_interval: Span::from_micros(1), roll_every: None, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_nothing_holds_up_no_other_pipeline_while_letters_wait_for_verdicts() {
    let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let store = Faulty::over(&kept);
    store.fail(AWAY);
    let source = Box::new(List { idles: true, ..*List::new(&payloads(STORM)) });
    let builder = worker_of(&store, source, &letters).options(eager());
    let worker = builder.pipeline::<Words>().pipeline::<Hours>().build();
    let mut progress = worker.progress();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    let goes_on = |progress: &Progress| progress.read == STORM && !waits(progress, "words");
    let going = tokio::time::timeout(std::time::Duration::from_secs(60), progress.wait_for(goes_on)).await;
    assert!(waits(&going.expect("one waits for the other").unwrap(), "hours"));
    let bad: Vec<u64> = (1..=STORM).filter(|n| is_bad(*n)).collect();
    let good = i128::from(STORM) - bad.len() as i128;
    assert_eq!((commit(&kept, "words").await, count(&kept, "words", "a").await), (Some(STORM), good));
    assert_eq!((commit(&kept, "hours").await, hours(&kept).await), (None, 0));

    store.fail(Fault { times: 0, ..AWAY });
    let is_done = |progress: &Progress| !waits(progress, "hours");
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), progress.wait_for(is_done)).await;
    drop(done.expect("it is stuck").unwrap());
    stop.send_replace(true);
    assert_eq!(running.await.unwrap().unwrap().progress.rewinds, 0);
    assert_eq!((commit(&kept, "hours").await, hours(&kept).await), (Some(STORM), good));
    assert_eq!((letters_of(&letters, "words"), letters_of(&letters, "hours")), (bad.clone(), bad));
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_stops_the_worker_while_a_table_takes_nothing_leaves_each_pipeline_what_its_commit_says() {
    let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let store = Faulty::over(&kept);
    let payloads = payloads(STORM + 3_000);
    let both = || {
        let builder = worker_of(&store, List::new(&payloads), &letters).options(eager());
        builder.pipeline::<Words>().pipeline::<Hours>()
    };
    let good = |reached: u64| (1..=reached).filter(|n| !is_bad(*n)).count() as i128;
    let bad = |reached: u64| (1..=reached).filter(|n| is_bad(*n)).collect::<Vec<_>>();
    let mut reached = None;
    for away in [AWAY, AWAY, Fault { times: 0, ..AWAY }, Fault { times: 0, ..AWAY }] {
        store.fail(away);
        let (_stop, stopped) = watch::channel(false);
        let running = both().build().run(stopped);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), running).await;
        assert_eq!(ended.expect("it waits").unwrap_err().kind(), ErrorKind::ResourceExhausted);
        let words = commit(&kept, "words").await.unwrap();
        assert!((4_000..=STORM + 200).contains(&words), "{words}");
        assert_eq!(count(&kept, "words", "a").await, good(words));
        assert_eq!(letters_of(&letters, "words"), bad(words));
        assert_eq!(*reached.get_or_insert(words), words, "nothing more is moved by starting it again");
        assert_eq!(hours(&kept).await, good(commit(&kept, "hours").await.unwrap_or(0)));
    }
    assert!(commit(&kept, "hours").await.is_some());
    let all = STORM + 3_000;
    to_the_end(both().options(Options { dead_letter_limit: "100%".parse().unwrap(), ..eager() })).await;
    assert_eq!((count(&kept, "words", "a").await, hours(&kept).await), (good(all), good(all)));
    assert_eq!((letters_of(&letters, "words"), letters_of(&letters, "hours")), (bad(all), bad(all)));
}

#[tokio::test(start_paused = true)]
async fn letters_too_large_to_be_held_in_each_window_have_all_be_read_twice_however_slow_the_store_is() {
    // One of the two pipelines flushes with verdicts alone: then it finds the other one's flush under way. Or one table
    // takes all at once, and the other one is away for a while.
    for (intervals, takes, refusals) in [([0, 0], 1, 0), ([86_400, 0], 1, 0), ([0, 86_400], 1, 0), ([0, 0], 0, 9)] {
        let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        let store = Faulty::slow(&kept, std::time::Duration::from_secs(takes));
        store.fail(Fault { times: refusals, ..AWAY });
        let payloads: Vec<&str> = (1..=20_000).map(|n| if n % 5 < 2 { "!" } else { "a@860000" }).collect();
        let pipeline_intervals =
            ["words", "hours"].map(str::to_owned).into_iter().zip(intervals.map(Span::from_seconds)).collect();
        // Less than the letters of a window take.
        let options = Options { pipeline_intervals, flush_bytes: 100_000, roll_every: None, ..Options::default() };
        let builder = worker_of(&store, List::new(&payloads), &letters).options(options);
        let read = to_the_end(builder.pipeline::<Words>().pipeline::<Hours>()).await.progress.read;
        assert_eq!((count(&kept, "words", "a").await, hours(&kept).await), (12_000, 12_000));
        for pipeline in ["words", "hours"] {
            assert!(letters_of(&letters, pipeline).into_iter().eq((1..=20_000).filter(|n| n % 5 < 2)), "{pipeline}");
        }
        assert!((20_001..=45_000).contains(&read), "{read} with {intervals:?}, {refusals}");
    }
}

#[tokio::test(start_paused = true)]
async fn letters_are_stored_with_their_verdict_though_each_pipeline_has_a_flush_under_way() {
    let (kept, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let store = Faulty::slow(&kept, std::time::Duration::from_secs(10));
    // A flush begins with the first one, and takes so long.
    let payloads: Vec<&str> = (1..=2_200).map(|n| if n % 5 < 2 && n > 1 { "!" } else { "a@860000" }).collect();
    let source = Box::new(List { idles: true, ..*List::new(&payloads) });
    let options = Options { flush_interval: Span::ZERO, ..eager() };
    let worker = worker_of(&store, source, &letters).options(options).pipeline::<Words>().build();
    let mut progress = worker.progress();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(worker.run(stopped));
    progress.wait_for(|progress| progress.read == 2_200).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let stored = letters_of(&letters, "words").len();
    assert!((700..=800).contains(&stored), "those of a window: {stored}");
    assert_eq!((commit(&kept, "words").await, count(&kept, "words", "a").await), (None, 0), "it is under way");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_read_again_for_a_pipeline_that_joins_says_nothing_of_how_far_the_others_will_come() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    let payloads = ["a@860000"; 501];
    // After each payload.
    let options = Options { flush_interval: Span::ZERO, ..Options::default() };
    let of = |read: usize| worker(&store, &payloads[..read], &letters).options(options.clone()).pipeline::<Words>();
    to_the_end(of(500)).await;
    to_the_end(of(501).pipeline::<Hours>()).await;
    let record = PartitionRecord::load(&*store, &Table::new("words", 1), &partition()).await.unwrap().record;
    let ahead = record.horizon.unwrap().words()[3] - record.commit.unwrap().words()[3];
    assert!(ahead < 1_100, "of one event, and not of the 500 before it too: {ahead}");
}
