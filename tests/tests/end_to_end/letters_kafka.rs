//! A topic of dead letters: it is looked at before anything is read, and takes letters that are larger than it allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use murmur::engine::DeadLetterLimit;
use murmur::source::KafkaLettersConfig;
use murmur::source::kafka::KafkaConfig;
use murmur::store::Store;
use murmur::{ErrorKind, Result};
use murmur_tests::kafka::{Cluster, Sent};
use murmur_tests::kafka_secured::SecuredKafka;
use rdkafka::Message;
use rdkafka::message::{Headers, OwnedMessage};

use crate::source_kafka::{Running, config, header, memory};

/// A worker that is not to stop, though all that it reads is bad.
fn nothing_but_bad(store: &Arc<dyn Store>, config: KafkaConfig, letters: KafkaLettersConfig) -> Running {
    Running::start_with(store, config, letters, DeadLetterLimit { percent: 100 })
}

/// Bytes that no text is.
fn bad(length: usize) -> Vec<u8> {
    vec![0xff; length]
}

fn numbered(message: &OwnedMessage, name: &str) -> Option<usize> {
    header(message, name).map(|value| value.parse().unwrap())
}

fn by_offset(messages: Vec<OwnedMessage>) -> BTreeMap<usize, OwnedMessage> {
    let count = messages.len();
    let by_offset: BTreeMap<_, _> =
        messages.into_iter().map(|message| (numbered(&message, "murmur-source-offset").unwrap(), message)).collect();
    assert_eq!(by_offset.len(), count, "a letter is there twice");
    by_offset
}

#[tokio::test]
async fn a_letter_that_is_too_large_for_its_topic_is_cut_and_says_so_and_no_letter_is_lost() {
    let cluster = Cluster::from_environment();
    let (topic, dead) = (cluster.topic("large", 1).await, Cluster::name("large-dead"));
    cluster.create_with(&dead, 1, "max.message.bytes", "10000").await;
    let header_of = |length| ("trace".to_owned(), Some("t".repeat(length)));
    let sent = |payload, key: usize, header: usize| Sent {
        payload: bad(payload),
        key: Some("k".repeat(key)),
        headers: vec![header_of(header), ("tenant".to_owned(), Some("acme".to_owned()))],
        ..Sent::default()
    };
    // Many small ones would be too large together.
    let small = 300;
    cluster.send_all(&topic, 1, std::iter::repeat_n(sent(100, 5, 5), small));
    cluster.send_all(&topic, 1, [sent(50_000, 5, 5), sent(200, 5, 50_000), sent(300_000, 50_000, 50_000)]);

    let store = memory();
    let letters = KafkaLettersConfig::new(&cluster.brokers, &dead, "the app");
    let group = Cluster::name("large");
    let mut running = nothing_but_bad(&store, config(&cluster, &topic, &group, "&metadata=true"), letters);
    running.until("all are letters", |progress| progress.dead == small as u64 + 3).await;
    running.until("they are stored", |progress| progress.uncommitted_since().is_none()).await;
    let first = by_offset(cluster.messages(&dead));
    assert_eq!(first.len(), small + 3);
    for at in 0..small {
        let letter = &first[&at];
        assert_eq!(letter.payload(), Some(&bad(100)[..]));
        assert_eq!(header(letter, "murmur-payload-bytes"), None, "whole");
    }
    let payload = |letter: &OwnedMessage| letter.payload().unwrap().len();
    let payload_alone = &first[&small];
    assert_eq!(numbered(payload_alone, "murmur-payload-bytes"), Some(50_000));
    assert!((8_000..10_000).contains(&payload(payload_alone)), "{}", payload(payload_alone));
    assert_eq!(header(payload_alone, "trace").as_deref(), Some("ttttt"));
    let header_alone = &first[&(small + 1)];
    assert_eq!((payload(header_alone), header(header_alone, "murmur-payload-bytes")), (200, None));
    assert_eq!(numbered(header_alone, "murmur-headers-left-out"), Some(1));
    assert_eq!(header(header_alone, "tenant").as_deref(), Some("acme"));
    let everything = &first[&(small + 2)];
    assert_eq!(numbered(everything, "murmur-payload-bytes"), Some(300_000));
    assert_eq!(numbered(everything, "murmur-key-bytes"), Some(50_000));
    assert!(payload(everything) > 3_000 && everything.key().unwrap().len() > 3_000);
    assert!(everything.headers().unwrap().iter().any(|header| header.key == "murmur-reason"));

    // The topic takes less than when it was looked at: what it says to a letter is what counts.
    cluster.alter(&dead, "max.message.bytes", "6000").await;
    cluster.send_all(&topic, 1, std::iter::repeat_n(sent(100, 5, 5), small));
    cluster.send_all(&topic, 1, [sent(8_000, 5, 5), sent(50_000, 5, 5)]);
    running.until("all are letters", |progress| progress.dead == 2 * small as u64 + 5).await;
    let summary = running.stop().unwrap();
    assert_eq!(summary.progress.applied, 0);
    let all = by_offset(cluster.messages(&dead));
    assert_eq!(all.len(), 2 * small + 5);
    assert!(all.range(small + 3..2 * small + 3).all(|(_, letter)| payload(letter) == 100));
    for (at, bytes) in [(2 * small + 3, 8_000), (2 * small + 4, 50_000)] {
        assert_eq!(numbered(&all[&at], "murmur-payload-bytes"), Some(bytes));
        assert!((2_000..6_000).contains(&payload(&all[&at])), "{}", payload(&all[&at]));
    }
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, 2 * small as i64 + 5)].into());
}

