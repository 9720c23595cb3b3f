use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::{Commits, DeadLetters, Letter};
use crate::location::Location;
use crate::source::kafka::{PREFIX, Place, SECRET_FILES, brokers_and_topics, passed_through};
use crate::source::{Offset, PartitionId};
use crate::{Error, ErrorKind, Result};

/// Where dead letters go: `kafka://broker:9092/topic`.
#[non_exhaustive]
#[derive(Clone)]
pub struct KafkaLettersConfig {
    /// Addresses to reach the cluster by.
    pub brokers: String,
    /// The topic, which must exist.
    pub topic: String,
    /// Who writes them, for the header `murmur-app`.
    pub app: String,
    properties: BTreeMap<String, String>,
}

/// What an option cannot change: a letter must be there before it is said to be.
const OWN: [&str; 5] =
    ["bootstrap.servers", "metadata.broker.list", "enable.idempotence", "acks", "message.timeout.ms"];

impl KafkaLettersConfig {
    /// Letters go to this topic.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>, app: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), topic: topic.into(), app: app.into(), properties: BTreeMap::new() }
    }

    /// From `kafka://broker:9092,broker:9092/topic`, with the options `librdkafka.*` and the secrets of
    /// [the source](crate::source::kafka).
    pub fn of(location: Location, app: &str) -> Result<Self> {
        let mut known = vec!["librdkafka.*"];
        known.extend(SECRET_FILES);
        let options = location.take("kafka", &known)?;
        let (brokers, topics) = brokers_and_topics(&options.path).map_err(|what| options.bad(&what))?;
        let [topic] = &topics[..] else { return Err(options.bad("dead letters go to one topic")) };
        let properties = passed_through(&options, &OWN)?;
        Ok(Self { properties, ..Self::new(brokers, topic, app) })
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "murmur").set("linger.ms", "5").set("reconnect.backoff.max.ms", "1000");
        // How large a message may be is for the topic to say.
        config.set("message.max.bytes", "67108864");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        // A letter is sent again until it is there: while the topic cannot be reached the worker waits, and with it its
        // commits.
        config.set("bootstrap.servers", &self.brokers).set("enable.idempotence", "true").set("acks", "all");
        config.set("message.timeout.ms", "0");
        config
    }
}

impl std::fmt::Debug for KafkaLettersConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { brokers, topic, app, properties } = self;
        let names: Vec<_> = properties.keys().map(|name| format!("{PREFIX}{name}")).collect();
        f.debug_struct("KafkaLettersConfig")
            .field("brokers", brokers)
            .field("topic", topic)
            .field("app", app)
            .field("properties", &names)
            .finish()
    }
}

/// Dead letters in a topic of Kafka.
///
/// A letter is a message with the payload, the key and the headers of the original, and more headers:
///
/// | header | |
/// |---|---|
/// | `murmur-id` | `<partition>@<offset>/<pipelines>`: the same for every copy of a letter |
/// | `murmur-pipelines` | those that it is not counted in, joined by `,` |
/// | `murmur-partition`, `murmur-offset` | where it stands, in Murmur's words |
/// | `murmur-place` | where a person finds it (`topic[3]@17`) |
/// | `murmur-source-topic`, `murmur-source-partition`, `murmur-source-offset` | the same, when it came from Kafka |
/// | `murmur-reason` | why it was not counted |
/// | `murmur-at` | when it happened, if that could be read (RFC 3339) |
/// | `murmur-stamped` | when the source took it in (RFC 3339) |
/// | `murmur-app` | who could not count it |
///
/// What a topic holds cannot be taken back. A rewind inside a process sends no letter again. A worker that dies between sending and committing sends those of its last
/// flush again after its restart: **a reader of the topic drops copies by `murmur-id`**.
pub struct KafkaDeadLetters {
    producer: ThreadedProducer<Reports>,
    reports: Arc<Outcome>,
    topic: String,
    app: String,
    /// Which letters beyond the commit are in the topic.
    stored: Known,
    /// What is under way; it is stored after the next sync.
    sent: Known,
}

/// Letters by where they stand. Not only how far: a stretch that is read again can have letters that it had not before,
/// when a tile has turned out to be full.
type Known = HashMap<(PartitionId, &'static str), BTreeSet<Offset>>;

/// What became of the messages sent.
#[derive(Default)]
struct Outcome {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    outstanding: u64,
    failed: Option<KafkaError>,
}

impl Outcome {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Reports(Arc<Outcome>);

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, "dead letters: {reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.with(|state| {
            state.outstanding = state.outstanding.saturating_sub(1);
            if let Err((error, _)) = result {
                state.failed.get_or_insert(error.clone());
            }
        });
        self.0.changed.notify_one();
    }
}

