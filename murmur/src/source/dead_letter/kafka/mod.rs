mod config;
mod message;
mod reports;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::OnceCell;

use super::{Commits, DeadLetters, Letter};
use crate::source::{Offset, PartitionId};
use crate::{Error, ErrorKind, Result};

pub use config::KafkaLettersConfig;
use message::Message;
use reports::{Fate, News, Reports, is_too_large};

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
/// | `murmur-class` | what kind of reason that is: `undecodable` (it is no event), `refused` (the pipeline does not take it), `full` (a tile does not) |
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
/// `murmur-id`**. Where some of a letter's pipelines had committed it, it is sent again for the others only, with an id of
/// its own.
pub struct KafkaDeadLetters {
    place: Arc<Place>,
    /// What was put here and is not known to be stored. What failed stays: no later sync may take it for stored.
    awaited: Vec<Awaited>,
}

/// What all that write to the topic in this process have in common.
struct Place {
    config: KafkaLettersConfig,
    producer: Mutex<Arc<ThreadedProducer<Reports>>>,
    news: Arc<News>,
    /// How large a message may be for the topic, where that is known; there once the topic was looked at.
    limit: OnceCell<Option<usize>>,
    /// Which letters beyond the commit are in the topic, or on their way.
    known: Mutex<Known>,
}

/// A letter on its way.
struct Awaited {
    letter: Arc<Letter>,
    fate: Arc<Fate>,
}

