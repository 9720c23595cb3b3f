//! The file that says who may ask what.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http::{Extensions, HeaderMap};
use serde::Deserialize;

use super::listed::{Hash, Kind, Listed};
use super::{Access, Caller, Identify, Pipelines, Rate, bearer};
use crate::{Error, ErrorKind, Result};

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(5);

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
    /// Names in client certificates, with their kind in front.
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
    watched(path, EVERY)
}

/// The same, looked at this often.
fn watched(path: PathBuf, every: Duration) -> Result<Access> {
    let text = text(&path)?;
    let made = made(&text, None).map_err(|error| named(&path, error))?;
    let (rate, certificates) = (made.rate, !made.listed.certificates.is_empty());
    let made = RwLock::new(Arc::new(made));
    let access = Access::by(Watched { path, text, every, made, pipelines: OnceLock::new() });
    let access = Access { certificates, ..access };
    Ok(match rate {
        Some(rate) => access.at_most(rate),
        None => access,
    })
}

/// What a file says.
struct Made {
    listed: Listed,
    /// The callers and the pipelines that it names.
    named: Vec<(String, String)>,
    rate: Option<Rate>,
    #[cfg(feature = "jwt")]
    jwt: Option<(WrittenJwt, Arc<super::jwt::Jwt>)>,
}

/// A file that is read again when it has changed.
struct Watched {
    path: PathBuf,
    /// What it was when it was opened.
    text: String,
    every: Duration,
    made: RwLock<Arc<Made>>,
    /// Those of the server, once it begins.
    pipelines: OnceLock<Vec<String>>,
}

fn unreadable(path: &Path) -> Error {
    let context = format!("`{}`, the file of --access, cannot be read", path.display());
    Error::new(ErrorKind::Configuration, context)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path).with_source(error))
}

fn named(path: &Path, error: Error) -> Error {
    error.while_doing(format_args!("`{}`, the file of --access", path.display()))
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, what)
}

