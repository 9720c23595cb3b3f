use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;

use crate::views::{Counts, line};

pub(super) const PARTITIONS: i32 = 8;
const HOUR: i64 = 3_600_000;

/// Views of pages in a topic of their own: three hours of event time, the newest hour the last full one. What is in it
/// follows from these numbers alone.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) brokers: String,
    pub(super) topic: String,
    pub(super) events: u64,
    pub(super) keys: u64,
    pub(super) compression: String,
    /// Start of the newest hour, in milliseconds.
    pub(super) newest: i64,
}

impl Stream {
    pub(super) fn new(events: u64, keys: u64, compression: &str) -> Self {
        let now = murmur::engine::Clock::now(&murmur::engine::SystemClock).as_micros() / 1_000;
        Self {
            brokers: String::new(),
            topic: format!("bench-{now:x}-{keys}-{compression}"),
            events,
            keys,
            compression: compression.to_owned(),
            newest: now - now % HOUR - HOUR,
        }
    }

    /// Page and time of each event. Up to 10,000 keys are equally frequent; more follow Zipf's law with exponent 1.
    pub(super) fn views(&self) -> impl Iterator<Item = (u64, i64)> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut total = 0.0;
        let zipf: Vec<f64> = match self.keys {
            ..=10_000 => Vec::new(),
            keys => (1..=keys)
                .map(|rank| {
                    total += 1.0 / rank as f64;
                    total
                })
                .collect(),
        };
        let (keys, oldest) = (self.keys, self.newest - 2 * HOUR);
        (0..self.events).map(move |_| {
            let page = match zipf.last() {
                None => rng.u64(..keys),
                Some(total) => {
                    let at = rng.f64() * total;
                    zipf.partition_point(|sum| *sum <= at) as u64
                }
            };
            (page, oldest + rng.i64(0..3 * HOUR))
        })
    }

    /// What must come out, by the numbers alone.
    pub(super) fn expected(&self) -> Counts {
        let mut counts = HashMap::new();
        for (page, at) in self.views() {
            *counts.entry((page, at - at % HOUR)).or_insert(0) += 1;
        }
        counts.into_iter().map(|((page, hour), count)| ((format!("page-{page:08}"), hour * 1_000), count)).collect()
    }

    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, String> {
        self.config().create().map_err(text)
    }

    /// Make the topic.
    pub(super) fn create(&self) -> Result<(), String> {
        let topic = NewTopic::new(&self.topic, PARTITIONS, TopicReplication::Fixed(1));
        let created = runtime()?.block_on(self.admin()?.create_topics([&topic], &AdminOptions::new()));
        match created.map_err(text)?.pop() {
            Some(Ok(_)) => Ok(()),
            other => Err(format!("cannot create the topic `{}`: {other:?}", self.topic)),
        }
    }

    /// Make the topic and fill it.
    pub(super) fn produce(&mut self) -> Result<(), String> {
        self.brokers = std::env::var("MURMUR_TEST_KAFKA").map_err(|_| {
            "MURMUR_TEST_KAFKA names no broker; `scripts/services.sh start`, then `export $(scripts/services.sh env)`"
        })?;
        self.create()?;
        let producer = self.producer()?;
        let mut rng = fastrand::Rng::with_seed(8);
        for (page, at) in self.views() {
            // Keyed by page, as Kafka Streams wants it; all views of a page lie in one partition.
            let key = format!("page-{page:08}");
            send(&producer, &self.topic, (page % PARTITIONS as u64) as i32, &key, &line(&mut rng, page, at))?;
        }
        producer.flush(Duration::from_secs(120)).map_err(text)
    }

    pub(super) fn producer(&self) -> Result<BaseProducer, String> {
        let mut config = self.config();
        config.set("compression.type", &self.compression).set("linger.ms", "20").set("batch.size", "262144");
        config.set("queue.buffering.max.messages", "500000").set("acks", "1").create().map_err(text)
    }

    /// A topic that cannot be deleted is no failure of the measurement.
    pub(super) fn delete(&self) {
        if let (Ok(admin), Ok(runtime)) = (self.admin(), runtime()) {
            let _ = runtime.block_on(admin.delete_topics(&[&self.topic], &AdminOptions::new()));
        }
    }
}

/// Wait where the queue is full.
pub(super) fn send(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    key: &str,
    payload: &str,
) -> Result<(), String> {
    let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(payload);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(text(error)),
        }
    }
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)
}

pub(super) fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, topic, events, keys, compression, newest } = self;
        write!(f, "{brokers} {topic} {events} {keys} {compression} {newest}")
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no stream");
        let parts: Vec<&str> = text.split(' ').collect();
        let [brokers, topic, events, keys, compression, newest] = parts[..] else { return Err(bad()) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        Ok(Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            events: number(events)?,
            keys: number(keys)?,
            compression: compression.to_owned(),
            newest: number(newest)? as i64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_in_another_process() {
        let stream = Stream { brokers: "b:1".into(), ..Stream::new(1_000, 20_000, "lz4") };
        let other: Stream = stream.to_string().parse().unwrap();
        assert!(stream.views().eq(other.views()));
        assert_eq!(stream.expected(), other.expected());
        assert_eq!(stream.expected().values().sum::<u64>(), 1_000);
    }

    #[test]
    fn many_keys_follow_zipf() {
        let stream = Stream::new(100_000, 1_000_000, "none");
        let first = stream.views().filter(|(page, _)| *page == 0).count();
        // 1 / H(1,000,000) = 1 / 14.39
        assert!((6_500..7_400).contains(&first), "{first}");
    }
}
