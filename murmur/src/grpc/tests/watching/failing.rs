//! Looks that fail, and what cannot be asked.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tonic::Code;

use super::*;

async fn failure(stream: &mut Stream) -> Code {
    let code = stream.next().await.unwrap().unwrap_err().code();
    assert!(stream.next().await.is_none());
    code
}

#[tokio::test]
async fn a_watcher_of_what_cannot_be_asked_is_refused() {
    let world = World::new();
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    // This one does not fit a protobuf duration.
    let refused = client.watch(stock(1, "a", 0), Some(Span::MAX)).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    let week = Some(Span::from_seconds(7 * 86_400));
    let mut changes = Box::pin(client.watch(stock(1, "a", 0), week).await.unwrap());
    assert_eq!(changes.next().await.unwrap().unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_ends_its_own_streams_only() {
    let world = World::new();
    let watched = Watched::told(&world);
    world.put_note(&note("bad"), 1, Bytes::from_static(b"nothing that was sealed")).await;
    let ids: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let mut good: Vec<Stream> = ids.iter().map(|id| watched.one(id)).collect();
    let mut bad = [watched.one("bad"), watched.one("bad"), watched.many(&["1", "bad"])];
    for stream in &mut bad {
        assert_eq!(failure(stream).await, Code::DataLoss);
    }
    for stream in &mut good {
        assert_eq!(one(stream).await.value, "");
    }
    world.note(&note("1"), 1, "one").await;
    assert_eq!(one(&mut good[1]).await.value, "one");
}

#[tokio::test]
async fn a_store_that_is_away_ends_streams_so_that_they_can_be_resumed() {
    let world = World::new();
    let watched = Watched::told(&world);
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let mut streams: Vec<Stream> = ids.iter().map(|id| watched.one(id)).collect();
    let mut tokens = Vec::new();
    for stream in &mut streams {
        tokens.push(one(stream).await.resume);
    }
    world.moody.mood.send_replace(Mood::Down);
    let before = *world.moody.reads.borrow();
    for id in &ids {
        world.note(&note(id), 1, id).await;
    }
    for stream in &mut streams {
        assert_eq!(failure(stream).await, Code::Unavailable);
    }
    // Nobody asks a store that is away for each key.
    assert!(*world.moody.reads.borrow() - before < 1_000, "{}", *world.moody.reads.borrow() - before);
    watched.is_left().await;
    world.moody.mood.send_replace(Mood::Fine);
    for (id, token) in ids.iter().zip(&tokens).take(10) {
        assert_eq!(&one(&mut watched.one_after(id, token)).await.value, id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_given_up_after_five_seconds() {
    let world = World::new();
    world.moody.mood.send_replace(Mood::Hanging);
    let watched = Watched::told(&world);
    let began = tokio::time::Instant::now();
    assert_eq!(failure(&mut watched.one("a")).await, Code::Unavailable);
    assert_eq!(began.elapsed().as_secs(), 5);
    // Of many, their parts are asked for once more.
    let mut many: Vec<Stream> = (0..100).map(|n| watched.one(&n.to_string())).collect();
    for stream in &mut many {
        assert_eq!(failure(stream).await, Code::Unavailable);
    }
    assert_eq!(began.elapsed().as_secs(), 5 + 10);
    world.moody.mood.send_replace(Mood::Fine);
    assert_eq!(one(&mut watched.one("a")).await.value, "");
}

/// The reads of one key never end.
struct Stuck(Arc<str>);

impl Hook for Stuck {
    fn before_range<'a>(&'a self, key: &'a str) -> BoxFuture<'a, crate::Result<()>> {
        if *key == *self.0 { std::future::pending().boxed() } else { std::future::ready(Ok(())).boxed() }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_read_hangs_ends_its_own_streams_only_and_others_are_told_before() {
    let store = Hooked { inner: Arc::new(MemoryStore::new()), hook: Arc::new(Stuck(text_of(&note("17")))) };
    let reader = Reader::new(Arc::new(store), 1);
    let hub = Hub::new(&reader, Shared::new(Watching::every(NEVER), &Limits::default(), Drain::never()));
    let watch = |n: usize| {
        let how = How::new(WatchRequest::default(), Ask::Retention, (reader.clone(), Consistency::Eventual));
        of_one::<Notes>(&hub, (how, &None), note(&n.to_string()), b"").unwrap()
    };
    let began = tokio::time::Instant::now();
    let mut streams: Vec<Stream> = (0..1_000).map(watch).collect();
    // In the order in which calls of fewer and fewer keys, each given up after five seconds, leave that one behind.
    for (n, seconds) in [(999, 5), (0, 10), (30, 15), (16, 20)] {
        assert_eq!(one(&mut streams[n]).await.value, "");
        assert_eq!(began.elapsed().as_secs(), seconds, "{n}");
    }
    assert_eq!(failure(&mut streams[17]).await, Code::Unavailable);
    assert_eq!(began.elapsed().as_secs(), 25);
    for n in (0..1_000).filter(|n| ![999, 0, 30, 16, 17].contains(n)) {
        assert_eq!(one(&mut streams[n]).await.value, "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_keeps_no_others_back() {
    let world = World::new();
    let watched = Watched::told(&world);
    let mut changes = watched.one("a");
    one(&mut changes).await;
    world.moody.mood.send_replace(Mood::Hanging);
    let mut hanging = watched.one("b");
    let reads = *world.moody.reads.borrow();
    assert!(futures_util::poll!(hanging.next()).is_pending());
    world.moody.reads(reads + 1).await;
    let began = tokio::time::Instant::now();
    // That call waits still: it asked before.
    world.note(&note("a"), 1, "one").await;
    world.moody.reads(reads + 2).await;
    world.moody.mood.send_replace(Mood::Fine);
    assert_eq!(one(&mut changes).await.value, "one");
    assert_eq!(began.elapsed(), Duration::ZERO);
}
