//! Whose trace a call belongs to.

use std::future::{Future, ready};
use std::sync::Mutex;

use opentelemetry::trace::{SpanId, TraceId, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use prost::Message;
use tracing_subscriber::layer::SubscriberExt;

use super::http::{path, send};
use super::*;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;

/// Keeps spans.
#[derive(Debug, Clone, Default)]
struct Spans(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Spans {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.0.lock().unwrap().extend(batch);
        ready(Ok(()))
    }
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_query_is_a_child_of_the_span_that_its_request_names_whatever_it_speaks() {
    let spans = Spans::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    // Where there is one subscriber only, `tracing` remembers what the first thread at a span has to say, and that may be
    // one of another test, which has none.
    let _other = tracing::Dispatch::new(tracing_subscriber::registry());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let world = World::new();
    let key = stock(7, "tea", -2);
    world.count(&key, hours_ago(1), 10).await;
    spans.0.lock().unwrap().clear();
    let message = frame(0, &GetRequest { key: Some(key), options: None }.encode_to_vec()).to_vec();
    let json = br#"{"key":{"shop":7,"sku":"tea","shelf":-2}}"#.to_vec();
    let get = format!("{}?encoding=json&message=%7B%22key%22%3A%7B%22shop%22%3A7%7D%7D", path("Get"));
    let sampled = format!("00-{TRACE}-{SPAN}-01");
    for (verb, path, kind, body) in [
        ("POST", path("Get"), "application/grpc", message.clone()),
        ("POST", path("Get"), "application/grpc-web", message),
        ("POST", path("Get"), "application/json", json),
        ("GET", get, "", Vec::new()),
    ] {
        for (traceparent, is_named) in [(sampled.as_str(), true), ("00-nonsense-01", false)] {
            let headers = [("content-type", kind), ("traceparent", traceparent)];
            let headers = if kind.is_empty() { &headers[1..] } else { &headers };
            assert_eq!(send(&world, verb, &path, headers, body.clone()).await.status, 200, "{kind}");
            let spans = std::mem::take(&mut *spans.0.lock().unwrap());
            let query = spans.iter().find(|span| span.name == "query").unwrap();
            let trace = query.span_context.trace_id();
            assert_eq!(trace == TraceId::from_hex(TRACE).unwrap(), is_named, "{kind}");
            let parent = if is_named { SpanId::from_hex(SPAN).unwrap() } else { SpanId::INVALID };
            assert_eq!(query.parent_span_id, parent, "{kind}");
            let mut reads = spans.iter().filter(|span| span.name == "store");
            assert!(reads.all(|read| read.span_context.trace_id() == trace), "{kind}");
        }
        // Whom the caller does not record is not recorded here.
        let unsampled = format!("00-{TRACE}-{SPAN}-00");
        let headers = [("content-type", kind), ("traceparent", unsampled.as_str())];
        let headers = if kind.is_empty() { &headers[1..] } else { &headers };
        assert_eq!(send(&world, verb, &path, headers, body.clone()).await.status, 200, "{kind}");
        assert!(spans.0.lock().unwrap().is_empty(), "{kind}");
    }
}
