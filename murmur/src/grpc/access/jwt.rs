//! Callers by tokens that an issuer has signed: [JWT](https://www.rfc-editor.org/rfc/rfc7519), with the issuer's public keys as a
//! [JWK set](https://www.rfc-editor.org/rfc/rfc7517#section-5).
//!
//! A token has to name the issuer, this server as its audience, its subject, and when it ends. What it may read stands in its
//! scopes: `query:page_traffic`, or `query:*` for all pipelines.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, crypto, decode, decode_header};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::file::WrittenJwt;
use super::keys::{Keys, Ring};
use super::listed::Hash;
use super::verified::{Known, Verified};
use super::{Caller, Pipelines, expired, unfit};
use crate::{Error, ErrorKind, Result};

/// Signatures whose key nobody but the issuer has.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What is asked of a token, and the keys that it can be signed by.
pub(super) struct Jwt {
    validation: Validation,
    keys: Arc<Ring>,
    verified: Verified,
}

/// The claims that are looked at; the library looks at `iss`, `aud`, `exp` and `nbf`.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    /// Seconds, which may have a fraction.
    exp: f64,
    /// As [RFC 8693](https://www.rfc-editor.org/rfc/rfc8693#section-4.2) has it: words in one text.
    #[serde(default)]
    scope: Scopes,
    /// As others have it.
    #[serde(default)]
    scp: Scopes,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scopes {
    Words(String),
    List(Vec<String>),
}

impl Default for Scopes {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Scopes {
    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Words(text) => Box::new(text.split_ascii_whitespace()),
            Self::List(list) => Box::new(list.iter().map(String::as_str)),
        }
    }
}

impl Jwt {
    /// By the `[jwt]` of a file.
    pub(super) fn new(written: WrittenJwt) -> Result<Self> {
        // Whoever uses the library too, and has chosen another provider, keeps it.
        let _ = crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
        let WrittenJwt { issuer, audience, keys, algorithms } = written;
        for (name, value) in [("issuer", &issuer), ("audience", &audience)] {
            if value.is_empty() {
                return Err(wrong(format!("`jwt.{name}` is empty")));
            }
        }
        let algorithms = match algorithms {
            None => vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            Some(names) if names.is_empty() => return Err(wrong("`jwt.algorithms` is empty".to_owned())),
            Some(names) => names.iter().map(|name| algorithm(name)).collect::<Result<_>>()?,
        };
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms;
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(Self { validation, keys: Ring::of(Keys::at(&keys)?), verified: Verified::default() })
    }

    /// Whose token this is. Its signature is looked at once.
    pub(super) async fn caller(&self, token: &str) -> Result<Caller> {
        let hash = Hash::from(Sha256::digest(token));
        if let Some(known) = self.verified.get(&hash, SystemTime::now()) {
            let same = |set: &JwkSet| Some(*select(set, known.id.as_deref(), known.algorithm)? == known.key);
            if self.keys.find(same).await? == Some(true) {
                return Ok(known.caller.clone());
            }
        }
        let known = self.verify(token).await?;
        let caller = known.caller.clone();
        self.verified.keep(hash, known, SystemTime::now());
        Ok(caller)
    }

    async fn verify(&self, token: &str) -> Result<Known> {
        let header = decode_header(token).map_err(|_| refused("it is neither one that is listed nor a JWT"))?;
        if !self.validation.algorithms.contains(&header.alg) {
            return Err(refused("it is signed by an algorithm that is not accepted"));
        }
        let key = self.key(header.kid.as_deref(), header.alg).await?;
        // The library wants all the algorithms that it is given to fit the key.
        let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
        let claims = decode::<Claims>(token, &made(&key)?, &validation).map_err(|error| denied(&error))?.claims;
        let scopes = claims.scope.iter().chain(claims.scp.iter());
        let pipelines: Vec<&str> = scopes.filter_map(|scope| scope.strip_prefix("query:")).collect();
        if pipelines.is_empty() {
            return Err(unfit(told("it has no scope for a pipeline, such as `query:NAME` or `query:*`")));
        }
        let end = Duration::try_from_secs_f64(claims.exp + self.validation.leeway as f64).ok();
        let caller = Caller {
            // No caller of a file has such a name.
            name: format!("jwt:{}", claims.sub).into(),
            pipelines: Pipelines::named(pipelines),
            until: end.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(end)),
        };
        Ok(Known::new(caller, key, header))
    }

    /// The key of a token.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Jwk> {
        let found = self.keys.find(|set| select(set, id, algorithm).cloned()).await?;
        found.ok_or_else(|| refused("its key is not one of the issuer's"))
    }
}

