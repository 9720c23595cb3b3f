//! `Watch`: a snapshot, then changes, the newest only.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;

use super::*;
use crate::grpc::Watching;
use crate::store::Consistency;

/// An interval that never comes: only notifications move a watcher.
const NEVER: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_watcher_gets_a_snapshot_and_then_each_change() {
    let world = World::new();
    let wake = Arc::new(Notify::new());
    let server = Running::start(world.builder().watching(Watching::every(NEVER).woken_by(wake.clone()))).await;
    let client = server.client::<Notes>().await;
    let mut changes = Box::pin(client.watch(note("a"), None).await.unwrap());
    let first = changes.next().await.unwrap().unwrap();
    assert_eq!((first.value.as_str(), first.present), ("", false));

    for (version, text) in [(1, "one"), (2, "two")] {
        world.note(&note("a"), version, text).await;
        let next = async {
            tokio::select! {
                next = changes.next() => next,
                // Notified until it is seen: a notification between two looks is lost, as it may be.
                () = async { loop { wake.notify_waiters(); tokio::task::yield_now().await } } => unreachable!(),
            }
        };
        let next = next.await.unwrap().unwrap();
        assert_eq!((next.value.as_str(), next.present), (text, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_gets_the_newest_and_an_unchanged_value_is_not_sent() {
    let world = World::new();
    let watching = Watching::every(Duration::from_secs(1));
    let key = note("a");
    let mut changes = crate::grpc::watch::changes(
        world.notes(),
        Consistency::Eventual,
        key.clone(),
        crate::query::Ask::Retention,
        watching,
    );
    let value = |reply: Result<Vec<u8>, tonic::Status>| {
        let reply: crate::grpc::messages::ValueResponse<String> = prost::Message::decode(&*reply.unwrap()).unwrap();
        reply.value
    };
    world.note(&key, 1, "one").await;
    assert_eq!(value(changes.next().await.unwrap()), "one");
    for (version, text) in [(2, "two"), (3, "three"), (4, "four")] {
        world.note(&key, version, text).await;
    }
    assert_eq!(value(changes.next().await.unwrap()), "four");
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
