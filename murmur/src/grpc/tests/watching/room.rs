//! How much is watched, and what is left of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::http::{Extensions, HeaderMap};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::grpc::{Access, Caller, Identify, Pipelines, Token, bearer};
use crate::store::Listen;

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

/// Knows each caller by a token that is its name.
struct Named;

impl Identify for Named {
    fn caller<'a>(&'a self, headers: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, crate::Result<Option<Caller>>> {
        let caller = |name: &str| Caller { name: name.into(), pipelines: Pipelines::All, until: None };
        std::future::ready(bearer(headers).map(|name| name.map(caller))).boxed()
    }
}

#[tokio::test]
async fn a_caller_that_is_known_has_no_more_than_it_leaves_for_others_over_all_its_streams() {
    let world = World::new();
    let server = Running::start(world.builder().access(Access::by(Named)).max_watched(6)).await;
    let named = async |name: &str| server.client::<Notes>().await.token(Token::new(name).unwrap());
    let (busy, other) = (named("busy").await, named("other").await);
    let keys = |ids: &[&str]| ids.iter().map(|id| note(id)).collect::<Vec<_>>();
    let _two = busy.watch_many(keys(&["a", "b"]), None).await.unwrap();
    let _one = busy.watch(note("c"), None).await.unwrap();
    let refused = busy.watch(note("d"), None).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
    assert!(refused.to_string().contains("`busy` watches 3 keys"), "{refused}");
    // Of what is watched already, and from another connection.
    assert!(named("busy").await.watch(note("a"), None).await.is_err());
    let _others = other.watch(note("d"), None).await.unwrap();
    assert!(other.watch_many(keys(&["a", "b"]), None).await.is_err());
    let _last = named("late").await.watch(note("d"), None).await.unwrap();
}

/// Reads that take a while, counted.
struct Slow(AtomicUsize);

impl Hook for Slow {
    fn before_read<'a>(&'a self, _: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let takes_a_while = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Ok(())
        };
        takes_a_while.boxed()
    }
}

#[tokio::test]
async fn who_asks_many_questions_does_not_keep_others_waiting() {
    let slow = Arc::new(Slow(AtomicUsize::new(0)));
    let reader = Reader::new(Arc::new(Hooked { inner: Arc::new(MemoryStore::new()), hook: slow.clone() }), 1);
    let hub = Hub::new(&reader, Shared::new(Watching::every(NEVER), &Limits::default(), Drain::never()));
    let ask = |name: &str, question: u64| {
        let asked = WatchRequest { window: Some(Span::from_seconds(question)), ..WatchRequest::default() };
        let how = How::new(asked, Ask::Retention, (reader.clone(), Consistency::Strong));
        of_one::<Notes>(&hub, (how, &Some(name.into())), note("a"), b"").unwrap()
    };
    let mut of_busy: Vec<Stream> = (0..100).map(|question| ask("busy", question)).collect();
    one(&mut ask("other", 100)).await;
    let begun = slow.0.load(Ordering::Relaxed);
    assert!(begun < 50, "{begun} reads came first");
    for stream in &mut of_busy {
        one(stream).await;
    }
    assert!(slow.0.load(Ordering::Relaxed) > 100);
}

#[tokio::test]
async fn a_key_that_two_callers_have_shared_is_that_of_the_one_who_is_left() {
    let slow = Arc::new(Slow(AtomicUsize::new(0)));
    let reader = Reader::new(Arc::new(Hooked { inner: Arc::new(MemoryStore::new()), hook: slow.clone() }), 1);
    let hub = Hub::new(&reader, Shared::new(Watching::every(NEVER), &Limits::default(), Drain::never()));
    let ask = |name: Option<&str>, question: u64| {
        let asked = WatchRequest { window: Some(Span::from_seconds(question)), ..WatchRequest::default() };
        let how = How::new(asked, Ask::Retention, (reader.clone(), Consistency::Strong));
        of_one::<Notes>(&hub, (how, &name.map(Into::into)), note("a"), b"").unwrap()
    };
    let mut of_busy: Vec<Stream> = (0..100).map(|question| ask(Some("busy"), question)).collect();
    let mut of_guest: Vec<Stream> = (0..100).map(|question| ask(Some("guest"), question)).collect();
    for stream in of_busy.iter_mut().chain(&mut of_guest) {
        one(stream).await;
    }
    drop(of_guest);
    hub.touched(&BTreeSet::from([&*text_of(&note("a"))]));
    let before = slow.0.load(Ordering::Relaxed);
    // Nobody is known who asks this, so it waits with what belongs to none.
    one(&mut ask(None, 100)).await;
    let begun = slow.0.load(Ordering::Relaxed) - before;
    assert!(begun < 50, "{begun} reads came first");
    drop(of_busy);
}