/// From the text of a file. An issuer that stands in it as `before` keeps its keys.
fn made(text: &str, before: Option<&Made>) -> Result<Made> {
    let Written { calls_per_second, burst, caller: callers, jwt } = toml::from_str(text).map_err(|error| {
        // The error shows the line, and a line may hold a token that somebody wrote in place of its hash.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let said = error.message();
        let shown =
            if said.contains("unknown field") || said.contains("missing field") { said } else { "it does not read" };
        wrong(format!("line {line}: {shown}; see docs/access.md"))
    })?;
    let (mut listed, mut named) = (Listed::default(), Vec::new());
    for (name, WrittenCaller { tokens, certificates, pipelines }) in &callers {
        let refused = |what: &str| wrong(format!("`caller.{name}`: {what}"));
        if name.starts_with("jwt:") {
            return Err(refused("names with `jwt:` are those of tokens by an issuer; take another one"));
        }
        if tokens.is_empty() && certificates.is_empty() {
            return Err(refused("it has neither `tokens` nor `certificates`, and nothing to be known by"));
        }
        if pipelines.is_empty() {
            return Err(refused("`pipelines` is empty; name those that it may read, or write \"*\" for all"));
        }
        named.extend(
            pipelines.iter().filter(|pipeline| *pipeline != "*").map(|pipeline| (name.clone(), pipeline.clone())),
        );
        let caller = Caller { name: name.as_str().into(), pipelines: Pipelines::named(pipelines), until: None };
        for token in tokens {
            let hash = hash(token).ok_or_else(|| {
                refused("`tokens` has one that is not `sha256:` and 64 hexadecimal digits; `printf %s TOKEN | sha256sum` makes them")
            })?;
            if listed.tokens.insert(hash, caller.clone()).is_some_and(|other| other.name != caller.name) {
                return Err(refused("another caller has one of its tokens"));
            }
        }
        for certificate in certificates {
            let kind = Kind::ALL.into_iter().find_map(|(prefix, kind)| Some((kind, certificate.strip_prefix(prefix)?)));
            let Some((kind, of)) = kind.filter(|(_, of)| !of.is_empty()) else {
                let kinds = Kind::ALL.map(|(prefix, _)| prefix).join(", ");
                return Err(refused(&format!(
                    "`certificates` has `{certificate}`; say in front which kind of name it is: {kinds}"
                )));
            };
            let other = listed.certificates.insert((kind, of.to_owned()), caller.clone());
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
    #[cfg(not(feature = "jwt"))]
    let _ = before;
    Ok(Made {
        listed,
        named,
        rate,
        #[cfg(feature = "jwt")]
        jwt: jwt.map(|jwt| issuer(jwt, before)).transpose()?,
    })
}

#[cfg(feature = "jwt")]
fn issuer(written: WrittenJwt, before: Option<&Made>) -> Result<(WrittenJwt, Arc<super::jwt::Jwt>)> {
    let kept = before.and_then(|before| before.jwt.as_ref()).filter(|(before, _)| *before == written);
    match kept {
        Some((_, jwt)) => Ok((written, jwt.clone())),
        None => Ok((written.clone(), Arc::new(super::jwt::Jwt::new(written)?))),
    }
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
    fn now(&self) -> Arc<Made> {
        // What is kept is whole at each moment.
        self.made.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Say which pipelines it names that the server has not. That is no error: several servers may have one file, and it may name a
    /// pipeline before the program that has it is here.
    fn warn_of_unknown(&self, made: &Made) {
        let Some(pipelines) = self.pipelines.get() else { return };
        let known = || pipelines.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        for (caller, pipeline) in made.named.iter().filter(|(_, named)| !pipelines.contains(named)) {
            let file = self.path.display();
            tracing::warn!(
                "`{file}`, the file of --access: `caller.{caller}` names the pipeline `{pipeline}`, which this server has not; it has {}",
                known()
            );
        }
    }

    /// Take what the file says now, if that reads.
    fn replace(&self, text: &str) {
        let before = self.now();
        match made(text, Some(&before)) {
            Ok(made) => {
                if made.rate != before.rate {
                    tracing::warn!("changed `calls_per_second` or `burst` count after a restart");
                }
                if !made.listed.certificates.is_empty() && before.listed.certificates.is_empty() {
                    tracing::warn!("certificates are seen by a port that asks for them (`--tls-client-ca`)");
                }
                self.warn_of_unknown(&made);
                *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
                tracing::info!(file = %self.path.display(), "the file of --access was read again");
            }
            Err(error) => tracing::error!(error = %named(&self.path, error), "what it said before stays in force"),
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
            let made = self.now();
            if let Some(caller) = made.listed.caller(headers, extensions)? {
                return Ok(Some(caller));
            }
            let Some(token) = bearer(headers)? else { return Ok(None) };
            #[cfg(feature = "jwt")]
            if let Some((_, jwt)) = &made.jwt {
                return jwt.caller(token).await.map(Some);
            }
            let _ = token;
            Err(Error::new(ErrorKind::Denied, "the token is not one that this server knows"))
        }
        .boxed()
    }

    fn serves(&self, pipelines: &[String]) {
        if self.pipelines.set(pipelines.to_vec()).is_ok() {
            self.warn_of_unknown(&self.now());
        }
    }

    /// Look at the file again and again. Whoever writes it may not have ended, so what is new has to be there twice.
    fn keep(&self) -> BoxFuture<'_, ()> {
        async move {
            let mut settled = Ok(self.text.clone());
            let mut seen = settled.clone();
            loop {
                tokio::time::sleep(self.every).await;
                let path = self.path.clone();
                // The disk may be slow.
                let looked = tokio::task::spawn_blocking(move || text(&path).map_err(|error| error.to_string())).await;
                // A runtime that ends takes the server with it.
                let Ok(found) = looked else { return std::future::pending().await };
                let stands = found == seen;
                seen = found;
                if !stands || seen == settled {
                    continue;
                }
                settled = seen.clone();
                match &settled {
                    Ok(text) => self.replace(text),
                    Err(error) => tracing::error!(error, "what it said before stays in force"),
                }
            }
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

    const LOOK: Duration = Duration::from_millis(20);

    fn headers(token: &str) -> HeaderMap {
        [(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())].into_iter().collect()
    }

    fn caller_of(token: &str, pipelines: &str) -> String {
        format!("[caller.shop]\ntokens = [\"{}\"]\npipelines = [{pipelines}]\n", hashed(token))
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_with_the_way_out_and_without_what_it_says() {
        let good = caller_of("s3cret", "\"*\"");
        assert!(made(&good, None).is_ok());
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
            (good.replace("caller.shop", "caller.\"jwt:shop\""), "names with `jwt:`"),
            ("[caller.shop]\ncertificates = [\"shop\"]\npipelines = [\"*\"]".to_owned(), "uri:, dns:, email:, cn:"),
        ] {
            let error = made(&text, None).map(|_| ()).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(says), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_taken_out_of_the_file_is_refused_soon_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            // As a copy that keeps its times would have it.
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        };
        write(&caller_of("old", "\"likes\""));
        let access = Arc::new(watched(path.clone(), LOOK).unwrap());
        let extensions = Extensions::new();
        let admit = async |token: &str| access.admit(&headers(token), &extensions).await;
        let caller = admit("old").await.unwrap();
        assert_eq!((&*caller.name, caller.pipelines), ("shop", Pipelines::named(["likes"])));
        assert_eq!(admit("older").await.unwrap_err().code(), tonic::Code::Unauthenticated);

        let keeping = access.clone();
        let keeping = tokio::spawn(async move { keeping.keep().await });
        write("what = is this");
        tokio::time::sleep(3 * LOOK).await;
        assert!(admit("old").await.is_ok());
        write(&caller_of("new", "\"likes\""));
        while admit("new").await.is_err() {
            tokio::time::sleep(LOOK / 10).await;
        }
        let refused = admit("old").await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        assert!(!refused.message().contains("old"), "{refused}");
        std::fs::remove_file(&path).unwrap();
        tokio::time::sleep(3 * LOOK).await;
        assert!(admit("new").await.is_ok());
        keeping.abort();
    }

    #[test]
    fn a_pipeline_that_the_server_has_not_is_told_of_at_the_beginning_and_when_the_file_is_another_one() {
        use crate::metrics::tests::lines::Lines;
        let lines = Lines::keep();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.toml");
        std::fs::write(&path, caller_of("old", "\"likes\", \"lies\", \"*\"")).unwrap();
        let made = RwLock::new(Arc::new(made(&text(&path).unwrap(), None).unwrap()));
        let watched =
            Watched { path: path.clone(), text: String::new(), every: LOOK, made, pipelines: OnceLock::new() };
        watched.serves(&["likes".to_owned(), "views".to_owned()]);
        let said = lines.text();
        let says = format!(
            "`{}`, the file of --access: `caller.shop` names the pipeline `lies`, which this server has not; it has `likes`, `views`",
            path.display()
        );
        assert!(said.contains("WARN") && said.contains(&says), "{said}");
        assert!(!said.contains("pipeline `likes`") && !said.contains("pipeline `*`"), "{said}");
        watched.replace(&caller_of("old", "\"vies\""));
        assert!(lines.text().contains("names the pipeline `vies`"), "{}", lines.text());
    }

    #[cfg(all(feature = "jwt", feature = "tls"))]
    #[test]
    fn the_file_of_the_guide_reads() {
        let guide = include_str!("../../../../docs/access.md");
        let (_, rest) = guide.split_once("```toml\n").unwrap();
        let made = made(rest.split_once("```").unwrap().0, None).unwrap();
        assert!(made.listed.tokens.len() == 1 && made.listed.certificates.len() == 1 && made.jwt.is_some());
        assert_eq!(made.rate.map(|rate| (rate.per_second.get(), rate.burst.get())), Some((200, 400)));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = open("no/such/file.toml".into()).unwrap_err();
        assert!(error.to_string().contains("`no/such/file.toml`, the file of --access"), "{error}");
    }
}
