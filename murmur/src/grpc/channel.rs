//! How a client reaches a server: by `http://`, or by `https://` with certificates.

use std::fmt;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::{Error, ErrorKind, Result};

/// How a client knows its server, and shows who it is itself, where it speaks TLS. With the default it knows the authorities of
/// this machine, and shows nothing.
#[derive(Clone, Default)]
pub struct ClientTls {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorities, identity } = self;
        f.debug_struct("ClientTls")
            .field("authorities", &authorities.is_some())
            .field("identity", &identity.is_some())
            .finish()
    }
}

impl ClientTls {
    /// Only servers with a certificate by one of these authorities, in PEM, are spoken to.
    #[must_use]
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// Show this certificate, with its private key, both in PEM, to a server that asks for one.
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    fn is_default(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }
}

/// Connect to `http://host:port` or `https://host:port`.
pub(crate) async fn connect(uri: &str, tls: &ClientTls) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(uri.to_owned()).map_err(|error| {
        let what = format!("`{uri}` is not the address of a server; write `http://host:port` or `https://host:port`");
        Error::new(ErrorKind::Configuration, what).with_source(error)
    })?;
    let scheme = endpoint.uri().scheme_str().unwrap_or("http").to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        let what = format!(
            "`{uri}` is by `{scheme}`, which no server here speaks; write `http://host:port`, or `https://host:port` for one with TLS"
        );
        return Err(Error::new(ErrorKind::Configuration, what));
    }
    let by_tls = scheme == "https";
    if !by_tls && !tls.is_default() {
        let what = format!("certificates are for servers with TLS, and `{uri}` is none; write `https://host:port`");
        return Err(Error::new(ErrorKind::Configuration, what));
    }
    let endpoint = if by_tls { secured::endpoint(endpoint, tls)? } else { endpoint };
    // A server that went without a word is noticed while it is waited for.
    let endpoint =
        endpoint.http2_keep_alive_interval(Duration::from_secs(30)).keep_alive_timeout(Duration::from_secs(20));
    endpoint.connect().await.map_err(|error| {
        secured::refused(uri, &error).unwrap_or_else(|| {
            Error::new(ErrorKind::Unavailable, format!("`{uri}` cannot be reached")).with_source(innermost(&error))
        })
    })
}

/// Why a call was not answered, where it was the connection and not the server that says so: it broke, or could not begin.
/// Such a call can be sent again, as all methods only read.
pub(crate) fn broken(status: &Status) -> Option<String> {
    // What a server has said has no source.
    let source = std::error::Error::source(status)?;
    let ours = match status.code() {
        Code::Unknown | Code::Internal | Code::Unavailable => true,
        // Never sent, as its connection had ended; otherwise its time was up.
        Code::Cancelled => std::iter::successors(Some(source), |cause| cause.source())
            .any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_canceled)),
        _ => false,
    };
    ours.then(|| why(source))
}

/// The status of a call that could not begin.
pub(crate) fn away(error: &(dyn std::error::Error + 'static)) -> Status {
    Status::unavailable(why(error))
}

/// What an error comes from: those around it say little more than that there is one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn why(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = innermost(error);
    // By TLS 1.3 a client has begun before the server has seen what it has to show.
    let unseen = ["operation was canceled", "received fatal alert"].iter().any(|text| cause.contains(text));
    let way_out =
        if unseen { "; a server that asks for certificates has to be shown one (`--client-cert`)" } else { "" };
    format!("the connection to the server broke, or could not begin: {cause}{way_out}")
}

#[cfg(feature = "tls")]
mod secured {
    use std::error::Error as Any;
    use std::io;
    use std::time::Duration;

    use rustls::CertificateError;
    use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

    use super::ClientTls;
    use crate::{Error, ErrorKind, Result};

    /// How long the beginning of a connection may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(super) fn endpoint(endpoint: Endpoint, tls: &ClientTls) -> Result<Endpoint> {
        let config = ClientTlsConfig::new().timeout(PATIENCE);
        let config = match &tls.authorities {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        let config = match &tls.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        };
        endpoint.tls_config(config).map_err(|error| {
            let what = "the certificates of the client cannot be used; give files in PEM: authorities, or a certificate and the \
                        private key that belongs to it";
            Error::new(ErrorKind::Configuration, what).with_source(error)
        })
    }

    /// What a certificate has to do with it, and the way out.
    pub(super) fn refused(uri: &str, error: &tonic::transport::Error) -> Option<Error> {
        let cause = of_tls(error)?;
        let why = match cause {
            rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
            rustls::Error::AlertReceived(_) => "it refuses us; show it a certificate that it knows (`--client-cert`)",
            rustls::Error::PeerIncompatible(_) => "it has no version of TLS, or no cipher, that this program has",
            _ => "it does not speak TLS as it should; one without TLS is asked by `http://`",
        };
        Some(Error::new(ErrorKind::Denied, format!("`{uri}`: {why}")))
    }

    fn of_certificate(wrong: &CertificateError) -> &'static str {
        match wrong {
            CertificateError::UnknownIssuer => {
                "its certificate is by no authority that is known here; name a file with its authority (`--tls-ca`)"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for other names than this one"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; compare the clocks"
            }
            CertificateError::BadSignature => "its certificate was not signed by the authority that it names",
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not for servers (`extendedKeyUsage=serverAuth`)"
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "its certificate is signed in a way that this program does not know"
            }
            CertificateError::BadEncoding => "its certificate does not decode",
            // The verifier has no error of its own for it.
            CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
                "its certificate is that of an authority, as plain `openssl req -x509` makes one; give the server one that such an \
                 authority has signed, or make it with `-addext basicConstraints=CA:FALSE`"
            }
            _ => "its certificate is refused",
        }
    }

    fn of_tls<'a>(error: &'a (dyn Any + 'static)) -> Option<&'a rustls::Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // An error of input and output passes over what it is made of.
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

#[cfg(not(feature = "tls"))]
mod secured {
    use tonic::transport::Endpoint;

    use super::ClientTls;
    use crate::{Error, ErrorKind, Result};

    pub(super) fn endpoint(endpoint: Endpoint, _: &ClientTls) -> Result<Endpoint> {
        let what = format!(
            "`{}` needs TLS, which this program was built without; build it with the feature `tls`",
            endpoint.uri()
        );
        Err(Error::new(ErrorKind::Configuration, what))
    }

    pub(super) fn refused(_: &str, _: &tonic::transport::Error) -> Option<Error> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(uri: &str) -> Error {
        connect(uri, &ClientTls::default()).await.map(drop).unwrap_err()
    }

    #[tokio::test]
    async fn an_address_of_another_scheme_is_refused_by_its_name_with_those_that_there_are() {
        for uri in ["ftp://localhost", "FTP://localhost:21", "grpc://localhost:50051"] {
            let error = refused(uri).await;
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            let scheme = uri.split_once(':').unwrap().0.to_lowercase();
            assert!(error.to_string().contains(&format!("`{uri}` is by `{scheme}`")), "{error}");
            assert!(error.to_string().contains("write `http://host:port`, or `https://host:port`"), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_at_which_nobody_listens_is_said_with_what_the_system_says_of_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = refused(&uri).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with(&format!("`{uri}` cannot be reached: Connection refused")), "{error}");
    }
}
