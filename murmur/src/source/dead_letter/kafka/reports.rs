//! What became of the messages that were sent.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::super::Letter;
use crate::source::kafka::Failure;

/// Shared by the writer and the thread that hears what became of messages.
#[derive(Default)]
pub(super) struct Outcome {
    state: Mutex<State>,
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) outstanding: u64,
    pub(super) failed: Option<KafkaError>,
    /// Too large, alone or with the others of their batch.
    pub(super) refused: Vec<Arc<Letter>>,
    /// The last time that the brokers did not let us in, or we did not trust them.
    refusal: Option<Failure>,
}

impl Outcome {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Reports(pub(super) Arc<Outcome>);

impl Reports {
    /// Why the cluster cannot be spoken with, when that is a matter of settings and was reported since the last call.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.0.with(|state| state.refusal.take())
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "dead letters: {reason}");
        let code = error.rdkafka_error_code().filter(|code| matches!(code, Code::SSL | Code::Authentication));
        if let Some(refusal) = code.and_then(|code| Failure::new(code, reason.to_owned()).refusal()) {
            self.0.with(|state| state.refusal = Some(refusal));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Letter>;

    fn delivery(&self, result: &DeliveryResult<'_>, letter: Arc<Letter>) {
        self.0.with(|state| {
            state.outstanding = state.outstanding.saturating_sub(1);
            match result {
                Ok(_) => {}
                Err((error, _)) if is_too_large(error) => state.refused.push(letter),
                Err((error, _)) => drop(state.failed.get_or_insert(error.clone())),
            }
        });
        self.0.changed.notify_one();
    }
}

pub(super) fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)
}