/// The key of this name; without a name the only one.
fn select<'a>(set: &'a JwkSet, id: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let key = match id {
        Some(id) => set.find(id),
        None if set.keys.len() == 1 => set.keys.first(),
        None => None,
    }?;
    // A key that is for another algorithm, or for something else than signatures, is not this token's.
    let says = key.common.key_algorithm.map(|of| of.to_string());
    let name = format!("{algorithm:?}");
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    (signs && says.is_none_or(|says| says == name)).then_some(key)
}

fn made(key: &Jwk) -> Result<DecodingKey> {
    DecodingKey::from_jwk(key).map_err(|_| refused("its key is of a kind that is not known here"))
}

fn algorithm(name: &str) -> Result<Algorithm> {
    let known = Algorithm::from_str(name).ok().filter(|algorithm| ALGORITHMS.contains(algorithm));
    known.ok_or_else(|| {
        let names: Vec<String> = ALGORITHMS.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        wrong(format!("`jwt.algorithms` has `{name}`; possible are {}", names.join(", ")))
    })
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Configuration, what)
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Denied, told(why))
}

fn told(why: &str) -> String {
    format!("the token is refused: {why}")
}

/// Why a token is refused, without anything that stands in it. Of its claims something is said once its signature is found right, so that
/// who cannot sign learns nothing.
fn denied(error: &jsonwebtoken::errors::Error) -> Error {
    use jsonwebtoken::errors::ErrorKind::*;
    match error.kind() {
        ExpiredSignature => expired(told("it has expired")),
        ImmatureSignature => unfit(told("it is not valid yet")),
        InvalidIssuer => unfit(told("it is from another issuer")),
        InvalidAudience => unfit(told("it is for another audience")),
        // The header was read before, so what does not read as JSON here are the claims.
        MissingRequiredClaim(_) | InvalidClaimFormat(_) | Json(_) => {
            unfit(told("one of the claims `iss`, `aud`, `sub` and `exp` is missing, or a claim is not of its type"))
        }
        InvalidSignature => refused("its signature is wrong"),
        InvalidAlgorithm | UnsupportedAlgorithm => refused("its algorithm does not fit its key"),
        _ => refused("it does not read as a JWT"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::SystemTime;

    use jsonwebtoken::{EncodingKey, Header, encode};
    use rcgen::KeyPair;
    use serde_json::{Value, json};

    use super::super::keys::{FRESH, OLD, PAUSE};
    use super::*;

    const ISSUER: &str = "https://login.example";

    /// A key of the issuer, with its name.
    struct Signer(String, EncodingKey);

    impl Signer {
        fn new(name: &str) -> Self {
            let _ = crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
            Self(name.into(), EncodingKey::from_ec_der(&KeyPair::generate().unwrap().serialize_der()))
        }

        fn public(&self) -> Jwk {
            let mut key = Jwk::from_encoding_key(&self.1, Algorithm::ES256).unwrap();
            key.common.key_id = Some(self.0.clone());
            key
        }

        /// A token with these claims in place of those that are right.
        fn token(&self, other: Value) -> String {
            let mut claims = json!({
                "iss": ISSUER, "aud": "murmur", "sub": "dashboards", "exp": seconds(600), "scope": "openid query:likes",
            });
            for (name, value) in other.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let header = Header { kid: Some(self.0.clone()), ..Header::new(Algorithm::ES256) };
            encode(&header, &claims, &self.1).unwrap()
        }
    }

    /// So many seconds from now.
    fn seconds(from_now: i64) -> i64 {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        i64::try_from(now).unwrap() + from_now
    }

    fn publish(path: &Path, signers: &[&Signer]) {
        let set = JwkSet { keys: signers.iter().map(|signer| signer.public()).collect() };
        std::fs::write(path, serde_json::to_vec(&set).unwrap()).unwrap();
    }

    fn by(keys: &Path) -> Jwt {
        Jwt::new(WrittenJwt {
            issuer: ISSUER.into(),
            audience: "murmur".into(),
            keys: keys.to_str().unwrap().into(),
            algorithms: None,
        })
        .unwrap()
    }

    async fn refusal(jwt: &Jwt, token: &str) -> String {
        let error = jwt.caller(token).await.expect_err(token);
        assert!(!error.to_string().contains(token), "{error}");
        error.to_string()
    }

    #[tokio::test]
    async fn a_token_of_the_issuer_says_who_calls_and_what_it_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer) = (folder.path().join("keys.json"), Signer::new("one"));
        publish(&keys, &[&signer]);
        let jwt = by(&keys);
        let caller = jwt.caller(&signer.token(json!({}))).await.unwrap();
        assert_eq!((&*caller.name, caller.pipelines), ("jwt:dashboards", Pipelines::named(["likes"])));
        let pipelines = async |claims| jwt.caller(&signer.token(claims)).await.unwrap().pipelines;
        assert_eq!(pipelines(json!({"scope": "query:*"})).await, Pipelines::All);
        assert_eq!(pipelines(json!({"scope": "", "scp": ["query:a", "write:b"]})).await, Pipelines::named(["a"]));
        assert!(refusal(&jwt, &signer.token(json!({"scope": "openid"}))).await.contains("no scope for a pipeline"));
        assert_eq!(pipelines(json!({"aud": ["other", "murmur"], "scope": "query:a"})).await, Pipelines::named(["a"]));
    }

    #[tokio::test]
    async fn a_token_that_is_not_for_this_server_or_not_for_now_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer, stranger) = (folder.path().join("keys.json"), Signer::new("one"), Signer::new("one"));
        publish(&keys, &[&signer]);
        let jwt = by(&keys);
        for (claims, why) in [
            // With the reason that a program gets.
            (json!({"exp": seconds(-120)}), "expired: TOKEN_EXPIRED"),
            (json!({"nbf": seconds(120)}), "not valid yet: TOKEN_UNFIT"),
            (json!({"iss": "https://else.example"}), "another issuer: TOKEN_UNFIT"),
            (json!({"aud": "others"}), "another audience: TOKEN_UNFIT"),
            (json!({"scope": "openid"}), "TOKEN_UNFIT"),
            (json!({"sub": null}), "of its type: TOKEN_UNFIT"),
            (json!({"exp": null}), "TOKEN_UNFIT"),
            (json!({"exp": "9999999999"}), "TOKEN_UNFIT"),
            (json!({"sub": 7}), "TOKEN_UNFIT"),
        ] {
            let said = refusal(&jwt, &signer.token(claims.clone())).await;
            assert!(said.contains(why), "{claims}: {said}");
        }
        // Who cannot sign is not told what would be wrong with the rest.
        for claims in [json!({}), json!({"exp": seconds(-120)}), json!({"aud": "others"})] {
            let said = refusal(&jwt, &stranger.token(claims)).await;
            assert!(said.contains("signature") && !said.contains("TOKEN"), "{said}");
        }
        assert!(refusal(&jwt, "abc").await.contains("neither"));
        let whole = signer.token(json!({}));
        let (head, rest) = whole.split_once('.').unwrap();
        let none = "eyJhbGciOiJub25lIn0";
        for broken in
            [format!("{none}.{rest}"), format!("{head}.{}", rest.split_once('.').unwrap().0), format!("{whole}x")]
        {
            refusal(&jwt, &broken).await;
        }
    }

    /// The oldest trick: a public key taken for the secret of a shared one.
    #[tokio::test]
    async fn a_token_signed_by_the_public_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer) = (folder.path().join("keys.json"), Signer::new("one"));
        publish(&keys, &[&signer]);
        let public = serde_json::to_vec(&signer.public()).unwrap();
        let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
        let claims = json!({"iss": ISSUER, "aud": "murmur", "sub": "x", "exp": seconds(600), "scope": "query:*"});
        let token = encode(&header, &claims, &EncodingKey::from_secret(&public).unwrap()).unwrap();
        assert!(refusal(&by(&keys), &token).await.contains("algorithm"));
        let asked = ["HS256".to_owned()];
        let written =
            WrittenJwt { issuer: "i".into(), audience: "a".into(), keys: "k".into(), algorithms: Some(asked.into()) };
        assert!(Jwt::new(written).map(|_| ()).unwrap_err().to_string().contains("`HS256`; possible are RS256"));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_read_again_for_one_that_is_new_but_not_for_each_stranger() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, old, new) = (folder.path().join("keys.json"), Signer::new("old"), Signer::new("new"));
        publish(&keys, &[&old]);
        let jwt = by(&keys);
        jwt.caller(&old.token(json!({}))).await.unwrap();
        publish(&keys, &[&new]);
        assert!(refusal(&jwt, &new.token(json!({}))).await.contains("its key"));
        tokio::time::advance(PAUSE).await;
        jwt.caller(&new.token(json!({}))).await.unwrap();
        assert!(refusal(&jwt, &old.token(json!({}))).await.contains("its key"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_found_right_stops_when_its_key_is_withdrawn_or_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer, other) = (folder.path().join("keys.json"), Signer::new("one"), Signer::new("two"));
        publish(&keys, &[&signer]);
        let jwt = by(&keys);
        let token = signer.token(json!({}));
        for _ in 0..2 {
            jwt.caller(&token).await.unwrap();
        }
        let again = async |signers: &[&Signer]| {
            publish(&keys, signers);
            tokio::time::advance(FRESH).await;
            // It is the first call after that which has the keys read again.
            let _ = jwt.caller(&token).await;
            jwt.keys.settled().await;
        };
        again(&[&other, &signer]).await;
        jwt.caller(&token).await.unwrap();
        again(&[&Signer::new("one"), &other]).await;
        assert!(refusal(&jwt, &token).await.contains("signature"));
        again(&[&signer]).await;
        jwt.caller(&token).await.unwrap();
        again(&[&other]).await;
        assert!(refusal(&jwt, &token).await.contains("its key"));
    }

    #[tokio::test]
    async fn a_token_that_was_found_right_stops_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer) = (folder.path().join("keys.json"), Signer::new("one"));
        publish(&keys, &[&signer]);
        let jwt = by(&keys);
        let leeway = i64::try_from(jwt.validation.leeway).unwrap();
        let token = signer.token(json!({"exp": seconds(2 - leeway)}));
        let until = jwt.caller(&token).await.unwrap().until.unwrap();
        assert!(until.duration_since(SystemTime::now()).unwrap() <= Duration::from_secs(2));
        while jwt.caller(&token).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(refusal(&jwt, &token).await.contains("expired"));
        assert!(SystemTime::now() >= until);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_cannot_be_had_are_no_refusal_and_those_known_so_far_count_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer, other) = (folder.path().join("keys.json"), Signer::new("one"), Signer::new("two"));
        let jwt = by(&keys);
        let long = |signer: &Signer| signer.token(json!({"exp": seconds(1_000_000)}));
        for _ in 0..2 {
            assert_eq!(jwt.caller(&long(&signer)).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        publish(&keys, &[&signer]);
        tokio::time::advance(PAUSE).await;
        jwt.caller(&long(&signer)).await.unwrap();
        std::fs::remove_file(&keys).unwrap();
        tokio::time::advance(FRESH).await;
        jwt.caller(&long(&signer)).await.unwrap();
        jwt.keys.settled().await;
        jwt.caller(&long(&signer)).await.unwrap();
        assert_eq!(jwt.caller(&long(&other)).await.unwrap_err().kind(), ErrorKind::Unavailable);
        tokio::time::advance(OLD).await;
        assert_eq!(jwt.caller(&long(&signer)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    /// Whoever gives up waiting takes nothing away from others.
    #[tokio::test(start_paused = true)]
    async fn keys_are_read_to_the_end_whatever_becomes_of_the_call_that_wanted_them() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, signer) = (folder.path().join("keys.json"), Signer::new("one"));
        publish(&keys, &[&signer]);
        let jwt = by(&keys);
        let token = signer.token(json!({}));
        assert!(futures_util::FutureExt::now_or_never(jwt.caller(&token)).is_none());
        jwt.keys.settled().await;
        std::fs::remove_file(&keys).unwrap();
        jwt.caller(&token).await.unwrap();
    }

    #[test]
    fn keys_by_plain_http_are_for_this_machine_alone() {
        for (place, good) in [
            ("https://login.example/keys", true),
            ("http://127.0.0.1:8080/keys", true),
            ("http://localhost/keys", true),
            ("http://login.example/keys", false),
            ("ftp://localhost/keys", false),
            ("https://user:word@login.example/keys", false),
            ("keys.json", true),
        ] {
            assert_eq!(Keys::at(place).is_ok(), good, "{place}");
        }
    }
}
