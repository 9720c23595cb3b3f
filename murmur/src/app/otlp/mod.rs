//! Spans and metrics to a collector of OpenTelemetry, over gRPC. A span per flush, per call of the store, per query; none
//! per event: that of a flush is linked to the spans of a few of its events, where the source knows them. The metrics are
//! those of the catalogue, and three of them by the names of OpenTelemetry's conventions as well. Lines of the log in JSON say in `trace_id` and `span_id` which span they were written in.
//!
//! | variable | what |
//! |---|---|
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, or one with `_TRACES_` or `_METRICS_` before `ENDPOINT` | where to, as `http://127.0.0.1:4317`, or with `https` by TLS; nothing is sent when none is set |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE`, or one with `_TRACES_` or `_METRICS_` before `CERTIFICATE` | a file (PEM) with the authorities that a collector with TLS is known by; those of this machine when not set |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL`, or one with `_TRACES_` or `_METRICS_` before `PROTOCOL` | `grpc`, or not set |
//! | `OTEL_SDK_DISABLED=true`, `OTEL_TRACES_EXPORTER=none`, `OTEL_METRICS_EXPORTER=none` | nothing is sent, or not of that kind |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who sends; the name of the program when not set |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | between two times that metrics are sent, in milliseconds; a minute when not set. The last ones are sent at the end |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*` | as the specification says |

mod conventions;
mod lines;
mod metrics;
mod spans;
mod tls;

use opentelemetry_sdk::Resource;
use tokio::runtime::Runtime;

use crate::{Error, ErrorKind, Result};

pub(super) use lines::Traced;
pub(super) use metrics::install;
pub(super) use spans::{layer, span_links};

/// What is sent.
#[derive(Clone, Copy)]
enum Signal {
    Spans,
    Metrics,
}

impl Signal {
    /// As variables call it.
    fn name(self) -> &'static str {
        match self {
            Self::Spans => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// What the environment says of it, or of everything that is sent: the variable and its value.
    fn variable(self, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{}_{what}", self.name()), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| set(&name).map(|value| (name, value)))
    }

    /// Whether the environment asks for it.
    fn is_wanted(self) -> Result<bool> {
        let name = self.name();
        let off = set("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"))
            || set(&format!("OTEL_{name}_EXPORTER")).is_some_and(|exporter| exporter == "none");
        if self.variable("ENDPOINT").is_none() || off {
            return Ok(false);
        }
        match self.variable("PROTOCOL").filter(|(_, protocol)| protocol != "grpc") {
            None => Ok(true),
            Some((variable, protocol)) => {
                let context = format!("{variable} is `{protocol}`; Murmur sends by `grpc` only");
                Err(Error::new(ErrorKind::Configuration, context))
            }
        }
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What holds a connection to the collector. Its own, so that a busy worker does not hold up what is sent, nor that the
/// worker.
fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Configuration, "nothing can be sent as the OTEL_ variables say").with_source(error)
}

/// Who sends.
fn resource(program: &'static str) -> Resource {
    let named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    let resource = Resource::builder();
    let resource = if named { resource } else { resource.with_service_name(program) };
    resource.build()
}

/// Send what is left.
pub(super) fn flush() {
    for sent in [spans::flush(), metrics::flush()] {
        if let Err(error) = sent {
            tracing::warn!(%error, "the last spans or metrics could not be sent");
        }
    }
}
