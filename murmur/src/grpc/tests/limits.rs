//! What a port takes, and one more.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;

use super::access::Named;
use super::frames::{Frames, HEADERS, RESET, calling, held, held_by};
use super::http::{answer, path, post_to, raw};
use super::*;
use crate::grpc::access::Access;
use crate::grpc::limits::Limits;

fn lives<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "localhost")];
    [&fields, more].concat()
}

/// The status 200, by its place in the table that HTTP/2 begins with.
const FINE: u8 = 0x88;

#[tokio::test]
async fn headers_up_to_the_limit_are_read_and_one_byte_more_is_refused() {
    headers_are_read_up_to(9_000, World::new().builder().max_headers(9_000)).await;
    headers_are_read_up_to(16 << 10, World::new().builder()).await;
}

async fn headers_are_read_up_to(most: usize, builder: ServerBuilder) {
    let server = Running::start(builder).await;
    let over_http_1 = async |bytes: usize| {
        // The path, and `host`, `connection` and `x` with 32 for each.
        let rest = "/healthz".len() + "hostlocalhost".len() + "connectionclose".len() + "x".len() + 3 * 32;
        let filler = "y".repeat(bytes - rest);
        let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx: {filler}\r\n\r\n");
        raw(server.address, request.as_bytes()).await
    };
    assert!(over_http_1(most).await.starts_with("HTTP/1.1 200 "));
    let refused = over_http_1(most + 1).await;
    assert!(refused.starts_with("HTTP/1.1 431 ") && refused.contains(&format!("{most} bytes")), "{refused}");

    let over_http_2 = async |bytes: usize| {
        let fixed: usize = lives(&[("x", "")]).iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        let filler = "y".repeat(bytes - fixed);
        let mut frames = Frames::new(&server).await;
        frames.ask(1, &lives(&[("x", &filler)]), true).await;
        let (kind, content) = frames.next(1).await;
        assert_eq!(kind, HEADERS);
        content[0] == FINE
    };
    // h2 counts the limit itself as too much.
    assert!(over_http_2(most - 1).await);
    assert!(!over_http_2(most).await);
}

#[tokio::test]
async fn streams_up_to_the_limit_are_served_and_one_more_is_refused() {
    let world = World::new();
    let server = Running::start(world.builder().max_streams(2)).await;
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/a.B/C"), (":authority", "localhost")];
    let post = [&fields[..], &[("content-type", "application/grpc")]].concat();
    let mut frames = Frames::new(&server).await;
    frames.ask(1, &post, false).await;
    frames.ask(3, &lives(&[]), true).await;
    let (kind, content) = frames.next(3).await;
    assert_eq!((kind, content[0]), (HEADERS, FINE));

    let mut frames = Frames::new(&server).await;
    frames.ask(1, &post, false).await;
    frames.ask(3, &post, false).await;
    frames.ask(5, &lives(&[]), true).await;
    let refused_stream = 7;
    assert_eq!(frames.next(5).await, (RESET, vec![0, 0, 0, refused_stream]));
}

#[tokio::test]
async fn connections_up_to_the_limit_are_served_and_one_more_waits_for_an_end() {
    let world = World::new();
    let server = Running::start(world.builder().max_connections(2)).await;
    let ask = async |socket: &mut TcpStream| {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    };
    let answered = async |socket: &mut TcpStream| {
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0);
        }
    };
    let connect = async || TcpStream::connect(server.address).await.unwrap();
    let (mut first, mut second) = (connect().await, connect().await);
    for socket in [&mut first, &mut second] {
        ask(socket).await;
        answered(socket).await;
    }
    let mut third = connect().await;
    ask(&mut third).await;
    for _ in 0..100 {
        ask(&mut first).await;
        answered(&mut first).await;
    }
    assert_eq!(third.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(second);
    answered(&mut third).await;
}

