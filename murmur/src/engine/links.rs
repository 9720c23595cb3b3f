//! Whose spans a flush is linked to.

use super::worker::Worker;
use crate::event::Event;
use crate::source::{Batch, Offset, Trace};

/// Spans that payloads were made in which lie in one flush: a few of them, each once.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<Trace>);

impl Links {
    /// One more, unless there are so many.
    pub(super) fn add(&mut self, trace: &Trace, at_most: usize) {
        if self.0.len() < at_most && !self.0.iter().any(|known| known.is_of(trace)) {
            self.0.push(trace.clone());
        }
    }

    /// Link the span of the flush to them.
    #[cfg(feature = "otlp")]
    pub(super) fn tie(&self, flush: &tracing::Span) {
        use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
        use tracing_opentelemetry::OpenTelemetrySpanExt;

        for Trace { trace, span, state } in &self.0 {
            // What is not well-formed is left out; the span has its name without.
            let state: TraceState = state.parse().unwrap_or_default();
            let (trace, span) = (TraceId::from(*trace), SpanId::from(*span));
            flush.add_link(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state));
        }
    }
}

impl<E: Event> Worker<E> {
    /// Have the source say which spans its payloads were made in.
    pub(super) fn ask_for_traces(&mut self) {
        let at_most = self.options.links();
        if at_most > 0 {
            self.source.carry_traces(at_most);
        }
    }

    /// A payload of an owned partition lies in the next flush of each pipeline that lacks it.
    pub(super) fn link(&mut self, batch: &Batch, n: usize, at: usize, offset: Offset) {
        let at_most = self.options.links();
        for traced in batch.traces.iter().filter(|traced| traced.payload == n) {
            for (lane, ledger) in self.lanes.iter_mut().zip(&self.owned[at].ledgers) {
                if !ledger.has(offset) {
                    lane.links.add(&traced.trace, at_most);
                }
            }
        }
    }
}
