mod callers;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::ErrorKind;
use crate::grpc::tests::http::raw;
use crate::grpc::tests::{Running, Stock, World, now, stock};
use crate::grpc::{Client, ClientTls};

/// An authority that nobody else knows.
pub(in crate::grpc) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(in crate::grpc) pem: String,
}

/// A certificate and its key.
pub(in crate::grpc) struct Pair {
    pub(in crate::grpc) certificate: String,
    pub(in crate::grpc) key: String,
}

impl Authority {
    pub(in crate::grpc) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of this machine, and of whatever the common name says.
    pub(in crate::grpc) fn pair(&self, name: &str) -> Pair {
        self.signed(name, |_| {})
    }

    fn signed(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// A port with its own certificate.
    fn itself(&self) -> Tls {
        Tls::from_pem(self.pem.as_bytes(), self.issuer.key().serialize_pem().as_bytes(), None).unwrap()
    }

    fn expired(&self) -> Pair {
        self.signed("expired", |params| params.not_after = date_time_ymd(2001, 2, 3))
    }
}

impl Pair {
    /// A port with it.
    fn tls(&self, client_ca: Option<&Authority>) -> Tls {
        let client_ca = client_ca.map(|authority| authority.pem.as_bytes());
        Tls::from_pem(self.certificate.as_bytes(), self.key.as_bytes(), client_ca).unwrap()
    }

    fn put(&self, folder: &Path) {
        fs::write(folder.join("server.crt"), &self.certificate).unwrap();
        fs::write(folder.join("server.key"), &self.key).unwrap();
    }
}

fn uri(server: &Running) -> String {
    format!("https://{}", server.address)
}

fn knowing(authority: &Authority) -> ClientTls {
    ClientTls::default().authorities(authority.pem.as_str())
}

/// A connection by TLS that offers these protocols.
async fn connect(
    address: SocketAddr,
    authority: &Authority,
    protocols: &[&str],
    identity: Option<&Pair>,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_by(&connector(authority, protocols, identity), address).await
}

async fn connect_by(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await.unwrap();
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await
}

fn connector(authority: &Authority, protocols: &[&str], identity: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Pair { certificate, key }) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Ask over HTTP/1.1, and leave the connection open.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let mut some = [0; 1_024];
        let read = stream.read(&mut some).await.unwrap();
        answer.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&answer);
        if read == 0 || text.contains("\r\n\r\n") && text.trim_end().ends_with(['}', ')', '`']) {
            return text.into_owned();
        }
    }
}

const LIVES: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The name on the certificate of the other side.
fn name_of(stream: &TlsStream<TcpStream>) -> String {
    let (_, session) = stream.get_ref();
    let first = &session.peer_certificates().unwrap()[0];
    certificate::Certificate::read(first).unwrap().names.common_name.unwrap()
}

async fn world() -> World {
    let world = World::new();
    world.count(&stock(7, "tea", 0), now(), 5).await;
    world
}

#[tokio::test]
async fn http_2_and_1_are_spoken_by_tls_and_the_client_knows_the_authority() {
    let (world, authority) = (world().await, Authority::new("ours"));
    let server = Running::start(world.builder().tls(authority.pair("server").tls(None))).await;
    let client = Client::<Stock>::connect_by(uri(&server), &knowing(&authority)).await.unwrap();
    assert_eq!(client.get(stock(7, "tea", 0)).await.unwrap().value, 5);

    for (offered, taken) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let mut stream = connect(server.address, &authority, offered, None).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), taken.map(str::as_bytes));
        if taken != Some("h2") {
            let answer = ask(&mut stream, LIVES).await;
            assert!(answer.ends_with(r#"{"live":true}"#), "{answer}");
        }
    }
    assert!(connect(server.address, &authority, &["spdy/3"], None).await.is_err());
}

