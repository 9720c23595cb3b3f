//! Topics, commits and messages, without any code of Murmur.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message, OwnedMessage, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Failure;

const PATIENCE: Duration = Duration::from_secs(30);

/// A name that nobody else has.
pub fn name(hint: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("{hint}-{now:x}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Of a message its payload, and its headers as text.
pub(super) fn whole(message: &OwnedMessage) -> (Vec<u8>, BTreeMap<String, String>) {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
    (message.payload().unwrap_or_default().to_vec(), headers)
}

/// Where the message stood that a dead letter is about: partition and offset, as its headers say.
pub(super) fn place(headers: &BTreeMap<String, String>) -> Option<(i32, u64)> {
    let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
    Some((header("murmur-source-partition").parse().ok()?, header("murmur-source-offset").parse().ok()?))
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster(pub String);

impl Cluster {
    /// How it is reached.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.0);
        config
    }

    /// For what clients above do not do.
    pub fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Failure> {
        Ok(self.config().create()?)
    }

    /// Make a topic with settings of its own and as many replicas as the cluster gives by itself, and wait until it can be
    /// used. One of that name may still be on its way out.
    pub async fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<(), Failure> {
        let admin = self.admin()?;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        // Whether an answer was lost, so that it may have been made.
        let mut is_made = false;
        for _ in 0..100 {
            match admin.create_topics([&new], &AdminOptions::new()).await.map(|mut made| made.pop()) {
                Err(KafkaError::AdminOp(_)) => {
                    is_made = true;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(Some(Err((_, Code::TopicAlreadyExists)))) if !is_made => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(Some(Err((topic, code)))) if code != Code::TopicAlreadyExists => {
                    return Err(Failure::new(format!("cannot make topic `{topic}`: {code}")));
                }
                made => {
                    made?;
                    return self.wait_for(topic, partitions).await;
                }
            }
        }
        Err(Failure::new(format!("there is a topic `{topic}` already")))
    }

    /// Add partitions to a topic, up to this number, and wait until they can be used.
    pub async fn grow(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
        let new = NewPartitions::new(topic, partitions as usize);
        for added in self.admin()?.create_partitions([&new], &AdminOptions::new()).await? {
            added.map_err(|(topic, code)| Failure::new(format!("cannot add to topic `{topic}`: {code}")))?;
        }
        self.wait_for(topic, partitions).await
    }

    /// Wait until a topic has so many partitions and all can be used; none when it is gone.
    pub async fn wait_for(&self, topic: &str, partitions: i32) -> Result<(), Failure> {
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
        Err(Failure::new(format!("topic `{topic}` does not get {partitions} partitions that can be used")))
    }

    /// Delete topics. They may be gone already.
    pub async fn delete(&self, topics: &[&str]) {
        if let Ok(admin) = self.admin() {
            let _ = admin.delete_topics(topics, &AdminOptions::new()).await;
        }
    }

    /// Delete what lies before this offset.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Result<(), Failure> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before))?;
        let deleted = self.admin()?.delete_records(&offsets, &AdminOptions::new()).await?;
        deleted.elements().iter().try_for_each(|partition| partition.error())?;
        Ok(())
    }

    /// Who reads, and commits nothing by itself.
    pub fn consumer(&self, group: &str) -> Result<BaseConsumer, Failure> {
        let mut config = self.config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        Ok(config.create()?)
    }

    /// One who asks for the commits of a group over and over.
    pub fn commits(&self, group: &str, topic: &str, partitions: i32) -> Result<CommitsOf, Failure> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        Ok(CommitsOf { consumer: self.consumer(group)?, asked })
    }

    /// All messages of partition 0.
    ///
    /// A broker that is away is reported as an error of the consumer, which goes on with the others by itself: only the time
    /// says that there is no end.
    pub fn messages(&self, topic: &str) -> Result<Vec<OwnedMessage>, Failure> {
        let consumer = self.consumer("messages")?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        let (mut messages, mut last) = (Vec::new(), None);
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(message)) => {
                    messages.push(message.detach());
                    deadline = Instant::now() + PATIENCE;
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(messages),
                Some(Err(error)) => last = Some(error),
                None => {
                    let why = last.map(|error| format!(": {error}")).unwrap_or_default();
                    return Err(Failure::new(format!("`{topic}` cannot be read to its end{why}")));
                }
            }
        }
    }

    /// Where the messages stood whose dead letters are in this topic, by partition and offset, however many copies are there.
    pub fn letters(&self, topic: &str) -> Result<BTreeSet<(i32, u64)>, Failure> {
        let place = |message: &OwnedMessage| {
            let (_, headers) = whole(message);
            place(&headers).ok_or_else(|| Failure::new(format!("a dead letter does not say where it was: {headers:?}")))
        };
        self.messages(topic)?.iter().map(place).collect()
    }

    /// A sender that keeps the order of what it sends, whatever the broker does meanwhile.
    pub fn sender(&self) -> Result<Sender, Failure> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("message.max.bytes", "8000000");
        config.set("message.timeout.ms", "0").set("reconnect.backoff.max.ms", "500");
        config.set("queue.buffering.max.messages", "1000000");
        Ok(Sender(config.create()?))
    }
}

/// See [`Cluster::commits`].
pub struct CommitsOf {
    consumer: BaseConsumer,
    asked: TopicPartitionList,
}

impl CommitsOf {
    /// By partition, the offset after the last one that is committed; those without a commit are left out.
    pub fn now(&self) -> Result<BTreeMap<i32, i64>, Failure> {
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
pub struct Sender(BaseProducer);

impl Sender {
    /// Send a payload.
    pub fn send(&self, topic: &str, partition: i32, payload: &[u8]) -> Result<(), Failure> {
        produce(&self.0, BaseRecord::<(), [u8]>::to(topic).payload(payload).partition(partition))
    }

    /// Send a payload with what stands beside it.
    pub fn send_whole<K: ToBytes + ?Sized>(&self, record: BaseRecord<'_, K, [u8]>) -> Result<(), Failure> {
        produce(&self.0, record)
    }

    /// Let it work on what was sent, for so long.
    pub fn poll(&self, pause: Duration) {
        self.0.poll(Duration::ZERO);
        std::thread::sleep(pause);
    }

    /// Wait until the broker has everything.
    pub fn flush(&self) -> Result<(), Failure> {
        Ok(self.0.flush(Duration::from_secs(120))?)
    }
}

/// Send a message, as soon as there is room for it.
pub fn produce<K: ToBytes + ?Sized, P: ToBytes + ?Sized>(
    producer: &BaseProducer,
    mut record: BaseRecord<'_, K, P>,
) -> Result<(), Failure> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}
