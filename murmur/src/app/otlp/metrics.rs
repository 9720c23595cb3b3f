use std::sync::OnceLock;

use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use metrics_util::layers::FanoutBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::runtime::Runtime;

use super::conventions::{self, Conventional};
use super::{Signal, refused, resource, runtime};
use crate::Result;
use crate::metrics::{Kind, Prometheus, catalogue};

/// What sends metrics, for as many verbs as this process carries out.
static SENDING: OnceLock<(SdkMeterProvider, Runtime)> = OnceLock::new();

/// Install the recorder of this process: what the page of Prometheus shows is sent too, where the environment asks for it.
pub(in crate::app) fn install(program: &'static str) -> Result<Prometheus> {
    if SENDING.get().is_some() || !Signal::Metrics.is_wanted()? {
        return Prometheus::install();
    }
    let runtime = runtime()?;
    let exporter = {
        let _inside = runtime.enter();
        Signal::Metrics.secured(MetricExporter::builder().with_tonic())?.build().map_err(refused)?
    };
    let provider =
        SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource(program)).build();
    let mut recorder = OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(provider.meter("murmur")));
    for metric in catalogue::ALL {
        if let Kind::Histogram(bounds) = metric.kind {
            recorder.set_histogram_bounds_mut(std::iter::once(metric.name), bounds);
        }
    }
    let mut conventional = OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(provider.meter("murmur")));
    for (name, ours) in conventions::histograms() {
        if let Kind::Histogram(bounds) = ours.kind {
            conventional.set_histogram_bounds_mut(std::iter::once(name), bounds);
        }
    }
    let page = Prometheus::install_as(|page| {
        let all = FanoutBuilder::default().add_recorder(page).add_recorder(recorder);
        all.add_recorder(Conventional(conventional)).build()
    })?;
    // Verbs run one after the other, so nobody was faster.
    let _ = SENDING.set((provider, runtime));
    Ok(page)
}

pub(super) fn flush() -> OTelSdkResult {
    SENDING.get().map_or(Ok(()), |(provider, _)| provider.force_flush())
}
