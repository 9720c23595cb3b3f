//! A real cluster to test with: its topics, and what is in them. Does not use any code of Murmur.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);

/// The variable that says where the cluster is.
pub const VARIABLE: &str = "MURMUR_TEST_KAFKA";

/// A message, and what stands beside it.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// The key.
    pub key: Option<String>,
    /// Names and values of the headers.
    pub headers: Vec<(String, Option<String>)>,
    /// The payload.
    pub payload: Vec<u8>,
    /// Its time, in milliseconds since 1970; the present without.
    pub millis: Option<i64>,
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where it is reached.
    pub brokers: String,
}

impl Cluster {
    /// The one that `MURMUR_TEST_KAFKA` names. There is no test without one.
    pub fn from_environment() -> Self {
        let brokers = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set; it says where a Kafka broker is, as in 127.0.0.1:19092")
        });
        Self { brokers }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap_or_else(|error| panic!("no admin client: {error}"))
    }

    /// A name that nobody else has.
    pub fn name(hint: &str) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        format!("{hint}-{now:x}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Make a topic with a name of its own.
    pub async fn topic(&self, hint: &str, partitions: i32) -> String {
        let name = Self::name(hint);
        self.create(&name, partitions).await;
        name
    }

    /// Make a topic.
    pub async fn create(&self, name: &str, partitions: i32) {
        self.create_with(name, partitions, "compression.type", "producer").await;
    }

    /// Make a topic with a setting of its own.
    pub async fn create_with(&self, name: &str, partitions: i32, setting: &str, value: &str) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set(setting, value);
        for _ in 0..100 {
            let results = self.admin().create_topics([&topic], &AdminOptions::new()).await;
            match results.unwrap_or_else(|error| panic!("cannot create `{name}`: {error}")).pop() {
                Some(Ok(_)) => return self.wait_for(name, true),
                // It is still being deleted.
                Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => std::thread::sleep(Duration::from_millis(100)),
                other => panic!("cannot create `{name}`: {other:?}"),
            }
        }
        panic!("`{name}` is there already");
    }

    /// Change the settings of a topic that it has of its own to this one.
    pub async fn alter(&self, name: &str, setting: &str, value: &str) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(name)).set(setting, value);
        let altered = self.admin().alter_configs([&config], &AdminOptions::new()).await;
        let altered = altered.unwrap_or_else(|error| panic!("cannot alter `{name}`: {error}"));
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    /// Add partitions to a topic, up to this number.
    pub async fn grow(&self, name: &str, partitions: usize) {
        let added = self.admin().create_partitions([&NewPartitions::new(name, partitions)], &AdminOptions::new()).await;
        let added = added.unwrap_or_else(|error| panic!("cannot add to `{name}`: {error}"));
        assert!(added.iter().all(Result::is_ok), "{added:?}");
        self.wait_for(name, true);
    }

    /// Delete a topic.
    pub async fn delete(&self, name: &str) {
        let results = self.admin().delete_topics(&[name], &AdminOptions::new()).await;
        let results = results.unwrap_or_else(|error| panic!("cannot delete `{name}`: {error}"));
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        self.wait_for(name, false);
    }

    fn wait_for(&self, name: &str, there: bool) {
        for _ in 0..200 {
            let metadata = self.admin().inner().fetch_metadata(Some(name), PATIENCE);
            let topics = metadata.as_ref().map(|metadata| metadata.topics()).unwrap_or_default();
            let is_there = topics.iter().any(|topic| {
                topic.error().is_none()
                    && !topic.partitions().is_empty()
                    && topic.partitions().iter().all(|partition| partition.error().is_none() && partition.leader() >= 0)
            });
            if is_there == there {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("`{name}` is there: {}", !there);
    }

    /// Delete what lies before this offset.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(before))
            .unwrap_or_else(|error| panic!("bad offset: {error}"));
        let done = self.admin().delete_records(&offsets, &AdminOptions::new()).await;
        done.unwrap_or_else(|error| panic!("cannot delete records: {error}"));
    }

    /// Send messages, spread over the partitions in turn, and wait until all are there.
    pub fn send(&self, topic: &str, partitions: i32, payloads: impl IntoIterator<Item = String>) {
        let mut config = self.config();
        config.set("linger.ms", "5").set("acks", "all").set("queue.buffering.max.messages", "1000000");
        let producer: BaseProducer = config.create().unwrap_or_else(|error| panic!("no producer: {error}"));
        for (n, payload) in payloads.into_iter().enumerate() {
            let record = BaseRecord::<(), str>::to(topic).payload(&payload).partition(n as i32 % partitions);
            produce(&producer, record);
        }
        flush(&producer);
    }

    /// Send one message with its key and headers.
    pub fn send_whole(&self, topic: &str, key: &str, headers: &[(&str, Option<&str>)], payload: &[u8]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let (key, payload) = (Some(key.to_owned()), payload.to_vec());
        self.send_all(topic, 1, [Sent { key, headers, payload, millis: None }]);
    }

    /// Send messages with what stands beside them, spread over the partitions in turn, and wait until all are there.
    pub fn send_all(&self, topic: &str, partitions: i32, messages: impl IntoIterator<Item = Sent>) {
        let mut config = self.config();
        config.set("linger.ms", "5").set("acks", "all").set("queue.buffering.max.messages", "1000000");
        let producer: BaseProducer = config.create().unwrap_or_else(|error| panic!("no producer: {error}"));
        for (n, sent) in messages.into_iter().enumerate() {
            let mut record = BaseRecord::<str, [u8]>::to(topic).payload(&sent.payload).partition(n as i32 % partitions);
            let mut headers = OwnedHeaders::new();
            for (key, value) in &sent.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            record = record.headers(headers);
            record.key = sent.key.as_deref();
            record.timestamp = sent.millis;
            produce(&producer, record);
        }
        flush(&producer);
    }

    /// Send messages to partition 0 in a transaction, which is committed or aborted.
    pub fn transaction(&self, topic: &str, payloads: &[&str], commit: bool) {
        let mut config = self.config();
        config.set("transactional.id", Self::name("transaction"));
        let producer: BaseProducer = config.create().unwrap_or_else(|error| panic!("no producer: {error}"));
        let done = || -> Result<(), KafkaError> {
            producer.init_transactions(PATIENCE)?;
            producer.begin_transaction()?;
            for payload in payloads {
                produce(&producer, BaseRecord::<(), str>::to(topic).payload(*payload).partition(0));
            }
            // Aborted ones as well have to be in the log first.
            producer.flush(PATIENCE)?;
            if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) }
        };
        done().unwrap_or_else(|error| panic!("the transaction failed: {error}"));
    }

    fn consumer(&self, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
        let mut config = self.config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap_or_else(|error| panic!("no consumer: {error}"))
    }

    /// Join a group for a topic, cooperatively, as someone who is not Murmur: takes what it is given, and commits nothing
    /// by itself.
    pub fn outsider(&self, group: &str, topic: &str, settings: &[(&str, &str)]) -> Outsider {
        let mut all = vec![("partition.assignment.strategy", "cooperative-sticky"), ("heartbeat.interval.ms", "500")];
        all.extend_from_slice(settings);
        let consumer = Arc::new(self.consumer(group, &all));
        consumer.subscribe(&[topic]).unwrap_or_else(|error| panic!("cannot subscribe: {error}"));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, stop) = (consumer.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    consumer.poll(Duration::from_millis(50));
                }
            })
        };
        Outsider { consumer, stop, thread: Some(thread) }
    }

    /// Wait until a group has so many members and is not rebalancing.
    pub fn wait_for_group(&self, group: &str, members: usize) {
        let consumer = self.consumer(group, &[]);
        for _ in 0..600 {
            let found = consumer.fetch_group_list(Some(group), PATIENCE);
            let found = found.unwrap_or_else(|error| panic!("no group: {error}"));
            let is_so = |group: &GroupInfo| group.state() == "Stable" && group.members().len() == members;
            if found.groups().iter().any(is_so) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let found = consumer.fetch_group_list(Some(group), PATIENCE);
        let found = found.unwrap_or_else(|error| panic!("no group: {error}"));
        let now: Vec<_> = found.groups().iter().map(|group| (group.state(), group.members().len())).collect();
        panic!("`{group}` is not at rest with {members} members: {now:?}");
    }

    /// The commits of a group, by partition.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        let committed = self.consumer(group, &[]).committed_offsets(asked, PATIENCE);
        let committed = committed.unwrap_or_else(|error| panic!("no commits: {error}"));
        let elements = committed.elements();
        elements
            .iter()
            .filter_map(|element| Some((element.partition(), element.offset().to_raw().filter(|offset| *offset >= 0)?)))
            .collect()
    }

    /// Move the commit of a group.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap_or_else(|error| panic!("bad offset: {error}"));
        let done = self.consumer(group, &[]).commit(&offsets, CommitMode::Sync);
        done.unwrap_or_else(|error| panic!("cannot commit: {error}"));
    }

    /// The offset after the last one of a partition, transaction markers included.
    pub fn end(&self, topic: &str, partition: i32) -> i64 {
        let range = self.consumer("end", &[]).fetch_watermarks(topic, partition, PATIENCE);
        range.unwrap_or_else(|error| panic!("no range: {error}")).1
    }

    /// All messages of partition 0.
    pub fn messages(&self, topic: &str) -> Vec<OwnedMessage> {
        let consumer = self.consumer("messages", &[]);
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning).unwrap_or_else(|error| panic!("bad offset: {error}"));
        consumer.assign(&from).unwrap_or_else(|error| panic!("cannot read: {error}"));
        let mut messages = Vec::new();
        loop {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => messages.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => return messages,
                Some(Err(error)) => panic!("cannot read `{topic}`: {error}"),
                None => {}
            }
        }
    }
}

