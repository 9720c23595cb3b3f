use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// From one asking in vain to the next; longer than asking itself takes.
const PAUSE: Duration = Duration::from_secs(10);

/// The credentials of the environment, asked for again when they expire. Nobody waits for new ones while the old ones
/// hold.
#[derive(Debug)]
pub(super) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: SharedCredentialsProvider,
    state: Mutex<State>,
    /// One at a time asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// When they were last asked for in vain, and why.
    failed: Option<(SystemTime, Arc<CredentialsError>)>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    /// From then on they are asked for again.
    renewed: SystemTime,
    expires: Option<SystemTime>,
}

/// What there is without asking.
enum Present {
    Fresh(Identity),
    /// They hold, but new ones are due.
    Due(Identity),
    /// None, because this happened just now.
    Failed(Arc<CredentialsError>),
    Nothing,
}

impl Keys {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Inner { provider, state: Mutex::default(), asking: Arc::default() }))
    }

    /// Credentials for a request at this time.
    pub(super) async fn get(&self, now: SystemTime) -> Result<Identity, Arc<CredentialsError>> {
        match self.0.look(now) {
            Present::Fresh(identity) => return Ok(identity),
            Present::Failed(error) => return Err(error),
            Present::Due(identity) => {
                self.renew(now);
                return Ok(identity);
            }
            Present::Nothing => {}
        }
        let _asking = self.0.asking.lock().await;
        // Whoever asked before has got them, or has not.
        match self.0.look(now) {
            Present::Fresh(identity) | Present::Due(identity) => Ok(identity),
            Present::Failed(error) => Err(error),
            Present::Nothing => self.0.ask(now).await,
        }
    }

    /// Ask for new ones aside, unless somebody does or did just now.
    fn renew(&self, now: SystemTime) {
        let Ok(asking) = self.0.asking.clone().try_lock_owned() else { return };
        if self.0.state().has_failed(now) {
            return;
        }
        let inner = self.0.clone();
        tokio::spawn(async move {
            let _asking = asking;
            if let Err(error) = inner.ask(now).await {
                tracing::warn!(%error, "the AWS credentials expire soon, and there are no new ones yet");
            }
        });
    }

    /// The server does not take them any more: the next request asks for new ones.
    pub(super) fn forget(&self) {
        self.0.state().known = None;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, now: SystemTime) -> Present {
        let state = self.state();
        match (&state.known, &state.failed) {
            (Some(known), _) if now < known.renewed => Present::Fresh(known.identity.clone()),
            (Some(known), _) if known.expires.is_none_or(|at| now < at) => Present::Due(known.identity.clone()),
            (_, Some((_, error))) if state.has_failed(now) => Present::Failed(error.clone()),
            _ => Present::Nothing,
        }
    }

    async fn ask(&self, now: SystemTime) -> Result<Identity, Arc<CredentialsError>> {
        let provided = tokio::time::timeout(PATIENCE, self.provider.provide_credentials()).await;
        match provided.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(PATIENCE))) {
            Ok(credentials) => {
                let expires = credentials.expiry();
                let renewed = expires.and_then(|at| at.checked_sub(EARLY)).unwrap_or(now + KEPT);
                let identity = Identity::from(credentials);
                let known = Known { identity: identity.clone(), renewed, expires };
                *self.state() = State { known: Some(known), failed: None };
                Ok(identity)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.state().failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }
}

