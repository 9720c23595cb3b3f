use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::{Signal, refused, resource, runtime};
use crate::Result;

/// What sends spans, for as many verbs as this process carries out.
static SENDING: OnceLock<(SdkTracerProvider, Runtime)> = OnceLock::new();

/// The layer that sends spans; `None` when the environment does not ask for it.
pub(in crate::app) fn layer<S>(program: &'static str) -> Result<Option<impl Layer<S>>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if SENDING.get().is_some() || !Signal::Spans.is_wanted()? {
        return Ok(None);
    }
    let runtime = runtime()?;
    let exporter = {
        let _inside = runtime.enter();
        Signal::Spans.secured(SpanExporter::builder().with_tonic())?.build().map_err(refused)?
    };
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(program)).build();
    let tracer = provider.tracer("murmur");
    // Verbs run one after the other, so nobody was faster.
    let _ = SENDING.set((provider, runtime));
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(FilterFn::new(is_sent))))
}

/// All spans of Murmur's own, of each query and call of the store as well, and what is said in them at the level of the log.
fn is_sent(what: &Metadata<'_>) -> bool {
    let most = if what.is_span() { Level::DEBUG } else { Level::INFO };
    what.target().split("::").next() == Some("murmur") && *what.level() <= most
}

/// To how many spans of its events the span of a flush is linked: as many as one looks through.
const LINKS: usize = 16;

/// How many spans a flush is to be linked to; none where none are sent, so that nobody looks for them.
pub(in crate::app) fn span_links() -> usize {
    if SENDING.get().is_some() { LINKS } else { 0 }
}

pub(super) fn flush() -> OTelSdkResult {
    SENDING.get().map_or(Ok(()), |(provider, _)| provider.force_flush())
}
