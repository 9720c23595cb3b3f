//! `grpc.health.v1`: a pipeline serves while its store can be reached, the server while all of them do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::handler::AnyPipeline;

/// How long a look at a store may take before it counts as not reached.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at the stores of pipelines and reports.
pub(super) struct Health {
    pub(super) reporter: HealthReporter,
    pub(super) pipelines: Vec<Arc<dyn AnyPipeline>>,
    pub(super) every: Duration,
}

impl Health {
    /// Look once.
    pub(super) async fn look(&self) {
        let reached = join_all(self.pipelines.iter().map(|pipeline| async move {
            match tokio::time::timeout(PATIENCE, pipeline.check()).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(service = pipeline.name(), %error, "the store cannot be reached");
                    false
                }
                Err(_) => {
                    tracing::warn!(service = pipeline.name(), "the store does not answer");
                    false
                }
            }
        }));
        let reached = reached.await;
        for (pipeline, reached) in self.pipelines.iter().zip(&reached) {
            self.report(pipeline.name(), *reached).await;
        }
        let all = reached.iter().all(|reached| *reached);
        self.report(super::query_service::NAME, all).await;
        self.report("", all).await;
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
