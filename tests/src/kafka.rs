//! A real cluster to test with: its topics, and what is in them. Does not use any code of Murmur.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use murmur_testkit::faults::{Failure, kafka};
use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::groups::GroupInfo;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

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
    /// It has none, not even an empty one.
    pub tombstone: bool,
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

    fn kit(&self) -> kafka::Cluster {
        kafka::Cluster(self.brokers.clone())
    }

    /// A name that nobody else has.
    pub fn name(hint: &str) -> String {
        kafka::name(hint)
    }

    /// Make a topic with a name of its own.
    pub async fn topic(&self, hint: &str, partitions: i32) -> String {
        let name = Self::name(hint);
        self.create(&name, partitions).await;
        name
    }

    /// Make a topic.
    pub async fn create(&self, name: &str, partitions: i32) {
        done(self.kit().create(name, partitions, &[]).await);
    }

    /// Make a topic with a setting of its own.
    pub async fn create_with(&self, name: &str, partitions: i32, setting: &str, value: &str) {
        done(self.kit().create(name, partitions, &[(setting, value)]).await);
    }

    /// Change the settings of a topic that it has of its own to this one.
    pub async fn alter(&self, name: &str, setting: &str, value: &str) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(name)).set(setting, value);
        let altered = done(self.kit().admin()).alter_configs([&config], &AdminOptions::new()).await;
        let altered = altered.unwrap_or_else(|error| panic!("cannot alter `{name}`: {error}"));
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    /// Add partitions to a topic, up to this number.
    pub async fn grow(&self, name: &str, partitions: i32) {
        done(self.kit().grow(name, partitions).await);
    }

    /// Delete a topic.
    pub async fn delete(&self, name: &str) {
        self.kit().delete(&[name]).await;
        done(self.kit().wait_for(name, 0).await);
    }

    /// Delete what lies before this offset.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        done(self.kit().delete_records(topic, partition, before).await);
    }

    /// Send messages, spread over the partitions in turn, and wait until all are there.
    pub fn send(&self, topic: &str, partitions: i32, payloads: impl IntoIterator<Item = String>) {
        let sender = done(self.kit().sender());
        for (n, payload) in payloads.into_iter().enumerate() {
            done(sender.send(topic, n as i32 % partitions, payload.as_bytes()));
        }
        done(sender.flush());
    }

    /// Send messages to partition 0 that are compressed by this codec, and wait until all are there.
    pub fn send_compressed(&self, topic: &str, codec: &str, payloads: impl IntoIterator<Item = String>) {
        let mut config = self.kit().config();
        let producer: BaseProducer = config
            .set("compression.type", codec)
            // All of them in one batch: one of a few messages would not be smaller by it, and is sent as it is.
            .set("linger.ms", "500")
            .create()
            .unwrap_or_else(|error| panic!("no producer with `{codec}`: {error}"));
        for payload in payloads {
            done(kafka::produce(&producer, BaseRecord::<(), str>::to(topic).payload(&payload).partition(0)));
        }
        producer.flush(PATIENCE).unwrap_or_else(|error| panic!("not sent: {error}"));
    }

    /// Send one message with its key and headers.
    pub fn send_whole(&self, topic: &str, key: &str, headers: &[(&str, Option<&str>)], payload: &[u8]) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let (key, payload) = (Some(key.to_owned()), payload.to_vec());
        self.send_all(topic, 1, [Sent { key, headers, payload, ..Sent::default() }]);
    }

    /// Send messages with what stands beside them, spread over the partitions in turn, and wait until all are there.
    pub fn send_all(&self, topic: &str, partitions: i32, messages: impl IntoIterator<Item = Sent>) {
        let sender = done(self.kit().sender());
        for (n, sent) in messages.into_iter().enumerate() {
            let mut record = BaseRecord::<str, [u8]>::to(topic).partition(n as i32 % partitions);
            record.payload = (!sent.tombstone).then_some(sent.payload.as_slice());
            let mut headers = OwnedHeaders::new();
            for (key, value) in &sent.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            record = record.headers(headers);
            record.key = sent.key.as_deref();
            record.timestamp = sent.millis;
            done(sender.send_whole(record));
        }
        done(sender.flush());
    }

    /// Send messages to partition 0 in a transaction, which is committed or aborted.
    pub fn transaction(&self, topic: &str, payloads: &[&str], commit: bool) {
        self.open_transaction(topic, payloads).end(commit);
    }

    /// Send messages to partition 0 in a transaction that stays open.
    pub fn open_transaction(&self, topic: &str, payloads: &[&str]) -> Transaction {
        let mut config = self.kit().config();
        config.set("transactional.id", Self::name("transaction"));
        let producer: BaseProducer = config.create().unwrap_or_else(|error| panic!("no producer: {error}"));
        let carry_out = || -> Result<(), Failure> {
            producer.init_transactions(PATIENCE)?;
            producer.begin_transaction()?;
            for payload in payloads {
                kafka::produce(&producer, BaseRecord::<(), str>::to(topic).payload(*payload).partition(0))?;
            }
            // Aborted ones as well have to be in the log first.
            Ok(producer.flush(PATIENCE)?)
        };
        done(carry_out());
        Transaction(producer)
    }

    /// Join a group for a topic, cooperatively, as someone who is not Murmur: takes what it is given, and commits nothing
    /// by itself.
    pub fn outsider(&self, group: &str, topic: &str, settings: &[(&str, &str)]) -> Outsider {
        let mut config = self.kit().config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("heartbeat.interval.ms", "500");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        let has = Arc::new(Has::default());
        let consumer: BaseConsumer<Told> =
            config.create_with_context(Told(has.clone())).unwrap_or_else(|error| panic!("no consumer: {error}"));
        let consumer = Arc::new(consumer);
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
        Outsider { consumer: Some(consumer), has, stop, thread: Some(thread) }
    }

    /// Wait until a group has so many members and is not rebalancing. Brokers tell that only who asks.
    pub fn wait_for_group(&self, group: &str, members: usize) {
        let consumer = done(self.kit().consumer(group));
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

    /// Wait until the coordinator says that a group is in such a state.
    pub fn wait_for_state(&self, group: &str, is_it: impl Fn(&str) -> bool) {
        let consumer = done(self.kit().consumer(group));
        let now = || {
            let found = consumer.fetch_group_list(Some(group), PATIENCE);
            let found = found.unwrap_or_else(|error| panic!("no group: {error}"));
            found.groups().iter().map(|group| group.state().to_owned()).collect::<Vec<_>>()
        };
        for _ in 0..600 {
            if now().iter().any(|state| is_it(state)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("`{group}` is in another state: {:?}", now());
    }

    /// How many members a group has now.
    pub fn members(&self, group: &str) -> usize {
        let found = done(self.kit().consumer(group)).fetch_group_list(Some(group), PATIENCE);
        let found = found.unwrap_or_else(|error| panic!("no group: {error}"));
        found.groups().iter().map(|group| group.members().len()).sum()
    }

    /// The commits of a group, by partition.
    pub fn committed(&self, group: &str, topic: &str, partitions: i32) -> BTreeMap<i32, i64> {
        done(self.kit().commits(group, topic, partitions).and_then(|commits| commits.now()))
    }

    /// Move the commit of a group.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(offset))
            .unwrap_or_else(|error| panic!("bad offset: {error}"));
        let committed = done(self.kit().consumer(group)).commit(&offsets, CommitMode::Sync);
        committed.unwrap_or_else(|error| panic!("cannot commit: {error}"));
    }

    /// The offset after the last one of a partition, transaction markers included.
    pub fn end(&self, topic: &str, partition: i32) -> i64 {
        let range = done(self.kit().consumer("end")).fetch_watermarks(topic, partition, PATIENCE);
        range.unwrap_or_else(|error| panic!("no range: {error}")).1
    }

    /// All messages of partition 0.
    pub fn messages(&self, topic: &str) -> Vec<OwnedMessage> {
        done(self.kit().messages(topic))
    }
}

/// A transaction that is open.
pub struct Transaction(BaseProducer);

impl Transaction {
    /// Commit or abort it.
    pub fn end(self, commit: bool) {
        let Self(producer) = self;
        let ended = if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) };
        ended.unwrap_or_else(|error| panic!("the transaction does not end: {error}"));
    }
}

