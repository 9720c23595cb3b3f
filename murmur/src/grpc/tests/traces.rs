//! Whose trace a call belongs to.

use opentelemetry::trace::{SpanId, TraceId};
use prost::Message;

use super::http::{path, send};
use super::*;
use crate::grpc::messages::GetRequest;
use crate::grpc::protocol::frame::frame;
use crate::metrics::tests::spans::Spans;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_query_is_a_child_of_the_span_that_its_request_names_whatever_it_speaks() {
    let spans = Spans::keep();
    let world = World::new();
    let key = stock(7, "tea", -2);
    world.count(&key, hours_ago(1), 10).await;
    spans.taken();
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
            let spans = spans.taken();
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
        assert!(spans.taken().is_empty(), "{kind}");
    }
}
