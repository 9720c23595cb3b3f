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
mod rate;
mod tokens;

use std::collections::BTreeSet;
use std::sync::Arc;

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
    /// of the server have added. `None` when there is nothing in them that this way looks at, so that another one is asked.
    ///
    /// Errors: [`Denied`](ErrorKind::Denied) when there is, and nobody is known by it; the text goes to the caller.
    /// [`Unavailable`](ErrorKind::Unavailable) when that cannot be said now.
    fn caller<'a>(
        &'a self,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<Caller>>>;
}

/// The token of `authorization: Bearer`.
///
/// Errors: a header of another kind, or one that is no text.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match token {
        Some(token) if !token.is_empty() => Ok(Some(token)),
        _ => Err(Error::new(ErrorKind::Denied, "the header `authorization` is not `Bearer` and a token")),
    }
}

/// Who may ask a server what. Without one, everybody may ask everything.
#[derive(Clone)]
pub struct Access {
    ways: Vec<Arc<dyn Identify>>,
    limiter: Option<Arc<Limiter>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access by {} ways", self.ways.len())
    }
}

impl Access {
    /// By one way. With [`or`](Self::or) another one is asked where this one finds nothing to look at.
    pub fn by(way: impl Identify) -> Self {
        Self { ways: vec![Arc::new(way)], limiter: None }
    }

    /// As a file says, which is read again when it changes: see [the guide](https://github.com/murmur-stream/murmur/blob/main/docs/access.md).
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) names the file and what is wrong with it.
    pub fn file(path: impl Into<std::path::PathBuf>) -> Result<Self> {
        file::open(path.into())
    }

    /// Another way to know callers, asked where those before find nothing to look at.
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

    /// Who sends this.
    pub(super) async fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, Status> {
        for way in &self.ways {
            match way.caller(headers, extensions).await {
                Ok(Some(caller)) => {
                    if let Some(limiter) = &self.limiter {
                        limiter.count(&caller.name)?;
                    }
                    return Ok(caller);
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    tracing::error!(%error, "a caller cannot be known now");
                    return Err(Reason::ACCESS_UNAVAILABLE.status("who calls cannot be found out now; call again"));
                }
                Err(error) => return Err(Reason::CALLER_UNKNOWN.status(error.context())),
            }
        }
        Err(Reason::CREDENTIALS_MISSING.status(
            "this server wants to know who calls; send a token as `authorization: Bearer TOKEN`, or a client certificate",
        ))
    }
}

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
