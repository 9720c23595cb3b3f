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
/// Errors: [`Configuration`](ErrorKind::Configuration) when that is too small for any letter.
pub(super) async fn most_bytes(config: &KafkaLettersConfig) -> Result<Option<usize>> {
    let limit = match ask_limit(config).await {
        Ok(limit) => limit,
        Err(error) => {
            tracing::info!(
                %error, topic = config.topic,
                "how large a dead letter may be is not known, and shows when one is refused; allow the user \
                 DESCRIBE_CONFIGS of the topic to know it before"
            );
            None
        }
    };
    if let Some(limit) = limit.filter(|limit| *limit < LEAST) {
        let context = format!(
            "the topic `{}` of the dead letters takes messages of {limit} bytes; raise its `max.message.bytes` to \
             {LEAST} at least",
            config.topic
        );
        return Err(Error::new(ErrorKind::Configuration, context));
    }
    Ok(limit)
}

async fn ask_limit(config: &KafkaLettersConfig) -> Result<Option<usize>, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.client().create()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &options).await?;
    let Some(topic) = described.into_iter().next() else { return Ok(None) };
    let topic = topic.map_err(KafkaError::AdminOp)?;
    Ok(topic.get("max.message.bytes").and_then(|entry| entry.value.as_deref()?.parse().ok()))
}
