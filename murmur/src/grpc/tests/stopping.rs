//! A server that stops: what has begun is answered, and streams end with what lets their readers ask again.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use super::http::{path, raw_bytes};
use super::refusals::Said;
use super::web::{Web, body, post_by_http_1};
use super::*;
use crate::grpc::Watching;
use crate::grpc::messages::{GetRequest, WatchResponse};

/// Ways to watch by HTTP/1.1.
const KINDS: [&str; 6] = [
    "application/connect+json",
    "application/connect+proto",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/grpc-web-text+json",
];

/// A stream as its bytes come: nobody between asks again when it ends.
struct Raw {
    kind: &'static str,
    socket: TcpStream,
    came: Vec<u8>,
}

impl Raw {
    /// Watch the tea, until the first of it has come.
    async fn watch(address: SocketAddr, kind: &'static str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&post_by_http_1(&path("Watch"), kind)).await.unwrap();
        let mut came = Vec::new();
        let has_begun =
            |came: &[u8]| came.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4 < came.len());
        while has_begun(&came) != Some(true) {
            assert!(socket.read_buf(&mut came).await.unwrap() > 0, "{kind}: {}", String::from_utf8_lossy(&came));
        }
        Self { kind, socket, came }
    }

    /// How many messages came, and the error behind them.
    async fn ended(mut self) -> (usize, Code, Said) {
        self.socket.read_to_end(&mut self.came).await.unwrap();
        let body = body(&self.came);
        if self.kind.contains("grpc-web") {
            let Web { messages, status } = Web::read(self.kind, &body);
            return (messages.len(), status.code(), Said::of(&status));
        }
        let (mut rest, mut messages) = (&body[..], 0);
        loop {
            let (head, more) = rest.split_first_chunk::<5>().unwrap_or_else(|| panic!("{}: it has no end", self.kind));
            let [flags, length @ ..] = *head;
            let (content, behind) = more.split_at(u32::from_be_bytes(length) as usize);
            if flags == 2 {
                assert!(behind.is_empty(), "{}: something stands behind the end", self.kind);
                let error = serde_json::from_slice::<Value>(content).unwrap()["error"].take();
                let code = if error["code"] == "unavailable" { Code::Unavailable } else { Code::Unknown };
                return (messages, code, Said::of_json(&error));
            }
            messages += 1;
            rest = behind;
        }
    }
}

/// The store hangs meanwhile: calls wait for it, and the ends of streams do not.
#[tokio::test]
async fn a_stopping_server_finishes_calls_and_ends_streams_with_a_status_that_says_when_to_ask_again() {
    let world = World::new();
    world.count(&stock(7, "tea", -2), now(), 5).await;
    // Another key: calls about one share a read.
    world.count(&stock(8, "salt", 0), now(), 3).await;
    // Nothing but calls reads then.
    let never = Duration::from_secs(86_400);
    let builder = world.builder().watching(Watching::every(never)).health_every(never);
    let mut server = Running::start(builder).await;
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    grpc.ready().await.unwrap();
    let request = tonic::Request::new(GetRequest { key: Some(stock(7, "tea", -2)), options: None });
    let codec = tonic_prost::ProstCodec::<_, WatchResponse<u64>>::default();
    let watched = grpc.server_streaming(request, path("Watch").parse().unwrap(), codec).await;
    let mut by_grpc = watched.unwrap().into_inner();
    assert_eq!(by_grpc.message().await.unwrap().unwrap().value, 5);
    let mut raw = Vec::new();
    for kind in KINDS {
        raw.push(Raw::watch(server.address, kind).await);
    }

    world.moody.mood.send_replace(Mood::Hanging);
    let reads = *world.moody.reads.borrow();
    let client = server.client::<Stock>().await;
    let call = tokio::spawn(async move { client.get(stock(8, "salt", 0)).await });
    world.moody.reads(reads + 1).await;
    let (address, request) = (server.address, post_by_http_1(&path("Get"), "application/grpc-web+json"));
    let plain = tokio::spawn(async move { raw_bytes(address, &request).await });
    world.moody.reads(reads + 2).await;
    server.ask_to_stop();

    let shutting_down = || Said { reason: "SHUTTING_DOWN".into(), retry: Some(Duration::from_secs(1)), quota: None };
    let status = by_grpc.message().await.unwrap_err();
    assert_eq!((status.code(), Said::of(&status)), (Code::Unavailable, shutting_down()));
    for stream in raw {
        let kind = stream.kind;
        assert_eq!(stream.ended().await, (1, Code::Unavailable, shutting_down()), "{kind}");
    }
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished() && !plain.is_finished(), "the store has not answered yet");
    world.moody.mood.send_replace(Mood::Fine);
    assert_eq!(call.await.unwrap().unwrap().value, 3);
    let Web { messages, status } = Web::read("application/grpc-web+json", &body(&plain.await.unwrap()));
    assert_eq!(status.code(), Code::Ok);
    assert_eq!(serde_json::from_slice::<Value>(&messages[0]).unwrap()["value"], "5");
    server.stopped().await;
}

#[tokio::test]
async fn a_stream_that_goes_both_ways_ends_when_the_server_stops() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    let world = World::new();
    let mut server = world.serve().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let (end, ended) = oneshot::channel::<()>();
    let questions = futures_util::stream::pending().take_until(ended);
    let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
    server.ask_to_stop();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Unavailable);
    // Otherwise the client's side stays open, and the server waits for that.
    drop(end);
    server.stopped().await;
}