/// How many partitions someone has, and the news of that.
#[derive(Default)]
struct Has {
    count: Mutex<usize>,
    changed: Condvar,
}

/// Is told of every rebalance.
struct Told(Arc<Has>);

impl ClientContext for Told {}

impl ConsumerContext for Told {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        let assigned = consumer.assignment().map_or(0, |assigned| assigned.count());
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) = assigned;
        self.0.changed.notify_all();
    }
}

/// A member of a group that is not Murmur's. It leaves when it is dropped, unless it has a name.
pub struct Outsider {
    /// There until it is dropped.
    consumer: Option<Arc<BaseConsumer<Told>>>,
    has: Arc<Has>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Outsider {
    /// Wait until it has so many partitions.
    pub fn until_it_has(&self, count: usize) {
        let has = self.has.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.has.changed.wait_timeout_while(has, PATIENCE, |has| *has != count);
        let (has, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*has, count, "partitions that it was to get");
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
            let Some(consumer) = &self.consumer else { break };
            if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
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
        let consumer = self.consumer.take();
        let (closed, seen) = std::sync::mpsc::channel();
        // The binding answers a rebalance that comes while it closes, and may wait for that for ever; it is out of the group
        // by then, as it says nothing any more.
        std::thread::spawn(move || {
            drop(consumer);
            let _ = closed.send(());
        });
        let _ = seen.recv_timeout(Duration::from_secs(10));
    }
}

/// What came of it; there is no test without.
fn done<T>(what: Result<T, Failure>) -> T {
    what.unwrap_or_else(|failure| panic!("kafka: {failure}"))
}
