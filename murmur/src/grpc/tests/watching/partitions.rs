//! What is said of the partitions of a topic, and kept of them.

use super::super::partitions::{contained, topic};
use super::*;
use crate::grpc::protocol::rpc::MAX_REPLY;
use crate::query::Reader;
use crate::wire::WireField;
use crate::wire::types::{Answer, AsOf};

/// The notes of a world, whose watchers look at the records of the partitions each time.
struct Fresh<'a> {
    world: &'a World,
    hub: Arc<Hub<Notes>>,
    reader: Reader<Notes>,
}

impl<'a> Fresh<'a> {
    fn new(world: &'a World, watched_bytes: usize) -> Self {
        let limits = Limits { watched_bytes, ..Limits::default() };
        let shared = Shared::new(Watching::every(NEVER).told_by(&world.touched), &limits, Drain::never());
        let reader = world.notes();
        Self { world, hub: Hub::new(&reader, shared), reader }
    }

    fn many(&self, ids: &[&str], token: &[u8]) -> Stream {
        let how = How::new(WatchRequest::default(), Ask::Retention, (self.reader.clone(), Consistency::Strong));
        of_many(&self.hub, (how, &None), ids.iter().map(|id| note(id)).collect(), token).unwrap()
    }

    /// Note this of each of the keys, one after the other, and be told of each by a stream of its own.
    async fn note(&self, ids: &[&str], version: u64, text: &str) {
        for id in ids {
            let mut other = self.many(&[id], b"");
            many(&mut other).await;
            self.world.note(&note(id), version, text).await;
            assert_eq!(told(&many(&mut other).await), [(*id, text)]);
        }
    }
}

/// What is said of each of the keys, `None` of nothing.
fn said(reply: &WatchManyResponse<NoteKey, String>) -> Vec<Option<(usize, Option<u64>)>> {
    let as_of = |answer: &Option<Answer>| answer.as_ref().unwrap().as_of.clone();
    reply.entries.iter().map(|entry| as_of(&entry.answer).as_ref().map(contained)).collect()
}

#[tokio::test]
async fn a_thousand_keys_of_a_topic_of_512_partitions_are_watched_and_resumed() {
    let world = World::new();
    let topic = topic(512);
    world.reached(&topic, 7).await;
    let watched = Fresh::new(&world, Limits::default().watched_bytes);
    let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut changes = watched.many(&ids, b"");
    let first = changes.next().await.unwrap().unwrap();
    assert!(first.len() < MAX_REPLY / 8, "{} bytes", first.len());
    let first = WatchManyResponse::decode(first).unwrap();
    let partitions = said(&first);
    assert_eq!((partitions.len(), partitions[0]), (1_000, Some((512, Some(7)))));
    assert!(partitions[1..].iter().all(|said| *said == Some((0, None))));
    world.reached(&topic, 8).await;
    world.note(&note("417"), 1, "one").await;
    let change = many(&mut changes).await;
    assert_eq!((told(&change), said(&change)), (vec![("417", "one")], vec![Some((512, Some(8)))]));
    let mut resumed = watched.many(&ids, &first.resume);
    let change = many(&mut resumed).await;
    assert_eq!((told(&change), said(&change)), (vec![("417", "one")], vec![Some((512, Some(8)))]));
    // All of them again, by the client of this library.
    let server = world.serve().await;
    let client = server.client::<Notes>().await.strong();
    let keys = ids.iter().map(|id| note(id)).collect();
    let all = Box::pin(client.watch_many(keys, None).await.unwrap()).next().await.unwrap().unwrap();
    assert_eq!(said(&all), vec![Some((512, Some(8))); 1_000]);
}

