//! Several writers to one topic, against the brokers that librdkafka plays by itself.

use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka_sys::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::source::{LetterClass, Metadata};

const TOPIC: &str = "dead";

fn brokers() -> MockCluster<'static, DefaultProducerContext> {
    let brokers = MockCluster::new(1).unwrap();
    brokers.create_topic(TOPIC, 1, 1).unwrap();
    brokers
}

fn writer(brokers: &MockCluster<'static, DefaultProducerContext>) -> KafkaDeadLetters {
    KafkaDeadLetters::open(&KafkaLettersConfig::new(brokers.bootstrap_servers(), TOPIC, "the app")).unwrap()
}

/// As a compacted topic refuses a letter without a key.
fn refuse_the_next(brokers: &MockCluster<'static, DefaultProducerContext>, requests: usize) {
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    brokers.request_errors(RDKafkaApiKey::Produce, &vec![refusal; requests]);
}

fn messages(brokers: &MockCluster<'static, DefaultProducerContext>) -> i64 {
    let reader: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers.bootstrap_servers()).create().unwrap();
    reader.fetch_watermarks(TOPIC, 0, Duration::from_secs(20)).unwrap().1
}

fn letter(partition: &str, offset: u64) -> Letter {
    Letter {
        partition: PartitionId::new(partition),
        offset: Offset::from_u64(offset),
        pipelines: vec!["words"],
        place: None,
        reason: "no JSON".to_owned(),
        class: LetterClass::Undecodable,
        at: None,
        payload: b"bad".to_vec(),
        metadata: Metadata::default(),
    }
}

#[tokio::test]
async fn a_letter_that_is_refused_is_stored_for_nobody_however_often_is_asked_and_by_whom() {
    let brokers = brokers();
    let mut one = writer(&brokers);
    let (mut other, mut third) = (one.share(), one.share());
    // The other one waits for the same message, or sends another one, as the first has failed by then.
    refuse_the_next(&brokers, 2);
    one.put(vec![letter("a", 1)]).await.unwrap();
    other.put(vec![letter("a", 1)]).await.unwrap();
    third.sync().await.unwrap();
    for _ in 0..2 {
        let error = one.sync().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("`dead`"), "{error}");
        other.sync().await.unwrap_err();
    }
    assert_eq!(messages(&brokers), 0);
    // Who puts it again stores it.
    brokers.clear_request_errors(RDKafkaApiKey::Produce);
    third.put(vec![letter("a", 1)]).await.unwrap();
    third.sync().await.unwrap();
    assert_eq!(messages(&brokers), 1);
    one.sync().await.unwrap_err();
}

#[tokio::test]
async fn writers_fail_by_their_own_letters_only() {
    let brokers = brokers();
    let mut one = writer(&brokers);
    let mut other = one.share();
    refuse_the_next(&brokers, 1);
    one.put(vec![letter("a", 1)]).await.unwrap();
    one.sync().await.unwrap_err();
    other.put(vec![letter("b", 1)]).await.unwrap();
    other.sync().await.unwrap();
    assert_eq!(messages(&brokers), 1);
}

#[tokio::test]
async fn nobody_waits_for_the_letters_of_others_and_each_is_sent_once() {
    let brokers = brokers();
    let mut one = writer(&brokers);
    let (mut other, mut third) = (one.share(), one.share());
    brokers.broker_down(1).unwrap();
    one.put(vec![letter("a", 1)]).await.unwrap();
    assert!(one.sync().now_or_never().is_none(), "no broker is there");
    third.sync().now_or_never().unwrap().unwrap();
    let commits = [("words", Some(Offset::from_u64(9)))];
    third.passed(&PartitionId::new("b"), &commits).now_or_never().unwrap();
    // The partition has moved, and its letter is under way.
    other.rewind(&PartitionId::new("a"), &[("words", None)]).now_or_never().unwrap().unwrap();
    other.put(vec![letter("a", 1)]).await.unwrap();
    assert!(other.sync().now_or_never().is_none(), "it is not stored yet");
    brokers.broker_up(1).unwrap();
    other.sync().await.unwrap();
    one.sync().await.unwrap();
    // Nor when it is stored.
    third.put(vec![letter("a", 1)]).now_or_never().unwrap().unwrap();
    third.sync().now_or_never().unwrap().unwrap();
    assert_eq!(messages(&brokers), 1);
}
