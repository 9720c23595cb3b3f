//! What one request may ask for by default, at N and N + 1; and what it holds meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::hooked::{Hook, Hooked};
use super::*;
use crate::ErrorKind;
use crate::key::MAX_KEY_BYTES;
use crate::query::Limits;
use crate::store::Consistency::Eventual;
use crate::store::Item;
use crate::time::Slot;

type Alone = Text<{ usize::MAX }>;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_key_of_1024_bytes_is_asked_about_and_one_byte_more_is_refused() {
    assert_eq!(MAX_KEY_BYTES, 1_024);
    // The stored text of a key begins with `=`.
    let longest = "x".repeat(MAX_KEY_BYTES - 1);
    let event = Happening { id: longest.clone(), at: now(), partition: 0, what: 'x' };
    let reader = reader::<Test<Minutes, Count>>(&[event], now()).await;
    let (longest, longer) = (Id::new(&*longest), Id::new(format!("{longest}x")));
    let hour = Span::from_seconds(3_600);
    let since = now().saturating_sub(hour);
    assert_eq!(reader.get(&longest, Eventual).await.unwrap().value, u64::from('x'));
    assert_eq!(reader.series(&longest, since, None, None, Eventual).await.unwrap().points.len(), 60);
    let refused = [
        reader.get(&longer, Eventual).await.map(drop),
        reader.get_many(&[longest, longer.clone()], Eventual).await.map(drop),
        reader.window(&longer, hour, None, Eventual).await.map(drop),
        reader.series(&longer, since, None, None, Eventual).await.map(drop),
    ];
    for (refused, field) in refused.into_iter().zip(["key", "keys[1]", "key", "key"]) {
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)));
        assert_eq!(error.to_string(), format!("`{field}`: the key has 1025 bytes; at most 1024 are possible"));
    }
}

#[tokio::test]
async fn twenty_thousand_items_are_read_for_a_request_and_one_more_is_refused() {
    let store = Arc::new(MemoryStore::new());
    let tile = <Test<AllTime, Alone>>::tiling().locate(Timestamp::EPOCH).0;
    let value: Bytes = envelope::seal(&Text::<8>("x".into())).into();
    let part = |n: usize| Write::Put {
        id: TileId { key: key_text("a"), tile, part: Some(PartitionId::new(format!("p{n:05}"))) },
        values: vec![(Slot(0), value.clone())],
        first: Offset::ZERO,
        last: Offset::ZERO,
        expires: None,
    };
    let table = Table::new("test", 1);
    store.write(&table, (0..20_000).map(part).collect::<Vec<_>>().into()).await;
    let reader = Reader::<Test<AllTime, Alone>>::new(store.clone(), 1);
    assert_eq!(reader.get(&Id::new("a"), Eventual).await.unwrap().value.len(), 20_000);
    store.write(&table, [part(20_000)].into()).await;
    let error = reader.get(&Id::new("a"), Eventual).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.to_string().contains("more than 20000 stored items of one key"), "{error}");
}

#[tokio::test]
async fn a_series_has_twenty_thousand_points_and_one_more_is_refused() {
    let reader = reader::<Test<MonthOfMinutes, Count>>(&[], now()).await;
    let since = |minutes: u64| now().saturating_sub(Span::from_seconds(minutes * 60));
    let key = Id::new("a");
    assert_eq!(reader.series(&key, since(20_000), None, None, Eventual).await.unwrap().points.len(), 20_000);
    let error = reader.series(&key, since(20_001), None, None, Eventual).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("step")));
    assert!(error.to_string().contains("20001 points; at most 20000"), "{error}");
}

#[tokio::test]
async fn what_is_read_for_a_request_is_bounded_in_bytes() {
    let events = |letters: usize| vec![Happening { id: "a".into(), at: now(), partition: 0, what: 'x' }; letters];
    let store = Arc::new(MemoryStore::new());
    fill::<Test<AllTime, Alone>>(&*store, &events(100_000)).await;
    let within = async |bytes| {
        let reader = Reader::<Test<AllTime, Alone>>::new(store.clone(), 1);
        let reader = reader.limits(Limits { bytes, ..Limits::default() });
        reader.get(&Id::new("a"), Eventual).await.map(|answer| answer.value.len())
    };
    assert_eq!(within(101_000).await.unwrap(), 100_000, "what stands beside the value is small");
    let error = within(100_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.to_string().contains("more than 100000 bytes of stored items of one key"), "{error}");
}

/// Counts the values that ranges have found and that somebody still has.
#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them.
struct Value(Bytes, Arc<Held>);

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.1.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A hook that counts them.
struct Holds(Arc<Held>);

impl Hook for Holds {
    fn after_range(&self, found: &mut [(TileId, Item)]) {
        for (_, value) in found.iter_mut().flat_map(|(_, item)| &mut item.values) {
            let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.most.fetch_max(now, Ordering::SeqCst);
            *value = Bytes::from_owner(Value(value.clone(), self.0.clone()));
        }
    }
}

#[tokio::test]
async fn what_was_found_by_looks_and_is_too_much_is_let_go_of_at_once() {
    let store = Arc::new(MemoryStore::new());
    let at = |day: u64| now().saturating_sub(Span::from_seconds(day * 86_400));
    let event = |key: usize, day| Happening { id: format!("{key}"), at: at(day), partition: 0, what: 'x' };
    let events: Vec<_> = (0..1_000).flat_map(|key| (5..13).map(move |day| event(key, day))).collect();
    fill::<Test<QuarterOfMinutes, Alone>>(&*store, &events).await;
    let held = Arc::new(Held::default());
    let store = Arc::new(Hooked { inner: store, hook: Arc::new(Holds(held.clone())) });
    let reader = Reader::<Test<QuarterOfMinutes, Alone>>::new(store, 1).clock(Arc::new(Standing(now())));
    let keys: Vec<_> = (0..1_000).map(|key| Id::new(format!("{key}"))).collect();
    let limits = Limits { items: 100, ..Limits::default() };
    let error = reader.limits(limits).get_many(&keys, Eventual).await.unwrap_err();
    assert!(error.to_string().contains("more than 100 stored items"), "{error}");
    // Those that may be had, and what calls find that run at the same time: 32 of them, eight each.
    let most = held.most.load(Ordering::SeqCst);
    assert!((100..=100 + 2 * 32 * 8).contains(&most), "{most}");
    assert_eq!(held.now.load(Ordering::SeqCst), 0);
}