#[tokio::test]
async fn answers_of_different_looks_name_their_own_partitions_in_one_message() {
    let world = World::new();
    let topic = topic(3);
    let watched = Fresh::new(&world, Limits::default().watched_bytes);
    let ids = ["a", "b", "c", "d", "e"];
    let mut changes = watched.many(&ids, b"");
    let as_of = |reply: &WatchManyResponse<NoteKey, String>| {
        let as_of = |entry: &crate::grpc::messages::Entry<NoteKey, String>| entry.answer.as_ref()?.as_of.clone();
        reply.entries.iter().map(as_of).collect::<Vec<_>>()
    };
    // Nobody has read anything.
    assert_eq!(as_of(&many(&mut changes).await), vec![Some(AsOf::default()); 5]);
    watched.note(&["c"], 1, "one").await;
    world.reached(&topic, 7).await;
    watched.note(&["a", "e"], 1, "one").await;
    world.reached(&topic, 8).await;
    watched.note(&["b", "d"], 1, "one").await;
    let reply = many(&mut changes).await;
    assert_eq!(told(&reply), ids.map(|id| (id, "one")));
    // That of which nothing is known says nothing, and those behind it go by what was named before.
    let answers: Vec<_> = reply.entries.iter().filter(|entry| *entry.key.as_ref().unwrap() != note("c")).collect();
    let all = answers.iter().map(|entry| contained(entry.answer.as_ref().unwrap().as_of.as_ref().unwrap()));
    assert_eq!(all.collect::<Vec<_>>(), [(3, Some(7)), (3, Some(8)), (0, None), (3, Some(7))]);
    assert_eq!(as_of(&reply)[2], None);
}

#[tokio::test]
async fn answers_of_looks_that_take_turns_fit_into_a_message_where_some_say_nothing_of_the_stream() {
    let world = World::new();
    let name = |n: usize| PartitionId::new(format!("{n}{}", "x".repeat(1_000)));
    let topic: Vec<_> = (0..1_100).map(name).collect();
    let watched = Fresh::new(&world, Limits::default().watched_bytes);
    let mut changes = watched.many(&["a", "b", "c", "d"], b"");
    many(&mut changes).await;
    world.reached(&topic, 7).await;
    watched.note(&["a", "c"], 1, "one").await;
    world.reached(&topic, 8).await;
    watched.note(&["b", "d"], 1, "one").await;
    let reply = many(&mut changes).await;
    assert_eq!(told(&reply), ["a", "b", "c", "d"].map(|id| (id, "one")));
    assert_eq!(said(&reply), [None, Some((1_100, Some(8))), None, Some((0, None))]);
}

#[tokio::test]
async fn keys_and_all_that_is_said_of_them_have_room_and_partitions_once() {
    let world = World::new();
    world.reached(&topic(512), 7).await;
    world.note(&note("b"), 1, "two").await;
    let ids = ["a", "b", "c"];
    let reply = many(&mut Fresh::new(&world, usize::MAX).many(&ids, b"")).await;
    let (mut bytes, mut partitions) = (0, 0);
    for entry in reply.entries {
        let mut answer = entry.answer.unwrap();
        partitions += std::mem::take(&mut answer.as_of.as_mut().unwrap().partitions).field_len(3);
        assert!(answer.encoded_len() <= SAID);
        bytes += text_of(&entry.key.unwrap()).len() + entry.value.field_len(2) + SAID;
    }
    assert!(partitions > 512 * 20 && bytes > 3 * 20, "{partitions} and {bytes}");
    let exactly = Fresh::new(&world, partitions + bytes);
    let mut fits = exactly.many(&ids, b"");
    assert_eq!(many(&mut fits).await.entries.len(), 3);
    // A second stream of them shares all of it, and one of another key does not.
    many(&mut exactly.many(&ids, b"")).await;
    assert!(exactly.many(&["d"], b"").next().await.unwrap().is_err());
    // It goes on when they have moved, and there is less room for others meanwhile.
    world.reached(&topic(512), 8).await;
    world.note(&note("b"), 2, "owt").await;
    assert_eq!(told(&many(&mut fits).await), [("b", "owt")]);
    assert!(exactly.many(&["d"], b"").next().await.unwrap().is_err());
    let refused = Fresh::new(&world, partitions + bytes - 1).many(&ids, b"").next().await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().contains("--max-watched-bytes"), "{refused}");
}
