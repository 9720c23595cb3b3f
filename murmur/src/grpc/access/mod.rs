//! Who may ask what: callers, how they are known, what they may read, and how often they may call.
//!
//! A request is [admitted](Access::admit) before its service sees it: each of the ways to know a caller
//! ([`Identify`]) looks at its headers and at what the port knows of its connection. Permission to read is asked for each
//! call of a pipeline. Nothing of a token gets into a log or an error.

mod file;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod keys;
mod listed;
mod rate;
pub(super) mod standing;
#[cfg(feature = "jwt")]
mod verified;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use tonic::Status;

use self::rate::Limiter;
pub use self::rate::Rate;
use super::refusal::Reason;
use crate::{Error, ErrorKind, Result};

/// One who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the logs call it; calls are limited by this name.
    pub name: Arc<str>,
    /// What it may read.
    pub pipelines: Pipelines,
    /// When it has to show itself anew, such as the end of its token: a stream that was begun by then ends. `None` where nobody
    /// knows of an end; it is looked at every five seconds all the same. That of the client's certificate counts beside it.
    pub until: Option<SystemTime>,
}

/// Pipelines that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pipelines {
    /// Each, those of later versions too.
    All,
    /// Those named.
    Named(BTreeSet<String>),
}

impl Pipelines {
    /// Of names, where `*` is all.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        if names.contains("*") { Self::All } else { Self::Named(names) }
    }

    /// Whether this pipeline is among them.
    pub fn contains(&self, pipeline: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(pipeline),
        }
    }
}

/// A way to know a caller. Tokens and certificates of a file are two, `jwt` is one, and a program may have its own.
pub trait Identify: Send + Sync + 'static {
    /// Who sends a request with these headers, and these extensions: what the port knows of the connection, and what layers in front
    /// of the server have added. `None` when there is nothing in them that this way looks at.
    ///
    /// Errors: [`Denied`](ErrorKind::Denied) when there is, and nobody is known by it; the text goes to the caller, unless another
    /// way knows it; [`expired`] or [`unfit`] where more is known. [`Unavailable`](ErrorKind::Unavailable) when that cannot be said now.
    /// Others are for the log alone.
    fn caller<'a>(
        &'a self,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<Caller>>>;

    /// Told once, before a server begins: the names of its pipelines. A way that names pipelines itself can say in the log which of
    /// them there are not.
    fn serves(&self, pipelines: &[String]) {
        let _ = pipelines;
    }

    /// What goes on while a server runs, such as reading a file again; it never ends.
    fn keep(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }
}

/// The token of `authorization: Bearer`; `None` without that header.
///
/// Errors: [`Denied`](ErrorKind::Denied) for a header of another kind, one that is no text, or two of them, of which somebody in
/// front may have looked at the other one.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => {
            return Err(Error::new(ErrorKind::Denied, "there are two headers `authorization`; send one"));
        }
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(Error::new(ErrorKind::Denied, "the header `authorization` is not `Bearer` and a token")),
    }
}

/// The error of an [`Identify`] that knows what a caller shows, and knows that it has ended: the caller is told by the reason
/// `TOKEN_EXPIRED`, which a program takes as a request to get a new one. The text goes to the caller.
pub fn expired(why: impl Into<String>) -> Error {
    Reason::TOKEN_EXPIRED.denied(why)
}

/// The error of an [`Identify`] that knows who has made what a caller shows, and that it is for somebody else, or for another time: the
/// caller is told by the reason `TOKEN_UNFIT`. The text goes to the caller, so make sure first that it is no forgery.
pub fn unfit(why: impl Into<String>) -> Error {
    Reason::TOKEN_UNFIT.denied(why)
}

/// Who may ask a server what. Without one, everybody may ask everything.
#[derive(Clone)]
pub struct Access {
    ways: Vec<Arc<dyn Identify>>,
    limiter: Option<Arc<Limiter>>,
    /// Whether one of its callers can be known by a certificate alone.
    certificates: bool,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access by {} ways", self.ways.len())
    }
}

impl Access {
    /// By one way. With [`or`](Self::or) another one is asked where this one knows nobody.
    pub fn by(way: impl Identify) -> Self {
        Self { ways: vec![Arc::new(way)], limiter: None, certificates: false }
    }

    /// As a file in TOML says, `docs/access.md` in the repository. While a server runs, it is read again when it has changed.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) names the file and what is wrong with it.
    pub fn file(path: impl Into<std::path::PathBuf>) -> Result<Self> {
        file::open(path.into())
    }

    /// Another way to know callers, asked where those before know nobody.
    #[must_use]
    pub fn or(mut self, way: impl Identify) -> Self {
        self.ways.push(Arc::new(way));
        self
    }

    /// No more calls of each caller than these.
    #[must_use]
    pub fn at_most(mut self, rate: Rate) -> Self {
        self.limiter = Some(Arc::new(Limiter::new(rate)));
        self
    }

    /// Whether its file names certificates, which only a port that asks for them gets to see.
    pub fn names_certificates(&self) -> bool {
        self.certificates
    }

    /// These are the pipelines of the server.
    pub(super) fn serves(&self, pipelines: &[String]) {
        self.ways.iter().for_each(|way| way.serves(pipelines));
    }