/// A member of a group that is not Murmur's. It leaves when it is dropped, unless it has a name.
pub struct Outsider {
    consumer: Arc<BaseConsumer>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Outsider {
    /// Wait until it has so many partitions.
    pub fn until_it_has(&self, count: usize) {
        for _ in 0..600 {
            let assigned = self.consumer.assignment().unwrap_or_else(|error| panic!("no assignment: {error}"));
            if assigned.count() == count {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it does not get {count} partitions");
    }

    /// Do nothing any more about what the group says; the group still takes it for alive.
    pub fn stall(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_else(|_| panic!("the outsider has panicked"));
        }
    }

    /// Commit as the member that it is.
    pub fn commit(&self, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap_or_else(|error| panic!("bad offset: {error}"));
        for _ in 0..100 {
            // Refused while the group rebalances.
            if self.consumer.commit(&offsets, CommitMode::Sync).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("cannot commit");
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn produce<K: rdkafka::message::ToBytes + ?Sized, P: rdkafka::message::ToBytes + ?Sized>(
    producer: &BaseProducer,
    mut record: BaseRecord<'_, K, P>,
) {
    loop {
        match producer.send(record) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("cannot send: {error}"),
        }
    }
    producer.poll(Duration::ZERO);
}

fn flush(producer: &BaseProducer) {
    producer.flush(PATIENCE).unwrap_or_else(|error| panic!("messages were not taken: {error}"));
}
