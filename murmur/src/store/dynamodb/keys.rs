use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::identity::Identity;

/// How long credentials may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long before they expire, new ones are asked for.
const EARLY: Duration = Duration::from_secs(60);
/// How long those are kept that do not say when they expire: they can be taken back all the same.
const KEPT: Duration = Duration::from_secs(900);

/// The credentials of the environment, asked for again when they expire.
#[derive(Debug)]
pub(super) struct Keys {
    provider: SharedCredentialsProvider,
    known: Mutex<Option<Known>>,
    /// One at a time asks.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Known {
    identity: Identity,
    /// From then on they are asked for again.
    renewed: SystemTime,
    expires: Option<SystemTime>,
}

impl Keys {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, known: Mutex::new(None), asking: tokio::sync::Mutex::new(()) }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, now: SystemTime) -> Option<Identity> {
        let known = self.known();
        Some(known.as_ref().filter(|known| now < known.renewed)?.identity.clone())
    }

    pub(super) async fn get(&self) -> Result<Identity, CredentialsError> {
        if let Some(identity) = self.fresh(SystemTime::now()) {
            return Ok(identity);
        }
        let _asking = self.asking.lock().await;
        let now = SystemTime::now();
        // Whoever asked before has got them.
        if let Some(identity) = self.fresh(now) {
            return Ok(identity);
        }
        let provided = tokio::time::timeout(PATIENCE, self.provider.provide_credentials()).await;
        let credentials = match provided.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE))) {
            Ok(credentials) => credentials,
            // Until the old ones expire, they do.
            Err(error) => {
                let old = self.known().as_ref().filter(|known| known.expires.is_some_and(|at| now < at)).cloned();
                return old.map(|known| known.identity).ok_or(error);
            }
        };
        let expires = credentials.expiry();
        let renewed = expires.and_then(|at| at.checked_sub(EARLY)).unwrap_or(now + KEPT);
        let identity = Identity::from(credentials);
        *self.known() = Some(Known { identity: identity.clone(), renewed, expires });
        Ok(identity)
    }

    /// The server does not take them any more: the next request asks for new ones.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;

    use super::*;

    /// Numbers its credentials; each expires so long after it was given.
    #[derive(Debug)]
    struct Numbered(Arc<AtomicU64>, Option<Duration>);

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = self.1.map(|after| SystemTime::now() + after);
            future::ProvideCredentials::ready(match number {
                3 => Err(CredentialsError::not_loaded("away")),
                _ => Ok(Credentials::new(number.to_string(), "secret", None, expiry, "test")),
            })
        }
    }

    async fn number(keys: &Keys) -> Result<String, CredentialsError> {
        let identity = keys.get().await?;
        Ok(identity.data::<Credentials>().unwrap().access_key_id().to_owned())
    }

    fn keys(expire_after: Option<Duration>) -> Keys {
        Keys::new(SharedCredentialsProvider::new(Numbered(Arc::default(), expire_after)))
    }

    #[tokio::test]
    async fn credentials_are_asked_for_once_while_they_hold() {
        for expire_after in [None, Some(Duration::from_secs(3_600))] {
            let keys = keys(expire_after);
            assert_eq!((number(&keys).await.unwrap(), number(&keys).await.unwrap()), ("0".into(), "0".into()));
            keys.forget();
            assert_eq!(number(&keys).await.unwrap(), "1");
        }
    }

    #[tokio::test]
    async fn those_that_expire_soon_are_renewed_and_used_while_there_are_no_new_ones() {
        let keys = keys(Some(Duration::from_secs(30)));
        for expected in ["0", "1", "2", "2", "4"] {
            assert_eq!(number(&keys).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn without_any_there_is_the_providers_error() {
        let keys = Keys::new(SharedCredentialsProvider::new(Numbered(Arc::new(AtomicU64::new(3)), None)));
        assert!(matches!(keys.get().await, Err(CredentialsError::CredentialsNotLoaded(_))));
    }
}