#[tokio::test]
async fn values_are_watched_as_long_as_there_is_room_for_their_bytes() {
    let world = World::new();
    let limits = Limits { watched_bytes: 1_000, ..Limits::default() };
    let shared = Shared::new(Watching::every(NEVER).told_by(&world.touched), &limits, Drain::never());
    let watched = Watched { world: &world, hub: Hub::new(&world.notes(), shared) };
    let refused = async |stream: &mut Stream| {
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(status.message().contains("--max-watched-bytes"), "{status}");
        assert!(stream.next().await.is_none());
    };
    let long = "x".repeat(600);
    for id in ["a", "b"] {
        world.note(&note(id), 1, &long).await;
    }
    let mut first = watched.one("a");
    assert_eq!(one(&mut first).await.value, long);
    refused(&mut watched.one("b")).await;
    // Who asks the same has no value of its own.
    assert_eq!(one(&mut watched.one("a")).await.value, long);
    world.note(&note("a"), 2, "short").await;
    assert_eq!(one(&mut first).await.value, "short");
    let mut second = watched.one("b");
    assert_eq!(one(&mut second).await.value, long);
    world.note(&note("a"), 3, &long).await;
    refused(&mut first).await;
    drop(second);
    watched.is_left().await;
    assert_eq!(one(&mut watched.one("a")).await.value, long);
}

#[tokio::test]
async fn nothing_waits_for_a_look_that_nobody_wants_any_more() {
    let world = World::new();
    let watched = Watched::told(&world);
    world.moody.mood.send_replace(Mood::Hanging);
    // As many calls as there are at a time, each with a question of its own.
    let ask = |id: &str, question: u64| {
        let asked = WatchRequest { window: Some(Span::from_seconds(question)), ..WatchRequest::default() };
        let how = How::new(asked, Ask::Retention, (world.notes(), Consistency::Strong));
        of_one(&watched.hub, (how, &None), note(id), b"").unwrap()
    };
    let _held: Vec<Stream> = (0..4).map(|question| ask("a", question)).collect();
    world.moody.reads(4).await;
    for n in 0..1_000 {
        let stream = ask("b", n % 7);
        assert_eq!(watched.hub.waiting(), 1);
        drop(stream);
        assert_eq!(watched.hub.waiting(), 0);
    }
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

#[cfg(feature = "metrics")]
#[test]
fn what_is_watched_and_what_slow_readers_miss_is_measured() {
    use crate::metrics::catalogue::{WATCH_LOOKS, WATCH_SKIPPED, WATCH_STREAMS, WATCHED_BYTES, WATCHED_KEYS};
    use crate::wire::WireField;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (world, mut kept, mut bytes) = (World::new(), Vec::new(), 0);
    let moved = crate::metrics::tests::moved(|| {
        runtime.block_on(async {
            let watched = Watched::told(&world);
            let (mut quick, mut slow) = (watched.one("a"), watched.one("a"));
            one(&mut quick).await;
            one(&mut slow).await;
            for (version, text) in [(1, "one"), (2, "two"), (3, "three")] {
                world.note(&note("a"), version, text).await;
                one(&mut quick).await;
            }
            one(&mut slow).await;
            let mut set = watched.many(&["a", "b"]);
            for entry in many(&mut set).await.entries {
                let key = text_of(&entry.key.unwrap());
                bytes += key.len() + entry.value.field_len(1) + SAID;
            }
            kept.extend([quick, slow, set]);
            drop(watched.one("c"));
        });
    });
    let measured = [&WATCH_STREAMS, &WATCHED_KEYS, &WATCH_SKIPPED].map(|metric| moved[metric.name]);
    assert_eq!(measured, [3.0, 4.0, 2.0]);
    // Of each key once for all streams.
    assert_eq!(moved[WATCHED_BYTES.name], bytes as f64);
    assert!(moved[WATCH_LOOKS.name] >= 4.0, "{moved:?}");
}
