//! What became of the messages that were sent.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use crate::source::kafka::Failure;

/// What becomes of one letter: said once, for whoever waits for it.
#[derive(Default)]
pub(super) struct Fate {
    outcome: OnceLock<Result<(), KafkaError>>,
    said: Notify,
}

impl Fate {
    /// It is stored, or it is not.
    pub(super) fn is(&self, outcome: Result<(), KafkaError>) {
        // Only the first word counts; a message has one.
        let _ = self.outcome.set(outcome);
        self.said.notify_waiters();
    }

    /// Whether it is known not to be stored.
    pub(super) fn has_failed(&self) -> bool {
        self.outcome.get().is_some_and(Result::is_err)
    }

    /// Wait for it.
    pub(super) async fn known(&self) -> &Result<(), KafkaError> {
        loop {
            // Before the look: what is said after it wakes this up.
            let said = self.said.notified();
            if let Some(outcome) = self.outcome.get() {
                return outcome;
            }
            said.await;
        }
    }
}

/// Shared by the writers and the thread that hears what became of messages.
#[derive(Default)]
pub(super) struct News {
    /// One less is under way.
    pub(super) less: Notify,
    /// The last time that the brokers did not let us in, or we did not trust them.
    refusal: Mutex<Option<Failure>>,
}

pub(super) struct Reports(pub(super) Arc<News>);

impl Reports {
    /// Why the cluster cannot be spoken with, when that is a matter of settings and was reported since the last call.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "dead letters: {reason}");
        let code = error.rdkafka_error_code();
        if let Some(refusal) = code.and_then(|code| Failure::new(code, reason.to_owned()).refusal()) {
            *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Fate>;

    fn delivery(&self, result: &DeliveryResult<'_>, fate: Arc<Fate>) {
        fate.is(match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        });
        self.0.less.notify_waiters();
    }
}

pub(super) fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)
}
