//! Whose trace a request belongs to.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The headers of a request.
struct Headers<'a>(&'a HeaderMap);

/// Longest header that is looked at, in bytes; the standard asks for so many of `tracestate` to be passed on.
const LONGEST: usize = 512;

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).filter(|value| value.len() <= LONGEST)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// The trace that `traceparent` and `tracestate` name, as [Trace Context](https://www.w3.org/TR/trace-context/) has it:
/// spans that are made in it are children of the caller's. Headers that are not well-formed name none; `None` where there
/// are none of these at all, as with most callers.
pub(super) fn of(headers: &HeaderMap) -> Option<Context> {
    headers.contains_key("traceparent").then(|| TraceContextPropagator::new().extract(&Headers(headers)))
}
