//! Spans over OTLP, taken in by a collector in this process.

use std::collections::BTreeSet;

use murmur_tests::process::{self, command, example};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::{Request, Response, Status};

use crate::page_views::Stream;

struct Collector(UnboundedSender<ResourceSpans>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        request.into_inner().resource_spans.into_iter().for_each(|spans| drop(self.0.send(spans)));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_and_calls_of_the_store_are_spans_and_events_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, mut taken) = unbounded_channel();
    let service = TraceServiceServer::new(Collector(sender));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));

    let worked = tokio::task::spawn_blocking(move || {
        let stream = Stream::generate(3_000, 20, 5);
        let (source, store) = (stream.source(), process::store(&stream.store("state")));
        command(example("page-traffic"), &["run", "--until-end", "--source", &source, "--store", &store])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .output()
            .unwrap()
    });
    let output = worked.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let mut spans: Vec<Span> = Vec::new();
    while let Ok(ResourceSpans { resource, scope_spans, .. }) = taken.try_recv() {
        let name = resource.unwrap().attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let name = name.and_then(|name| name.value).and_then(|name| name.value);
        assert_eq!(name, Some(Value::StringValue("page-traffic".to_owned())));
        spans.extend(scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["flush", "store"]));
    assert!(spans.len() < 200, "{} spans for 3,000 events", spans.len());
    let flush = spans.iter().find(|span| span.name == "flush").unwrap();
    let write = spans.iter().find(|span| span.parent_span_id == flush.span_id).unwrap();
    assert_eq!((write.name.as_str(), &write.trace_id), ("store", &flush.trace_id), "its writes are inside a flush");
    let outcome = flush.attributes.iter().find(|attribute| attribute.key == "outcome").unwrap();
    assert_eq!(outcome.value.clone().unwrap().value, Some(Value::StringValue("durable".to_owned())));
}
