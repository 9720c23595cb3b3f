//! JSON of replies, up to its bound, in each protocol that has it: a message of protobuf that is sent may have more of it.

use prost::Message;
use serde_json::Value;
use tonic_types::StatusExt;

use super::http::{Reply, post, send};
use super::web::Web;
use super::*;
use crate::grpc::messages::{EntriesResponse, Entry, Point, SeriesResponse};
use crate::grpc::protocol::codec::{Encoding, Transcoder};
use crate::grpc::protocol::frame::{Framed, frame};
use crate::grpc::protocol::rpc::MAX_REPLY;
use crate::wire::types::{Answer, AsOf, PartitionProgress};

const MOST: usize = 16 << 20;

const REQUEST: &str = r#"{"key":{"id":"long"}}"#;

/// A text that takes so many bytes in JSON, and less in protobuf: most of it has to be written as `\u0001`.
fn long(bytes: usize) -> String {
    "\u{1}".repeat(bytes / 6) + &"x".repeat(bytes % 6)
}

/// A world with a note whose reply to `Get` has so many bytes in JSON.
async fn world_with(bytes: usize) -> World {
    let world = World::new();
    world.note(&note("long"), 1, "x").await;
    let with_one = get(&world).await.body.len();
    world.note(&note("long"), 2, &long(bytes - with_one + 1)).await;
    world
}

async fn get(world: &World) -> Reply {
    post(world, &format!("/{NOTES}/Get"), serde_json::from_str(REQUEST).unwrap()).await
}

fn refuses(words: &str) {
    let way_out = "ask for fewer keys or a longer step, or in protobuf";
    assert!(words.contains("more than 16777216 bytes as JSON") && words.contains(way_out), "{words}");
}

#[tokio::test]
async fn a_reply_of_sixteen_mebibytes_of_json_is_sent_and_one_byte_more_is_not() {
    let sent = get(&world_with(MOST).await).await;
    assert_eq!((sent.status, sent.body.len()), (200, MOST));
    let refused = get(&world_with(MOST + 1).await).await;
    let (status, code, words) = refused.error();
    assert_eq!((status, &*code), (429, "resource_exhausted"));
    assert_eq!(refused.json()["details"][0]["debug"]["reason"], "REPLY_TOO_LARGE");
    refuses(&words);
}

#[tokio::test]
async fn what_is_too_large_as_json_is_refused_in_each_protocol_and_sent_as_protobuf() {
    let world = world_with(MOST + 1).await;
    let path = |method: &str| format!("/{NOTES}/{method}");
    let message: String = REQUEST.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let by_get = async |encoding: &str| {
        let message = if encoding == "json" { &*message } else { "CgYKBGxvbmc&base64=1" };
        send(&world, "GET", &format!("{}?encoding={encoding}&message={message}", path("Get")), &[], "").await
    };
    let (status, code, words) = by_get("json").await.error();
    assert_eq!((status, &*code), (429, "resource_exhausted"));
    refuses(&words);
    assert_eq!(by_get("proto").await.status, 200);

    let framed = async |method: &str, kind: &str| {
        send(&world, "POST", &path(method), &[("content-type", kind)], frame(0, REQUEST.as_bytes()).to_vec()).await
    };
    for method in ["Get", "Watch"] {
        let reply = framed(method, "application/grpc-web+json").await;
        let status = tonic::Status::from_header_map(&reply.headers)
            .unwrap_or_else(|| Web::read("application/grpc-web+json", &reply.body).status);
        assert_eq!(status.get_details_error_info().unwrap().reason, "REPLY_TOO_LARGE", "{method}");
        refuses(status.message());
    }
    let grpc = framed("Get", "application/grpc+json").await;
    refuses(tonic::Status::from_header_map(&grpc.headers).unwrap().message());
    let stream = framed("Watch", "application/connect+json").await;
    assert_eq!((stream.status, stream.body[0]), (200, 2), "the frame that ends it is the only one");
    let end: Value = serde_json::from_slice(&stream.body[5..]).unwrap();
    assert_eq!(end["error"]["details"][0]["debug"]["reason"], "REPLY_TOO_LARGE");
    refuses(end["error"]["message"].as_str().unwrap());
}

/// What the limits of reads and of protobuf let through has room as JSON, too.
#[test]
fn the_longest_series_and_the_answers_about_most_keys_of_many_partitions_are_sent_as_json() {
    let transcoder = Transcoder::new([DESCRIPTOR.as_slice()].into_iter()).unwrap();
    let most = crate::query::Limits::default();
    let (start, end) = (Some(hours_ago(1)), Some(now()));
    let points = vec![Point { start, end, value: u64::MAX, present: true }; most.items];
    let progress = |n: u32| PartitionProgress {
        partition: format!("page-views/{n}"),
        watermark: Some("2026-03-01T12:30:00.123Z".parse().unwrap()),
        offset: "1234567890".into(),
    };
    let partitions = Arc::new((0..80).map(progress).collect());
    let as_of = Some(AsOf { watermark: Some(now()), freshness: Some(Span::from_millis(1_234)), partitions });
    let answer = Some(Answer { start, end, as_of, ..Answer::default() });
    let entry = Entry { key: Some(stock(u64::MAX, "tea", -2)), value: u64::MAX, present: true, answer: answer.clone() };
    let entries = vec![entry; most.keys];
    for (method, message) in [
        ("Series", SeriesResponse { points, answer }.encode_to_vec()),
        ("GetMany", EntriesResponse { entries }.encode_to_vec()),
    ] {
        assert!(message.len() <= MAX_REPLY, "{method}: {}", message.len());
        let codec = transcoder.codec(Encoding::Json, STOCK, method).unwrap();
        let json = codec.reply(Framed::of(&message)).unwrap();
        assert!(json.message().len() > message.len() * 2, "{method}: {}", json.message().len());
    }
}
