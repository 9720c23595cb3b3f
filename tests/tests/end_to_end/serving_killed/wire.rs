//! Connections to the server, in the open or by TLS, and HTTP/1.1 over them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use murmur_tests::certificates;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

/// The way to the server.
#[derive(Clone)]
pub(super) struct Way {
    address: String,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    authority: String,
    /// Flags of the server, and their values.
    arguments: [String; 4],
    config: Arc<ClientConfig>,
}

impl Tls {
    /// With certificates in this folder.
    fn new(folder: &Path) -> Self {
        certificates::make(folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(authorities).with_no_client_auth();
        Self {
            authority: std::fs::read_to_string(folder.join("ca.pem")).unwrap(),
            arguments: ["--tls-cert".into(), file("server.crt"), "--tls-key".into(), file("server.key")],
            config: config.into(),
        }
    }
}

impl Way {
    /// To a port of this machine; by TLS with certificates in a folder.
    pub(super) fn new(port: u16, certificates: Option<&Path>) -> Self {
        Self { address: format!("127.0.0.1:{port}"), tls: certificates.map(Tls::new) }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What a server needs to be reached by it, beside its address.
    pub(super) fn arguments(&self) -> &[String] {
        self.tls.as_ref().map_or(&[], |tls| &tls.arguments)
    }

    /// For gRPC. It connects when it is needed, as often as it is.
    pub(super) fn channel(&self) -> Channel {
        let endpoint = |scheme: &str| Endpoint::from_shared(format!("{scheme}://{}", self.address)).unwrap();
        match &self.tls {
            None => endpoint("http").connect_lazy(),
            Some(tls) => {
                let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authority));
                endpoint("https").tls_config(config).unwrap().connect_lazy()
            }
        }
    }

    /// For HTTP/1.1. Who waits for an answer looks up now and then.
    pub(super) fn open(&self) -> io::Result<Wire> {
        let socket = TcpStream::connect(&self.address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(tls) => {
                let name = ServerName::try_from("127.0.0.1").unwrap();
                Box::new(StreamOwned::new(ClientConnection::new(tls.config.clone(), name).unwrap(), socket))
            }
        };
        Ok(Wire { stream, buffer: Vec::new() })
    }
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// What has come and was not looked at.
    buffer: Vec<u8>,
}

/// `None` where the connection ends, or it is enough, before what is read is there.
impl Wire {
    pub(super) fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).ok()
    }

    fn more(&mut self, enough: &dyn Fn() -> bool) -> Option<()> {
        let mut some = [0; 4_096];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return None,
                Ok(read) => {
                    self.buffer.extend_from_slice(&some[..read]);
                    return Some(());
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if enough() {
                        return None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn exactly(&mut self, bytes: usize, enough: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        while self.buffer.len() < bytes {
            self.more(enough)?;
        }
        let rest = self.buffer.split_off(bytes);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    fn until(&mut self, end: &[u8], enough: &dyn Fn() -> bool) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                let text = self.exactly(at + end.len(), enough)?;
                return Some(String::from_utf8(text).unwrap());
            }
            self.more(enough)?;
        }
    }

    /// The head of an answer, in small letters.
    pub(super) fn head(&mut self, enough: &dyn Fn() -> bool) -> Option<String> {
        Some(self.until(b"\r\n\r\n", enough)?.to_ascii_lowercase())
    }

    /// The next piece of a body that comes in pieces; an empty one is the last.
    pub(super) fn piece(&mut self, enough: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let line = self.until(b"\r\n", enough)?;
        let bytes = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let mut piece = self.exactly(bytes + 2, enough)?;
        piece.truncate(bytes);
        Some(piece)
    }

    /// The whole body of an answer.
    pub(super) fn body(&mut self, head: &str, enough: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        if let Some(length) = field("content-length") {
            return self.exactly(length.parse().unwrap(), enough);
        }
        assert_eq!(field("transfer-encoding"), Some("chunked"), "{head}");
        let mut body = Vec::new();
        loop {
            let piece = self.piece(enough)?;
            if piece.is_empty() {
                return Some(body);
            }
            body.extend(piece);
        }
    }
}
