//! What the cluster says of the topic that letters go to.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::config::KafkaLettersConfig;
use super::reports::Reports;
use crate::source::kafka::Failure;
use crate::{Error, ErrorKind, Result};

/// How long a request to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long brokers that make topics by themselves may take for it, and say meanwhile that it is not there.
const MAKING: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(100);
/// A topic that takes less has no room for where a letter stands and why.
pub(super) const LEAST: usize = 4_096;

/// Make sure that the topic is there. To ask is what makes brokers create it that have `auto.create.topics.enable`.
///
/// Errors: [`NotFound`](ErrorKind::NotFound), [`Denied`](ErrorKind::Denied),
/// [`Configuration`](ErrorKind::Configuration), and retryable ones while nobody answers.
pub(super) async fn must_stand(producer: &Arc<ThreadedProducer<Reports>>, config: &KafkaLettersConfig) -> Result<()> {
    let until = Instant::now() + MAKING;
    loop {
        let (asked, topic) = (producer.clone(), config.topic.clone());
        let looked = spawn_blocking(move || look(&asked, &topic)).await;
        let looked =
            looked.map_err(|error| Error::new(ErrorKind::Internal, "a request to kafka died").with_source(error))?;
        let Err(failure) = looked else { return Ok(()) };
        if failure.is_missing_topic() && Instant::now() < until {
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let failure = producer.context().refusal().filter(|_| failure.is_passing()).unwrap_or(failure);
        let way_out = if failure.is_missing_topic() {
            "; create it, or correct `--dead-letters`"
        } else if Error::from(failure.clone()).kind() == ErrorKind::Denied {
            "; allow the user WRITE of it (an ACL)"
        } else {
            ""
        };
        return Err(failure.while_doing(format!("the topic `{}` of the dead letters{way_out}", config.topic)).into());
    }
}

fn look(producer: &ThreadedProducer<Reports>, topic: &str) -> Result<(), Failure> {
    let failed = |code: Code, what: &str| Failure::new(code, what.to_owned());
    let metadata = producer.client().fetch_metadata(Some(topic), PATIENCE).map_err(|error| match error {
        KafkaError::MetadataFetch(code) => failed(code, "no broker answers"),
        other => failed(other.rdkafka_error_code().unwrap_or(Code::Fail), &other.to_string()),
    })?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or_else(|| failed(Code::UnknownTopicOrPartition, "no broker knows it"))?;
    match found.error() {
        Some(error) => Err(failed(error.into(), "")),
        None if found.partitions().is_empty() => Err(failed(Code::LeaderNotAvailable, "it has no partitions yet")),
        None => Ok(()),
    }
}

/// How large a message, alone in its batch, may be for the topic; `None` where the cluster does not tell us.
///
/// Errors: [`Configuration`](ErrorKind::Configuration) when that is too small for any letter, and when the topic is
/// compacted: it refuses letters without a key, and of those with one it keeps the newest of each key.
pub(super) async fn most_bytes(config: &KafkaLettersConfig) -> Result<Option<usize>> {
    let settings = match ask_settings(config).await {
        Ok(settings) => settings,
        Err(error) => {
            tracing::info!(
                %error, topic = config.topic,
                "how large a dead letter may be, and whether the topic keeps all of them, is not known, and shows when \
                 one is refused; allow the user DESCRIBE_CONFIGS of the topic to know it before"
            );
            Settings::default()
        }
    };
    settings.check(&config.topic)?;
    Ok(settings.most_bytes)
}

/// What the topic says of itself, where it does.
#[derive(Debug, Default)]
struct Settings {
    most_bytes: Option<usize>,
    /// `delete`, `compact`, or both.
    cleanup: Option<String>,
}

impl Settings {
    fn check(&self, topic: &str) -> Result<()> {
        let bad = |what: String| {
            Err(Error::new(ErrorKind::Configuration, format!("the topic `{topic}` of the dead letters {what}")))
        };
        if let Some(limit) = self.most_bytes.filter(|limit| *limit < LEAST) {
            return bad(format!("takes messages of {limit} bytes; raise its `max.message.bytes` to {LEAST} at least"));
        }
        if let Some(cleanup) = &self.cleanup
            && cleanup.split(',').any(|way| way.trim() == "compact")
        {
            return bad(format!(
                "has `cleanup.policy={cleanup}`: it takes no letter without a key, and of the others it keeps the newest \
                 of each key; set its `cleanup.policy` to `delete`, or name another topic with `--dead-letters`"
            ));
        }
        Ok(())
    }
}

async fn ask_settings(config: &KafkaLettersConfig) -> Result<Settings, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.client().create()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &options).await?;
    let Some(topic) = described.into_iter().next() else { return Ok(Settings::default()) };
    let topic = topic.map_err(KafkaError::AdminOp)?;
    let value = |name| topic.get(name).and_then(|entry| entry.value.clone());
    Ok(Settings {
        most_bytes: value("max.message.bytes").and_then(|limit| limit.parse().ok()),
        cleanup: value("cleanup.policy"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_does_not_keep_every_letter_is_refused_with_the_way_out() {
        let check = |cleanup: &str| Settings { cleanup: Some(cleanup.to_owned()), most_bytes: None }.check("dead");
        check("delete").unwrap();
        Settings::default().check("dead").unwrap();
        for cleanup in ["compact", "compact,delete", "delete, compact"] {
            let error = check(cleanup).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let text = error.to_string();
            assert!(text.contains("`dead`") && text.contains(cleanup) && text.contains("to `delete`"), "{text}");
        }
    }
}
