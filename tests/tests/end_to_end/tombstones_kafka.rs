//! Records without a value, which a compacted topic is full of, through a whole program that reads JSON. Protobuf, which
//! would take them for messages, is in `formats_kafka`.

use murmur_tests::kafka::{Cluster, Sent};
use murmur_tests::oracle;
use murmur_tests::process::{self, example};

use crate::page_views::{Stream, answers, dead_letters};

#[tokio::test]
async fn tombstones_are_no_events_no_letters_and_no_reason_to_stop_and_the_position_passes_them() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (Cluster::name("tombstones"), Cluster::name("tombstones"));
    cluster.create_with(&topic, 1, "cleanup.policy", "compact").await;
    let stream = Stream::generate(600, 10, 16);
    let lines = std::fs::read_to_string(&stream.file).unwrap();
    let tombstone = |n: usize| Sent { key: Some(format!("gone {n}")), tombstone: true, ..Sent::default() };
    // Ten to one, and more of them at the end than the breaker looks at.
    let events = lines.lines().enumerate().flat_map(|(n, line)| {
        let event = Sent { key: Some(format!("event {n}")), payload: line.into(), ..Sent::default() };
        std::iter::once(event).chain((0..10).map(move |other| tombstone(10 * n + other)))
    });
    cluster.send_all(&topic, 1, events.chain((6_000..9_000).map(tombstone)));

    let (store, source) = (stream.store("counted"), format!("kafka://{}/{topic}?group={group}", cluster.brokers));
    let store_url = process::store(&store);
    let arguments = ["run", "--until-end", "--source", &source, "--store", &store_url, "-o", "json"];
    let summary = process::json(example("page-traffic"), &arguments);
    assert_eq!((&summary["read"], &summary["tombstones"]), (&600.into(), &9_000.into()), "{summary}");
    assert_eq!(summary["lag"], 0, "{summary}");
    oracle::assert_pages(&answers(&store), &stream.views.whole_truth());
    let mut malformed = stream.views.malformed.clone();
    malformed.sort();
    assert_eq!(dead_letters(&store), malformed);
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, 9_600)].into());

    let again = process::json(example("page-traffic"), &arguments);
    assert_eq!((&again["read"], &again["tombstones"]), (&0.into(), &0.into()), "{again}");
}
