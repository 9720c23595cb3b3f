//! Whether a worker of Kafka is ready follows its brokers.

use murmur_tests::forward::Forward;
use murmur_tests::http;
use murmur_tests::kafka::Cluster;
use murmur_tests::kafka_secured::SecuredKafka;
use murmur_tests::process::{Server, example};

use crate::observed::ready;

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
