use std::io;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Certificate;
use super::{ClientCertificate, Tls};
use crate::metrics::catalogue::TLS_HANDSHAKES;

/// For whoever speaks plain HTTP.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\
                       content-length: 50\r\n\r\nthis port speaks TLS only; ask it by `https://..`\n";

/// A connection by TLS, and who is on its other end, where the port asks.
pub(in crate::grpc) type Secured = (TlsStream<TcpStream>, Option<ClientCertificate>);

impl Tls {
    /// Begin a connection. Where that fails, or takes longer than `patience`, nobody else hears of it.
    pub(in crate::grpc) async fn handshake(&self, socket: TcpStream, patience: Duration) -> Option<Secured> {
        let acceptor = TlsAcceptor::from(self.current.borrow().clone());
        let begun = tokio::time::timeout(patience, begin(acceptor, socket)).await;
        let (outcome, secured) = match begun {
            Ok(Ok(Some(secured))) => ("done", Some(secured)),
            Ok(Ok(None)) => ("plain", None),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection could not be secured");
                ("failed", None)
            }
            Err(_) => ("late", None),
        };
        TLS_HANDSHAKES.counter([outcome]).increment(1);
        secured
    }
}

async fn begin(acceptor: TlsAcceptor, mut socket: TcpStream) -> io::Result<Option<Secured>> {
    let mut first = [0];
    // The first record of TLS begins with the byte 22, a request with a verb.
    if socket.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        // What is not read breaks the connection before the answer is.
        let mut request = vec![0; 4 << 10];
        let bytes = socket.read(&mut request).await?;
        tracing::debug!(bytes, "a request without TLS");
        socket.write_all(PLAIN).await?;
        socket.shutdown().await?;
        return Ok(None);
    }
    let stream = acceptor.accept(socket).await?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(names).transpose()?;
    Ok(Some((stream, certificate)))
}

/// Nobody is let in whose names are not known.
fn names(certificate: &CertificateDer<'_>) -> io::Result<ClientCertificate> {
    let read = Certificate::read(certificate).ok_or_else(|| io::Error::other("the client's certificate is not read"));
    Ok(read?.names)
}