impl KafkaDeadLetters {
    /// A writer to the topic. Nothing is sent before the first letter.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) for properties that librdkafka does not know.
    pub fn open(config: &KafkaLettersConfig) -> Result<Self> {
        let reports = Arc::new(Outcome::default());
        let producer = ThreadedProducer::from_config_and_context(&config.client(), Reports(reports.clone()));
        let producer = producer.map_err(|error| {
            Error::new(ErrorKind::Configuration, format!("dead letters cannot go to `{}`", config.topic))
                .with_source(error)
        })?;
        Ok(Self {
            producer,
            reports,
            topic: config.topic.clone(),
            app: config.app.clone(),
            stored: HashMap::new(),
            sent: HashMap::new(),
        })
    }

    async fn send(&mut self, letter: &Letter) -> Result<()> {
        let key = letter.metadata.key.as_deref();
        let headers = headers(letter, &self.app);
        loop {
            let mut record =
                BaseRecord::<[u8], [u8]>::to(&self.topic).payload(&letter.payload).headers(headers.clone());
            record.key = key;
            self.reports.with(|state| state.outstanding += 1);
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                    self.reports.with(|state| state.outstanding -= 1);
                    self.reports.changed.notified().await;
                }
                Err((error, _)) => {
                    self.reports.with(|state| state.outstanding -= 1);
                    return Err(self.failed(error));
                }
            }
        }
    }

    fn failed(&self, error: KafkaError) -> Error {
        let hint = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => "; raise `max.message.bytes` of the topic",
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => "; create the topic",
            _ => "",
        };
        let context = format!("a dead letter cannot be stored in the topic `{}`{hint}", self.topic);
        Error::new(ErrorKind::Io, context).with_source(error)
    }
}

/// The original's headers, and where and why.
fn headers(letter: &Letter, app: &str) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new();
    for (name, value) in &letter.metadata.headers {
        headers = headers.insert(Header { key: name, value: value.as_deref() });
    }
    let pipelines = letter.pipelines.join(",");
    let mut more: Vec<(&str, String)> = vec![
        ("murmur-id", format!("{}@{}/{pipelines}", letter.partition, letter.offset)),
        ("murmur-pipelines", pipelines),
        ("murmur-partition", letter.partition.to_string()),
        ("murmur-offset", letter.offset.to_string()),
        ("murmur-reason", letter.reason.clone()),
        ("murmur-app", app.to_owned()),
    ];
    more.extend(letter.place.clone().map(|place| ("murmur-place", place)));
    more.extend(letter.at.map(|at| ("murmur-at", at.to_string())));
    more.extend(letter.metadata.stamped.map(|at| ("murmur-stamped", at.to_string())));
    if let Some(Ok(place)) = letter.place.as_deref().map(str::parse::<Place>) {
        more.push(("murmur-source-topic", place.topic));
        more.push(("murmur-source-partition", place.partition.to_string()));
        more.push(("murmur-source-offset", place.offset.to_string()));
    }
    more.into_iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(&value) }))
}

impl DeadLetters for KafkaDeadLetters {
    /// Nothing can be forgotten; what is under way is waited for, so that it is not sent again.
    fn rewind<'a>(&'a mut self, _: &'a PartitionId, _: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        async move { if self.sent.is_empty() { Ok(()) } else { self.sync().await } }.boxed()
    }

    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()> {
        self.stored.retain(|(of, pipeline), offsets| {
            let commit = commits.iter().find(|(name, _)| of == partition && name == pipeline);
            if let Some((_, Some(commit))) = commit {
                offsets.retain(|offset| offset > commit);
            }
            !offsets.is_empty()
        });
        async {}.boxed()
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        async move {
            for mut letter in letters {
                let Letter { partition, offset, .. } = &letter;
                let (partition, offset) = (partition.clone(), *offset);
                letter.pipelines.retain(|pipeline| {
                    let at = (partition.clone(), *pipeline);
                    ![&self.stored, &self.sent]
                        .iter()
                        .any(|known| known.get(&at).is_some_and(|at| at.contains(&offset)))
                });
                if letter.pipelines.is_empty() {
                    continue;
                }
                self.send(&letter).await?;
                for pipeline in &letter.pipelines {
                    self.sent.entry((partition.clone(), *pipeline)).or_default().insert(offset);
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async move {
            loop {
                let (outstanding, failed) = self.reports.with(|state| (state.outstanding, state.failed.take()));
                if let Some(error) = failed {
                    return Err(self.failed(error));
                }
                if outstanding == 0 {
                    for (at, offsets) in self.sent.drain() {
                        self.stored.entry(at).or_default().extend(offsets);
                    }
                    return Ok(());
                }
                self.reports.changed.notified().await;
            }
        }
        .boxed()
    }
}