#[tokio::test]
async fn a_client_says_what_it_has_against_a_server() {
    let (world, authority, other) = (world().await, Authority::new("ours"), Authority::new("other"));
    let server = Running::start(world.builder().tls(authority.pair("server").tls(None))).await;
    let refused = async |uri: String, tls: &ClientTls| {
        let error = Client::<Stock>::connect_by(uri, tls).await.err().unwrap();
        (error.kind(), error.to_string())
    };
    let (kind, words) = refused(uri(&server), &knowing(&other)).await;
    assert!(kind == ErrorKind::Denied && words.contains("no authority that is known here"), "{words}");
    let (kind, words) = refused(uri(&server).replace("127.0.0.1", "localhost"), &knowing(&authority)).await;
    assert!(kind == ErrorKind::Denied && words.contains("for other names"), "{words}");
    let (kind, words) = refused(server.uri(), &knowing(&authority)).await;
    assert!(kind == ErrorKind::Configuration && words.contains("write `https://host:port`"), "{words}");
    let (kind, words) = refused(uri(&server), &ClientTls::default().identity("no", "pem")).await;
    assert!(kind == ErrorKind::Configuration && words.contains("files in PEM"), "{words}");
    let plain = world.serve().await;
    let (kind, words) = refused(uri(&plain), &knowing(&authority)).await;
    assert!(kind == ErrorKind::Denied && words.contains("does not speak TLS"), "{words}");

    // A certificate of its own, as plain `openssl req -x509` makes one.
    let server = Running::start(world.builder().tls(authority.itself())).await;
    let error = Client::<Stock>::connect_by(uri(&server), &knowing(&authority)).await.err().unwrap();
    assert!(error.kind() == ErrorKind::Denied && error.to_string().contains("that of an authority"), "{error}");
    assert!(std::error::Error::source(&error).is_none() && error.to_string().contains("CA:FALSE"), "{error}");
}

#[tokio::test]
async fn new_certificates_are_those_of_new_connections_and_the_old_ones_go_on() {
    let (world, authority, folder) = (world().await, Authority::new("ours"), tempfile::tempdir().unwrap());
    authority.pair("first").put(folder.path());
    let at = |name: &str| folder.path().join(name);
    let tls = Tls::from_files(at("server.crt"), at("server.key"), None).unwrap().every(Duration::from_millis(1));
    let server = Running::start(world.builder().tls(tls)).await;
    let mut old = connect(server.address, &authority, &[], None).await.unwrap();
    assert_eq!(name_of(&old), "first");
    assert!(ask(&mut old, LIVES).await.contains("true"));

    authority.pair("second").put(folder.path());
    while name_of(&connect(server.address, &authority, &[], None).await.unwrap()) != "second" {}
    assert!(ask(&mut old, LIVES).await.contains("true"));
}

#[test]
fn connections_and_new_certificates_are_measured() {
    use crate::metrics::catalogue::{TLS_EXPIRY, TLS_HANDSHAKES, TLS_RELOADS};

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let moved = crate::metrics::tests::moved(|| {
        runtime.block_on(async {
            let (world, authority, folder) = (world().await, Authority::new("ours"), tempfile::tempdir().unwrap());
            authority.pair("first").put(folder.path());
            let at = |name: &str| folder.path().join(name);
            let tls = Tls::from_files(at("server.crt"), at("server.key"), None).unwrap();
            let server = Running::start(world.builder().tls(tls.every(Duration::from_millis(1)))).await;
            authority.pair("second").put(folder.path());
            while name_of(&connect(server.address, &authority, &[], None).await.unwrap()) != "second" {}
        });
    });
    for metric in [TLS_HANDSHAKES.name, TLS_RELOADS.name, TLS_EXPIRY.name] {
        assert!(moved.get(metric).is_some_and(|value| *value > 0.0), "{metric} of {moved:#?}");
    }
}