#[tokio::test]
async fn compressed_letters_are_cut_only_where_they_do_not_fit_compressed() {
    let cluster = Cluster::from_environment();
    let (topic, dead) = (cluster.topic("packed", 1).await, Cluster::name("packed-dead"));
    cluster.create_with(&dead, 1, "max.message.bytes", "10000").await;
    // What has no pattern cannot be compressed.
    let mut state = 7_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8 | 0x80
    });
    let noise: Vec<u8> = noise.take(50_000).collect();
    cluster.send_all(&topic, 1, [bad(50_000), noise.clone()].map(|payload| Sent { payload, ..Sent::default() }));
    let url = format!("kafka://{}/{dead}?librdkafka.compression.type=lz4", cluster.brokers);
    let letters = KafkaLettersConfig::of(url.parse().unwrap(), "the app").unwrap();
    let mut running = nothing_but_bad(&memory(), config(&cluster, &topic, &Cluster::name("packed"), ""), letters);
    running.until("both are letters", |progress| progress.dead == 2).await;
    running.stop().unwrap();
    let letters = by_offset(cluster.messages(&dead));
    assert_eq!(letters[&0].payload(), Some(&bad(50_000)[..]));
    assert_eq!(header(&letters[&0], "murmur-payload-bytes"), None);
    let cut = letters[&1].payload().unwrap();
    assert!(cut.len() > 8_000 && noise.starts_with(cut));
    assert_eq!(numbered(&letters[&1], "murmur-payload-bytes"), Some(50_000));
}

/// A worker with letters to that URL reads a topic with one good message to its end.
fn read(config: &KafkaConfig, letters: &str) -> Result<()> {
    let letters = KafkaLettersConfig::of(letters.parse().unwrap(), "the app").unwrap();
    Running::start(&memory(), config.clone(), letters).wait().map(drop)
}

#[tokio::test]
async fn a_topic_of_dead_letters_that_takes_none_is_an_error_before_anything_is_read() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("checked", 1).await, Cluster::name("checked"));
    cluster.send(&topic, 1, ["a".to_owned()]);
    let narrow = Cluster::name("narrow");
    cluster.create_with(&narrow, 1, "max.message.bytes", "1000").await;
    let compacted = Cluster::name("compacted");
    cluster.create_with(&compacted, 1, "cleanup.policy", "compact").await;
    let mut config = config(&cluster, &topic, &group, "");
    config.until_end = true;
    for (dead, kind, way_out) in [
        ("no-such-topic", ErrorKind::NotFound, "create it, or correct `--dead-letters`"),
        (&narrow, ErrorKind::Configuration, "raise its `max.message.bytes`"),
        (&compacted, ErrorKind::Configuration, "set its `cleanup.policy` to `delete`"),
    ] {
        let error = read(&config, &format!("kafka://{}/{dead}", cluster.brokers)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(dead) && error.to_string().contains(way_out), "{error}");
    }
    assert_eq!(cluster.committed(&group, &topic, 1), BTreeMap::new(), "nothing was read");

    // Brokers that make topics by themselves make this one, unless they do not let us in.
    let broker = SecuredKafka::start();
    let dead = Cluster::name("made");
    let error = read(
        &config,
        &format!(
            "kafka://{}/{dead}?librdkafka.security.protocol=SASL_PLAINTEXT&librdkafka.sasl.mechanism=PLAIN\
             &librdkafka.sasl.username=alice&sasl.password_file={}",
            broker.sasl,
            broker.file("wrong")
        ),
    );
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains(&dead) && error.to_string().contains("sasl.password_file"), "{error}");
    read(&config, &format!("kafka://{}/{dead}", broker.open.brokers)).unwrap();
    assert!(broker.open.messages(&dead).is_empty(), "it is there");
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, 1)].into());
}
