use metrics::Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{Kind, catalogue};
use crate::{Error, ErrorKind, Result};

/// What is measured as a page for Prometheus. Clones are of the same page.
#[derive(Clone)]
pub struct Prometheus(PrometheusHandle);

impl Prometheus {
    /// The type of [`page`](Self::page).
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Install the recorder of this process.
    ///
    /// Errors: [`Conflict`](ErrorKind::Conflict) when it has one already.
    pub fn install() -> Result<Self> {
        Self::install_as(|recorder| recorder)
    }

    /// The same, within a recorder made of it that hands on everything.
    pub(crate) fn install_as<R: Recorder + Sync + 'static>(
        within: impl FnOnce(PrometheusRecorder) -> R,
    ) -> Result<Self> {
        let recorder = Self::builder()?.build_recorder();
        let page = Self(recorder.handle());
        metrics::set_global_recorder(within(recorder)).map_err(|_| {
            Error::new(ErrorKind::Conflict, "this process has a recorder of metrics already, and can have one only")
        })?;
        Ok(page)
    }

    pub(super) fn builder() -> Result<PrometheusBuilder> {
        catalogue::ALL.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
            Kind::Histogram(bounds) => builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                .map_err(|error| Error::new(ErrorKind::Internal, "a histogram without bounds").with_source(error)),
            Kind::Counter | Kind::Gauge => Ok(builder),
        })
    }

    /// The page as it is now.
    pub fn page(&self) -> String {
        self.0.render()
    }

    /// To be called every few seconds: what a histogram was given is kept one by one until it is, or until the page is
    /// asked for.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prometheus")
    }
}
