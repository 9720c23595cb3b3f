use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::properties::{self, PREFIX, SECRET_FILES};
use crate::Result;
use crate::location::{ByteSize, Location};
use crate::time::Timestamp;

/// Where to begin in a partition of which the store has no position for a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest message that is still there.
    Earliest,
    /// After the newest message.
    Latest,
    /// At the first message that is not older.
    At(Timestamp),
    /// Where another consumer of this group has ended: at the group's commit.
    Group,
    /// Nowhere: it is an error that there is no position.
    Nowhere,
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            "group" => Ok(Self::Group),
            "none" => Ok(Self::Nowhere),
            _ => text.parse().map(Self::At).map_err(|error| {
                format!("write `earliest`, `latest`, `group`, `none`, or a time such as 2026-05-16T12:00:00Z: {error}")
            }),
        }
    }
}

/// What to do where messages were deleted before they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Stop with an error that says what is missing.
    Refuse,
    /// Go on with the first message that is still there, and say how many offsets were passed over.
    Accept,
}

impl FromStr for Gap {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "accept" => Ok(Self::Accept),
            _ => Err("write `refuse` or `accept`"),
        }
    }
}

/// Whether messages of transactions count before the transaction is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Messages of aborted transactions are hidden, and those of open ones are waited for.
    ReadCommitted,
    /// All messages count.
    ReadUncommitted,
}

impl FromStr for Isolation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read_committed" => Ok(Self::ReadCommitted),
            "read_uncommitted" => Ok(Self::ReadUncommitted),
            _ => Err("write `read_committed` or `read_uncommitted`"),
        }
    }
}

/// How the members of the group agree on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebalance {
    /// A member gives up only the partitions that move.
    Cooperative,
    /// Every member gives up everything and begins anew.
    Eager,
}

impl FromStr for Rebalance {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cooperative" => Ok(Self::Cooperative),
            "eager" => Ok(Self::Eager),
            _ => Err("write `cooperative` or `eager`"),
        }
    }
}