#[tokio::test]
async fn calls_up_to_the_limit_are_answered_and_one_more_waits_until_its_deadline() {
    let world = World::new();
    let router = world.builder().max_calls(2).build(Drain::never()).unwrap().0;
    world.moody.mood.send_replace(Mood::Hanging);
    // Reads of one key are shared.
    let get = |shop: u64| {
        let message = format!(r#"{{"key": {{"shop": {shop}}}}}"#);
        let request = ::http::Request::post(path("Get")).header("content-type", "application/json");
        let request = request.header("connect-timeout-ms", "30000");
        tokio::spawn(answer(router.clone(), request, message))
    };
    let (first, second) = (get(1), get(2));
    world.moody.reads(2).await;

    let impatient = ::http::Request::post(path("Get")).header("content-type", "application/json");
    let refused = answer(router.clone(), impatient.header("connect-timeout-ms", "1"), "{}").await;
    let (status, code, message) = refused.error();
    assert_eq!((status, code.as_str()), (503, "unavailable"), "{message}");
    assert!(message.contains("2 calls already"), "{message}");
    // What is no call has its answer all the same.
    assert_eq!(answer(router.clone(), ::http::Request::get("/healthz"), "").await.status, 200);

    let third = get(3);
    world.moody.mood.send_replace(Mood::Fine);
    for call in [first, second, third] {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_health_takes_no_place_and_has_a_second_for_a_kibibyte() {
    let router = World::new().builder().max_calls(1).build(Drain::never()).unwrap().0;
    let health = |body: Body| {
        let request = ::http::Request::post("/grpc.health.v1.Health/Check").header("content-type", "application/json");
        router.clone().answer(request.version(::http::Version::HTTP_2).body(body).unwrap())
    };
    let never = futures_util::stream::pending::<Result<::http_body::Frame<bytes::Bytes>, tonic::Status>>();
    let began = tokio::time::Instant::now();
    let mut slow = std::pin::pin!(health(Body::new(http_body_util::StreamBody::new(never))));
    assert!((&mut slow).now_or_never().is_none());
    assert_eq!(post_to(router.clone(), &path("Get"), json!({"key": {"shop": 7}})).await.status, 200);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(slow.await.status(), 504);
    assert_eq!(began.elapsed(), Duration::from_secs(1));

    let ask = async |bytes: usize| {
        let (open, close) = (r#"{"service": ""#, r#""}"#);
        let body = format!("{open}{}{close}", "x".repeat(bytes - open.len() - close.len()));
        health(Body::new(http_body_util::Full::new(bytes::Bytes::from(body)))).await.status()
    };
    // There is no such service.
    assert_eq!(
        (ask(1_024).await, ask(1_025).await),
        (::http::StatusCode::NOT_FOUND, ::http::StatusCode::TOO_MANY_REQUESTS)
    );
}

#[tokio::test]
async fn one_caller_takes_no_more_than_half_of_the_places() {
    let world = World::new();
    let router = world.builder().max_calls(2).access(Access::by(Named)).build(Drain::never()).unwrap().0;
    world.moody.mood.send_replace(Mood::Hanging);
    let get = |caller: &str, millis: &str| {
        let request = ::http::Request::post(path("Get")).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {caller}")).header("connect-timeout-ms", millis);
        answer(router.clone(), request, r#"{"key": {"shop": 7}}"#)
    };
    let first = tokio::spawn(get("all", "30000"));
    world.moody.reads(1).await;
    assert_eq!(get("all", "1").await.error().1, "unavailable");
    // This one has a place, and waits for the store.
    assert_eq!(get(Stock::SPEC.name, "1").await.error().1, "deadline_exceeded");
    world.moody.mood.send_replace(Mood::Fine);
    assert_eq!(first.await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_gives_its_place_back() {
    let router = World::new().builder().max_calls(1).build(Drain::never()).unwrap().0;
    let never = futures_util::stream::pending::<Result<::http_body::Frame<bytes::Bytes>, tonic::Status>>();
    let request = ::http::Request::post(path("Get")).header("content-type", "application/json");
    let request = request.header("connect-timeout-ms", "30000").body(Body::new(http_body_util::StreamBody::new(never)));
    let began = tokio::time::Instant::now();
    assert_eq!(router.answer(request.unwrap()).await.status(), 504);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_stream_takes_no_place_among_the_calls_once_it_has_begun() {
    let world = World::new();
    let server = Running::start(world.builder().max_calls(1)).await;
    let client = server.client::<Stock>().await.timeout(Duration::from_secs(60));
    let mut watching = Vec::new();
    for _ in 0..3 {
        watching.push(client.watch(stock(7, "", 0), None).await.unwrap());
    }
    assert_eq!(client.get(stock(7, "", 0)).await.unwrap().value, 0);
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn a_connection_that_nothing_is_asked_by_any_more_is_ended_in_good_order() {
    let (client, holding) = held(Limits::default());
    let mut frames = Frames::over(client).await;
    for stream in [1, 3] {
        frames.ask(stream, &lives(&[]), true).await;
        assert_eq!(frames.next(stream).await.1[0], FINE);
        frames.take(Limits::default().idle * 3 / 4).await;
    }
    let begun = tokio::time::Instant::now();
    assert!(frames.goes_away().await);
    assert!(begun.elapsed() < Limits::default().idle);
    while frames.any().await.is_some() {}
    holding.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_ended_that_only_strangers_ask_by_whatever_they_ask() {
    let (client, holding) = held_by(World::new().builder().access(Access::by(Named)), Limits::default());
    let idle = Limits::default().idle;
    let mut frames = Frames::over(client).await;
    frames.watch(1).await;
    frames.take(idle * 3 / 4).await;
    frames.ask(3, &lives(&[]), true).await;
    assert_eq!(frames.next(3).await.1[0], FINE);
    assert_eq!(tokio::time::timeout(idle / 2, frames.goes_away()).await, Ok(true));
    // The stream is told, so that it does not have to be cut off.
    let begun = tokio::time::Instant::now();
    while frames.any().await.is_some() {}
    holding.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_stream_of_one_who_is_known_is_not_idle() {
    let (client, _holding) = held_by(World::new().builder().access(Access::by(Named)), Limits::default());
    let mut frames = Frames::over(client).await;
    frames.watch_as(1, &[("authorization", "Bearer all")]).await;
    frames.take(2 * Limits::default().idle).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_stream_is_not_idle_and_has_an_end_when_it_is_too_old() {
    let (client, holding) = held(Limits { age: Some(HOUR), ..Limits::default() });
    let mut frames = Frames::over(client).await;
    let begun = tokio::time::Instant::now();
    frames.watch(1).await;
    assert!(frames.goes_away().await);
    assert!(begun.elapsed() >= HOUR * 9 / 10);
    // What is still open is cut off.
    while frames.any().await.is_some() {}
    holding.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_begun_is_answered_though_its_connection_is_too_old() {
    let (client, holding) = held(Limits { age: Some(Duration::from_secs(5)), ..Limits::default() });
    let mut frames = Frames::over(client).await;
    frames.ask(1, &calling(&path("Get"), &[("grpc-timeout", "30S")]), false).await;
    assert!(frames.goes_away().await);
    frames.message(1).await;
    assert_eq!(frames.next(1).await.0, HEADERS);
    while frames.any().await.is_some() {}
    holding.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_without_a_word_loses_its_connection() {
    let (client, holding) = held(Limits::default());
    let mut frames = Frames::over(client).await;
    frames.watch(1).await;
    let begun = tokio::time::Instant::now();
    // It takes everything, and says nothing.
    frames.0.read_to_end(&mut Vec::new()).await.unwrap();
    holding.await.unwrap();
    assert!(begun.elapsed() < Limits::default().idle);
}
