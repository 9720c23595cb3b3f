use std::collections::BTreeMap;

use rdkafka::config::ClientConfig;

use crate::Result;
use crate::location::Location;
use crate::source::kafka::{PREFIX, SECRET_FILES, brokers_and_topics, passed_through};

/// Where dead letters go: `kafka://broker:9092/topic`.
#[non_exhaustive]
#[derive(Clone)]
pub struct KafkaLettersConfig {
    /// Addresses to reach the cluster by.
    pub brokers: String,
    /// The topic. It has to be there, unless the brokers make topics by themselves.
    pub topic: String,
    /// Who writes them, for the header `murmur-app`.
    pub app: String,
    properties: BTreeMap<String, String>,
}

/// What an option cannot change: a letter must be there before it is said to be, and every one must be heard of.
const OWN: [&str; 6] = [
    "bootstrap.servers",
    "enable.idempotence",
    "acks",
    "message.timeout.ms",
    "delivery.report.only.error",
    "test.mock.num.brokers",
];

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

    pub(super) fn client(&self) -> ClientConfig {
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

    /// How large a batch may become.
    pub(super) fn batch_size(&self) -> usize {
        // What librdkafka has by itself.
        self.properties.get("batch.size").and_then(|size| size.parse().ok()).unwrap_or(1_000_000)
    }

    /// Whether a message may take less room in the topic than it has.
    pub(super) fn compresses(&self) -> bool {
        ["compression.type", "compression.codec"]
            .iter()
            .any(|name| self.properties.get(*name).is_some_and(|codec| codec != "none"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_makes_a_letter_count_as_stored_before_it_is() {
        for property in [
            "bootstrap.servers=b:1",
            "metadata.broker.list=b:1",
            "enable.idempotence=false",
            "acks=0",
            "request.required.acks=0",
            "topic.acks=0",
            "topic.message.timeout.ms=1",
            "message.timeout.ms=1",
            "delivery.timeout.ms=1",
            "delivery.report.only.error=true",
            "test.mock.num.brokers=1",
        ] {
            let url = format!("kafka://b:9092/dead?librdkafka.{property}");
            let error = KafkaLettersConfig::of(url.parse().unwrap(), "app").unwrap_err().to_string();
            assert!(error.contains("is set by Murmur"), "{url}: {error}");
        }
    }
}
