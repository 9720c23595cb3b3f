//! What lies ahead: it is asked about like any other time, and nothing of it is taken for what stays.

use super::*;
use crate::query::{Presence, TileCache};
use crate::store::Consistency::{Eventual, Strong};
use crate::time::TimeRange;

const X: u64 = 'x' as u64;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn hours(count: u64) -> Span {
    Span::from_seconds(count * 3_600)
}

/// From so many hours ahead on, for so long.
fn ahead(start: u64, length: u64) -> TimeRange {
    let start = now().saturating_add(hours(start));
    TimeRange::new(start, start.saturating_add(hours(length)))
}

/// Of one whose clock is so many hours ahead.
fn event(ahead: u64) -> Happening {
    Happening { id: "a".into(), at: now().saturating_add(hours(ahead)), partition: 0, what: 'x' }
}

#[tokio::test]
async fn a_range_that_lies_ahead_has_what_is_dated_there_and_nothing_of_it_is_kept() {
    let store = Arc::new(MemoryStore::new());
    let mut filler = Filler::<Test<Hours, Count>>::new(&*store, 1);
    filler.take(&[event(0), event(2)]).await;
    let reader = Reader::<Test<Hours, Count>>::new(store.clone(), 1).clock(Arc::new(Standing(now())));
    let reader = reader.caching(&TileCache::new(1 << 20));
    let of = async |id: &str, range: TimeRange| {
        let answer = reader.range(&Id::new(id), range, Eventual).await.unwrap();
        assert_eq!(answer.interval.start.zip(answer.interval.end), Some((range.start, range.end)));
        let strong = reader.range(&Id::new(id), range, Strong).await.unwrap();
        assert_eq!((strong.value, strong.presence), (answer.value, answer.presence));
        (answer.value, answer.presence)
    };
    assert_eq!(of("a", ahead(2, 1)).await, (X, Presence::Present));
    assert_eq!(of("a", ahead(0, 3)).await, (2 * X, Presence::Present));
    assert_eq!(of("a", ahead(4, 1)).await, (0, Presence::Empty));
    assert_eq!(of("nobody", ahead(2, 1)).await, (0, Presence::Absent));
    // As far ahead as nothing is kept that is past.
    assert_eq!(of("a", ahead(9_000, 48)).await, (0, Presence::Empty));

    filler.take(&[event(4)]).await;
    assert_eq!(of("a", ahead(4, 1)).await, (X, Presence::Present), "it was empty before");

    let end = Some(now().saturating_add(hours(5)));
    let window = reader.window(&Id::new("a"), hours(5), end, Eventual).await.unwrap();
    assert_eq!(window.value, 3 * X);
    let series = reader.series(&Id::new("a"), now(), end, None, Eventual).await.unwrap();
    assert_eq!(series.points.iter().map(|point| point.value).collect::<Vec<_>>(), [X, 0, X, 0, X]);
    // What the value is now has none of it.
    assert_eq!(reader.get(&Id::new("a"), Eventual).await.unwrap().value, X);
}
