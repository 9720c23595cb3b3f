//! What callers do not take: it keeps its place for a while, and then gives it to others.

use std::time::Duration;

use prost::Message;

use super::frames::{Frames, HEADERS, calling, held_by, held_for};
use super::http::answer;
use super::*;
use crate::grpc::limits::Limits;
use crate::grpc::messages::GetRequest;

#[tokio::test(start_paused = true)]
async fn a_reply_that_its_caller_does_not_take_keeps_its_place_for_half_a_minute() {
    let world = World::new();
    world.note(&note("a"), 1, &"x".repeat(1 << 20)).await;
    let (client, _holding) = held_by(world.builder().max_calls(1), Limits::default());
    let mut frames = Frames::over(client).await;
    frames.take_nothing().await;
    let request = GetRequest { key: Some(note("a")), options: None }.encode_to_vec();
    let path = format!("/{NOTES}/Get");
    frames.ask(1, &calling(&path, &[]), false).await;
    frames.message_of(1, &request).await;
    assert_eq!(frames.next(1).await.0, HEADERS);
    let begun = tokio::time::Instant::now();
    frames.take(Duration::from_secs(10)).await;
    frames.ask(3, &calling(&path, &[("grpc-timeout", "30S")]), false).await;
    frames.message_of(3, &request).await;
    assert_eq!(frames.next(3).await.0, HEADERS);
    assert_eq!(begun.elapsed().as_secs(), 30);
}

/// Its windows are open, and nobody reads what is sent: it would lie in the connection, and be nobody's.
#[tokio::test(start_paused = true)]
async fn a_reply_that_its_caller_has_room_for_and_does_not_read_keeps_its_place() {
    let world = World::new();
    world.note(&note("a"), 1, &"x".repeat(300 << 10)).await;
    let router = world.builder().max_calls(1).build(Drain::never()).unwrap().0;
    let (client, _holding) = held_for(router.clone(), Limits::default());
    let mut frames = Frames::over(client).await;
    frames.take_all().await;
    frames.ask(1, &calling(&format!("/{NOTES}/Get"), &[]), false).await;
    frames.message_of(1, &GetRequest { key: Some(note("a")), options: None }.encode_to_vec()).await;
    world.moody.reads(1).await;
    let other = async |timeout: &str| {
        let request = ::http::Request::post(format!("/{NOTES}/Get")).header("content-type", "application/json");
        answer(router.clone(), request.header("connect-timeout-ms", timeout), r#"{"key": {"id": "b"}}"#).await.status
    };
    assert_eq!(other("5000").await, 503);
    assert_eq!(other("30000").await, 200);
    drop(frames);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_reader_takes_nothing_gives_its_place_to_others() {
    let stall = Duration::from_secs(60);
    let router = World::new().builder().max_watched(1).max_stream_stall(stall);
    let (client, _holding) = held_by(router, Limits::default());
    let mut frames = Frames::over(client).await;
    frames.take_nothing().await;
    assert!(frames.watches(1).await);
    frames.take(stall * 9 / 10).await;
    assert!(!frames.watches(3).await);
    // Its client is there, and says so whenever it is asked.
    frames.take(stall / 5).await;
    assert!(frames.watches(5).await);
}
