//! What is counted, and what is not: pipelines that come later, repetitions, old events and wrong clocks.

use super::*;

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

/// Counts each word once, as long as it is among the last three; refuses what happened at the epoch.
pub(super) struct Once;

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
        assert!(event.at != Some(Timestamp::EPOCH), "as asked");
        Words::apply(event, out);
    }
}

#[tokio::test]
async fn an_event_that_was_sent_before_is_left_out_also_by_the_next_owner() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    // The second `a` repeats what stands before the second run, and the second `c` what stands before the third.
    let payloads = ["b", "a", "!", "a", "c", "c", "b"];
    let mut repeated = Vec::new();
    for end in [3, 5, 7] {
        let summary = to_the_end(worker(&store, &payloads[..end], &letters).pipeline::<Once>()).await;
        repeated.push(summary.progress.repeated);
    }
    assert_eq!(repeated, [0, 1, 1]);
    assert_eq!((count(&store, "once", "a").await, count(&store, "once", "b").await), (1, 2));
    assert_eq!(count(&store, "once", "c").await, 1);
}

#[tokio::test]
async fn what_was_refused_does_not_make_what_is_sent_again_vanish() {
    // Both copies are refused, then the event is sent again as one that is not, and again.
    let payloads = ["a@0", "a@0", "a@1", "a@2"];
    for ends in [&[4][..], &[1, 2, 3, 4], &[2, 4], &[3, 4]] {
        let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
        let mut repeated = 0;
        for end in ends {
            let summary = to_the_end(worker(&store, &payloads[..*end], &letters).pipeline::<Once>()).await;
            repeated += summary.progress.repeated;
        }
        let refused: Vec<u64> = letters.0.lock().unwrap().iter().map(|letter| letter.offset.words()[3]).collect();
        assert_eq!((refused, repeated), (vec![1, 2], 1), "{ends:?}");
        assert_eq!(count(&store, "once", "a").await, 1, "{ends:?}");
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
    // What follows it in the log is late by it, and lies in a twin of its tile.
    assert_eq!(store.scan(&Table::new("hours", 1), None, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn events_that_sum_to_zero_are_stored_as_events() {
    let (store, letters) = (Arc::new(MemoryStore::new()), Letters::default());
    to_the_end(worker(&store, &["a@860000"], &letters).pipeline::<Zeros>()).await;
    let kept = store.scan(&Table::new("zeros", 1), None, 10).await.unwrap();
    assert_eq!(kept[0].1.numbers.len(), 1);
    assert!(kept[0].1.numbers[0].1.is_zero());
}