/// Which topics to read, and how.
#[non_exhaustive]
#[derive(Clone)]
pub struct KafkaConfig {
    /// Addresses to reach the cluster by: `host:port,host:port`.
    pub brokers: String,
    /// What to read.
    pub topics: Vec<String>,
    /// The name of the group, which shares the partitions out, and shows how far they are read.
    pub group: String,
    /// Where to begin without a position.
    pub start: Begin,
    /// What to do where a position is gone.
    pub gap: Gap,
    /// What to do with transactions.
    pub isolation: Isolation,
    /// How partitions move between members.
    pub rebalance: Rebalance,
    /// A name that the member keeps over restarts, so that one that comes back in time causes no rebalance.
    pub instance: Option<String>,
    /// Which of the process's readers this is; each is a member of its own, and its `instance` ends in this number.
    pub reader: u32,
    /// How many bytes of messages may wait to be read. As many again are on their way from the brokers or copied already.
    pub buffer: ByteSize,
    /// Whether to end when everything has been read that was there at the beginning.
    pub until_end: bool,
    /// Whether keys, headers and times of messages are wanted beside the payloads.
    pub metadata: bool,
    /// More properties of librdkafka, secrets among them.
    properties: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// Read these topics for this group, with the defaults for all else.
    pub fn new(brokers: impl Into<String>, topics: &[&str], group: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group: group.into(),
            start: Begin::Earliest,
            gap: Gap::Refuse,
            isolation: Isolation::ReadCommitted,
            rebalance: Rebalance::Cooperative,
            instance: None,
            reader: 0,
            buffer: ByteSize(32 << 20),
            until_end: false,
            metadata: false,
            properties: BTreeMap::new(),
        }
    }

    /// From `kafka://broker:9092,broker:9092/topic,topic?group=NAME&option=value`.
    pub fn parse(url: &str) -> Result<Self> {
        Self::of(url.parse()?)
    }

    /// From the location of [`parse`](Self::parse).
    pub fn of(location: Location) -> Result<Self> {
        let mut known =
            vec!["group", "start", "gap", "isolation", "rebalance", "instance", "buffer", "metadata", "librdkafka.*"];
        known.extend(SECRET_FILES);
        let options = location.take("kafka", &known)?;
        let (brokers, topics) = properties::brokers_and_topics(&options.path).map_err(|what| options.bad(&what))?;
        let Some(group) = options.get_option::<String>("group")?.filter(|group| !group.is_empty()) else {
            return Err(
                options.bad("say with `group=NAME` which consumer group this is: the group shares the partitions out")
            );
        };
        let base = Self::new(brokers, &[], group);
        Ok(Self {
            topics,
            start: options.get("start", base.start)?,
            gap: options.get("gap", base.gap)?,
            isolation: options.get("isolation", base.isolation)?,
            rebalance: options.get("rebalance", base.rebalance)?,
            instance: options.get_option("instance")?,
            buffer: options.get("buffer", base.buffer)?,
            metadata: options.get("metadata", base.metadata)?,
            properties: properties::passed_through(&options, &OWN)?,
            ..base
        })
    }

    /// The name that the member keeps over restarts.
    pub(super) fn member(&self) -> Option<String> {
        Some(format!("{}-{}", self.instance.as_ref()?, self.reader))
    }

    /// Everything that librdkafka is told.
    pub(super) fn properties(&self) -> Vec<(String, String)> {
        let isolation = match self.isolation {
            Isolation::ReadCommitted => "read_committed",
            Isolation::ReadUncommitted => "read_uncommitted",
        };
        let strategy = match self.rebalance {
            Rebalance::Cooperative => "cooperative-sticky",
            Rebalance::Eager => "range,roundrobin",
        };
        // In whole KiB, from 1 on.
        let buffer = (self.buffer.0 >> 10).clamp(1, 2_097_151).to_string();
        // What comes at a time is on top of what waits: from each broker a quarter of it. Not less than librdkafka wants,
        // which is its `message.max.bytes`, given or not; a message that is larger comes alone.
        let message = self.properties.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        let fetch = (self.buffer.0 / 4).clamp(1 << 20, 50 << 20).max(message).to_string();
        let defaults = [
            ("client.id", "murmur"),
            // A writer that is still alive when its partitions were given away is harmless (its writes and commits are
            // refused), so a short time out costs nothing.
            ("session.timeout.ms", "15000"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.keepalive.enable", "true"),
            // How soon partitions are found that are added to a topic; by default that takes five minutes.
            ("topic.metadata.refresh.interval.ms", "5000"),
            ("queued.max.messages.kbytes", &buffer),
            ("fetch.max.bytes", &fetch),
            // No measurable cost with the instruction for it.
            ("check.crcs", "true"),
            // A fetch that finds the queue full looks again after this time; the default of a second halves the speed.
            ("fetch.queue.backoff.ms", "1"),
        ];
        let own = [
            ("bootstrap.servers", self.brokers.as_str()),
            ("group.id", &self.group),
            ("isolation.level", isolation),
            ("partition.assignment.strategy", strategy),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // An offset that is not there is an error and never a silent jump.
            ("auto.offset.reset", "error"),
            // Says where the log ends, behind compacted messages too. Only where reading ends there: librdkafka takes the
            // end for a message, and after a rebalance would go on behind it.
            ("enable.partition.eof", if self.until_end { "true" } else { "false" }),
        ];
        let mut properties: BTreeMap<String, String> = BTreeMap::new();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        properties.extend(defaults.into_iter().map(owned));
        properties.extend(self.properties.clone());
        properties.extend(own.into_iter().map(owned));
        properties.extend(self.member().map(|name| ("group.instance.id".to_owned(), name)));
        properties.into_iter().collect()
    }
}

