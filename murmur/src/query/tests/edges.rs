//! Limits at N and N + 1, pages, damage, and what a request may not ask. What the limits are by default: see `limits.rs`.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use futures_util::future::BoxFuture;

use super::hooked::{Hook, Hooked};
use super::*;
use crate::ErrorKind;
use crate::engine::{self, PartitionRecord};
use crate::key::Mark;
use crate::query::{Limits, Presence};
use crate::source::Records;
use crate::store::Consistency::{Eventual, Strong};
use crate::time::{Slot, TimeRange};

type Alone = Text<{ usize::MAX }>;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn event(id: &str, seconds_ago: i64, partition: u8) -> Happening {
    let at = Timestamp::from_micros(now().as_micros() - seconds_ago * 1_000_000);
    Happening { id: id.into(), at, partition, what: 'x' }
}

fn id(text: &str) -> Id {
    Id::new(text)
}

fn kind<T: std::fmt::Debug>(result: crate::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// A tile of days is a whole month, a value that is not packed has a tile for each slot: what is asked decides alone.
#[tokio::test]
async fn now_begins_and_ends_at_slots_however_they_are_packed() {
    const DAY: i64 = 86_400;
    let events: Vec<Happening> =
        [-400, -31, -1, 0, 1, 29, 89, 90, 91, 105].map(|days_ago| event("a", days_ago * DAY, 0)).into();
    let packed = reader::<Test<Days, Count>>(&events, now()).await.get(&id("a"), Eventual).await.unwrap();
    let alone = reader::<Test<Days, Alone>>(&events, now()).await.get(&id("a"), Eventual).await.unwrap();
    assert_eq!(alone.value.len(), 5, "today and the 90 days before: neither the future nor the months of the edges");
    assert_eq!(packed.value, 5 * u64::from(b'x'));
    assert_eq!(packed.interval, alone.interval);
    let day = |at: Option<Timestamp>| at.unwrap().to_string();
    assert_eq!(day(alone.interval.start), "2025-12-01T00:00:00Z");
    assert_eq!(day(alone.interval.end), "2026-03-02T00:00:00Z");
    assert!(!alone.interval.start_exact && !alone.interval.end_exact);

    // The window of the same length is the same answer.
    let keep = Days::WINDOW.retention().unwrap();
    let reader = reader::<Test<Days, Count>>(&events, now()).await;
    assert_eq!(reader.window(&id("a"), keep, None, Eventual).await.unwrap().value, packed.value);
}

#[tokio::test]
async fn a_key_of_the_future_is_known_and_has_nothing_now() {
    let reader = reader::<Test<Minutes, Count>>(&[event("a", -3_600, 0), event("b", 0, 0)], now()).await;
    let answer = reader.get(&id("a"), Eventual).await.unwrap();
    assert_eq!((answer.value, answer.presence), (0, Presence::Empty));
    let this_instant = reader.get(&id("b"), Eventual).await.unwrap();
    assert_eq!(this_instant.presence, Presence::Present, "now begins a slot, and is no future");
    assert_eq!(reader.get(&id("nobody"), Eventual).await.unwrap().presence, Presence::Absent);
    let forever = super::reader::<Test<AllTime, Count>>(&[event("a", -3_600, 0)], now()).await;
    assert!(forever.get(&id("a"), Eventual).await.unwrap().is_present(), "without a window no time is kept");
}

#[tokio::test]
async fn a_thousand_keys_are_answered_and_one_more_is_refused() {
    let reader = reader::<Test<Minutes, Count>>(&[], now()).await;
    let keys: Vec<Id> = (0..1_001).map(|n| id(&n.to_string())).collect();
    assert_eq!(reader.get_many(&keys[..1_000], Eventual).await.unwrap().len(), 1_000);
    let error = reader.get_many(&keys, Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("`keys` has 1001 keys; at most 1000"), "{error}");
}

#[tokio::test]
async fn items_up_to_the_limit_are_read_and_one_more_is_refused() {
    let events: Vec<Happening> = (0..30).flat_map(|n| [event("a", n * 60, 0), event("b", n * 60, 0)]).collect();
    let reader = reader::<Test<Minutes, Alone>>(&events, now()).await;
    let limited = |items| reader.clone().limits(Limits { items, ..Limits::default() });
    assert_eq!(limited(30).get(&id("a"), Eventual).await.unwrap().value.len(), 30);
    assert_eq!(kind(limited(29).get(&id("a"), Eventual).await), ErrorKind::ResourceExhausted);
    // The limit is of the request, not of each key, and a key that comes twice is read once.
    let both = [id("a"), id("b")];
    assert_eq!(limited(60).get_many(&both, Eventual).await.unwrap().len(), 2);
    let error = limited(59).get_many(&both, Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    for words in ["more than 59 stored items", "its 2 keys", "split `keys`"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    let twice = [id("b"), id("a"), id("b"), id("b"), id("nobody")];
    for consistency in [Eventual, Strong] {
        let answers = limited(60).get_many(&twice, consistency).await.unwrap();
        let sizes: Vec<usize> = answers.iter().map(|answer| answer.value.len()).collect();
        assert_eq!(sizes, [30, 30, 30, 30, 0]);
    }
}

#[tokio::test]
async fn points_up_to_the_limit_are_answered_and_one_more_is_refused() {
    let reader = reader::<Test<Minutes, Count>>(&[], now()).await.limits(Limits { items: 60, ..Limits::default() });
    let start = |minutes: u64| now().saturating_sub(Span::from_seconds(minutes * 60));
    assert_eq!(reader.series(&id("a"), start(60), None, None, Eventual).await.unwrap().points.len(), 60);
    assert_eq!(kind(reader.series(&id("a"), start(61), None, None, Eventual).await), ErrorKind::InvalidArgument);
    let two = Some(Span::from_seconds(120));
    assert_eq!(reader.series(&id("a"), start(61), None, two, Eventual).await.unwrap().points.len(), 31);
}

#[tokio::test]
async fn a_span_of_the_retention_is_answered_and_one_microsecond_more_is_refused() {
    let reader = reader::<Test<Minutes, Count>>(&[], now()).await;
    let keep = Minutes::WINDOW.retention().unwrap();
    let more = Span::from_micros(keep.as_micros() as u64 + 1);
    assert!(reader.window(&id("a"), keep, None, Eventual).await.is_ok());
    assert_eq!(kind(reader.window(&id("a"), more, None, Eventual).await), ErrorKind::InvalidArgument);
    assert!(reader.range(&id("a"), TimeRange::new(now(), now().saturating_add(keep)), Eventual).await.is_ok());
    assert_eq!(
        kind(reader.range(&id("a"), TimeRange::new(now(), now().saturating_add(more)), Eventual).await),
        ErrorKind::InvalidArgument
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_the_name_of_the_field() {
    let reader = reader::<Test<Minutes, Count>>(&[], now()).await;
    let refused = |result: crate::Result<_>, words: &str| {
        let error: crate::Error = result.map(|_: ()| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(reader.window(&id("a"), Span::ZERO, None, Eventual).await.map(drop), "`window`");
    refused(reader.range(&id("a"), TimeRange::new(now(), now()), Eventual).await.map(drop), "`start`");
    let odd = Some(Span::from_seconds(90));
    let ago = now().saturating_sub(Span::from_seconds(600));
    refused(reader.series(&id("a"), ago, None, odd, Eventual).await.map(drop), "`step` 1m30s");
    let forever = super::reader::<Test<AllTime, Count>>(&[], now()).await;
    refused(forever.window(&id("a"), Span::from_seconds(60), None, Eventual).await.map(drop), "use `Get`");
}

#[tokio::test]
async fn the_extremes_of_time_are_answered_or_refused_and_never_panic() {
    let reader = reader::<Test<Days, Count>>(&[event("a", 60, 0)], now()).await;
    let instants = [Timestamp::MIN, Timestamp::EPOCH, now(), Timestamp::MAX];
    for start in instants {
        for end in instants {
            let _ = reader.range(&id("a"), TimeRange::new(start, end), Eventual).await;
            for step in [None, Some(Span::MAX), Some(Span::from_seconds(86_400 * 1_000_000))] {
                let _ = reader.series(&id("a"), start, Some(end), step, Eventual).await;
            }
        }
        for span in [Span::from_micros(1), Span::from_seconds(86_400), Span::MAX] {
            let _ = reader.window(&id("a"), span, Some(start), Eventual).await;
        }
    }
    let last = TimeRange::new(Timestamp::from_micros(Timestamp::MAX.as_micros() - 1), Timestamp::MAX);
    assert_eq!(reader.range(&id("a"), last, Eventual).await.unwrap().presence, Presence::Empty);
    let first = TimeRange::new(Timestamp::MIN, Timestamp::from_micros(Timestamp::MIN.as_micros() + 1));
    assert_eq!(reader.range(&id("a"), first, Eventual).await.unwrap().presence, Presence::OutOfRetention);
}

#[tokio::test]
async fn more_items_than_a_page_are_all_folded_once() {
    let events: Vec<Happening> = (0..3_000).map(|n| event("a", n, 0)).collect();
    struct Hour;
    impl Shape for Hour {
        const WINDOW: Window = sliding(3_600, 1);
    }
    let answer = reader::<Test<Hour, Alone>>(&events, now()).await.get(&id("a"), Eventual).await.unwrap();
    assert_eq!(answer.value.len(), 3_000);
}

#[tokio::test]
async fn a_tile_with_more_parts_than_a_page_is_folded_whole() {
    let store = MemoryStore::new();
    let tile = <Test<AllTime, Alone>>::tiling().locate(Timestamp::EPOCH).0;
    let part = |n: usize| Write::Put {
        id: TileId { key: key_text("a"), tile, part: Some(PartitionId::new(format!("p{n:05}"))) },
        values: vec![(Slot(0), envelope::seal(&Text::<8>("x".into())).into())],
        first: Offset::ZERO,
        last: Offset::ZERO,
        expires: None,
    };
    let writes: Vec<Write> = (0..2_500).map(part).collect();
    store.write(&Table::new("test", 1), writes.into()).await;
    let reader = Reader::<Test<AllTime, Alone>>::new(Arc::new(store), 1);
    assert_eq!(reader.get(&id("a"), Eventual).await.unwrap().value.len(), 2_500);
}

#[tokio::test]
async fn a_value_that_does_not_decode_is_an_error_that_names_its_tile() {
    let store = MemoryStore::new();
    let (tile, slot) = <Test<Minutes, Alone>>::tiling().locate(now());
    let id_of = TileId { key: key_text("a"), tile, part: Some(PartitionId::new("p0")) };
    let mut bytes = envelope::seal(&Text::<8>("x".into()));
    bytes[1] ^= 1;
    let write = Write::Put {
        id: id_of,
        values: vec![(slot, bytes.into())],
        first: Offset::ZERO,
        last: Offset::ZERO,
        expires: None,
    };
    store.write(&Table::new("test", 1), [write].into()).await;
    let reader = Reader::<Test<Minutes, Alone>>::new(Arc::new(store), 1).clock(Arc::new(Standing(now())));
    let error = reader.get(&id("a"), Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("2026-03-01T12:00:00Z"), "{error}");
    let among_others = reader.get_many(&[id("b"), id("a")], Eventual).await;
    assert_eq!(kind(among_others), ErrorKind::Corrupt, "never an answer of nothing");
    // Another key is not concerned.
    assert_eq!(reader.get(&id("b"), Eventual).await.unwrap().presence, Presence::Absent);
}

#[tokio::test]
async fn a_value_that_leaves_its_reply_is_an_error_and_never_a_number() {
    let store = MemoryStore::new();
    let events = [event("a", 0, 0), event("a", 60, 0), event("b", 60, 0)];
    fill::<Test<Minutes, Count>>(&store, &events).await;
    let (tile, slot) = <Test<Minutes, Count>>::tiling().locate(now());
    let mut numbers = Vec::new();
    Count::of(u64::MAX - 200).numbers(0, &mut |column, number| numbers.push(((slot, column), number)));
    let applied =
        vec![Applied { partition: PartitionId::new("other"), first: Offset::from_u64(9), last: Offset::from_u64(9) }];
    let write = Write::Add { id: TileId { key: key_text("a"), tile, part: None }, numbers, applied, expires: None };
    store.write(&Table::new("test", 1), [write].into()).await;
    let reader = Reader::<Test<Minutes, Count>>::new(Arc::new(store), 1).clock(Arc::new(Standing(now())));
    let error = reader.get(&id("a"), Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overflow);
    let mark = Mark::of("=a");
    assert!(error.to_string().starts_with(&format!("{mark}: the count reached")), "{error}");
    let minute = Span::from_seconds(60);
    let (start, end) = (now().saturating_sub(minute), Some(now().saturating_add(minute)));
    let step = Some(Span::from_seconds(120));
    let error = reader.series(&id("a"), start, end, step, Eventual).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{mark}, 2026-03-01T11:59:00Z: the count reached")), "{error}");

    // Of many keys it takes nothing from the others.
    let answers = reader.get_many(&[id("b"), id("a"), id("c")], Eventual).await.unwrap();
    assert_eq!((answers[0].value, answers[0].is_present()), (u64::from(b'x'), true));
    assert_eq!((answers[1].value, answers[1].is_present(), answers[1].presence), (0, false, Presence::Present));
    assert!(answers[1].problem.as_deref().is_some_and(|why| why.contains("the count reached")), "{:?}", answers[1]);
    assert_eq!((answers[2].presence, &answers[2].problem), (Presence::Absent, &None));
}

#[tokio::test]
async fn an_answer_says_how_far_the_workers_are() {
    let store = Arc::new(MemoryStore::new());
    let table = Table::new("test", 1);
    let at = |seconds: u64| now().saturating_sub(Span::from_seconds(seconds));
    for (name, offset, seconds) in [("p0", 7, 30), ("p1", 9, 10)] {
        let (commit, watermark) = (Some(Offset::from_u64(offset)), Some(at(seconds)));
        let record = PartitionRecord { commit, watermark, ..PartitionRecord::default() };
        record.raise(&*store, &table, &PartitionId::new(name), engine::Standing::default()).await.unwrap();
    }
    let reader = Reader::<Test<Minutes, Count>>::new(store.clone(), 1).clock(Arc::new(Standing(now())));
    let as_of = reader.get(&id("a"), Eventual).await.unwrap().as_of;
    assert_eq!(as_of.watermark, Some(at(30)));
    assert_eq!(as_of.freshness, Some(Span::from_seconds(10)));
    let offsets: Vec<_> = as_of.partitions.iter().map(|p| (p.partition.as_str(), p.offset)).collect();
    assert_eq!(offsets, [("p0", Some(Offset::from_u64(7))), ("p1", Some(Offset::from_u64(9)))]);

    // A partition without an event yet: nothing is complete. A strong read sees it at once.
    PartitionRecord::default()
        .raise(&*store, &table, &PartitionId::new("p2"), engine::Standing::default())
        .await
        .unwrap();
    assert_eq!(reader.get(&id("a"), Strong).await.unwrap().as_of.watermark, None);

    // A record that does not decode is an error, never an empty one.
    let name = PartitionRecord::name(&PartitionId::new("p3"));
    store.put_record(&table.shelf(), &name, b"damaged".to_vec(), None).await.unwrap();
    assert_eq!(kind(reader.get(&id("a"), Strong).await), ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_item_without_the_slot_makes_the_answer_empty_and_not_absent() {
    let reader = reader::<Test<Hours, Count>>(&[event("a", 3 * 3_600, 0)], now()).await;
    let hour = Span::from_seconds(3_600);
    assert_eq!(reader.window(&id("a"), hour, None, Eventual).await.unwrap().presence, Presence::Empty);
    assert_eq!(reader.window(&id("b"), hour, None, Eventual).await.unwrap().presence, Presence::Absent);
    let long_ago = Some("2025-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(reader.window(&id("a"), hour, long_ago, Eventual).await.unwrap().presence, Presence::OutOfRetention);
}

/// Writes the only event of a key before the read that is next by then.
struct Meanwhile {
    store: Arc<MemoryStore>,
    reads_before: AtomicUsize,
}

impl Hook for Meanwhile {
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        Box::pin(async {
            if self.reads_before.fetch_sub(1, SeqCst) == 0 {
                Filler::<Test<Minutes, Alone>>::new(&*self.store, 1).take(&[event("a", 60, 0)]).await;
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn a_key_whose_first_event_is_written_meanwhile_is_absent_or_has_it() {
    let mut seen = Vec::new();
    for reads_before in 0..6 {
        let store = Arc::new(MemoryStore::new());
        let hook = Arc::new(Meanwhile { store: store.clone(), reads_before: AtomicUsize::new(reads_before) });
        let reader = Reader::<Test<Minutes, Alone>>::new(Arc::new(Hooked { inner: store, hook }), 1);
        let reader = reader.clock(Arc::new(Standing(now())));
        let answer = reader.get(&id("a"), Eventual).await.unwrap();
        seen.push((answer.presence, answer.value.len()));
    }
    assert!(seen.iter().all(|seen| [(Presence::Present, 1), (Presence::Absent, 0)].contains(seen)), "{seen:?}");
    assert_eq!(seen[0].0, Presence::Present);
    assert_eq!(seen[5].0, Presence::Absent);
}
