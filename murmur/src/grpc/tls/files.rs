use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

use super::certificate::Certificate;
use crate::time::Timestamp;
use crate::{Error, ErrorKind, Result};

/// Where certificates are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client_ca: Option<PathBuf>,
}

/// What is in them.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

/// What they are called in errors.
pub(super) struct Names {
    certificate: String,
    key: String,
    client_ca: String,
}

/// What a port can begin connections with.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// The server's own.
    pub(super) certificate: Certificate,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            certificate: "the certificate of the port".into(),
            key: "the private key of the port".into(),
            client_ca: "the authorities of clients".into(),
        }
    }
}

impl Files {
    pub(super) fn names(&self) -> Names {
        let plain = Names::default();
        let name = |what: &str, path: &Path| format!("{what} (`{}`)", path.display());
        Names {
            certificate: name(&plain.certificate, &self.certificate),
            key: name(&plain.key, &self.key),
            client_ca: self.client_ca.as_ref().map_or(String::new(), |path| name(&plain.client_ca, path)),
        }
    }

    pub(super) fn read(&self) -> Result<Pem> {
        let names = self.names();
        let read = |name: &str, path: &Path| std::fs::read(path).map_err(|error| unreadable(name, error));
        Ok(Pem {
            certificate: read(&names.certificate, &self.certificate)?,
            key: read(&names.key, &self.key)?,
            client_ca: self.client_ca.as_ref().map(|path| read(&names.client_ca, path)).transpose()?,
        })
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Configuration, what)
}

fn unreadable(name: &str, error: io::Error) -> Error {
    let way_out = match error.kind() {
        io::ErrorKind::NotFound => "is not there",
        io::ErrorKind::PermissionDenied => "cannot be read by this process's user",
        _ => "cannot be read",
    };
    wrong(format!("{name} {way_out}")).with_source(error)
}

impl Names {
    /// What a port can begin connections with.
    pub(super) fn load(&self, pem: &Pem) -> Result<Loaded> {
        let Self { certificate: name, key: name_of_key, client_ca } = self;
        let chain = certificates(name, &pem.certificate)?;
        let certificate = chain.first().and_then(|first| Certificate::read(first));
        let certificate = certificate.ok_or_else(|| wrong(format!("{name} does not decode")))?;
        let key = self.key(&pem.key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let config = config.map_err(|error| wrong("TLS cannot begin".into()).with_source(error))?;
        let config = match &pem.client_ca {
            Some(pem) => config.with_client_cert_verifier(verifier(client_ca, pem, provider)?),
            None => config.with_no_client_auth(),
        };
        let config = config.with_single_cert(chain, key).map_err(|error| {
            wrong(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
                    "{name_of_key} does not belong to the first certificate in {name}; give the two that were made \
                     together, and the certificate in front of its authorities"
                ),
                _ => format!("{name} and {name_of_key} cannot be used"),
            })
            .with_source(error)
        });
        let mut config = config?;
        if pem.client_ca.is_some() {
            // Whoever takes up a session again does not show its certificate again, which may have ended since, or its authority may
            // not count any more.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), certificate })
    }

    fn key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
        let name = &self.key;
        PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
            let text = String::from_utf8_lossy(pem);
            wrong(if text.contains("ENCRYPTED") {
                format!("{name} is locked by a password; unlock it by `openssl pkey -in KEY -out UNLOCKED`")
            } else {
                format!("{name} has no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")
            })
            .with_source(error)
        })
    }
}

fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let none = || wrong(format!("{name} has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"));
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| none().with_source(error))?;
    if all.is_empty() { Err(none()) } else { Ok(all) }
}

fn verifier(
    name: &str,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(name, pem)? {
        let added = roots.add(authority);
        added.map_err(|error| wrong(format!("{name} has a certificate that does not decode")).with_source(error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| wrong(format!("{name} cannot be used")).with_source(error))
}

impl Loaded {
    /// What is wrong with it at this time, in words.
    pub(super) fn out_of_date(&self, now: Timestamp) -> Option<String> {
        let Certificate { not_before, not_after, .. } = self.certificate;
        if now >= not_after {
            Some(format!("the certificate of the port has expired, at {not_after}; callers refuse it"))
        } else if now < not_before {
            Some(format!("the certificate of the port is not valid before {not_before}; callers refuse it until then"))
        } else {
            None
        }
    }
}

/// Looks at files again.
#[derive(Clone)]
pub(super) struct Look {
    files: Files,
    /// What they were when it was last decided whether they can be used, or why they could not be read.
    settled: Result<Pem, String>,
    /// The same, when they were looked at last.
    seen: Result<Pem, String>,
    /// Whether it was said that what is new is not valid yet.
    early: bool,
}

impl Look {
    pub(super) fn new(files: Files, first: Pem) -> Self {
        Self { files, settled: Ok(first.clone()), seen: Ok(first), early: false }
    }

    /// What is new, or why it is left alone; `None` while nothing is. Whoever replaces several files does so one after the other,
    /// so what is new has to be there twice.
    pub(super) fn again(&mut self, now: Timestamp) -> Option<Result<Loaded>> {
        let read = self.files.read();
        let found = read.as_ref().map(Pem::clone).map_err(Error::to_string);
        let stands = found == self.seen;
        self.seen = found;
        if !stands || self.seen == self.settled {
            return None;
        }
        let loaded = read.and_then(|pem| self.files.names().load(&pem));
        // One whose time comes is taken then; it is said once that it is there.
        let early = loaded.as_ref().is_ok_and(|loaded| now < loaded.certificate.not_before);
        if !early {
            self.settled = self.seen.clone();
        } else if std::mem::replace(&mut self.early, true) {
            return None;
        }
        self.early = early;
        Some(loaded.and_then(|loaded| match loaded.out_of_date(now) {
            Some(problem) => Err(wrong(problem)),
            None => Ok(loaded),
        }))
    }
}