impl State {
    fn has_failed(&self, now: SystemTime) -> bool {
        let apart = |at: SystemTime| now.duration_since(at).unwrap_or_else(|before| before.duration());
        self.failed.as_ref().is_some_and(|(at, _)| apart(*at) < PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;
    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Reply {
        /// Credentials that expire then, named for how often there was asked before.
        Gives(Option<SystemTime>),
        Fails,
        Hangs,
    }

    /// Replies one after the other, the last one for ever.
    #[derive(Debug, Clone)]
    struct Provider(Arc<AtomicUsize>, Vec<Reply>);

    impl Provider {
        fn new(replies: impl Into<Vec<Reply>>) -> (Self, Keys) {
            let provider = Self(Arc::default(), replies.into());
            (provider.clone(), Keys::new(SharedCredentialsProvider::new(provider)))
        }

        fn asked(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl ProvideCredentials for Provider {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            match self.1[number.min(self.1.len() - 1)] {
                Reply::Gives(expiry) => {
                    let credentials = Credentials::new(number.to_string(), "secret", None, expiry, "test");
                    future::ProvideCredentials::ready(Ok(credentials))
                }
                Reply::Fails => future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("away"))),
                Reply::Hangs => future::ProvideCredentials::new(std::future::pending()),
            }
        }
    }

    async fn number(keys: &Keys, at: SystemTime) -> Result<String, Arc<CredentialsError>> {
        let identity = keys.get(at).await?;
        Ok(identity.data::<Credentials>().unwrap().access_key_id().to_owned())
    }

    fn after(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    /// Until nothing is under way any more; the clock is Tokio's own.
    async fn settle() {
        sleep(2 * PATIENCE).await;
    }

    #[tokio::test]
    async fn credentials_are_asked_for_once_while_they_hold() {
        for expiry in [None, Some(after(3_600))] {
            let (_, keys) = Provider::new([Reply::Gives(expiry)]);
            assert_eq!(number(&keys, after(0)).await.unwrap(), "0");
            assert_eq!(number(&keys, after(9)).await.unwrap(), "0");
            keys.forget();
            assert_eq!(number(&keys, after(9)).await.unwrap(), "1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_expire_soon_are_renewed_aside() {
        // Those that do not say when they expire are renewed too, and hold until the server takes them no more.
        for (expiry, due) in [(Some(after(100)), after(50)), (None, after(1_000))] {
            let (provider, keys) =
                Provider::new([Reply::Gives(expiry), Reply::Fails, Reply::Gives(Some(after(9_999)))]);
            for (at, expected) in [(after(0), "0"), (due, "0"), (due, "0"), (due + PAUSE, "0"), (due + PAUSE, "2")] {
                assert_eq!(number(&keys, at).await.unwrap(), expected);
                settle().await;
            }
            assert_eq!(provider.asked(), 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_new_ones_while_the_old_ones_hold() {
        let (provider, keys) = Provider::new([Reply::Gives(Some(after(100))), Reply::Hangs]);
        number(&keys, after(0)).await.unwrap();
        for (at, asked) in [(after(50), 2), (after(59), 2), (after(70), 3)] {
            let began = Instant::now();
            let got = join_all((0..64).map(|_| number(&keys, at))).await;
            assert!(got.into_iter().all(|number| number.unwrap() == "0"));
            assert_eq!(began.elapsed(), Duration::ZERO);
            settle().await;
            assert_eq!(provider.asked(), asked);
        }
        assert!(number(&keys, after(100)).await.is_err(), "they have expired");
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_one_asks_and_all_are_told_why_there_are_none() {
        let (provider, keys) = Provider::new([Reply::Hangs, Reply::Fails, Reply::Gives(None)]);
        let began = Instant::now();
        // Whoever came first looked at the clock first, or did not.
        let got = join_all((0..64).map(|n| number(&keys, after(n % 2)))).await;
        assert!(got.into_iter().all(|got| matches!(*got.unwrap_err(), CredentialsError::ProviderTimedOut(_))));
        assert_eq!((began.elapsed(), provider.asked()), (PATIENCE, 1));
        for (at, asked) in [(after(9), 1), (after(10), 2), (after(19), 2)] {
            assert!(number(&keys, at).await.is_err());
            assert_eq!(provider.asked(), asked);
        }
        assert_eq!(number(&keys, after(20)).await.unwrap(), "2");
    }
}
