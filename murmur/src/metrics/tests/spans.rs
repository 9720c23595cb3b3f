//! Spans, kept.

use std::future::{Future, ready};
use std::mem;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

/// What is recorded on this thread, as long as it lives.
pub(crate) struct Spans {
    kept: Kept,
    _other: Dispatch,
    _here: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.lock().unwrap().extend(batch);
        ready(Ok(()))
    }
}

impl Spans {
    /// From now on.
    pub(crate) fn keep() -> Self {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        // Where there is one subscriber only, `tracing` remembers what the first thread at a span has to say, and that may
        // be one of another test, which has none.
        let other = Dispatch::new(registry());
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let here = tracing::subscriber::set_default(registry().with(layer));
        Self { kept, _other: other, _here: here }
    }

    /// Those that have ended since the last time.
    pub(crate) fn taken(&self) -> Vec<SpanData> {
        mem::take(&mut *self.kept.0.lock().unwrap())
    }
}
