//! How single calls end: what is sent, what is tried again, and servers by TLS.

use std::process::Command;
use std::time::Duration;

use murmur_tests::certificates;
use murmur_tests::process::{Server, example, store as store_url};
use serde_json::{Value, json};
use tonic::Code;
use tonic::codegen::http::HeaderMap;

use super::made::{Made, fingerprints};
use super::pretend::{Asked, Pretend, Says};
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
        for Asked { headers, .. } in asked {
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
pub(super) fn assert_gives_up(ask: impl Fn(&[&str]) -> Value) {
    let calls = |says: Code, absence: &str| {
        let server = Pretend::start(&[says; 1_000]);
        assert_eq!(ask(&[&server.url(), absence]), code(says), "{absence}");
        let asked = server.asked();
        asked.iter().for_each(|asked| assert_said(&asked.headers));
        asked.len()
    };
    assert_eq!(calls(Code::Unavailable, "absence=0"), 1);
    assert_eq!(calls(Code::InvalidArgument, "absence=60000"), 1);
    let calls = calls(Code::Unavailable, "absence=1000");
    assert!((2..1_000).contains(&calls), "{calls}");
}

/// Who is told when to ask again asks then, and is told at once where that is too late: of calls, whose programs wait for minutes, and
/// of streams.
pub(super) fn assert_waits_as_it_is_told(ask: impl Fn(&[&str]) -> Value) {
    const SECOND: Duration = Duration::from_secs(1);
    for asked in ["one", "absence=300000"] {
        let server = Pretend::saying([Says::busy(SECOND)]);
        assert_eq!(ask(&[&server.url(), asked]), code(Code::Ok), "{asked}");
        let [first, second] = server.asked().try_into().unwrap();
        assert!(second.at - first.at >= SECOND, "{asked}");
        // Of the second one no language can say when it is over.
        for late in [3_600, i64::MAX as u64] {
            let server = Pretend::saying([Says::busy(Duration::from_secs(late))]);
            assert_eq!(ask(&[&server.url(), asked]), code(Code::Unavailable), "{asked} {late}");
            assert_eq!(server.asked().len(), 1, "{asked} {late}");
        }
    }
}

/// A token that is none is refused before it is sent, and nothing that is said shows it.
pub(super) fn assert_shows_no_token(ask: impl Fn(&[&str]) -> Command) {
    let server = Pretend::start(&[]);
    let output = ask(&[&server.url(), "unfit"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("a token is one word of visible characters of ASCII"), "{said}");
    assert!(!said.contains("s3cr"), "{said}");
    assert_eq!(server.asked().len(), 0);
}

/// A stream whose token has expired begins again, once, by another one. `renew` has one more for each time that it is asked.
pub(super) fn assert_renews_a_token(ask: impl Fn(&[&str]) -> Value) {
    let asks = |says: Vec<Says>, asked: &str, ends: Code| {
        let server = Pretend::saying(says);
        assert_eq!(ask(&[&server.url(), asked]), code(ends), "{asked}");
        let token = |asked: &Asked| asked.headers["authorization"].to_str().unwrap().to_owned();
        server.asked().iter().map(token).collect::<Vec<_>>()
    };
    let both = ["Bearer first", "Bearer second"];
    assert_eq!(asks(vec![Says::expired()], "renew", Code::Ok), both);
    assert_eq!(asks(vec![Says::expired(); 5], "renew", Code::Unauthenticated), both);
    assert_eq!(asks(vec![Says::code(Code::Unauthenticated); 5], "renew", Code::Unauthenticated), both[..1]);
    // There is no other one.
    assert_eq!(asks(vec![Says::expired(); 5], "absence=300000", Code::Unauthenticated), ["Bearer secret"]);
}

/// Times that are one when they are cut to microseconds are no interval, and are said to be so before anything is sent. `fine` asks
/// about half a microsecond, then about one and a half.
pub(super) fn assert_counts_microseconds(ask: impl Fn(&[&str]) -> Command) {
    let server = Pretend::start(&[]);
    let output = ask(&[&server.url(), "fine"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("are the same microsecond"), "{said}");
    assert_eq!(server.asked().len(), 1, "{said}");
}
