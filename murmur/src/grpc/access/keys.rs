//! Where an issuer's keys are, and how they are read.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::JwkSet;

use crate::{Error, ErrorKind, Result};

/// How long keys are taken as they are.
pub(super) const FRESH: Duration = Duration::from_secs(600);
/// How long after one reading the next one may be, for a key that is not known.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a set.
const MOST: usize = 256 << 10;

type Web = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// A place of keys.
pub(super) enum Keys {
    File(PathBuf),
    Web { uri: Uri, client: Web },
}

impl Keys {
    /// At a URL, or in a file.
    pub(super) fn at(place: &str) -> Result<Self> {
        if !place.contains("://") {
            return Ok(Self::File(place.into()));
        }
        let wrong = |why: &str| Error::new(ErrorKind::Configuration, format!("`jwt.keys` is `{place}`: {why}"));
        let uri: Uri = place.parse().map_err(|_| wrong("it is no URL"))?;
        let host = uri.host().unwrap_or_default();
        let here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if uri.scheme_str() != Some("https") && !(uri.scheme_str() == Some("http") && here) {
            return Err(wrong("whoever stands between could put keys of his own there; write `https://`, or a file"));
        }
        let https = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
            wrong("this machine has no certificate authorities, without which nothing can be trusted")
                .with_source(error)
        })?;
        let client = Client::builder(TokioExecutor::new()).build(https.https_or_http().enable_http1().build());
        Ok(Self::Web { uri, client })
    }

    /// Read them.
    pub(super) async fn read(&self) -> Result<JwkSet> {
        let bytes = match self {
            Self::File(path) => Bytes::from(tokio::fs::read(path).await.map_err(|error| {
                let context = format!("`{}`, the issuer's keys, cannot be read", path.display());
                Error::new(ErrorKind::Unavailable, context).with_source(error)
            })?),
            Self::Web { uri, client } => {
                let unavailable =
                    |why: &str| Error::new(ErrorKind::Unavailable, format!("{uri}, the issuer's keys: {why}"));
                let fetched = async {
                    let response = client.get(uri.clone()).await;
                    let response = response.map_err(|error| unavailable("not reached").with_source(error))?;
                    if !response.status().is_success() {
                        return Err(unavailable(&format!("the answer is {}", response.status())));
                    }
                    let body = Limited::new(response.into_body(), MOST).collect().await;
                    Ok(body
                        .map_err(|error| unavailable("the answer is cut off, or too long").with_source(error))?
                        .to_bytes())
                };
                let late = |_| unavailable("no answer in time");
                tokio::time::timeout(PATIENCE, fetched).await.map_err(late)??
            }
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::new(ErrorKind::Unavailable, "the issuer's keys are no JWK set").with_source(error))
    }
}
