//! Spans to a collector of OpenTelemetry, over gRPC: one per flush, per call of the store, per query; none per event.
//!
//! | variable | what |
//! |---|---|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | where to, as `http://127.0.0.1:4317`; nothing is sent when neither is set |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL`, `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL` | `grpc`, or not set |
//! | `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none` | nothing is sent |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who sends; the name of the program when not set |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` | as the specification says |

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::{Error, ErrorKind, Result};

/// What sends spans, for as many verbs as this process carries out.
static SENDING: OnceLock<Sending> = OnceLock::new();

struct Sending {
    provider: SdkTracerProvider,
    /// Holds the connection. Its own, so that a busy worker does not hold up the spans, nor they the worker.
    _runtime: Runtime,
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The layer that sends spans; `None` when the environment does not ask for it.
pub(super) fn layer<S>(program: &'static str) -> Result<Option<impl Layer<S>>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let off = set("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none");
    if endpoint.is_none() || off || SENDING.get().is_some() {
        return Ok(None);
    }
    let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if let Some(protocol) = protocol.filter(|protocol| protocol != "grpc") {
        let context = format!("OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`; spans are sent by `grpc` only");
        return Err(Error::new(ErrorKind::Configuration, context));
    }
    let sending = Sending::start(program)?;
    let tracer = sending.provider.tracer("murmur");
    // Verbs run one after the other, so nobody was faster.
    let _ = SENDING.set(sending);
    let ours = Targets::new().with_target("murmur", LevelFilter::INFO);
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)))
}

impl Sending {
    fn start(program: &'static str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let exporter = {
            let _inside = runtime.enter();
            SpanExporter::builder().with_tonic().build().map_err(|error| {
                Error::new(ErrorKind::Configuration, "no spans can be sent as the OTEL_ variables say")
                    .with_source(error)
            })?
        };
        let named = set("OTEL_SERVICE_NAME").is_some()
            || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
        let resource = Resource::builder();
        let resource = if named { resource } else { resource.with_service_name(program) };
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self { provider, _runtime: runtime })
    }
}

/// Send what is left.
pub(super) fn flush() {
    if let Some(sending) = SENDING.get()
        && let Err(error) = sending.provider.force_flush()
    {
        tracing::warn!(%error, "the last spans could not be sent");
    }
}