/// What an option cannot change, as counting exactly depends on it, or as it has an option of its own.
const OWN: [&str; 13] = [
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "partition.assignment.strategy",
    "enable.auto.commit",
    // Of another kind of consumer, and the same one word the other way round.
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    // Would read nothing of topics that it names.
    "topic.blacklist",
    "test.mock.num.brokers",
];

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties.keys().map(|name| format!("{PREFIX}{name}")).collect();
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topics", &self.topics)
            .field("group", &self.group)
            .field("start", &self.start)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_brokers_topics_and_options() {
        let config = KafkaConfig::parse(
            "kafka://a:9092,b:9093/views,shop.clicks?group=counts&start=2026-05-16T12:00:00Z&gap=accept&isolation=read_uncommitted\
             &rebalance=eager&instance=blue&buffer=1MiB&metadata=true&librdkafka.fetch.max.bytes=1000000",
        )
        .unwrap();
        assert_eq!((config.brokers.as_str(), config.group.as_str()), ("a:9092,b:9093", "counts"));
        assert_eq!(config.topics, ["views", "shop.clicks"]);
        assert_eq!(config.start, Begin::At("2026-05-16T12:00:00Z".parse().unwrap()));
        assert_eq!((config.isolation, config.rebalance), (Isolation::ReadUncommitted, Rebalance::Eager));
        assert_eq!(config.gap, Gap::Accept);
        assert!(config.metadata);
        let properties: BTreeMap<_, _> = KafkaConfig { reader: 3, ..config }.properties().into_iter().collect();
        for (name, value) in [
            ("bootstrap.servers", "a:9092,b:9093"),
            ("group.instance.id", "blue-3"),
            ("partition.assignment.strategy", "range,roundrobin"),
            ("isolation.level", "read_uncommitted"),
            ("queued.max.messages.kbytes", "1024"),
            ("fetch.max.bytes", "1000000"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("fetch.queue.backoff.ms", "1"),
        ] {
            assert_eq!(properties[name], value, "{name}");
        }
    }

    #[test]
    fn what_would_not_count_exactly_is_refused_with_the_way_out() {
        for (url, why) in [
            ("kafka://b:9092/t", "group=NAME"),
            ("kafka://b:9092?group=g", "there is no topic"),
            ("kafka://b:9092/?group=g", "there is no topic"),
            ("kafka:///t?group=g", "HOST:PORT"),
            ("kafka://b:9092/a b?group=g", "is not a topic"),
            ("kafka://b:9092/a,b,a?group=g", "the topic `a` is named twice"),
            ("kafka://user:hunter2@b:9092/t?group=g", "librdkafka.sasl.username"),
            ("kafka://b:9092/t?group=g&start=yesterday", "earliest"),
            ("kafka://b:9092/t?group=g&gap=skip", "`refuse` or `accept`"),
            ("kafka://b:9092/t?group=g&isolation=none", "read_committed"),
            ("kafka://b:9092/t?group=g&librdkafka.enable.auto.commit=true", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.auto.commit.enable=true", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.metadata.broker.list=c:9092", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.auto.offset.reset=latest", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.topic.auto.offset.reset=latest", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.topic.auto.commit.enable=true", "is set by Murmur"),
            ("kafka://b:9092/t?group=g&librdkafka.topic.blacklist=t", "is set by Murmur"),
            (
                "kafka://b:9092/t?group=g&librdkafka.sasl.oauthbearer.client.credentials.client.secret=hunter2",
                "MURMUR_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET",
            ),
            ("kafka://b:9092/t?group=g&librdkafka.sasl.password=hunter2", "MURMUR_KAFKA_SASL_PASSWORD"),
            ("kafka://b:9092/t?group=g&librdkafka.ssl.key.password=hunter2", "ssl.key.password_file"),
            ("kafka://b:9092/t?group=g&librdkafka.sasl.mechanisms=OAUTHBEARER", "OAUTHBEARER is not built in"),
            ("kafka://b:9092/t?group=g&sasl.password_file=/does/not/exist", "cannot be read"),
            ("kafka://b:9092/t?group=g&fetch.max.bytes=1", "no option `fetch.max.bytes`"),
        ] {
            let error = KafkaConfig::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let url = format!("kafka://b:9092/t?group=g&librdkafka.sasl.username=u&sasl.password_file={}", path.display());
        let config = KafkaConfig::parse(&url).unwrap();
        assert!(config.properties().contains(&("sasl.password".to_owned(), "hunter2".to_owned())));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