    /// What goes on while a server runs; it never ends.
    pub(super) async fn keep(&self) {
        futures_util::future::join_all(self.ways.iter().map(|way| way.keep())).await;
        std::future::pending().await
    }

    /// Who sends this; it counts as a call.
    pub(super) async fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, Status> {
        let caller = self.caller(headers, extensions).await?;
        if let Some(limiter) = &self.limiter {
            limiter.count(&caller.name)?;
        }
        Ok(caller)
    }

    /// Who has sent this; it does not count as a call. Whatever else a caller shows, nobody is known beyond the end of the certificate
    /// of its connection, which may be older than that.
    pub(super) async fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, Status> {
        let certified = certified(extensions);
        if certified.is_some_and(|until| until <= SystemTime::now()) {
            return Err(Reason::TOKEN_EXPIRED.status("the certificate has expired; connect with a new one"));
        }
        let mut refused: Option<Error> = None;
        for way in &self.ways {
            match way.caller(headers, extensions).await {
                Ok(Some(caller)) => {
                    let until = caller.until.into_iter().chain(certified).min();
                    return Ok(Caller { until, ..caller });
                }
                Ok(None) => {}
                Err(error) => {
                    if refused.as_ref().is_none_or(|before| weight(before) < weight(&error)) {
                        refused = Some(error);
                    }
                }
            }
        }
        Err(match refused {
            None => Reason::CREDENTIALS_MISSING.status(
                "this server wants to know who calls; send a token as `authorization: Bearer TOKEN`, or a client certificate",
            ),
            Some(error) => match error.kind() {
                ErrorKind::Denied => Reason::of(&error).unwrap_or(Reason::CALLER_UNKNOWN).status(error.context()),
                ErrorKind::Unavailable => {
                    tracing::error!(%error, "who calls cannot be found out now");
                    Reason::ACCESS_UNAVAILABLE.status("who calls cannot be found out now; call again")
                }
                _ => {
                    tracing::error!(%error, "who calls cannot be found out");
                    Reason::INTERNAL.status("internal error; the server's log has more")
                }
            },
        })
    }
}

/// When the certificate of a connection ends, where it has one that says so.
#[cfg(feature = "tls")]
fn certified(extensions: &Extensions) -> Option<SystemTime> {
    extensions.get::<super::ClientCertificate>()?.until
}

#[cfg(not(feature = "tls"))]
fn certified(_: &Extensions) -> Option<SystemTime> {
    None
}

/// How much it says that a way knows nobody: one that knows what is shown says more than one that does not, and what cannot be said now
/// may be a yes.
fn weight(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Denied => u8::from(Reason::of(error).is_some()),
        _ => 2,
    }
}

/// In the extensions of a request that strangers may make too: why its caller is one.
#[derive(Clone)]
pub(super) struct Stranger(pub(super) Status);

impl Caller {
    /// Whether it may read a pipeline.
    pub(super) fn may_read(&self, pipeline: &str) -> Result<(), Status> {
        if self.pipelines.contains(pipeline) {
            return Ok(());
        }
        let text = format!("`{}` may not read `{pipeline}`; whoever runs the server can permit it", self.name);
        Err(Reason::PIPELINE_FORBIDDEN.status(text))
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use std::time::Duration;

    use tonic_types::StatusExt;

    use super::*;
    use crate::grpc::ClientCertificate;

    /// Everybody is this one.
    struct Always(Caller);

    impl Identify for Always {
        fn caller<'a>(&'a self, _: &'a HeaderMap, _: &'a Extensions) -> BoxFuture<'a, Result<Option<Caller>>> {
            std::future::ready(Ok(Some(self.0.clone()))).boxed()
        }
    }

    #[tokio::test]
    async fn whatever_a_caller_shows_it_is_known_until_the_certificate_of_its_connection_ends_at_the_latest() {
        let (now, minute) = (SystemTime::now(), Duration::from_secs(60));
        let known = async |of_token: Option<SystemTime>, certificate: Option<ClientCertificate>| {
            let caller = Caller { name: "a".into(), pipelines: Pipelines::All, until: of_token };
            let mut extensions = Extensions::new();
            certificate.into_iter().for_each(|certificate| drop(extensions.insert(certificate)));
            Access::by(Always(caller)).caller(&HeaderMap::new(), &extensions).await.map(|caller| caller.until)
        };
        let until = |until| Some(ClientCertificate { until, ..ClientCertificate::default() });
        let (sooner, later) = (Some(now + minute), Some(now + 2 * minute));
        for (of_token, certificate, expected) in [
            (None, None, None),
            (sooner, None, sooner),
            (None, until(None), None),
            (sooner, until(None), sooner),
            (None, until(sooner), sooner),
            (sooner, until(later), sooner),
            (later, until(sooner), sooner),
        ] {
            assert_eq!(known(of_token, certificate.clone()).await.unwrap(), expected, "{of_token:?} {certificate:?}");
        }
        for of_token in [None, later] {
            let refused = known(of_token, until(Some(now))).await.unwrap_err();
            assert_eq!(refused.get_details_error_info().unwrap().reason, Reason::TOKEN_EXPIRED.name);
            assert!(refused.message().contains("the certificate has expired"), "{refused}");
        }
    }
}
