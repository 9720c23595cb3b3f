//! Messages as producers and brokers compress them.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

/// The codecs of Kafka, each at its number.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// How the first batch of partition 0 is compressed, as the broker has it: by a Fetch request, version 4, for the bytes
/// alone.
fn codec(brokers: &str, topic: &str) -> &'static str {
    let text = |text: &str| [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat();
    let number = |number: i32| number.to_be_bytes();
    let request = [
        // Fetch, its version, the correlation, no name of a client; no replica, how long to wait, how much at least and at
        // most, read_uncommitted; of one topic one partition, from which offset, and how much.
        &[0, 1, 0, 4, 0, 0, 0, 7, 0xff, 0xff][..],
        &[number(-1), number(500), number(1), number(1 << 20)].concat()[..],
        &[0][..],
        &number(1)[..],
        &text(topic)[..],
        &[number(1), number(0), [0; 4], [0; 4], number(1 << 20)].concat()[..],
    ]
    .concat();
    let mut stream = TcpStream::connect(brokers).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[&number(request.len() as i32)[..], &request[..]].concat()).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // Correlation, pause, topics, name, partitions, number, error, two ends, aborted transactions, bytes; then the batch,
    // whose attributes stand at 21.
    let batch = 4 + 4 + 4 + text(topic).len() + 4 + 4 + 2 + 8 + 8 + 4 + 4;
    CODECS[usize::from(answer[batch + 22] & 7)]
}

#[tokio::test]
async fn what_producers_or_brokers_have_compressed_counts_exactly_by_each_codec() {
    let cluster = Cluster::from_environment();
    let mut workers = Vec::new();
    for name in CODECS {
        // By librdkafka, and by the broker, which is Java.
        let (sent, stored) = (cluster.topic("sent", 1).await, Cluster::name("stored"));
        let (way, other) = if name == "none" { ("uncompressed", "gzip") } else { (name, "none") };
        cluster.create_with(&stored, 1, "compression.type", way).await;
        cluster.send_compressed(&sent, name, words(0..3_000));
        cluster.send_compressed(&stored, other, words(0..3_000));
        for topic in [sent, stored] {
            assert_eq!(codec(&cluster.brokers, &topic), name, "of `{topic}`");
            let store = memory();
            let mut config = config(&cluster, &topic, &Cluster::name("compressed"), "");
            config.until_end = true;
            workers.push((name, Running::start(&store, config, ()), store));
        }
    }
    for (name, worker, store) in workers {
        assert!(worker.wait().unwrap().ended, "{name}");
        assert_eq!(counts(&*store).await, count(words(0..3_000)), "{name}");
    }
}
