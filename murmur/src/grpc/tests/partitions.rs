//! Topics of many partitions, in replies about many keys.

use prost::Message;
use serde_json::json;

use super::http::{post_to, send};
use super::sets::Visits;
use super::*;
use crate::grpc::messages::{EntriesResponse, GetManyRequest, SetOperand};
use crate::grpc::protocol::rpc::MAX_REPLY;
use crate::wire::types::{AsOf, SetOperation};

/// So many partitions of a topic.
pub(super) fn topic(count: usize) -> Vec<PartitionId> {
    (0..count).map(|n| PartitionId::new(format!("kafka/page_views/{n}"))).collect()
}

/// What an answer says of how much it contains: the offset of its partitions, and how many there are.
pub(super) fn contained(as_of: &AsOf) -> (usize, Option<u64>) {
    assert!(as_of.watermark == Some(hours_ago(1)) && as_of.freshness == Some(Span::from_seconds(3_600)), "{as_of:?}");
    let offsets: Vec<u64> = as_of.partitions.iter().map(|known| known.offset.parse().unwrap()).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] == pair[1]), "{offsets:?}");
    (offsets.len(), offsets.first().copied())
}

#[tokio::test]
async fn a_thousand_keys_of_a_topic_of_512_partitions_are_answered_in_one_reply() {
    let world = World::new();
    world.reached(&topic(512), 7).await;
    let keys: Vec<_> = (0..1_000).map(|n| note(&n.to_string())).collect();
    world.note(&keys[417], 1, "one").await;
    let request = GetManyRequest { keys: keys.clone(), options: None }.encode_to_vec();
    let path = format!("/{NOTES}/GetMany");
    let reply = send(&world, "POST", &path, &[("content-type", "application/proto")], request).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.len() < MAX_REPLY / 8, "{} bytes", reply.body.len());
    let entries = EntriesResponse::<NoteKey, String>::decode(&*reply.body).unwrap().entries;
    let as_of = entries.iter().map(|entry| entry.answer.as_ref().unwrap().as_of.as_ref().unwrap());
    let said: Vec<_> = as_of.map(contained).collect();
    assert!(said[0] == (512, Some(7)) && said[1..] == [(0, None); 999], "{said:?}");
    assert_eq!((entries.len(), &*entries[417].value), (1_000, "one"));
    // Whoever asks by the client of this library has them with each.
    let server = world.serve().await;
    let entries = server.client::<Notes>().await.get_many(keys).await.unwrap();
    for answer in entries.into_iter().map(|entry| entry.answer.unwrap()) {
        assert_eq!(contained(&answer.as_of.unwrap()), (512, Some(7)));
    }
}

#[tokio::test]
async fn partitions_that_do_not_fit_are_refused_before_anything_is_read() {
    let world = World::new();
    let long = |n: usize| PartitionId::new(format!("{n}{}", "x".repeat(1 << 10)));
    world.reached(&(0..4 << 10).map(long).collect::<Vec<_>>(), 1).await;
    let path = format!("/{NOTES}/GetMany");
    let reply = post_to(world.router(), &path, json!({"keys": [{"id": "a"}, {"id": "b"}]})).await;
    let (status, code, message) = reply.error();
    assert_eq!((status, &*code), (429, "resource_exhausted"));
    assert!(message.contains("for the partitions that `as_of` names"), "{message}");
    assert_eq!(*world.moody.reads.borrow(), 0);
}

#[tokio::test]
async fn sets_that_are_combined_name_the_partitions_once() {
    let world = super::sets::world().await;
    let (table, partition) = (Table::new("visits", 1), PartitionId::new("p"));
    let (commit, watermark) = (Some(Offset::from_u64(3)), Some(hours_ago(1)));
    let record = PartitionRecord { commit, watermark, ..PartitionRecord::default() };
    record.raise(&*world.store, &table, &partition, Default::default()).await.unwrap();
    let path = "/test.v1.VisitsService/CombineSets";
    let sets = json!([{"key": {"id": "home"}}, {"key": {"id": "shop"}}]);
    let request = json!({"sets": sets, "operation": "SET_OPERATION_UNION", "field": "readers"});
    let router = world.with_visits().build(Drain::never()).unwrap().0;
    let reply = post_to(router, path, request).await.json();
    let named = [0, 1].map(|at| reply["answers"][at]["asOf"]["partitions"].as_array().unwrap().len());
    assert_eq!(named, [1, 0], "{reply}");
    let server = Running::start(world.with_visits()).await;
    let operand = |id| SetOperand { key: Some(note(id)), ..SetOperand::default() };
    let client = server.client::<Visits>().await;
    let sets = vec![operand("home"), operand("shop")];
    let reply = client.combine_sets(sets, SetOperation::Union, "readers").await.unwrap();
    for answer in reply.answers {
        assert_eq!(contained(&answer.as_of.unwrap()), (1, Some(3)));
    }
}
