//! Callers by their certificates: who is let in, what is known of them, and for how long.

use std::convert::Infallible;
use std::fs;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use rcgen::{SanType, date_time_ymd};
use rustls::HandshakeKind;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tonic::body::Body;

use super::*;
use crate::grpc::{Access, Token};

/// Tells who calls it.
#[derive(Clone)]
struct Who(mpsc::UnboundedSender<Option<ClientCertificate>>);

impl tonic::server::NamedService for Who {
    const NAME: &'static str = "test.v1.WhoService";
}

impl tower::Service<http::Request<Body>> for Who {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.send(request.extensions().get::<ClientCertificate>().cloned()).unwrap();
        async { Ok(tonic::Status::unimplemented("told already").into_http()) }.boxed()
    }
}

fn who() -> Vec<u8> {
    let name = |name: &str| Some(name.to_owned());
    let message = DescriptorProto { name: name("Nothing"), ..Default::default() };
    let method = MethodDescriptorProto {
        name: name("Ask"),
        input_type: name(".test.v1.Nothing"),
        output_type: name(".test.v1.Nothing"),
        ..Default::default()
    };
    let service = ServiceDescriptorProto { name: name("WhoService"), method: vec![method], ..Default::default() };
    let file = FileDescriptorProto {
        name: name("who.proto"),
        package: name("test.v1"),
        syntax: name("proto3"),
        message_type: vec![message],
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

#[tokio::test]
async fn who_has_no_certificate_of_the_authority_is_not_let_in_and_the_others_are_known_by_it() {
    let (world, authority, clients) = (world().await, Authority::new("ours"), Authority::new("clients"));
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = world.builder().service(Who(tell)).descriptor(&who());
    let server = Running::start(server.tls(authority.pair("server").tls(Some(&clients)))).await;

    let worker = clients.pair("worker-7");
    let tls = knowing(&authority).identity(worker.certificate.as_str(), worker.key.as_str());
    let client = Client::<Stock>::connect_by(uri(&server), &tls).await.unwrap();
    assert_eq!(client.get(stock(7, "tea", 0)).await.unwrap().value, 5);

    let mut stream = connect(server.address, &authority, &[], Some(&worker)).await.unwrap();
    // Who is known may call the server by any name.
    let post = "POST /test.v1.WhoService/Ask HTTP/1.1\r\nhost: counts.example\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let answer = ask(&mut stream, post).await;
    assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
    let known = told.recv().await.unwrap().unwrap();
    assert_eq!(known.common_name.as_deref(), Some("worker-7"));
    assert_eq!(known.addresses, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);

    let stranger = authority.pair("stranger");
    for identity in [None, Some(&stranger), Some(&clients.expired())] {
        // By TLS 1.3 a client has begun before the server has seen its certificate.
        let refused = match connect(server.address, &authority, &[], identity).await {
            Err(_) => true,
            Ok(mut stream) => {
                let _ = stream.write_all(LIVES.as_bytes()).await;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.is_err() && answer.is_empty()
            }
        };
        assert!(refused);
    }
    let without = match Client::<Stock>::connect_by(uri(&server), &knowing(&authority)).await {
        Ok(client) => client.get(stock(7, "tea", 0)).await.err().unwrap(),
        Err(error) => error,
    };
    assert!(matches!(without.kind(), ErrorKind::Denied | ErrorKind::Unavailable), "{without}");
}

#[tokio::test]
async fn a_stream_and_the_calls_of_its_connection_end_with_the_certificate_of_their_caller() {
    let (world, authority, clients) = (world().await, Authority::new("ours"), Authority::new("clients"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.toml");
    let token = "a".repeat(32);
    let hash: String = Sha256::digest(&token).iter().map(|byte| format!("{byte:02x}")).collect();
    let callers = format!(
        "[caller.web]\ncertificates = [\"uri:spiffe://shop.example/web\"]\npipelines = [\"*\"]\n\
         [caller.known]\ntokens = [\"sha256:{hash}\"]\npipelines = [\"*\"]\n"
    );
    fs::write(&file, callers).unwrap();
    let server = world.builder().tls(authority.pair("server").tls(Some(&clients)));
    let server = Running::start(server.access(Access::file(&file).unwrap())).await;
    let web = clients.signed("web", |params| {
        params.subject_alt_names.push(SanType::URI("spiffe://shop.example/web".try_into().unwrap()));
        // In whole seconds, as certificates have it. A busy machine has that long for the first reply.
        let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(15);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end.as_secs());
    });
    let tls = knowing(&authority).identity(web.certificate.as_str(), web.key.as_str());
    let client = Client::<Stock>::connect_by(uri(&server), &tls).await.unwrap();
    let clients = [client.clone().token(Token::new(&token).unwrap()), client];
    let ended = clients.map(async |client| {
        let mut replies = pin!(client.watch(stock(7, "tea", 0), None).await.unwrap());
        assert_eq!(replies.next().await.unwrap().unwrap().value, 5);
        let ended = replies.next().await.unwrap().unwrap_err();
        [ended, client.get(stock(7, "tea", 0)).await.unwrap_err()]
    });
    for error in join_all(ended).await.into_iter().flatten() {
        assert!(error.kind() == ErrorKind::Denied && error.to_string().contains("certificate has expired"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_is_shown_anew_with_each_connection() {
    let (world, authority, clients) = (world().await, Authority::new("ours"), Authority::new("clients"));
    for client_ca in [None, Some(&clients)] {
        let server = Running::start(world.builder().tls(authority.pair("server").tls(client_ca))).await;
        let connector = connector(&authority, &[], Some(&clients.pair("worker")));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = connect_by(&connector, server.address).await.unwrap();
            // What is needed to take up the session again comes before the answer.
            ask(&mut stream, LIVES).await;
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        }
        let second = if client_ca.is_some() { HandshakeKind::Full } else { HandshakeKind::Resumed };
        assert_eq!(kinds, [HandshakeKind::Full, second]);
    }
}