/// Letters by where they stand. Not only how far: a stretch that is read again can have letters that it had not before,
/// when a tile has turned out to be full.
type Known = HashMap<(PartitionId, &'static str), BTreeMap<Offset, Standing>>;

enum Standing {
    Sent(Arc<Fate>),
    Stored,
}

impl Place {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Letters up to the commits are not asked about any more.
    fn pass(&self, partition: &PartitionId, commits: Commits<'_>) {
        self.known().retain(|(of, pipeline), offsets| {
            let commit = commits.iter().find(|(name, _)| of == partition && name == pipeline);
            if let Some((_, Some(commit))) = commit {
                offsets.retain(|offset, _| offset > commit);
            }
            !offsets.is_empty()
        });
    }

    fn producer(&self) -> Arc<ThreadedProducer<Reports>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How large a letter may be at first. Where messages are compressed, one that seems too large may fit.
    fn room(&self) -> usize {
        self.limit().filter(|_| !self.config.compresses()).unwrap_or(usize::MAX)
    }

    fn limit(&self) -> Option<usize> {
        self.limit.get().copied().flatten()
    }

    /// Send a letter cut to so many bytes; how many it has.
    async fn send(&self, letter: &Letter, room: usize, fate: &Arc<Fate>) -> Result<usize> {
        let Message { payload, key, headers, size } = Message::of(letter, &self.config.app, room);
        loop {
            let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.config.topic, fate.clone());
            let mut record = record.payload(payload).headers(headers.clone());
            record.key = key;
            // Before it is tried: room may be made between the answer and the wait for it.
            let less = self.news.less.notified();
            let Err((error, _)) = self.producer().send(record) else { return Ok(size) };
            match error {
                KafkaError::MessageProduction(Code::QueueFull) => less.await,
                error if is_too_large(&error) => {
                    fate.is(Err(error));
                    return Ok(size);
                }
                error => return Err(self.failed(error)),
            }
        }
    }

    /// Store a letter that was refused for its size, or for that of its batch. Where the topic's limit is not known, or
    /// not what it was, the letter is cut by half until it is taken.
    async fn send_alone(&self, letter: &Letter) -> Result<()> {
        let mut room = self.room();
        loop {
            let fate = Arc::default();
            let size = self.send(letter, room, &fate).await?;
            match fate.known().await {
                Ok(()) => return Ok(()),
                Err(error) if is_too_large(error) => {}
                Err(error) => return Err(self.failed(error.clone())),
            }
            room = self.limit().filter(|limit| *limit < size).unwrap_or(size / 2);
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

impl KafkaDeadLetters {
    /// A writer to the topic. Nothing is asked or sent yet.
    ///
    /// Errors: [`Configuration`](ErrorKind::Configuration) for properties that librdkafka does not know.
    pub fn open(config: &KafkaLettersConfig) -> Result<Self> {
        let news = Arc::new(News::default());
        let place = Place {
            producer: Mutex::new(producer(config, &news, None)?),
            config: config.clone(),
            news,
            limit: OnceCell::new(),
            known: Mutex::default(),
        };
        Ok(Self { place: Arc::new(place), awaited: Vec::new() })
    }

    /// One more writer to the topic, for another worker of this process. It waits for its own letters only, and fails by
    /// its own only; a partition that moves from one to another finds its letters there.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { place: self.place.clone(), awaited: Vec::new() }
    }

    /// Leave to the letter those pipelines for which nobody has it. Another writer's that is still on its way is waited
    /// for with the own ones.
    fn leave_out_known(&mut self, letter: &mut Letter) {
        let known = self.place.known();
        let (partition, offset) = (letter.partition.clone(), letter.offset);
        let (mut left, mut others): (Vec<&'static str>, Vec<(&'static str, Arc<Fate>)>) = (Vec::new(), Vec::new());
        for pipeline in letter.pipelines.drain(..) {
            match known.get(&(partition.clone(), pipeline)).and_then(|at| at.get(&offset)) {
                Some(Standing::Stored) => {}
                Some(Standing::Sent(fate)) if !fate.has_failed() => others.push((pipeline, fate.clone())),
                Some(Standing::Sent(_)) | None => left.push(pipeline),
            }
        }
        drop(known);
        letter.pipelines = left;
        for (pipeline, fate) in others {
            // Not twice: one that turns out to be too large is sent again by each that waits for it.
            if !self.awaited.iter().any(|awaited| Arc::ptr_eq(&awaited.fate, &fate)) {
                let letter = Arc::new(Letter { pipelines: vec![pipeline], ..letter.clone() });
                self.awaited.push(Awaited { letter, fate });
            }
        }
    }
}

/// A sender, whose batches have at most so many bytes: one that is too large is refused with all its messages.
fn producer(
    config: &KafkaLettersConfig,
    news: &Arc<News>,
    batch: Option<usize>,
) -> Result<Arc<ThreadedProducer<Reports>>> {
    let mut client = config.client();
    if let Some(batch) = batch {
        client.set("batch.size", batch.to_string());
    }
    let producer = ThreadedProducer::from_config_and_context(&client, Reports(news.clone()));
    producer.map(Arc::new).map_err(|error| {
        Error::new(ErrorKind::Configuration, format!("dead letters cannot go to `{}`", config.topic)).with_source(error)
    })
}

impl DeadLetters for KafkaDeadLetters {
    /// The topic must be there, or made by the brokers when they are asked about it.
    fn prepare(&mut self) -> BoxFuture<'_, Result<()>> {
        async move {
            let Place { config, producer: sender, news, limit, .. } = &*self.place;
            let look = || async {
                topic::must_stand(&self.place.producer(), config).await?;
                let limit = topic::most_bytes(config).await?;
                if let Some(limit) = limit.filter(|limit| *limit < config.batch_size()) {
                    let smaller = producer(config, news, Some(limit))?;
                    *sender.lock().unwrap_or_else(PoisonError::into_inner) = smaller;
                }
                Ok(limit)
            };
            limit.get_or_try_init(look).await.map(drop)
        }
        .boxed()
    }

    /// Nothing of the topic can be forgotten; what is under way is waited for, so that it is not sent again. What another
    /// process has committed meanwhile is not met again.
    fn rewind<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, Result<()>> {
        self.place.pass(partition, commits);
        self.sync()
    }

    fn passed<'a>(&'a mut self, partition: &'a PartitionId, commits: Commits<'a>) -> BoxFuture<'a, ()> {
        self.place.pass(partition, commits);
        async {}.boxed()
    }

    fn put(&mut self, letters: Vec<Letter>) -> BoxFuture<'_, Result<()>> {
        async move {
            for mut letter in letters {
                self.leave_out_known(&mut letter);
                if letter.pipelines.is_empty() {
                    continue;
                }
                let (letter, fate) = (Arc::new(letter), Arc::<Fate>::default());
                self.place.send(&letter, self.place.room(), &fate).await?;
                let mut known = self.place.known();
                for pipeline in &letter.pipelines {
                    let at = known.entry((letter.partition.clone(), *pipeline)).or_default();
                    at.insert(letter.offset, Standing::Sent(fate.clone()));
                }
                drop(known);
                self.awaited.push(Awaited { letter, fate });
            }
            Ok(())
        }
        .boxed()
    }

    fn sync(&mut self) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut refused = Vec::new();
            for Awaited { letter, fate } in &self.awaited {
                match fate.known().await {
                    Ok(()) => {}
                    Err(error) if is_too_large(error) => refused.push(letter),
                    Err(error) => return Err(self.place.failed(error.clone())),
                }
            }
            for letter in refused {
                self.place.send_alone(letter).await?;
            }
            let mut known = self.place.known();
            for Awaited { letter, .. } in self.awaited.drain(..) {
                for pipeline in &letter.pipelines {
                    let at = known.entry((letter.partition.clone(), *pipeline)).or_default();
                    at.insert(letter.offset, Standing::Stored);
                }
            }
            Ok(())
        }
        .boxed()
    }
}
