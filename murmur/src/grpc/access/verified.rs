//! Tokens whose signature was found right once, so that it need not be looked at with each call.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header};

use super::Caller;
use super::listed::Hash;

/// So many are kept, at some 2 KiB each.
const MOST: usize = 10_000;

/// What is known of a token.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) caller: Caller,
    /// Its key, with what the token says of that. The issuer may have taken it back.
    pub(super) key: Jwk,
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
}

impl Known {
    pub(super) fn new(caller: Caller, key: Jwk, header: Header) -> Self {
        Self { caller, key, id: header.kid, algorithm: header.alg }
    }

    fn counts(&self, now: SystemTime) -> bool {
        self.caller.until.is_some_and(|until| now < until)
    }
}

/// Tokens by their hashes, each until it ends.
#[derive(Debug, Default)]
pub(super) struct Verified(RwLock<HashMap<Hash, Arc<Known>>>);

impl Verified {
    pub(super) fn get(&self, hash: &Hash, now: SystemTime) -> Option<Arc<Known>> {
        // What is kept is whole at each moment.
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(hash).filter(|known| known.counts(now)).cloned()
    }

    /// Keep one. Where there are too many, those that have ended go, and all of them where that is not enough: each is looked at
    /// once more then.
    pub(super) fn keep(&self, hash: Hash, known: Known, now: SystemTime) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, known| known.counts(now));
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(hash, Arc::new(known));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::Pipelines;
    use super::*;

    fn known(until: SystemTime) -> Known {
        let caller = Caller { name: "jwt:a".into(), pipelines: Pipelines::All, until: Some(until) };
        let key = json!({"kty": "oct", "k": "AA"});
        Known::new(caller, serde_json::from_value(key).unwrap(), Header::new(Algorithm::ES256))
    }

    fn hash(n: usize) -> Hash {
        let mut hash = Hash::default();
        hash[..8].copy_from_slice(&n.to_be_bytes());
        hash
    }

    #[test]
    fn a_token_is_known_until_it_ends_and_others_are_not() {
        let (verified, now, minute) = (Verified::default(), SystemTime::now(), Duration::from_secs(60));
        verified.keep(hash(1), known(now + minute), now);
        assert!(verified.get(&hash(1), now).is_some());
        assert!(verified.get(&hash(1), now + minute).is_none());
        assert!(verified.get(&hash(2), now).is_none());
    }

    #[test]
    fn tokens_without_end_do_not_fill_the_memory() {
        let (verified, now, minute) = (Verified::default(), SystemTime::now(), Duration::from_secs(60));
        let kept = || verified.0.read().unwrap().len();
        for n in 0..MOST {
            let until = if n % 2 == 0 { now + minute } else { now + 2 * minute };
            verified.keep(hash(n), known(until), now);
        }
        verified.keep(hash(MOST), known(now + 2 * minute), now + minute);
        assert_eq!(kept(), MOST / 2 + 1);
        for n in MOST..3 * MOST {
            verified.keep(hash(n), known(now + 2 * minute), now + minute);
        }
        assert!(kept() <= MOST);
    }
}
