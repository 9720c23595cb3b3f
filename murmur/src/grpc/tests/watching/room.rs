//! How much is watched, and what is left of it.

use super::*;

#[tokio::test]
async fn as_many_keys_are_watched_as_there_is_room_for() {
    let world = World::new();
    let server = Running::start(world.builder().max_watched(3)).await;
    let (notes, shelves) = (server.client::<Notes>().await, server.client::<Stock>().await);
    // Of all pipelines of the server together, and each as often as it is watched.
    let one = notes.watch(note("a"), None).await.unwrap();
    let two = notes.watch_many(vec![note("a"), note("b")], None).await.unwrap();
    let refused = shelves.watch(stock(1, "a", 0), None).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
    assert!(refused.to_string().contains("--max-watched"), "{refused}");
    drop(one);
    // The server hears of it by and by.
    let last = loop {
        match shelves.watch(stock(1, "a", 0), None).await {
            Ok(last) => break last,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ResourceExhausted),
        }
    };
    assert_eq!(notes.watch(note("b"), None).await.err().unwrap().kind(), ErrorKind::ResourceExhausted);
    drop((two, last));
}

#[tokio::test]
async fn a_key_with_a_long_question_takes_more_of_the_room() {
    let world = World::new();
    let server = Running::start(world.builder().max_watched(3)).await;
    let plain = server.client::<Notes>().await;
    let elements = vec!["x".repeat(Question::LONGEST).as_str().into()];
    let asking = plain.clone().asking(Question { elements, ..Question::default() });
    let long = asking.watch(note("a"), None).await.unwrap();
    assert_eq!(asking.watch(note("b"), None).await.err().unwrap().kind(), ErrorKind::ResourceExhausted);
    let short = plain.watch(note("b"), None).await.unwrap();
    drop((long, short));
}

#[tokio::test]
async fn nothing_is_left_of_streams_that_are_gone() {
    let world = World::new();
    let watched = Watched::told(&world);
    assert!(!watched.hub.is_looking());
    let mut one_of_them = watched.one("a");
    let mut streams = vec![watched.one("a"), watched.one("b"), watched.many(&["b", "c", "d"])];
    one(&mut one_of_them).await;
    many(&mut streams[2]).await;
    assert_eq!((watched.hub.len(), watched.hub.is_looking()), (4, true));
    // One that was never polled, one that waits, and a set.
    streams.clear();
    while watched.hub.len() > 1 {
        tokio::task::yield_now().await;
    }
    world.note(&note("a"), 1, "one").await;
    assert_eq!(one(&mut one_of_them).await.value, "one");
    drop(one_of_them);
    watched.is_left().await;
    // And it begins anew.
    assert_eq!(one(&mut watched.one("a")).await.value, "one");
    watched.is_left().await;
}

#[tokio::test]
async fn nothing_is_looked_at_once_the_server_stops() {
    let world = World::new();
    let (stop, stopping) = watch::channel(false);
    let shared = Shared::new(Watching::every(NEVER).told_by(&world.touched), &Limits::default(), Drain::new(stopping));
    let watched = Watched { world: &world, hub: Hub::new(&world.notes(), shared) };
    // One that is not read any more.
    let mut stalled = watched.one("a");
    one(&mut stalled).await;
    stop.send_replace(true);
    watched.is_left().await;
    assert_eq!(stalled.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
}

#[tokio::test]
async fn who_joins_is_told_of_what_was_there_before() {
    let world = World::new();
    // Nobody tells the watchers, and no interval passes.
    let watched = Watched::new(&world, Watching::every(NEVER));
    let mut early = watched.one("a");
    assert_eq!(one(&mut early).await.value, "");
    world.note(&note("a"), 1, "one").await;
    assert_eq!(one(&mut watched.one("a")).await.value, "one");
    assert_eq!(one(&mut early).await.value, "one");
}
