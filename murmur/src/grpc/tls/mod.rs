//! The port by TLS: a certificate of its own, and the certificates of those who call, by rustls.
//!
//! | part | what it knows |
//! |---|---|
//! | here | what a port is given, and when it is read again |
//! | [`files`] | the files, and what is wrong with them |
//! | [`handshake`] | how a connection begins |
//! | [`certificate`] | what a certificate says of itself |

mod certificate;
mod files;
mod handshake;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

pub use self::certificate::ClientCertificate;
use self::files::{Files, Loaded, Look, Names, Pem};
use crate::Result;
use crate::engine::{Clock, SystemClock};
use crate::metrics::PLAIN;
use crate::metrics::catalogue::{TLS_EXPIRY, TLS_RELOADS};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// How a port speaks TLS: 1.2 and 1.3, with HTTP/2 and HTTP/1.1.
///
/// ```no_run
/// # fn secure(server: murmur::grpc::ServerBuilder) -> murmur::Result<murmur::grpc::ServerBuilder> {
/// use murmur::grpc::Tls;
/// Ok(server.tls(Tls::from_files("tls/server.crt", "tls/server.key", Some("tls/clients.pem".into()))?))
/// # }
/// ```
pub struct Tls {
    /// What was read of files; `None` for what was given as it is.
    look: Option<Look>,
    every: Duration,
    /// Whether callers have to have a certificate.
    pub(super) knows_callers: bool,
    /// What connections begin with.
    current: watch::Sender<Arc<ServerConfig>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Tls {
    /// By files in PEM: the server's certificate, with those between it and its authority behind it, and its private key. With
    /// `client_ca`, a file of authorities, callers have to have a certificate by one of these; what theirs says is the
    /// [`ClientCertificate`] in the extensions of each request.
    ///
    /// While it serves, the files are looked at every 5 seconds. When they have changed, and stand still, connections that are
    /// made from then on have the new certificates, and those that are there go on. What cannot be used is said in the log,
    /// counted (`murmur_tls_reloads_total`), and leaves everything as it was.
    ///
    /// Errors: [`Configuration`](crate::ErrorKind::Configuration) with the file and the way out. A certificate that has expired
    /// is only a warning in the log: callers will say so themselves.
    pub fn from_files(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        client_ca: Option<PathBuf>,
    ) -> Result<Self> {
        let files = Files { certificate: certificate.into(), key: key.into(), client_ca };
        let (pem, names) = (files.read()?, files.names());
        Ok(Self { look: Some(Look::new(files, pem.clone())), ..Self::new(&names, &pem)? })
    }

    /// The same by the texts of such files, which stay as they are.
    ///
    /// Errors as those of [`from_files`](Self::from_files).
    pub fn from_pem(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Self> {
        let pem = Pem { certificate: certificate.into(), key: key.into(), client_ca: client_ca.map(Vec::from) };
        Self::new(&Names::default(), &pem)
    }

    fn new(names: &Names, pem: &Pem) -> Result<Self> {
        let loaded = names.load(pem)?;
        if let Some(problem) = loaded.out_of_date(SystemClock.now()) {
            tracing::warn!("{problem}");
        }
        loaded.measure();
        let knows_callers = pem.client_ca.is_some();
        Ok(Self { look: None, every: EVERY, knows_callers, current: watch::Sender::new(loaded.config) })
    }

    /// Look at the files this often.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Look at the files again and again.
    pub(super) async fn watch(&self) {
        let Some(mut look) = self.look.clone() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(self.every).await;
            // The disk may be slow.
            let looked = tokio::task::spawn_blocking(move || {
                let found = look.again(SystemClock.now());
                (look, found)
            });
            // A runtime that ends takes the server with it.
            let Ok((back, found)) = looked.await else { return std::future::pending().await };
            look = back;
            match found {
                None => {}
                Some(Ok(loaded)) => {
                    tracing::info!("the port has new certificates, valid until {}", loaded.certificate.not_after);
                    loaded.measure();
                    self.current.send_replace(loaded.config);
                    TLS_RELOADS.counter(["loaded"]).increment(1);
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "the port goes on with the certificates that it has");
                    TLS_RELOADS.counter(["refused"]).increment(1);
                }
            }
        }
    }
}

impl Loaded {
    fn measure(&self) {
        TLS_EXPIRY.gauge(PLAIN).set(self.certificate.not_after.floor_seconds() as f64);
    }
}
