//! The file that says who may ask what.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};
use http::{Extensions, HeaderMap};
use serde::Deserialize;
use tokio::time::Instant;

use super::tokens::{Hash, Listed};
use super::{Access, Caller, Identify, Pipelines, Rate, bearer};
use crate::{Error, ErrorKind, Result};

/// How often the file is looked at, at most.
const LOOK: Duration = Duration::from_secs(5);

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    calls_per_second: Option<NonZeroU32>,
    burst: Option<NonZeroU32>,
    #[serde(default)]
    caller: BTreeMap<String, WrittenCaller>,
    jwt: Option<WrittenJwt>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCaller {
    /// `sha256:` and the hash of a token in hexadecimal digits.
    #[serde(default)]
    tokens: Vec<String>,
    /// Names in client certificates.
    #[serde(default)]
    certificates: Vec<String>,
    pipelines: Vec<String>,
}

/// Tokens that somebody else makes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenJwt {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// The URL or the file of the issuer's keys.
    pub(super) keys: String,
    pub(super) algorithms: Option<Vec<String>>,
}

/// Open a file, and keep an eye on it.
pub(super) fn open(path: PathBuf) -> Result<Access> {
    let stamp = stamp(&path)?;
    let (read, rate) = read(&path)?;
    let watched =
        Watched { path, state: Mutex::new(State { read: Arc::new(read), stamp, looked: Instant::now() }), rate };
    let access = Access::by(watched);
    Ok(match rate {
        Some(rate) => access.at_most(rate),
        None => access,
    })
}

/// What is known of a file.
struct Read {
    listed: Listed,
    #[cfg(feature = "jwt")]
    jwt: Option<super::jwt::Jwt>,
}

struct State {
    read: Arc<Read>,
    stamp: Stamp,
    looked: Instant,
}

/// A file that is read again when it has changed.
struct Watched {
    path: PathBuf,
    state: Mutex<State>,
    rate: Option<Rate>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    changed: Option<SystemTime>,
}

fn stamp(path: &Path) -> Result<Stamp> {
    let of = |metadata: Metadata| Stamp { length: metadata.len(), changed: metadata.modified().ok() };
    std::fs::metadata(path).map(of).map_err(|error| unreadable(path).with_source(error))
}

fn unreadable(path: &Path) -> Error {
    let context = format!("`{}`, the file of --access, cannot be read", path.display());
    Error::new(ErrorKind::Configuration, context)
}

fn read(path: &Path) -> Result<(Read, Option<Rate>)> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path).with_source(error))?;
    made(&text).map_err(|error| error.while_doing(format_args!("`{}`, the file of --access", path.display())))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, what)
}

/// From the text of a file.
fn made(text: &str) -> Result<(Read, Option<Rate>)> {
    let Written { calls_per_second, burst, caller: callers, jwt } = toml::from_str(text).map_err(|error| {
        // The error shows the line, and a line may hold a token that somebody wrote in place of its hash.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let said = error.message();
        let shown =
            if said.contains("unknown field") || said.contains("missing field") { said } else { "it does not read" };
        wrong(format!("line {line}: {shown}; see docs/access.md"))
    })?;
    let mut listed = Listed::default();
    for (name, WrittenCaller { tokens, certificates, pipelines }) in &callers {
        let refused = |what: &str| wrong(format!("`caller.{name}`: {what}"));
        if tokens.is_empty() && certificates.is_empty() {
            return Err(refused("it has neither `tokens` nor `certificates`, and nothing to be known by"));
        }
        if pipelines.is_empty() {
            return Err(refused("`pipelines` is empty; name those that it may read, or write \"*\" for all"));
        }
        let caller = Caller { name: name.as_str().into(), pipelines: Pipelines::named(pipelines) };
        for token in tokens {
            let hash = hash(token).ok_or_else(|| {
                refused("`tokens` has one that is not `sha256:` and 64 hexadecimal digits; `printf %s TOKEN | sha256sum` makes them")
            })?;
            if listed.tokens.insert(hash, caller.clone()).is_some_and(|other| other.name != caller.name) {
                return Err(refused("another caller has one of its tokens"));
            }
        }
        for certificate in certificates {
            let other = listed.certificates.insert(certificate.clone(), caller.clone());
            if other.is_some_and(|other| other.name != caller.name) {
                return Err(refused(&format!("another caller has the certificate `{certificate}`")));
            }
        }
    }
    #[cfg(not(any(feature = "tls", test)))]
    if !listed.certificates.is_empty() {
        return Err(wrong(
            "it names certificates, and this program was built without the feature `tls` of murmur-stream",
        ));
    }
    #[cfg(not(feature = "jwt"))]
    if jwt.is_some() {
        return Err(wrong("it has `jwt`, and this program was built without the feature `jwt` of murmur-stream"));
    }
    if callers.is_empty() && jwt.is_none() {
        return Err(wrong("it names nobody; write `[caller.NAME]` for one, or `[jwt]`"));
    }
    let rate = match (calls_per_second, burst) {
        (Some(per_second), burst) => Some(Rate { per_second, burst: burst.unwrap_or(per_second) }),
        (None, Some(_)) => return Err(wrong("`burst` needs `calls_per_second` beside it")),
        (None, None) => None,
    };
    let read = Read {
        listed,
        #[cfg(feature = "jwt")]
        jwt: jwt.map(super::jwt::Jwt::new).transpose()?,
    };
    Ok((read, rate))
}

