//! Topics, commits and messages, without any code of Murmur.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Failure;

const PATIENCE: Duration = Duration::from_secs(30);

/// A name that nobody else has.
pub(super) fn name(hint: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("faults-{hint}-{now:x}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A message: its payload, and its headers as text.
pub(super) type Whole = (Vec<u8>, BTreeMap<String, String>);

/// A cluster of one broker.
#[derive(Debug, Clone)]
pub(super) struct Cluster(pub(super) String);

impl Cluster {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.0);
        config
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Failure> {
        Ok(self.config().create()?)
    }

    /// Make a topic, and wait until it can be used.
    pub(super) async fn create(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let admin = self.admin()?;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for made in admin.create_topics([&new], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| Failure::new(format!("cannot make topic `{topic}`: {code}")))?;
        }
        self.wait_for(topic, partitions).await
    }

    /// Add partitions to a topic, up to this number, and wait until they can be used.
    pub(super) async fn grow(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let new = NewPartitions::new(topic, partitions as usize);
        for added in self.admin()?.create_partitions([&new], &AdminOptions::new()).await? {
            added.map_err(|(topic, code)| Failure::new(format!("cannot add to topic `{topic}`: {code}")))?;
        }
        self.wait_for(topic, partitions).await
    }

    async fn wait_for(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let admin = self.admin()?;
        for _ in 0..200 {
            let metadata = admin.inner().fetch_metadata(Some(topic), PATIENCE)?;
            let parts = metadata.topics().first().map(|topic| topic.partitions()).unwrap_or_default();
            if parts.len() == partitions as usize
                && parts.iter().all(|part| part.error().is_none() && part.leader() >= 0)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::new(format!("a partition of topic `{topic}` was made and has no leader")))
    }

    /// Delete topics. They may be gone already.
    pub(super) async fn delete(&self, topics: &[&str]) {
        if let Ok(admin) = self.admin() {
            let _ = admin.delete_topics(topics, &AdminOptions::new()).await;
        }
    }

    /// Delete what lies before this offset.
    pub(super) async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let deleted = self.admin()?.delete_records(&offsets, &AdminOptions::new()).await?;
        deleted.elements().iter().try_for_each(|partition| partition.error())?;
        Ok(())
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer, Failure> {
        let mut config = self.config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        Ok(config.create()?)
    }

    /// One who asks for the commits of a group over and over.
    pub(super) fn commits(&self, group: &str, topic: &str, partitions: i32) -> Result<CommitsOf, Failure> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        Ok(CommitsOf { consumer: self.consumer(group)?, asked })
    }

    /// All messages of partition 0: payload and headers.
    pub(super) fn messages(&self, topic: &str) -> Result<Vec<Whole>, Failure> {
        let consumer = self.consumer("faults-messages")?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        let mut messages = Vec::new();
        loop {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => {
                    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
                    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                    let headers = headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
                    messages.push((message.payload().unwrap_or_default().to_vec(), headers));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(messages),
                Some(Err(error)) => return Err(error.into()),
                None => return Err(Failure::new(format!("`{topic}` cannot be read to its end"))),
            }
        }
    }

    /// A sender that keeps the order of what it sends, whatever the broker does meanwhile.
    pub(super) fn sender(&self) -> Result<Sender, Failure> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("message.max.bytes", "8000000");
        config.set("message.timeout.ms", "0").set("reconnect.backoff.max.ms", "500");
        config.set("queue.buffering.max.messages", "1000000");
        Ok(Sender(config.create()?))
    }
}

/// See [`Cluster::commits`].
pub(super) struct CommitsOf {
    consumer: BaseConsumer,
    asked: TopicPartitionList,
}

impl CommitsOf {
    /// By partition, the offset after the last one that is committed; those without a commit are left out.
    pub(super) fn now(&self) -> Result<BTreeMap<i32, i64>, Failure> {
        let committed = self.consumer.committed_offsets(self.asked.clone(), Duration::from_secs(10))?;
        let committed = committed.elements();
        let known = committed.iter().filter_map(|part| {
            let offset = part.offset().to_raw().filter(|offset| *offset >= 0)?;
            Some((part.partition(), offset))
        });
        Ok(known.collect())
    }
}

/// See [`Cluster::sender`].
pub(super) struct Sender(BaseProducer);

impl Sender {
    pub(super) fn send(&self, topic: &str, partition: i32, payload: &[u8]) -> Result<(), Failure> {
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(payload).partition(partition);
        loop {
            match self.0.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    self.0.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Let it work on what was sent, for so long.
    pub(super) fn poll(&self, pause: Duration) {
        self.0.poll(Duration::ZERO);
        std::thread::sleep(pause);
    }

    pub(super) fn flush(&self) -> Result<(), Failure> {
        Ok(self.0.flush(Duration::from_secs(120))?)
    }
}