#[test]
fn files_that_cannot_be_used_leave_everything_as_it_was_and_are_said_once() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (authority.pair("first"), authority.pair("second"));
    first.put(folder.path());
    let files = Files { certificate: at("server.crt"), key: at("server.key"), client_ca: None };
    let mut look = Look::new(files.clone(), files.read().unwrap());
    let mut again = || look.again(SystemClock.now());
    assert!(again().is_none());

    // One of the two files was replaced, and the other one follows.
    fs::write(at("server.crt"), &second.certificate).unwrap();
    assert!(again().is_none());
    fs::write(at("server.key"), &second.key).unwrap();
    assert!(again().is_none());
    assert!(again().unwrap().is_ok());
    assert!(again().is_none());

    // The other one does not follow.
    fs::write(at("server.crt"), &first.certificate).unwrap();
    assert!(again().is_none());
    let refused = again().unwrap().unwrap_err();
    assert!(refused.to_string().contains("does not belong to the first certificate"), "{refused}");
    assert!(again().is_none() && again().is_none());
    fs::remove_file(at("server.key")).unwrap();
    assert!(again().is_none());
    assert!(again().unwrap().unwrap_err().to_string().contains("is not there"));
    authority.expired().put(folder.path());
    assert!(again().is_none());
    let refused = again().unwrap().unwrap_err();
    assert!(refused.to_string().contains("has expired, at 2001-02-03T00:00:00Z"), "{refused}");

    second.put(folder.path());
    assert!(again().is_none());
    assert!(again().unwrap().is_ok());
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_taken_when_its_time_has_come() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    authority.pair("first").put(folder.path());
    let files = Files { certificate: at("server.crt"), key: at("server.key"), client_ca: None };
    let mut look = Look::new(files.clone(), files.read().unwrap());
    let begins = "2999-02-03T00:00:00Z".parse::<crate::time::Timestamp>().unwrap();
    let before = begins.saturating_sub(crate::time::Span::from_seconds(1));
    authority
        .signed("early", |params| {
            params.not_before = date_time_ymd(2999, 2, 3);
            params.not_after = date_time_ymd(3001, 2, 3);
        })
        .put(folder.path());
    assert!(look.again(before).is_none());
    let refused = look.again(before).unwrap().unwrap_err();
    assert!(refused.to_string().contains("is not valid before 2999-02-03T00:00:00Z"), "{refused}");
    assert!(look.again(before).is_none());
    assert!(look.again(begins).unwrap().is_ok());
    assert!(look.again(begins).is_none());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name_and_the_way_out() {
    let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let (pair, other) = (authority.pair("server"), authority.pair("other"));
    let at = |name: &str| folder.path().join(name);
    pair.put(folder.path());
    fs::write(at("other.key"), other.key).unwrap();
    fs::write(at("empty"), "").unwrap();
    let garbage = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "AAAA".repeat(20));
    fs::write(at("garbage"), garbage).unwrap();
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(at("locked.key"), locked).unwrap();
    let crt = "server.crt";
    for (certificate, key, client_ca, file, words) in [
        ("nowhere.crt", "server.key", None, "nowhere.crt", "is not there"),
        (crt, "nowhere.key", None, "nowhere.key", "is not there"),
        (crt, "server.key", Some("nowhere.pem"), "nowhere.pem", "is not there"),
        (".", "server.key", None, "/.", "cannot be read"),
        ("empty", "server.key", None, "empty", "has no certificate in PEM"),
        ("server.key", "server.key", None, "server.key", "has no certificate in PEM"),
        ("garbage", "server.key", None, "garbage", "does not decode"),
        (crt, "empty", None, "empty", "has no private key in PEM"),
        (crt, crt, None, crt, "has no private key in PEM"),
        (crt, "locked.key", None, "locked.key", "is locked by a password"),
        (crt, "other.key", None, "other.key", "does not belong to the first certificate"),
        (crt, "server.key", Some("empty"), "empty", "has no certificate in PEM"),
        (crt, "server.key", Some("garbage"), "garbage", "does not decode"),
    ] {
        let refused = Tls::from_files(at(certificate), at(key), client_ca.map(at)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration);
        let said = refused.to_string();
        assert!(said.contains(file) && said.contains(words), "{certificate} {key} {client_ca:?}: {said}");
    }
    // Callers refuse it; that it is served at all shows what there is to repair.
    assert!(authority.expired().tls(None).current.borrow().alpn_protocols.len() == 2);
}

#[tokio::test]
async fn a_connection_that_does_not_begin_is_given_up_and_holds_nobody_up() {
    let (world, authority) = (world().await, Authority::new("ours"));
    let tls = authority.pair("server").tls(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let mut silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        silent.write_all(begun).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        assert!(tls.handshake(socket, Duration::from_millis(1)).await.is_none());
        // It was closed.
        assert!(matches!(silent.read(&mut [0]).await, Ok(0) | Err(_)));
    }

    let mut server = Running::start(world.builder().tls(tls)).await;
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.push(TcpStream::connect(server.address).await.unwrap());
    }
    let client = Client::<Stock>::connect_by(uri(&server), &knowing(&authority)).await.unwrap();
    assert_eq!(client.get(stock(7, "tea", 0)).await.unwrap().value, 5);
    drop(client);
    server.ask_to_stop();
    server.stopped().await;
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_to_speak_tls() {
    let (world, authority) = (world().await, Authority::new("ours"));
    let server = Running::start(world.builder().tls(authority.pair("server").tls(None))).await;
    let answer = raw(server.address, LIVES.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("ask it by `https://..`\n"), "{answer}");
}