/// The hash that a token is written as.
fn hash(written: &str) -> Option<Hash> {
    let digits = written
        .strip_prefix("sha256:")
        .filter(|digits| digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let mut hash = Hash::default();
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        // What is kept is whole at each moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file says, read again if it has changed and nobody has looked in the last seconds.
    fn now(&self) -> Arc<Read> {
        let mut state = self.state();
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            match stamp(&self.path) {
                Ok(stamp) if stamp == state.stamp => {}
                Ok(stamp) => {
                    state.stamp = stamp;
                    self.replace(&mut state);
                }
                Err(error) => tracing::error!(%error, "what it said before stays in force"),
            }
        }
        state.read.clone()
    }

    fn replace(&self, state: &mut State) {
        match read(&self.path) {
            Ok((read, rate)) => {
                state.read = Arc::new(read);
                tracing::info!(file = %self.path.display(), "the file of --access was read again");
                if rate != self.rate {
                    tracing::warn!("another `calls_per_second` or `burst` takes a new start");
                }
            }
            Err(error) => tracing::error!(%error, "what it said before stays in force"),
        }
    }
}

impl Identify for Watched {
    fn caller<'a>(
        &'a self,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<Caller>>> {
        async move {
            let read = self.now();
            if let Some(caller) = read.listed.caller(headers, extensions)? {
                return Ok(Some(caller));
            }
            let Some(token) = bearer(headers)? else { return Ok(None) };
            #[cfg(feature = "jwt")]
            if let Some(jwt) = &read.jwt {
                return jwt.caller(token).await.map(Some);
            }
            let _ = token;
            Err(Error::new(ErrorKind::Denied, "the token is not one that this server knows"))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn hashed(token: &str) -> String {
        let digits: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }

    fn headers(token: &str) -> HeaderMap {
        [(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())].into_iter().collect()
    }

    fn caller_of(token: &str, pipelines: &str) -> String {
        format!("[caller.shop]\ntokens = [\"{}\"]\npipelines = [{pipelines}]\n", hashed(token))
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_way_out_and_without_what_it_says() {
        let good = caller_of("s3cret", "\"*\"");
        assert!(made(&good).is_ok());
        for (text, says) in [
            (String::new(), "it names nobody"),
            ("[caller.shop]\npipelines = [\"*\"]".to_owned(), "`caller.shop`: it has neither `tokens` nor"),
            (caller_of("s3cret", ""), "`pipelines` is empty"),
            ("[caller.shop]\ntokens = [\"s3cret\"]\npipelines = [\"*\"]".to_owned(), "sha256sum"),
            ("[caller.shop]\ntokens = \"s3cret\"\npipelines = [\"*\"]".to_owned(), "line 2: it does not read"),
            ("\n[caller.shop]\ntoken = [\"s3cret\"]\npipelines = [\"*\"]".to_owned(), "line 3: unknown field `token`"),
            (
                format!("{good}[caller.other]\ntokens = [\"{}\"]\npipelines = [\"a\"]", hashed("s3cret")),
                "another caller",
            ),
            (format!("burst = 3\n{good}"), "`burst` needs `calls_per_second`"),
            (format!("calls_per_second = 0\n{good}"), "line 1"),
            ("sha256:+f".to_owned(), "line 1"),
        ] {
            let error = made(&text).map(|_| ()).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_taken_out_of_the_file_is_refused_soon_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, caller_of("old", "\"likes\"")).unwrap();
        let access = open(path.clone()).unwrap();
        let extensions = Extensions::new();
        let admit = async |token: &str| access.admit(&headers(token), &extensions).await;
        let caller = admit("old").await.unwrap();
        assert_eq!((&*caller.name, caller.pipelines), ("shop", Pipelines::named(["likes"])));
        assert_eq!(admit("older").await.unwrap_err().code(), tonic::Code::Unauthenticated);

        std::fs::write(&path, "what = is this").unwrap();
        tokio::time::advance(LOOK).await;
        assert!(admit("old").await.is_ok());

        std::fs::write(&path, caller_of("newer", "\"likes\"")).unwrap();
        tokio::time::advance(LOOK).await;
        assert!(admit("newer").await.is_ok());
        let refused = admit("old").await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        assert!(!refused.message().contains("old"), "{refused}");

        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK).await;
        assert!(admit("newer").await.is_ok());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = open("no/such/file.toml".into()).unwrap_err();
        assert!(error.to_string().contains("`no/such/file.toml`, the file of --access"), "{error}");
    }
}
