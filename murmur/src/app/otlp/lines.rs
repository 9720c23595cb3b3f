use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of JSON with the fields `trace_id` and `span_id`, of the span that is sent and that the line was written in; without
/// them where no span is.
pub(in crate::app) struct Traced<F>(pub(in crate::app) F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let current = Context::current();
        let span = current.span();
        let span = span.span_context();
        if !span.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The formatter of JSON begins with the time, so something follows.
        let fields = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, r#"{{"trace_id":"{}","span_id":"{}",{fields}"#, span.trace_id(), span.span_id())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

    use super::*;
    use crate::metrics::tests::lines::Kept;

    #[test]
    fn a_line_of_json_names_the_span_that_it_was_written_in() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().build();
        let writer = kept.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).json().map_event_format(Traced);
        let subscriber = registry()
            // The log does not show spans as low as these, which are sent all the same.
            .with(lines.with_filter(EnvFilter::new("info")))
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("outside");
            tracing::debug_span!("call").in_scope(|| {
                tracing::info!(n = 1, "inside");
                tracing::info!("inside too");
            });
        });
        let lines: Vec<Value> = kept.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0].get("trace_id"), None);
        assert_eq!(lines[1]["fields"]["n"], 1);
        let [trace, span] = ["trace_id", "span_id"].map(|id| lines[1][id].as_str().unwrap().len());
        assert_eq!((trace, span), (32, 16), "{lines:?}");
        assert_eq!((&lines[1]["trace_id"], &lines[1]["span_id"]), (&lines[2]["trace_id"], &lines[2]["span_id"]));
    }
}
