//! How single calls end: what is sent, what is tried again, and servers by TLS.

use murmur_tests::certificates;
use murmur_tests::process::{Server, example, store as store_url};
use serde_json::{Value, json};
use tonic::Code;
use tonic::codegen::http::HeaderMap;

use super::made::{Made, fingerprints};
use super::pretend::Pretend;
use crate::page_views::Stream;

/// A code as the programs print it.
pub(super) fn code(code: Code) -> Value {
    json!(code as i32)
}

/// How one call of a client goes with a server by TLS, whose authority nobody knows who was not told. `one` has a URL and a file of
/// authorities.
pub(super) fn assert_by_tls(one: impl Fn(&str, &str) -> Value) {
    let stream = Stream::generate(100, 5, 6);
    let store = stream.store("state");
    stream.count_into(&store);
    certificates::make(stream.folder.path());
    let file = |name: &str| stream.folder.path().join(name).display().to_string();
    let (store, certificate, key) = (store_url(&store), file("server.crt"), file("server.key"));
    let arguments = ["serve", "--store", &store, "--tls-cert", &certificate, "--tls-key", &key];
    let server = Server::start(example("page-traffic"), &arguments);
    let url = format!("https://{}", server.address);
    assert_eq!(one(&url, &file("ca.pem")), code(Code::Ok));
    assert_ne!(one(&url, &file("other.pem")), code(Code::Ok));
}

/// How one call of a client, with a token, goes with a server that answers as it is told. Only one that is not available is asked
/// again.
pub(super) fn assert_one_call(one: impl Fn(&str) -> Value) {
    let unavailable = [(&[Code::Unavailable; 2][..], Code::Ok, 3), (&[Code::Unavailable; 5], Code::Unavailable, 4)];
    let others = [
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::Internal,
    ];
    let once = others.each_ref().map(|code| (std::slice::from_ref(code), *code, 1));
    for (codes, ends, calls) in unavailable.into_iter().chain(once) {
        let server = Pretend::start(codes);
        assert_eq!(one(&server.url()), code(ends), "{codes:?}");
        let asked = server.asked();
        assert_eq!(asked.len(), calls, "{codes:?}");
        for headers in asked {
            assert_said(&headers);
            let timeout = ["grpc-timeout", "connect-timeout-ms"].map(|name| headers.contains_key(name));
            assert!(timeout.contains(&true), "{headers:?}");
        }
    }
}

/// A call has the token, and says which contract its client knows.
fn assert_said(headers: &HeaderMap) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Bearer secret"));
    let served = fingerprints(&Made::PageTraffic.protos());
    assert!(header("murmur-contract").unwrap().ends_with(&format!("-{}", served.last().unwrap())), "{headers:?}");
}

/// A stream whose server stays away asks for it for as long as its client was told, and ends; one that is refused ends at once.
/// `tries` is how often one try to open it is sent, where gRPC has tries of its own.
pub(super) fn assert_gives_up(ask: impl Fn(&[&str]) -> Value, tries: usize) {
    let calls = |says: Code, absence: &str| {
        let server = Pretend::start(&[says; 1_000]);
        assert_eq!(ask(&[&server.url(), absence]), code(says), "{absence}");
        let asked = server.asked();
        asked.iter().for_each(assert_said);
        asked.len()
    };
    assert_eq!(calls(Code::Unavailable, "absence=0"), tries);
    assert_eq!(calls(Code::InvalidArgument, "absence=60000"), 1);
    let calls = calls(Code::Unavailable, "absence=1000");
    assert!((2 * tries..1_000).contains(&calls), "{calls}");
}
