//! Spans of flushes are linked to those that messages of Kafka were made in.

use std::collections::{BTreeMap, BTreeSet};

use murmur_tests::kafka::{Cluster, Sent};

use super::*;

/// Which of the messages say that they were made in a span that is recorded, and how the others say something else.
fn parent(n: usize) -> Option<String> {
    let (trace, span) = (format!("{:032x}", n + 1), format!("{:016x}", n + 1));
    match n % 5 {
        0 => Some(format!("00-{trace}-{span}-01")),
        1 => Some(format!("00-{trace}-{span}-00")),
        2 => Some(format!("00-{trace}-{span}-01-and-more")),
        3 => Some("nonsense".to_owned()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_linked_to_the_recorded_spans_that_its_messages_were_made_in() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("links", 1).await;
    let stream = Stream::generate(60, 5, 8);
    let lines = fs::read_to_string(&stream.file).unwrap();
    let messages = lines.lines().enumerate().map(|(n, line)| {
        let parents = parent(n).map(|parent| ("traceparent".to_owned(), Some(parent)));
        let state = ("tracestate".to_owned(), Some(format!("shop={n}")));
        Sent { headers: parents.into_iter().chain([state]).collect(), payload: line.into(), ..Sent::default() }
    });
    cluster.send_all(&topic, 1, messages);

    let Collecting { endpoint, mut spans, .. } = Collecting::start(Server::builder(), "http").await;
    let source = format!("kafka://{}/{topic}?group={}", cluster.brokers, Cluster::name("links"));
    let worked = tokio::task::spawn_blocking(move || {
        let store = process::store(&stream.store("state"));
        let arguments = ["run", "--until-end", "--threads", "1", "-o", "json", "--source", &source, "--store", &store];
        command(example("page-traffic"), &arguments).env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().unwrap()
    });
    let output = worked.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((summary["read"].as_u64(), summary["rewinds"].as_u64()), (Some(60), Some(0)));

    let sent = taken(&mut spans).into_iter().flat_map(|sent| sent.scope_spans).flat_map(|scope| scope.spans);
    let (flushes, others): (Vec<Span>, Vec<Span>) = sent.partition(|span| span.name == "flush");
    assert!(others.iter().all(|span| span.links.is_empty()));
    let links: Vec<_> = flushes.into_iter().flat_map(|flush| flush.links).collect();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
    let linked: BTreeMap<u128, (u128, &str)> =
        links.iter().map(|link| (number(&link.trace_id), (number(&link.span_id), link.trace_state.as_str()))).collect();
    assert_eq!(linked.len(), links.len(), "each once: {links:?}");
    let recorded: BTreeSet<u128> = (0..60).step_by(5).map(|n| n + 1).collect();
    assert_eq!(linked.keys().copied().collect::<BTreeSet<_>>(), recorded);
    for (trace, (span, state)) in linked {
        assert_eq!((span, state), (trace, format!("shop={}", trace - 1).as_str()));
    }
}
