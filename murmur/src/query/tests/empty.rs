//! A slot without events has no value, and never one that was counted.

use super::*;
use crate::aggregate::{Max, Min};
use crate::query::Presence;
use crate::store::Consistency::Eventual;

/// The letters of the alphabet, below zero: nobody has counted a 0 or more.
fn below_zero(event: &Happening) -> i64 {
    -i64::from(event.what as u32)
}

impl OfEvent for Max<i64> {
    fn of(event: &Happening) -> Self {
        Self::of(below_zero(event))
    }
}

impl OfEvent for Min<i64> {
    /// Above zero.
    fn of(event: &Happening) -> Self {
        Self::of(-below_zero(event))
    }
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn hours(count: u64) -> Span {
    Span::from_seconds(count * 3_600)
}

/// One event of `a`, six and a half hours ago; its value in a window of seven hours, six of which are empty.
async fn of_one<A: OfEvent<Reply = Option<i64>>>() -> Option<i64> {
    let at = now().saturating_sub(Span::from_seconds(13 * 1_800));
    let event = Happening { id: "a".into(), at, partition: 0, what: 'x' };
    let reader = reader::<Test<Hours, A>>(&[event], now()).await;
    let key = Id::new("a");
    let value = reader.window(&key, hours(7), None, Eventual).await.unwrap();
    assert!(value.is_present());

    let empty = reader.window(&key, hours(6), None, Eventual).await.unwrap();
    assert_eq!((empty.value, empty.presence), (None, Presence::Empty));
    let absent = reader.window(&Id::new("nobody"), hours(6), None, Eventual).await.unwrap();
    assert_eq!((absent.value, absent.presence), (None, Presence::Absent));
    let many = reader.get_many(&[Id::new("nobody"), key.clone()], Eventual).await.unwrap();
    assert_eq!((many[0].value, many[1].value), (None, value.value));

    let series = reader.series(&key, now().saturating_sub(hours(7)), None, None, Eventual).await.unwrap();
    let points: Vec<_> = series.points.iter().map(|point| (point.value, point.present)).collect();
    let nothing = (None, false);
    assert_eq!(points, [(value.value, true), nothing, nothing, nothing, nothing, nothing, nothing]);
    value.value
}

#[tokio::test]
async fn slots_without_events_add_no_zero_to_an_extreme() {
    let x = i64::from('x' as u32);
    assert_eq!((of_one::<Max<i64>>().await, of_one::<Min<i64>>().await), (Some(-x), Some(x)));
}
