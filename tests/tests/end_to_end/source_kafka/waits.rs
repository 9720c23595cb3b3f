//! A reader whose engine waits for its store.

use murmur::source::{Asks, Poll, Source};
use murmur_testkit::faults::proxy::tcp::Tcp;

use super::*;

const MESSAGES: usize = 40_000;
/// Bytes of each.
const SIZE: usize = 500;
/// Bytes that the reader may hold.
const BUFFER: u64 = 1 << 20;
/// For so long the engine waits: what is thrown away from time to time would be all of it by then.
const OUTAGE: Duration = Duration::from_secs(6);

/// The next batch; the offsets in it.
async fn batch(source: &mut dyn Source) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Poll::Batch(batch) = source.poll().await.unwrap()
            && !batch.payloads.is_empty()
        {
            return batch.payloads.iter().map(|payload| payload.offset.words()[3]).collect();
        }
    }
    panic!("nothing comes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_for_its_store_fetches_nothing_and_goes_on_where_it_was() {
    let cluster = Cluster::from_environment();
    let (topic, group) = (cluster.topic("waits", 1).await, Cluster::name("waits"));
    cluster.send(&topic, 1, (0..MESSAGES).map(|n| format!("{n:0SIZE$}")));
    let way = Tcp::kafka(&cluster.brokers, 1).await.unwrap();
    let url = format!("kafka://{}/{topic}?group={group}&buffer=1MiB", way.address);
    let mut source = kafka::open(KafkaConfig::parse(&url).unwrap()).unwrap();
    loop {
        if let Poll::Assigned(assigned) = source.poll().await.unwrap()
            && let [assignment] = &assigned[..]
        {
            source.seek(&assignment.partition, None).await.unwrap();
            break;
        }
    }
    let mut read = batch(&mut *source).await;
    for _ in 0..2 {
        let before = way.replied();
        tokio::time::timeout(OUTAGE, source.asks(Asks::Back)).await.unwrap_err();
        let fetched = way.replied() - before;
        // What it holds, and what was under way.
        assert!(fetched < 4 * BUFFER, "{fetched} bytes");
        assert!((read.len() * SIZE) as u64 + 8 * BUFFER < (MESSAGES * SIZE) as u64, "there is enough left to fetch");
        read.extend(batch(&mut *source).await);
    }
    let outages = way.replied();
    while read.len() < MESSAGES {
        read.extend(batch(&mut *source).await);
    }
    assert!(read.iter().copied().eq(0..MESSAGES as u64), "each of them once, in their order");
    assert!(outages < (MESSAGES * SIZE) as u64, "{outages} bytes before the rest was read");
    tokio::task::spawn_blocking(move || drop(source)).await.unwrap();
}
