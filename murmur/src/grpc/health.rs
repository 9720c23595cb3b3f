//! Whether pipelines serve: as `grpc.health.v1`, and for people and orchestrators at `/readyz`.
//!
//! A pipeline serves while its store can be reached and its [`Gate`] has nothing against it, whatever becomes of the others;
//! the server as a whole while all of them do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::handler::AnyPipeline;
use crate::{Error, ErrorKind};

/// How long a look at a store may take before it counts as not reached.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the pipeline of this name should not serve just now, in words; `None` when it should.
pub(super) type Gate = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Looks at the stores of pipelines and reports.
pub(super) struct Health {
    pub(super) reporter: HealthReporter,
    pub(super) pipelines: Vec<Arc<dyn AnyPipeline>>,
    pub(super) gate: Gate,
    pub(super) every: Duration,
    pub(super) readiness: watch::Sender<Readiness>,
}

/// What keeps a server from being ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readiness(Vec<Hindrance>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hindrance {
    /// Unless it is about all pipelines.
    of: Option<Of>,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Of {
    pipeline: String,
    service: String,
}

impl Readiness {
    /// Nobody has looked yet.
    pub(super) fn unknown() -> Self {
        Self::of_all("nobody has looked at the stores yet")
    }

    fn of_all(reason: &str) -> Self {
        Self(vec![Hindrance { of: None, reason: reason.to_owned() }])
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON, with the reasons that are about all pipelines or about one that `may` be known of.
    pub(super) fn json(&self, may: impl Fn(Option<&str>) -> bool) -> String {
        let told = self.0.iter().filter(|hindrance| may(hindrance.of.as_ref().map(|of| &*of.pipeline)));
        let reasons = told.map(|Hindrance { of, reason }| match of {
            Some(Of { service, .. }) => json!({ "service": service, "reason": reason }),
            None => json!({ "reason": reason }),
        });
        json!({ "ready": self.is_ready(), "reasons": reasons.collect::<Vec<_>>() }).to_string()
    }
}

/// Addresses and credentials are for the log only.
fn in_words(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "the store has no table for it",
        ErrorKind::Denied => "the store does not let this process in",
        _ if error.is_retryable() => "the store cannot be reached",
        _ => "the store fails",
    }
}

impl Health {
    /// Look once.
    pub(super) async fn look(&self) {
        let hindrances = join_all(self.pipelines.iter().map(|pipeline| async move {
            let name = pipeline.info().name;
            let reason = match tokio::time::timeout(PATIENCE, pipeline.check()).await {
                Ok(Ok(())) => (self.gate)(&name),
                Ok(Err(error)) => {
                    tracing::warn!(service = pipeline.name(), %error, "the store cannot be reached");
                    Some(format!("{}; the log says more", in_words(&error)))
                }
                Err(_) => {
                    tracing::warn!(service = pipeline.name(), "the store does not answer");
                    Some(format!("the store does not answer within {} s", PATIENCE.as_secs()))
                }
            };
            let of = Of { pipeline: name, service: pipeline.name().to_owned() };
            reason.map(|reason| Hindrance { of: Some(of), reason })
        }));
        let hindrances = hindrances.await;
        for (pipeline, hindrance) in self.pipelines.iter().zip(&hindrances) {
            self.report(pipeline.name(), hindrance.is_none()).await;
        }
        let readiness = Readiness(hindrances.into_iter().flatten().collect());
        self.report(super::query_service::NAME, readiness.is_ready()).await;
        self.report("", readiness.is_ready()).await;
        self.readiness.send_replace(readiness);
    }

    /// Look again and again.
    pub(super) async fn watch(&self) {
        loop {
            tokio::time::sleep(self.every).await;
            self.look().await;
        }
    }

    /// Nothing serves any more.
    pub(super) async fn stop(&self) {
        self.readiness.send_replace(Readiness::of_all("the server is shutting down"));
        for pipeline in &self.pipelines {
            self.report(pipeline.name(), false).await;
        }
        self.report(super::query_service::NAME, false).await;
        self.report("", false).await;
    }

    async fn report(&self, service: &str, serves: bool) {
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(service, status).await;
    }
}
