//! The services in an application of the user's own.

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::http::{path, raw};
use super::web::{Web, over_http_1};
use super::*;
use crate::grpc::messages::{GetRequest, ValueResponse, WatchRequest, WatchResponse};
use crate::grpc::protocol::frame::frame;

/// An application with a page of its own, and the services beside it and below a path; and what stops the services.
async fn application(world: &World) -> (SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let services = world.builder().mount(async move { drop(stopped.await) }).unwrap();
    let app = axum::Router::new()
        .route("/mine", get(|| async { "a page of my own" }))
        .nest_service("/counts", services.clone())
        .fallback_service(services);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, stop)
}

const TEA: &str = r#"{"key":{"shop":7,"sku":"tea","shelf":-2}}"#;

async fn grpc(address: SocketAddr) -> Grpc<Channel> {
    let mut grpc = Grpc::new(Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap());
    grpc.ready().await.unwrap();
    grpc
}

/// The head of a request with a body of so many bytes.
fn head(path: &str, kind: &str, bytes: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_application_of_axum_answers_in_every_protocol_beside_its_own_pages() {
    let world = World::new();
    world.count(&stock(7, "tea", -2), now(), 5).await;
    let (address, _stop) = application(&world).await;
    let client = Client::<Stock>::connect(format!("http://{address}")).await.unwrap();
    assert_eq!(client.get(stock(7, "tea", -2)).await.unwrap().value, 5);

    let page = async |path: &str| {
        raw(address, format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await
    };
    assert!(page("/mine").await.ends_with("a page of my own"));
    while !page("/readyz").await.starts_with("HTTP/1.1 200 ") {}
    for prefix in ["", "/counts"] {
        let at = format!("{prefix}{}", path("Get"));
        // gRPC, which needs HTTP/2.
        let codec = ProstCodec::<GetRequest<StockKey>, ValueResponse<u64>>::default();
        let request = GetRequest { key: Some(stock(7, "tea", -2)), options: None };
        let reply = grpc(address).await.unary(tonic::Request::new(request), at.parse().unwrap(), codec).await.unwrap();
        assert_eq!(reply.into_inner().value, 5, "{at}");
        // gRPC-Web, in bytes and in text.
        for kind in ["application/grpc-web+proto", "application/grpc-web-text+json"] {
            let Web { messages, status } = over_http_1(address, &at, kind).await;
            assert_eq!((messages.len(), status.code()), (1, tonic::Code::Ok), "{at} {kind}");
        }
        // JSON by POST, and by Connect's GET.
        let posted = raw(address, (head(&at, "application/json", TEA.len()) + TEA).as_bytes()).await;
        let message = "%7B%22key%22%3A%7B%22shop%22%3A7%2C%22sku%22%3A%22tea%22%2C%22shelf%22%3A-2%7D%7D";
        for reply in [posted, page(&format!("{at}?connect=v1&encoding=json&message={message}")).await] {
            assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains(r#""value":"5""#), "{reply}");
        }
        // Connect in protobuf: field 1 is the value.
        let request = prost::Message::encode_to_vec(&GetRequest { key: Some(stock(7, "tea", -2)), options: None });
        let request = [head(&at, "application/proto", request.len()).into_bytes(), request].concat();
        let reply = raw(address, &request).await;
        assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("\r\n\r\n\u{8}\u{5}"), "{reply}");
        // A stream of Connect.
        let asked = frame(0, TEA.as_bytes());
        let head = head(&format!("{prefix}{}", path("Watch")), "application/connect+json", asked.len());
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(&[head.as_bytes(), &asked].concat()).await.unwrap();
        let mut stream = Vec::new();
        while !String::from_utf8_lossy(&stream).contains(r#""value":"5""#) {
            let read = socket.read_buf(&mut stream).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&stream));
        }
    }
}

/// What of a port is of its connections is left to whoever holds these; what is of a request is not.
#[tokio::test]
async fn an_application_has_its_own_limit_for_headers_and_the_services_keep_theirs_for_messages() {
    let world = World::new();
    let (mine, port) = (application(&world).await, world.serve().await);
    let ask = async |address: SocketAddr, header: usize, message: usize| {
        let body = format!(r#"{{"key":{{"shop":7,"sku":"{}"}}}}"#, "y".repeat(message));
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx: {}\r\n\r\n",
            path("Get"),
            body.len(),
            "y".repeat(header)
        );
        let reply = raw(address, [head, body].concat().as_bytes()).await;
        reply.split(' ').nth(1).map(str::to_owned)
    };
    let large = (32 << 10, 1 << 20);
    for (address, headers) in [(port.address, "431"), (mine.0, "200")] {
        assert_eq!(ask(address, large.0, 1).await.as_deref(), Some(headers));
        assert_eq!(ask(address, 1, large.1).await.as_deref(), Some("429"), "more than a mebibyte");
    }
}

#[tokio::test]
async fn streams_of_an_application_end_when_its_services_stop() {
    let world = World::new();
    let (address, stop) = application(&world).await;
    // Our own client would ask for another server for half a minute.
    let request = WatchRequest { key: Some(stock(7, "tea", 0)), ..WatchRequest::default() };
    let codec = ProstCodec::<WatchRequest<StockKey>, WatchResponse<u64>>::default();
    let mut grpc = grpc(address).await;
    let opened = grpc.server_streaming(tonic::Request::new(request), path("Watch").parse().unwrap(), codec).await;
    let mut changes = opened.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().value, 0);
    stop.send(()).unwrap();
    assert_eq!(changes.message().await.unwrap_err().code(), tonic::Code::Unavailable);
}
