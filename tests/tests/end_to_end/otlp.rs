//! Spans and metrics over OTLP, taken in by a collector in this process.

mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use murmur_tests::process::{self, command, example};
use murmur_tests::{certificates, http};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::page_views::Stream;

/// Takes in all there is.
#[derive(Clone)]
struct Collector {
    spans: UnboundedSender<ResourceSpans>,
    metrics: UnboundedSender<ResourceMetrics>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        request.into_inner().resource_spans.into_iter().for_each(|spans| drop(self.spans.send(spans)));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        request.into_inner().resource_metrics.into_iter().for_each(|metrics| drop(self.metrics.send(metrics)));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// Where a collector is, and what it takes in.
struct Collecting {
    endpoint: String,
    spans: UnboundedReceiver<ResourceSpans>,
    metrics: UnboundedReceiver<ResourceMetrics>,
}

impl Collecting {
    async fn start(mut server: Server, scheme: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
        let ((spans, some_spans), (metrics, some_metrics)) = (unbounded_channel(), unbounded_channel());
        let collector = Collector { spans, metrics };
        let server = server
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { endpoint, spans: some_spans, metrics: some_metrics }
    }
}

/// All that has come so far.
fn taken<T>(from: &mut UnboundedReceiver<T>) -> Vec<T> {
    std::iter::from_fn(|| from.try_recv().ok()).collect()
}

/// What a worker has sent to a collector, and what it said, after reading so many events to the end.
async fn sent_to(
    server: Server,
    scheme: &str,
    environment: Vec<(&'static str, PathBuf)>,
    events: u64,
) -> (Vec<ResourceSpans>, Vec<ResourceMetrics>, Output) {
    let Collecting { endpoint, mut spans, mut metrics } = Collecting::start(server, scheme).await;
    let worked = tokio::task::spawn_blocking(move || {
        let stream = Stream::generate(events, 20, 5);
        let (source, store) = (stream.source(), process::store(&stream.store("state")));
        command(example("page-traffic"), &["run", "--until-end", "-o", "json", "--source", &source, "--store", &store])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .envs(environment)
            .output()
            .unwrap()
    });
    let output = worked.await.unwrap();
    (taken(&mut spans), taken(&mut metrics), output)
}

/// What a worker has sent, and its summary.
async fn sent(events: u64) -> (Vec<ResourceSpans>, Vec<ResourceMetrics>, Json) {
    let (spans, metrics, output) = sent_to(Server::builder(), "http", Vec::new(), events).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (spans, metrics, serde_json::from_slice(&output.stdout).unwrap())
}

fn assert_is_page_traffic(resource: Option<Resource>) {
    let name = resource.unwrap().attributes.into_iter().find(|attribute| attribute.key == "service.name");
    let name = name.and_then(|name| name.value).and_then(|name| name.value);
    assert_eq!(name, Some(Value::StringValue("page-traffic".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_and_calls_of_the_store_are_spans_and_events_are_not() {
    let mut spans: Vec<Span> = Vec::new();
    for ResourceSpans { resource, scope_spans, .. } in sent(3_000).await.0 {
        assert_is_page_traffic(resource);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_part_of_the_trace_that_its_request_names() {
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let Collecting { endpoint, mut spans, .. } = Collecting::start(Server::builder(), "http").await;
    let traceparent = format!("00-{trace}-{span}-01");
    let asked = tokio::task::spawn_blocking(move || {
        let stream = Stream::generate(200, 5, 3);
        let folder = stream.store("state");
        stream.count_into(&folder);
        let arguments = ["serve", "--store", &process::store(&folder), "--listen", "127.0.0.1:0"];
        let mut serve = command(example("page-traffic"), &arguments);
        serve.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        let server = process::Server::of(serve);
        let path = "/page_traffic.v1.PageTrafficService/Get?encoding=json&message=%7B%22key%22%3A%7B%7D%7D";
        let answer = http::get_with(&server.address, path, &[("traceparent", &traceparent)]);
        // The last spans are sent before it ends.
        assert!(server.stop().success());
        answer
    });
    let (status, body) = asked.await.unwrap();
    assert_eq!(status, 200, "{body}");
    let sent = taken(&mut spans).into_iter().flat_map(|sent| sent.scope_spans).flat_map(|scope| scope.spans);
    let queries: Vec<Span> = sent.filter(|span| span.name == "query").collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parents: Vec<_> = queries.iter().map(|span| (hex(&span.trace_id), hex(&span.parent_span_id))).collect();
    assert_eq!(parents, [(trace.to_owned(), span.to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_say_what_the_summary_says() {
    let (_, sent, summary) = sent(2_000).await;
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for ResourceMetrics { resource, scope_metrics, .. } in sent {
        assert_is_page_traffic(resource);
        for metric in scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            metrics.insert(metric.name.clone(), metric);
        }
    }
    for (name, said) in [
        ("murmur_events_received_total", "read"),
        ("messaging.client.consumed.messages", "read"),
        ("murmur_events_applied_total", "applied"),
        ("murmur_flushes_total", "flushes"),
        ("murmur_tiles_written_total", "writes"),
    ] {
        let Some(Data::Sum(sum)) = &metrics[name].data else { panic!("{:?}", metrics[name]) };
        assert!(sum.is_monotonic, "{name}");
        let [point] = sum.data_points.as_slice() else { panic!("{sum:?}") };
        assert_eq!(point.value, Some(number_data_point::Value::AsInt(summary[said].as_i64().unwrap())), "{name}");
    }
    let flush = &metrics["murmur_flush_duration_seconds"];
    let Some(Data::Histogram(histogram)) = &flush.data else { panic!("{flush:?}") };
    let durable = &histogram.data_points[0];
    assert_eq!(Some(durable.count), summary["flushes"].as_u64());
    assert!(durable.explicit_bounds.contains(&0.25), "the catalogue's bounds: {:?}", durable.explicit_bounds);
    assert!(!flush.description.is_empty() && flush.unit == "s", "{flush:?}");
    assert!(matches!(metrics["murmur_freshness_seconds"].data, Some(Data::Gauge(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_tls_is_known_by_the_authorities_that_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    certificates::make(folder.path());
    let server = || {
        let read = |name: &str| fs::read(file(name)).unwrap();
        let identity = Identity::from_pem(read("server.crt"), read("server.key"));
        Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap()
    };
    let certificate = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    // One for everything, one for each kind, and those of the machine.
    for known in [
        vec![(certificate, file("ca.pem"))],
        vec![
            (certificate, file("other.pem")),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", file("ca.pem")),
            ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", file("ca.pem")),
        ],
        vec![("SSL_CERT_FILE", file("ca.pem"))],
    ] {
        let (spans, metrics, output) = sent_to(server(), "https", known.clone(), 500).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("could not be sent"), "{known:?}: {said}");
        assert!(!spans.is_empty() && !metrics.is_empty(), "{known:?}: {said}");
    }
    // Nothing goes to a stranger, and the worker works all the same.
    for unknown in [vec![(certificate, file("other.pem"))], Vec::new()] {
        let (spans, metrics, output) = sent_to(server(), "https", unknown.clone(), 500).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("the last spans or metrics could not be sent"), "{said}");
        assert!(spans.is_empty() && metrics.is_empty(), "{unknown:?}");
        let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["read"], 500);
    }
    // A file that is not there, or none of certificates, is said at the start.
    for (name, why) in [("nowhere.pem", "which cannot be read"), ("server.key", "where no certificate is")] {
        let (_, _, output) = sent_to(server(), "https", vec![(certificate, file(name))], 500).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(certificate) && said.contains(why), "{said}");
    }
}
