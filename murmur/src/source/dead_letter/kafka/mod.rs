mod config;
mod message;
mod reports;
mod topic;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{Commits, DeadLetters, Letter};
use crate::source::{Offset, PartitionId};
use crate::{Error, ErrorKind, Result};

pub use config::KafkaLettersConfig;
use message::Message;
use reports::{Outcome, Reports, is_too_large};

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
/// | `murmur-payload-bytes` | how long the payload was, where it was cut |
/// | `murmur-key-bytes` | how long the key was, where it was cut |
/// | `murmur-headers-left-out` | how many headers of the original were left out |
///
/// Only a letter that is larger than the topic's `max.message.bytes` has the last three. It is cut until it fits: the
/// payload to what key and headers leave it, which is half of the room at least. Where they would take more, the largest
/// headers are left out, and then the key is cut. A long reason is cut to an eighth of the room. **Such a letter is not
/// the original**, so who sends letters again passes it over; the original stands where `murmur-place` says, as long as
/// the source keeps it.
///
/// What a topic holds cannot be taken back. A rewind inside a process sends no letter again. A worker that dies between
/// sending and committing sends those of its last flush again after its restart: **a reader of the topic drops copies by
/// `murmur-id`**.
pub struct KafkaDeadLetters {
    config: KafkaLettersConfig,
    producer: Arc<ThreadedProducer<Reports>>,
    reports: Arc<Outcome>,
    /// The topic was looked at.
    is_prepared: bool,
    /// How large a message may be for the topic, where that is known.
    limit: Option<usize>,
    /// Which letters beyond the commit are in the topic.
    stored: Known,
    /// What is under way; it is stored after the next sync.
    sent: Known,
}

/// Letters by where they stand. Not only how far: a stretch that is read again can have letters that it had not before,
/// when a tile has turned out to be full.
type Known = HashMap<(PartitionId, &'static str), BTreeSet<Offset>>;

impl KafkaDeadLetters {
    /// A writer to the topic. Nothing is asked or sent yet.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) for properties that librdkafka does not know.
    pub fn open(config: &KafkaLettersConfig) -> Result<Self> {
        let reports = Arc::new(Outcome::default());
        Ok(Self {
            producer: producer(config, &reports, None)?,
            config: config.clone(),
            reports,
            is_prepared: false,
            limit: None,
            stored: HashMap::new(),
            sent: HashMap::new(),
        })
    }

    /// Send a letter cut to so many bytes; how many it has.
    async fn send(&mut self, letter: &Arc<Letter>, room: usize) -> Result<usize> {
        let Message { payload, key, headers, size } = Message::of(letter, &self.config.app, room);
        loop {
            let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.config.topic, letter.clone());
            let mut record = record.payload(payload).headers(headers.clone());
            record.key = key;
            self.reports.with(|state| state.outstanding += 1);
            let Err((error, _)) = self.producer.send(record) else { return Ok(size) };
            self.reports.with(|state| state.outstanding -= 1);
            match error {
                KafkaError::MessageProduction(Code::QueueFull) => self.reports.changed.notified().await,
                error if is_too_large(&error) => {
                    self.reports.with(|state| state.refused.push(letter.clone()));
                    return Ok(size);
                }
                error => return Err(self.failed(error)),
            }
        }
    }

    /// How large a letter may be at first. Where messages are compressed, one that seems too large may fit.
    fn room(&self) -> usize {
        self.limit.filter(|_| !self.config.compresses()).unwrap_or(usize::MAX)
    }

    /// Wait until it is known what became of all that were sent; those that were too large.
    async fn settle(&mut self) -> Result<Vec<Arc<Letter>>> {
        loop {
            let (outstanding, failed) = self.reports.with(|state| (state.outstanding, state.failed.take()));
            if let Some(error) = failed {
                return Err(self.failed(error));
            }
            if outstanding == 0 {
                return Ok(self.reports.with(|state| std::mem::take(&mut state.refused)));
            }
            self.reports.changed.notified().await;
        }
    }

    /// Store a letter that was refused for its size, or for that of its batch. Where the topic's limit is not known, or
    /// not what it was, the letter is cut by half until it is taken.
    async fn send_alone(&mut self, letter: &Arc<Letter>) -> Result<()> {
        let mut room = self.room();
        loop {
            let size = self.send(letter, room).await?;
            if self.settle().await?.is_empty() {
                return Ok(());
            }
            room = self.limit.filter(|limit| *limit < size).unwrap_or(size / 2);
            if room < topic::LEAST / 2 {
                return Err(self.failed(KafkaError::MessageProduction(Code::MessageSizeTooLarge)));
            }
        }
    }

    fn failed(&self, error: KafkaError) -> Error {
        let hint = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => "; raise `max.message.bytes` of the topic",
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => "; create the topic",
            _ => "",
        };
        let context = format!("a dead letter cannot be stored in the topic `{}`{hint}", self.config.topic);
        Error::new(ErrorKind::Io, context).with_source(error)
    }
}

/// A sender, whose batches have at most so many bytes: one that is too large is refused with all its messages.
fn producer(
    config: &KafkaLettersConfig,
    reports: &Arc<Outcome>,
    batch: Option<usize>,
) -> Result<Arc<ThreadedProducer<Reports>>> {
    let mut client = config.client();
    if let Some(batch) = batch {
        client.set("batch.size", batch.to_string());
    }
    let producer = ThreadedProducer::from_config_and_context(&client, Reports(reports.clone()));
    producer.map(Arc::new).map_err(|error| {
        Error::new(ErrorKind::Configuration, format!("dead letters cannot go to `{}`", config.topic)).with_source(error)
    })
}

impl DeadLetters for KafkaDeadLetters {
    /// The topic must be there, or made by the brokers when they are asked about it.
    fn prepare(&mut self) -> BoxFuture<'_, Result<()>> {
        async move {
            if !self.is_prepared {
                topic::must_stand(&self.producer, &self.config).await?;
                self.limit = topic::most_bytes(&self.config).await?;
                if let Some(limit) = self.limit.filter(|limit| *limit < self.config.batch_size()) {
                    self.producer = producer(&self.config, &self.reports, Some(limit))?;
                }
                self.is_prepared = true;
            }
            Ok(())
        }
        .boxed()
    }

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
                let letter = Arc::new(letter);
                self.send(&letter, self.room()).await?;
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
            for letter in self.settle().await? {
                self.send_alone(&letter).await?;
            }
            for (at, offsets) in self.sent.drain() {
                self.stored.entry(at).or_default().extend(offsets);
            }
            Ok(())
        }
        .boxed()
    }
}
