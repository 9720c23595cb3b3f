//! The keys of an issuer: where they are, how they are read, and for how long they count.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::JwkSet;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Error, ErrorKind, Result};

/// How long keys are taken as they are.
pub(super) const FRESH: Duration = Duration::from_secs(600);
/// How long after one reading the next one may be, for a key that is not known.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// How long keys count that cannot be read again: one that was withdrawn is not known by then.
pub(super) const OLD: Duration = Duration::from_secs(24 * 3_600);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a set.
const MOST: usize = 256 << 10;

type Web = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// A place of keys.
pub(super) enum Keys {
    File(PathBuf),
    Web { uri: Uri, client: Box<Web> },
}

impl Keys {
    /// At a URL, or in a file.
    pub(super) fn at(place: &str) -> Result<Self> {
        if !place.contains("://") {
            return Ok(Self::File(place.into()));
        }
        let wrong = |why: &str| Error::new(ErrorKind::Configuration, format!("`jwt.keys` is `{place}`: {why}"));
        let uri: Uri = place.parse().map_err(|_| wrong("it is no URL"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            let context = "`jwt.keys` has a name or a password in its URL, which would stand in logs; keys are public, so leave it out";
            return Err(Error::new(ErrorKind::Configuration, context));
        }
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
        Ok(Self::Web { uri, client: Box::new(client) })
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

/// The keys as they are known now.
pub(super) struct Ring {
    keys: Keys,
    known: watch::Sender<Known>,
}

#[derive(Clone)]
struct Known {
    set: Arc<JwkSet>,
    /// When they were read.
    read: Option<Instant>,
    /// When that was last tried, and whether it failed.
    tried: Option<(Instant, bool)>,
    /// Whether they are being read.
    reading: bool,
}

impl Known {
    fn counts(&self) -> bool {
        self.read.is_some_and(|read| read.elapsed() < OLD)
    }

    fn was_tried(&self, within: Duration) -> bool {
        self.tried.is_some_and(|(at, _)| at.elapsed() < within)
    }
}

impl Ring {
    pub(super) fn of(keys: Keys) -> Arc<Self> {
        let known = Known { set: Arc::new(JwkSet { keys: Vec::new() }), read: None, tried: None, reading: false };
        Arc::new(Self { keys, known: watch::Sender::new(known) })
    }

    /// What `select` finds among the keys. Those that are known answer at once; where nothing is found, the keys are read again
    /// first, if that was not just done.
    ///
    /// Errors: [`Unavailable`](ErrorKind::Unavailable) when nothing is found and the keys cannot be read.
    pub(super) async fn find<T>(self: &Arc<Self>, select: impl Fn(&JwkSet) -> Option<T>) -> Result<Option<T>> {
        let mut known = self.known.subscribe();
        let now = known.borrow_and_update().clone();
        let found = |known: &Known| if known.counts() { select(&known.set) } else { None };
        if let Some(found) = found(&now) {
            if !now.was_tried(FRESH) {
                self.refresh();
            }
            return Ok(Some(found));
        }
        if now.reading || !now.was_tried(PAUSE) {
            self.refresh();
            // It goes on as long as the ring, which this call holds.
            let _ = known.wait_for(|known| !known.reading).await;
        }
        let now = known.borrow().clone();
        match (found(&now), now.tried) {
            (None, Some((_, true)) | None) => {
                Err(Error::new(ErrorKind::Unavailable, "the issuer's keys cannot be read; the log says why"))
            }
            (found, _) => Ok(found),
        }
    }

    /// Read the keys, beside whoever wants them: a call that gives up takes nothing away from the next one.
    fn refresh(self: &Arc<Self>) {
        let begins = self.known.send_if_modified(|known| !std::mem::replace(&mut known.reading, true));
        if !begins {
            return;
        }
        let (ring, mut reading) = (self.clone(), Reading(Some(self.clone())));
        tokio::spawn(async move {
            let read = ring.keys.read().await;
            let now = Instant::now();
            // Another one may begin as soon as this one has ended.
            drop(reading.0.take());
            ring.known.send_modify(|known| {
                known.reading = false;
                known.tried = Some((now, read.is_err()));
                match read {
                    Ok(set) => (known.set, known.read) = (Arc::new(set), Some(now)),
                    Err(error) => tracing::error!(%error, "those known so far count"),
                }
            });
        });
    }

    /// Until they are not being read.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        let _ = self.known.subscribe().wait_for(|known| !known.reading).await;
    }
}

/// The keys are being read. A reading that has no end of its own, because it panics or its runtime stops, has failed.
struct Reading(Option<Arc<Ring>>);

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(ring) = &self.0 {
            ring.known.send_modify(|known| {
                known.reading = false;
                known.tried = Some((Instant::now(), true));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_is_cut_off_has_failed_and_nobody_waits_for_it() {
        // It takes connections, and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ring = Ring::of(Keys::at(&format!("http://{}/keys", silent.local_addr().unwrap())).unwrap());
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let first = runtime();
        first.block_on(async {
            ring.refresh();
            tokio::task::yield_now().await;
        });
        assert!(ring.known.borrow().reading);
        drop(first);
        assert!(!ring.known.borrow().reading);
        let found = runtime().block_on(ring.find(|_| None::<()>));
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
