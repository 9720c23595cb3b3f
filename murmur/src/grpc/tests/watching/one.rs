//! One key.

use std::sync::Mutex;

use super::*;
use crate::engine::Clock;

#[tokio::test]
async fn a_watcher_gets_a_snapshot_and_then_each_change() {
    let world = World::new();
    let server = Running::start(world.builder().watching(Watching::every(NEVER).told_by(&world.touched))).await;
    let client = server.client::<Notes>().await;
    let mut changes = Box::pin(client.watch(note("a"), None).await.unwrap());
    let first = changes.next().await.unwrap().unwrap();
    assert_eq!((first.value.as_str(), first.present), ("", false));

    for (version, text) in [(1, "one"), (2, "two")] {
        world.note(&note("a"), version, text).await;
        let next = changes.next().await.unwrap().unwrap();
        assert_eq!((next.value.as_str(), next.present), (text, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_gets_the_newest_and_an_unchanged_value_is_not_sent() {
    let world = World::new();
    let watched = Watched::new(&world, Watching::default());
    let key = note("a");
    let mut changes = watched.one("a");
    world.note(&key, 1, "one").await;
    assert_eq!(one(&mut changes).await.value, "one");
    for (version, text) in [(2, "two"), (3, "three"), (4, "four")] {
        world.note(&key, version, text).await;
    }
    assert_eq!(one(&mut changes).await.value, "four");
    // Written again with the same text: many looks later there is still nothing to say.
    world.note(&key, 5, "four").await;
    let looks = *world.moody.reads.borrow();
    tokio::select! {
        biased;
        change = changes.next() => panic!("{change:?}"),
        () = world.moody.reads(looks + 10) => {}
    }
}

#[tokio::test]
async fn who_has_stopped_reading_delays_nobody_and_finds_the_newest_later() {
    let world = World::new();
    let watched = Watched::told(&world);
    let (mut quick, mut stalled) = (watched.one("a"), watched.one("a"));
    assert_eq!((one(&mut quick).await.value, one(&mut stalled).await.value), (String::new(), String::new()));
    for version in 1..=100 {
        world.note(&note("a"), version, &version.to_string()).await;
        assert_eq!(one(&mut quick).await.value, version.to_string());
    }
    assert_eq!(one(&mut stalled).await.value, "100");
    assert!(futures_util::poll!(stalled.next()).is_pending(), "nothing was kept for it");
}

#[tokio::test]
async fn streams_of_one_question_share_a_look() {
    let world = World::new();
    let watched = Watched::told(&world);
    let reads = async |streams: &mut [Stream], version| {
        let before = *world.moody.reads.borrow();
        world.note(&note("a"), version, &version.to_string()).await;
        for stream in streams {
            assert_eq!(one(stream).await.value, version.to_string());
        }
        *world.moody.reads.borrow() - before
    };
    let mut streams = vec![watched.one("a")];
    one(&mut streams[0]).await;
    let of_one = reads(&mut streams, 1).await;
    assert!(of_one > 0);
    streams.extend((0..200).map(|_| watched.one("a")));
    for stream in &mut streams[1..] {
        one(stream).await;
    }
    assert_eq!(reads(&mut streams, 2).await, of_one);
    assert_eq!(watched.hub.len(), 1);
}

#[tokio::test]
async fn keys_that_nobody_watches_are_not_looked_at() {
    let world = World::new();
    let watched = Watched::told(&world);
    let mut changes = watched.one("a");
    one(&mut changes).await;
    let before = *world.moody.reads.borrow();
    world.note(&note("b"), 1, "of another one").await;
    // Streams get what comes next; by then a look at the other key would have begun.
    tokio::task::yield_now().await;
    assert_eq!(*world.moody.reads.borrow(), before);
    world.note(&note("a"), 1, "one").await;
    assert_eq!(one(&mut changes).await.value, "one");
}

/// A clock that can be set.
#[derive(Debug)]
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_moves_without_events() {
    let world = World::new();
    let clock = Arc::new(Hand(Mutex::new(now())));
    let reader = world.stock().clock(clock.clone());
    world.count(&stock(1, "a", 0), now(), 3).await;
    let shared = Shared::new(Watching::default(), &Limits::default(), Drain::never());
    let hub = Hub::new(&reader, shared);
    let hour = Ask::Window { span: Span::from_seconds(3_600), end: None };
    let how = How::new(WatchRequest::default(), hour, (reader, Consistency::Eventual));
    let mut changes = of_one(&hub, (how, &None), stock(1, "a", 0), b"").unwrap();
    let next = async |changes: &mut Stream| {
        let reply: WatchResponse<u64> = WatchResponse::decode(changes.next().await.unwrap().unwrap()).unwrap();
        (reply.value, reply.present)
    };
    assert_eq!(next(&mut changes).await, (3, true));
    *clock.0.lock().unwrap() = now().saturating_add(Span::from_seconds(2 * 3_600));
    assert_eq!(next(&mut changes).await, (0, false));
}

#[tokio::test]
async fn a_calendar_is_watched_as_it_is_asked_for() {
    let world = World::new();
    let server = Running::start(world.builder().watching(Watching::every(NEVER).told_by(&world.touched))).await;
    let client = server.client::<Stock>().await;
    let key = stock(1, "a", 0);
    world.count(&key, hours_ago(20), 3).await;
    let calendar = Some(crate::wire::types::Calendar { days: 1, zone: "UTC".into(), ..Default::default() });
    let request = WatchRequest { key: Some(key.clone()), calendar, ..WatchRequest::default() };
    let mut changes = Box::pin(client.watch_by(request).await.unwrap());
    // Of today, which is twelve hours old.
    assert_eq!(changes.next().await.unwrap().unwrap().value, 0);
    world.count(&key, hours_ago(1), 2).await;
    assert_eq!(changes.next().await.unwrap().unwrap().value, 2);
}
