//! What several sets of one request have in common.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::ErrorKind;
use crate::aggregate::DistinctSet;
use crate::query::{Ask, Limits, SetOperation};
use crate::store::Consistency::Eventual;

impl OfEvent for DistinctSet {
    fn of(event: &Happening) -> Self {
        Self::of(event.what.to_string())
    }
}

type Sets = Test<MonthOfMinutes, DistinctSet>;

/// A clock that goes on by a slot whenever somebody looks.
struct Hurrying(AtomicI64);

impl Clock for Hurrying {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.fetch_add(60, Ordering::SeqCst))
    }
}

/// So many sets of one key, of nine items each.
async fn sets(count: usize, limits: Limits) -> crate::Result<crate::query::Combined> {
    let store = Arc::new(MemoryStore::new());
    let now = 1_000_000_020;
    let events: Vec<_> = (1..10)
        .map(|n| Happening { id: "a".into(), at: Timestamp::from_seconds(now - n * 60), partition: 0, what: 'x' })
        .collect();
    fill::<Sets>(&*store, &events).await;
    let reader = Reader::<Sets>::new(store, 1).clock(Arc::new(Hurrying(now.into()))).limits(limits);
    let ask = Ask::Window { span: Span::from_seconds(1_200), end: None };
    let sets: Vec<_> = (0..count).map(|_| (Id::new("a"), ask)).collect();
    reader.combine_sets(&sets, SetOperation::Union, "", Eventual).await
}

#[tokio::test]
async fn all_sets_of_a_request_are_of_the_same_now() {
    let combined = sets(5, Limits::default()).await.unwrap();
    let first = combined.sets[0].interval;
    assert!(combined.sets.iter().all(|set| set.interval == first), "{:?}", combined.sets);
}

#[tokio::test]
async fn what_may_be_read_is_for_all_sets_of_a_request_together() {
    let items = |items| Limits { items, ..Limits::default() };
    assert_eq!(sets(5, items(45)).await.unwrap().sets.len(), 5);
    let error = sets(5, items(44)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    let text = error.to_string();
    assert!(text.contains("more than 44 stored items of its 5 sets together") && text.contains("`sets`"), "{text}");
}

#[tokio::test]
async fn a_thousand_sets_are_combined_and_one_more_is_refused() {
    let limits = Limits::default();
    assert_eq!(sets(1_000, limits).await.unwrap().sets.len(), 1_000);
    let error = sets(1_001, limits).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("sets")));
    assert_eq!(error.to_string(), "`sets` has 1001 sets; at most 1000 can be combined");
}
