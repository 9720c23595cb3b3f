//! Whether a worker of Kafka is ready follows its brokers.

use murmur_testkit::faults::proxy::tcp::{Tcp, Toxics};
use murmur_tests::forward::Forward;
use murmur_tests::http;
use murmur_tests::kafka::Cluster;
use murmur_tests::kafka_secured::SecuredKafka;
use murmur_tests::process::{Server, example};
use rdkafka::Message;

use crate::observed::ready;
use crate::page_views::Stream;

#[tokio::test]
async fn a_worker_is_ready_when_its_group_has_said_what_it_reads_and_while_a_broker_answers() {
    let broker = SecuredKafka::start();
    // Of two readers one gets nothing, and is ready all the same.
    let topic = broker.open.topic("ready", 1).await;
    let mut way = Forward::to(&broker.open.brokers);
    way.close();
    let folder = tempfile::tempdir().unwrap();
    let start = |letters: &str| {
        let source = format!("kafka://{}/{topic}?group={}", way.address, Cluster::name("ready"));
        let arguments = ["run", "--source", &source, "--store", "memory:", "--threads", "2", "--dead-letters", letters];
        Server::start(example("page-traffic"), &arguments)
    };
    let in_folder = start(&folder.path().display().to_string());
    let in_topic = start(&format!("kafka://{}/{topic}-dead", way.address));
    for (worker, way_out) in [(&in_folder, "--source"), (&in_topic, "--dead-letters")] {
        let reasons = ready(worker, 503, way_out)["reasons"].to_string();
        assert!(reasons.contains(&format!("kafka://…/{topic}")), "{reasons}");
        assert!(reasons.contains("page_traffic.v1.PageTrafficService"), "{reasons}");
        assert!(!reasons.contains(&way.address.to_string()), "addresses are not for everybody: {reasons}");
    }

    way.open();
    for worker in [&in_folder, &in_topic] {
        ready(worker, 200, r#""ready":true"#);
    }

    way.close();
    drop(broker);
    for worker in [&in_folder, &in_topic] {
        ready(worker, 503, "does not answer any more");
        assert_eq!(http::get(&worker.address, "/healthz").0, 200, "it lives all the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_ready_while_its_letters_cannot_be_stored() {
    let cluster = Cluster::from_environment();
    let (topic, dead) = (cluster.topic("unstored", 1).await, cluster.topic("unstored-dead", 1).await);
    // Kafka's clients go on to the address that a broker names: the proxy puts its own in that place.
    let way = Tcp::kafka(&cluster.brokers, 1).await.unwrap();
    let source = format!("kafka://{}/{topic}?group={}", cluster.brokers, Cluster::name("unstored"));
    let letters = format!("kafka://{}/{dead}", way.address);
    let arguments = ["run", "--source", &source, "--store", "memory:", "--threads", "1", "--dead-letters", &letters];
    let worker = Server::start(example("page-traffic"), &arguments);
    ready(&worker, 200, r#""ready":true"#);

    way.set(Toxics { down: true, ..Toxics::default() });
    let stream = Stream::generate(300, 10, 15);
    let lines = std::fs::read_to_string(&stream.file).unwrap();
    cluster.send(&topic, 1, lines.lines().chain(["no page view"]).map(str::to_owned));
    let reasons = ready(&worker, 503, "dead letters have waited")["reasons"].to_string();
    assert!(reasons.contains("page_traffic.v1.PageTrafficService") && reasons.contains("--dead-letters"), "{reasons}");
    assert_eq!(http::get(&worker.address, "/healthz").0, 200, "it lives all the same");

    way.set(Toxics::default());
    ready(&worker, 200, r#""ready":true"#);
    let stored = cluster.messages(&dead);
    assert!(stored.iter().any(|letter| letter.payload() == Some(b"no page view")), "the letter is stored");
}
