//! What cannot be counted, in a topic.

use super::*;

#[tokio::test]
async fn a_dead_letter_has_payload_key_headers_place_and_reason_before_the_commit_passes_it() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("letters", 1).await, Cluster::name("letters"));
    let dead = cluster.topic("dead", 1).await;
    cluster.send(&topic, 1, ["a".to_owned()]);
    cluster.send_whole(&topic, "the key", &[("trace", Some("7")), ("trace", None)], b"!");
    cluster.send_whole(&topic, "k", &[], b"\xff\x00");
    cluster.send(&topic, 1, ["b".to_owned()]);

    let store = memory();
    let mut config = config(&cluster, &topic, &group, "&metadata=true");
    config.until_end = true;
    let letters = KafkaLettersConfig::new(&cluster.brokers, &dead, "the app");
    let summary = Running::start(&store, config.clone(), letters.clone()).wait().unwrap();
    assert_eq!((summary.progress.read, summary.progress.dead), (4, 2));
    assert_eq!(cluster.committed(&group, &topic, 1), [(0, 4)].into());
    let messages = cluster.messages(&dead);
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].payload(), messages[0].key()), (Some(&b"!"[..]), Some(&b"the key"[..])));
    assert_eq!((messages[1].payload(), messages[1].key()), (Some(&b"\xff\x00"[..]), Some(&b"k"[..])));
    let headers = messages[0].headers().unwrap();
    assert_eq!((headers.get(0).key, headers.get(0).value), ("trace", Some(&b"7"[..])));
    assert_eq!((headers.get(1).key, headers.get(1).value), ("trace", None));
    let partition = &summary.progress.partitions[0].partition;
    for (name, value) in [
        ("murmur-id", format!("{partition}@1/words")),
        ("murmur-pipelines", "words".to_owned()),
        ("murmur-partition", partition.to_string()),
        ("murmur-offset", "1".to_owned()),
        ("murmur-place", format!("{topic}[0]@1")),
        ("murmur-source-topic", topic.clone()),
        ("murmur-source-partition", "0".to_owned()),
        ("murmur-source-offset", "1".to_owned()),
        ("murmur-reason", "an exclamation".to_owned()),
        ("murmur-class", "undecodable".to_owned()),
        ("murmur-app", "the app".to_owned()),
    ] {
        assert_eq!(header(&messages[0], name).as_deref(), Some(value.as_str()), "{name}");
    }
    assert!(header(&messages[0], "murmur-stamped").is_some());

    // Read again by a run that knows nothing: copies have the same id.
    config.group = Cluster::name("letters");
    Running::start(&memory(), config, letters).wait().unwrap();
    let ids: Vec<_> = cluster.messages(&dead).iter().map(|letter| header(letter, "murmur-id")).collect();
    assert_eq!((ids.len(), &ids[..2]), (4, &ids[2..]));
}

#[tokio::test]
async fn a_storm_of_bad_messages_stops_the_worker_and_no_restart_adds_to_the_dead_letters() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("storm", 1).await, Cluster::name("storm"));
    let dead = cluster.topic("storm-dead", 1).await;
    cluster.send(&topic, 1, words(0..1_000));
    cluster.send(&topic, 1, std::iter::repeat_n("!".to_owned(), 50_000));
    let letters = KafkaLettersConfig::new(&cluster.brokers, &dead, "the app");
    let store = memory();
    let mut moved = Vec::new();
    for _ in 0..3 {
        let error = Running::start(&store, config(&cluster, &topic, &group, ""), letters.clone()).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        let said = error.to_string();
        // The letters say what is wrong in full; an error that is logged has nothing of a payload.
        assert!(said.contains("its format does not read it") && !said.contains("an exclamation"), "{said}");
        moved.push(cluster.messages(&dead).len());
    }
    assert!(moved[0] <= DeadLetterLimit::WINDOW / 4 && moved.iter().all(|count| *count == moved[0]), "{moved:?}");
}
