//! What a server does beside answering: reflection, health, limits, deadlines.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::*;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;
use crate::metrics::tests::lines::Lines;

/// The answer to one gRPC request, without sockets: HTTP status, gRPC status and message.
async fn grpc(router: Router, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String, String) {
    let mut request = ::http::Request::post(path).version(::http::Version::HTTP_2);
    request = request.header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::new(http_body_util::Full::new(bytes::Bytes::from(body)))).unwrap();
    let response = router.answer(request).await;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or(headers);
    let text = |name| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    (status, text("grpc-status"), text("grpc-message"))
}

fn get(key: StockKey) -> Vec<u8> {
    let request = GetRequest { key: Some(key), options: None };
    frame(0, &prost::Message::encode_to_vec(&request)).to_vec()
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_them_in_both_versions() {
    let world = World::new();
    let server = world.serve().await;
    let expected = ["grpc.health.v1.Health", "murmur.v1.QueryService", NOTES, STOCK];

    macro_rules! reflect {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
            let asks = [
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(STOCK.into())),
            ];
            let mut client = ServerReflectionClient::new(server.channel().await);
            let replies = client.server_reflection_info(tokio_stream::iter(asks)).await.unwrap().into_inner();
            let replies: Vec<_> = replies.map(|reply| reply.unwrap().message_response.unwrap()).collect().await;
            let MessageResponse::ListServicesResponse(list) = &replies[0] else { panic!("{replies:?}") };
            let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
            for name in expected {
                assert!(names.contains(&name), "{names:?}");
            }
            let MessageResponse::FileDescriptorResponse(files) = &replies[1] else { panic!("{replies:?}") };
            let file: prost_types::FileDescriptorProto =
                prost::Message::decode(&*files.file_descriptor_proto[0]).unwrap();
            assert_eq!(file.name(), "test.proto");
            assert_eq!(file.service[0].method.len(), 10);
        }};
    }
    reflect!(v1);
    reflect!(v1alpha);
}

#[tokio::test]
async fn health_follows_the_store_of_each_pipeline() {
    let world = World::new();
    let other = World::new();
    let builder = Server::builder().pipeline(world.stock()).pipeline(other.notes()).descriptor(&DESCRIPTOR);
    let mut server = Running::start(builder.health_every(Duration::from_millis(1))).await;
    let client = HealthClient::new(server.channel().await);
    let watch = async |service: &str| {
        let request = HealthCheckRequest { service: service.into() };
        client.clone().watch(request).await.unwrap().into_inner().map(|reply| reply.unwrap().status())
    };
    let (mut stock, mut notes, mut all) = (watch(STOCK).await, watch(NOTES).await, watch("").await);
    for statuses in [&mut stock, &mut notes, &mut all] {
        assert_eq!(statuses.next().await, Some(ServingStatus::Serving));
    }
    let becomes = async |statuses: &mut (dyn futures_util::Stream<Item = ServingStatus> + Unpin + Send), wanted| {
        while statuses.next().await.unwrap() != wanted {}
    };
    world.moody.mood.send_replace(Mood::Down);
    becomes(&mut stock, ServingStatus::NotServing).await;
    becomes(&mut all, ServingStatus::NotServing).await;
    let request = HealthCheckRequest { service: NOTES.into() };
    assert_eq!(client.clone().check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);
    world.moody.mood.send_replace(Mood::Fine);
    becomes(&mut stock, ServingStatus::Serving).await;
    let request = HealthCheckRequest { service: "nobody".into() };
    let unknown = client.clone().check(request).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    assert_eq!(unknown.get_details_error_info().unwrap().reason, "SERVICE_UNKNOWN");
    drop((stock, all));
    server.ask_to_stop();
    becomes(&mut notes, ServingStatus::NotServing).await;
}

#[tokio::test]
async fn what_keeps_a_server_from_being_ready_is_said_in_words() {
    let world = World::new();
    let late = Arc::new(AtomicBool::new(false));
    let gate = {
        let late = late.clone();
        move |name: &str| (name == "notes" && late.load(Ordering::Relaxed)).then(|| "it lags".to_owned())
    };
    let server = world.builder().gate(gate).page("/metrics", "text/plain", || "up 1".to_owned()).without_queries();
    let (router, health) = server.build(Drain::never()).unwrap();
    let get = async |path: &str| {
        let request = ::http::Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().answer(request).await;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    };
    let (status, body) = get("/readyz").await;
    assert!(status == 503 && body.contains("nobody has looked"), "{status} {body}");
    health.look().await;
    assert_eq!(get("/readyz").await, (200, r#"{"ready":true,"reasons":[]}"#.to_owned()));
    late.store(true, Ordering::Relaxed);
    health.look().await;
    let (status, body) = get("/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(body, format!(r#"{{"ready":false,"reasons":[{{"reason":"it lags","service":"{NOTES}"}}]}}"#));
    world.moody.mood.send_replace(Mood::Down);
    health.look().await;
    let (_, body) = get("/readyz").await;
    assert!(body.contains("the store cannot be reached") && !body.contains("10.1.2.3"), "{body}");
    world.moody.mood.send_replace(Mood::Closed);
    health.look().await;
    let (status, body) = get("/readyz").await;
    assert!(status == 503 && body.contains("does not let this process in") && !body.contains("AKIA"), "{body}");
    assert_eq!(get("/healthz").await, (200, r#"{"live":true}"#.to_owned()));
    assert_eq!(get("/metrics").await, (200, "up 1".to_owned()));
    assert_eq!(get("/test.v1.NotesService/Get").await.0, 404, "there are no queries");
    health.stop().await;
    assert!(get("/readyz").await.1.contains("shutting down"));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_deadline() {
    let world = World::new();
    let router = world.router();
    let path = format!("/{STOCK}/Get");
    world.moody.mood.send_replace(Mood::Hanging);
    for (timeout, seconds) in [(&[][..], 5), (&[("grpc-timeout", "2S")][..], 2), (&[("grpc-timeout", "99S")][..], 30)] {
        let start = tokio::time::Instant::now();
        let (_, status, message) = grpc(router.clone(), &path, timeout, get(stock(1, "a", 0))).await;
        assert_eq!(status, "4", "{message}");
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
    let (_, status, message) = grpc(router, &path, &[("grpc-timeout", "soon")], get(stock(1, "a", 0))).await;
    assert_eq!(status, "3");
    assert!(message.contains("grpc-timeout"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_reads_of_the_store_is_dropped_at_its_deadline_by_every_protocol() {
    let world = World::new();
    world.moody.mood.send_replace(Mood::Hanging);
    let framed = get(stock(1, "a", 0));
    for (kind, header, timeout, body) in [
        ("application/grpc", "grpc-timeout", "2S", &framed[..]),
        ("application/grpc-web", "grpc-timeout", "2S", &framed),
        ("application/proto", "connect-timeout-ms", "2000", &framed[5..]),
        ("application/json", "connect-timeout-ms", "2000", br#"{"key": {"shop": 1, "sku": "a"}}"#),
    ] {
        let before = world.moody.dropped.load(Ordering::SeqCst);
        assert_eq!(before, *world.moody.reads.borrow(), "none is left of the call before");
        let request = ::http::Request::post(super::http::path("Get")).header("content-type", kind);
        let begun = tokio::time::Instant::now();
        let called = super::http::answer(world.router(), request.header(header, timeout), body);
        let mut called = std::pin::pin!(called);
        assert!(tokio::time::timeout(Duration::from_millis(1_999), &mut called).await.is_err());
        assert_eq!(world.moody.dropped.load(Ordering::SeqCst), before, "{kind}: before its time");
        let reply = called.await;
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        let is_late = reply.status == 504 || reply.headers.get("grpc-status").is_some_and(|status| status == "4");
        assert!(is_late, "{kind}: {} {:?}", reply.status, reply.headers);
        assert!(*world.moody.reads.borrow() > before, "{kind}: nothing was read");
    }
    assert_eq!(world.moody.dropped.load(Ordering::SeqCst), *world.moody.reads.borrow());
}

#[tokio::test]
async fn a_request_of_one_mebibyte_is_read_and_one_byte_more_is_refused() {
    let world = World::new();
    let path = format!("/{STOCK}/Get");
    // An unknown field fills the message up; unknown fields are ignored.
    let message = |bytes: usize| {
        let mut message = prost::Message::encode_to_vec(&GetRequest { key: Some(stock(1, "a", 0)), options: None });
        let header = 4;
        let filler = vec![0u8; bytes - message.len() - header];
        prost::encoding::bytes::encode(15, &filler, &mut message);
        assert_eq!(message.len(), bytes);
        frame(0, &message).to_vec()
    };
    let most = 1 << 20;
    let (_, status, text) = grpc(world.router(), &path, &[], message(most)).await;
    assert_eq!(status, "0", "{text}");
    let (_, status, _) = grpc(world.router(), &path, &[], message(most + 1)).await;
    assert_eq!(status, "8");
}

#[tokio::test]
async fn requests_that_are_none_get_a_fitting_status() {
    let world = World::new();
    let path = format!("/{STOCK}/Get");
    let whole = get(stock(1, "a", 0));
    let status = async |path: &str, body: Vec<u8>| grpc(world.router(), path, &[], body).await.1;
    let garbage = frame(0, b"\xff\xff\xff").to_vec();
    let compressed = frame(1, b"").to_vec();
    let twice = [whole.clone(), whole.clone()].concat();
    let without_key = frame(0, b"").to_vec();
    for (body, expected) in [
        (vec![], "12"),
        (whole[..whole.len() - 1].to_vec(), "3"),
        (twice, "12"),
        (garbage, "3"),
        (without_key, "3"),
        (compressed, "13"),
        (whole.clone(), "0"),
    ] {
        assert_eq!(status(&path, body.clone()).await, expected, "{body:?}");
    }
    assert_eq!(status(&format!("/{STOCK}/Nothing"), whole.clone()).await, "12");
    assert_eq!(status("/no.such.Service/Get", whole.clone()).await, "12");
    assert_eq!(status(&format!("/{NOTES}/GetWindow"), whole).await, "3");
}

#[tokio::test]
async fn what_a_damaged_store_says_stays_in_the_log_and_that_has_no_key() {
    let (world, lines) = (World::new(), Lines::keep());
    let (tile, slot) = Notes::tiling().locate(Timestamp::EPOCH);
    let id = TileId { key: text_of(&note("secret")), tile, part: Some(PartitionId::new("p")) };
    let named = id.to_string();
    let values = vec![(slot, b"damaged secret".to_vec().into())];
    world.write("notes", Write::Put { id, values, first: Offset::ZERO, last: Offset::ZERO, expires: None }).await;
    let request = GetRequest { key: Some(note("secret")), options: None };
    let body = frame(0, &prost::Message::encode_to_vec(&request)).to_vec();
    let (_, status, message) = grpc(world.router(), &format!("/{NOTES}/Get"), &[], body).await;
    assert_eq!(status, "15");
    assert!(!message.contains("secret"), "{message}");
    let log = lines.text();
    assert!(!log.contains("secret") && log.contains(&named) && log.contains("`notes_v1`"), "{log}");
}

#[tokio::test]
async fn a_connection_is_told_its_limits() {
    let world = World::new();
    let server = world.serve().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0u8; 9];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut settings = vec![0u8; usize::from(head[2])];
    socket.read_exact(&mut settings).await.unwrap();
    let setting = |id: u16| {
        let mut all = settings.chunks_exact(6).map(|s| (u16::from_be_bytes([s[0], s[1]]), &s[2..]));
        all.find(|(known, _)| *known == id).map(|(_, value)| u32::from_be_bytes(value.try_into().unwrap()))
    };
    let (max_concurrent_streams, max_header_list_size) = (3, 6);
    assert_eq!(setting(max_concurrent_streams), Some(256));
    assert_eq!(setting(max_header_list_size), Some(16 << 10));
}

#[tokio::test]
async fn a_server_is_not_made_of_pipelines_that_its_descriptors_do_not_describe() {
    let world = World::new();
    let kind = |builder: ServerBuilder| builder.build(Drain::never()).err().unwrap();
    let without = kind(Server::builder().pipeline(world.stock()));
    assert_eq!(without.kind(), ErrorKind::Configuration);
    assert!(without.to_string().contains("`test.v1.StockService.Get`"), "{without}");
    let twice = kind(world.builder().pipeline(world.stock()));
    assert!(twice.to_string().contains("two pipelines have the service `test.v1.StockService`"), "{twice}");
    assert_eq!(kind(Server::builder().descriptor(b"no descriptor")).kind(), ErrorKind::Configuration);
    let health = kind(world.builder().service(tonic_health::server::health_reporter().1));
    assert_eq!(health.kind(), ErrorKind::Configuration);
    assert!(health.to_string().contains("two services `grpc.health.v1.Health`"), "{health}");
}
