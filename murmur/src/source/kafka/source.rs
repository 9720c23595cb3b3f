use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::binding::Binding;
use super::config::KafkaConfig;
use super::ending::Ending;
use super::failure::Failure;
use super::held::{Held, Stage};
use super::orphans::Orphans;
use super::queue::{Consumer, Event, Position, Slots};
use super::topics::{Check, Topics, all_partitions, ends, look_up, newest};
use crate::source::{Asks, Batch, Ends, Offset, PartitionId, Poll, Ruler, Source};
use crate::{Error, ErrorKind, Result};

/// Messages taken in one call; they are copied at once, so this bounds only how long the call takes.
const SLOTS: usize = 4_096;
/// How long a poll waits for something to happen.
const WAIT: Duration = Duration::from_millis(100);
/// How long a request to the cluster may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look whether the topics are still the same ones.
pub(super) const CHECK: Duration = Duration::from_secs(5);
/// How often to look for news of the group while nobody polls.
const LISTEN: Duration = Duration::from_millis(250);
/// Batches whose buffers are kept for reuse.
const SPARE: usize = 16;

/// A member of a consumer group.
pub(super) struct KafkaSource {
    pub(super) config: KafkaConfig,
    /// Of how many messages of a batch the spans are carried that they were made in.
    pub(super) traces: usize,
    pub(super) consumer: Arc<Consumer>,
    pub(super) subscribed: bool,
    /// Whether what is held is what the group has assigned, if only nothing; not before it has assigned anything, and
    /// not between giving up partitions and the assignment that follows.
    pub(super) assigned: bool,
    /// The end was said; then a commit may be the last one.
    pub(super) ended: bool,
    pub(super) topics: Topics,
    pub(super) binding: Binding,
    /// How many partitions they had when this member began.
    pub(super) known: HashMap<String, i32>,
    pub(super) ending: Ending,
    pub(super) held: Vec<Held>,
    pub(super) slots: Slots,
    /// What the group said and what could not be done yet.
    pub(super) event: Option<Event>,
    /// Partitions were offered to the engine, and the group waits for our answer.
    pub(super) answering: bool,
    /// The group wants partitions back, and waits for the engine to release them.
    pub(super) giving: bool,
    /// What the consumer reported instead of messages and nobody has looked at yet; of the group where it has no place.
    pub(super) failures: VecDeque<(Option<Position>, Failure)>,
    pub(super) ready: VecDeque<Batch>,
    pub(super) spare: Vec<Batch>,
    pub(super) check: Option<JoinHandle<Result<Check, Failure>>>,
    pub(super) check_due: Instant,
    /// The last check got no answer from any broker.
    pub(super) unanswered: bool,
    pub(super) orphans: Orphans,
    /// What is held, for those who look from elsewhere.
    pub(super) shown: Shown,
}

/// The partitions of a member, by both of their names.
pub(super) type Shown = Arc<Mutex<Vec<(PartitionId, Position)>>>;

impl KafkaSource {
    /// A member that joins its group at the first poll.
    pub(super) fn new(config: KafkaConfig) -> Result<Self> {
        Ok(Self {
            consumer: Arc::new(Consumer::new(&config.properties())?),
            config,
            traces: 0,
            subscribed: false,
            assigned: false,
            ended: false,
            topics: HashMap::new(),
            binding: Binding::default(),
            known: HashMap::new(),
            ending: Ending::default(),
            held: Vec::new(),
            slots: Slots::new(SLOTS),
            event: None,
            answering: false,
            giving: false,
            failures: VecDeque::new(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            check: None,
            check_due: Instant::now() + CHECK,
            unanswered: false,
            orphans: Orphans::default(),
            shown: Shown::default(),
        })
    }

    /// Something that waits for the cluster, away from the thread of the runtime.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Consumer) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let consumer = self.consumer.clone();
        let answer = spawn_blocking(move || ask(&consumer)).await;
        let answer =
            answer.map_err(|error| Error::new(ErrorKind::Internal, "a request to kafka died").with_source(error));
        answer?.map_err(|failure| self.explain(failure))
    }

    async fn next(&mut self) -> Result<Poll> {
        if !self.subscribed
            && let Err(error) = self.join().await
        {
            // Why it was in vain is reported while messages are taken.
            self.take();
            return Err(self.consumer.refusal().filter(|_| error.is_retryable()).map_or(error, Error::from));
        }
        if let Some(missed) = self.consumer.missed() {
            self.held.iter_mut().for_each(Held::refetch);
            self.failures.extend(missed);
        }
        let deadline = Instant::now() + WAIT;
        loop {
            let turn = self.turn().await;
            if let Some(poll) = turn.map_err(|error| self.consumer.fatal().map_or(error, |why| self.explain(why)))? {
                return Ok(poll);
            }
            if timeout_at(deadline, self.consumer.ready()).await.is_err() {
                return Ok(Poll::Idle);
            }
        }
    }

    async fn join(&mut self) -> Result<()> {
        let topics = self.config.topics.clone();
        self.topics = self.ask(move |consumer| look_up(consumer, &topics)).await?;
        self.known = self.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions)).collect();
        if self.config.until_end {
            let partitions: Vec<Position> = all_partitions(&self.topics).collect();
            self.ending = Ending::at(self.ask(move |consumer| ends(consumer, partitions)).await?);
        }
        self.consumer.subscribe(&self.config.topics)?;
        self.subscribed = true;
        Ok(())
    }

    /// A member that stops could not say how far it is.
    fn untold(&self) -> Error {
        let KafkaConfig { brokers, group, .. } = &self.config;
        let context = format!(
            "the brokers `{brokers}` did not answer the last commit, so group `{group}` may not know how far this member \
             has read, nor that it has left; everything that was read is durable, and the tables say where reading goes on"
        );
        Error::new(ErrorKind::Unavailable, context)
    }

    /// Do what is due; `None` when there is nothing to do before something arrives.
    async fn turn(&mut self) -> Result<Option<Poll>> {
        loop {
            if let Some(event) = self.event.take().or_else(|| self.consumer.event()) {
                // It stays when it could not be dealt with.
                self.event = Some(event.clone());
                let poll = self.deal_with(event).await?;
                self.event = None;
                if poll.is_some() {
                    return Ok(poll);
                }
                continue;
            }
            if let Some((at, failure)) = self.failures.pop_front() {
                match at {
                    Some(at) => self.face(at, failure).await?,
                    None => self.face_group(failure)?,
                }
                continue;
            }
            if self.answering && !self.held.iter().any(|held| held.stage == Stage::Offered) {
                self.begin().await?;
            }
            self.seek_again().await?;
            self.check_topics().await?;
            self.commit_again().await;
            if let Some(batch) = self.ready.pop_front() {
                self.ending.go_on();
                return Ok(Some(Poll::Batch(batch)));
            }
            if self.take() > 0 {
                continue;
            }
            // Callbacks of the call above may have left something.
            if let Some(event) = self.consumer.event() {
                self.event = Some(event);
                continue;
            }
            if self.pass_markers()? {
                continue;
            }
            return self.end().await;
        }
    }
}

impl Source for KafkaSource {
    fn poll(&mut self) -> BoxFuture<'_, Result<Poll>> {
        self.next().boxed()
    }

    /// Only notes it down: what has to be asked from the cluster is asked by the next poll, which may be repeated.
    fn seek<'a>(&'a mut self, partition: &'a PartitionId, after: Option<Offset>) -> BoxFuture<'a, Result<()>> {
        self.seek_before(partition, after, 0)
    }

    fn seek_before<'a>(
        &'a mut self,
        partition: &'a PartitionId,
        after: Option<Offset>,
        count: u64,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let Some(held) = self.held.iter_mut().find(|held| held.id == *partition) else {
                return Err(Error::new(ErrorKind::InvalidArgument, format!("`{partition}` is not assigned")));
            };
            let after = match after.map(|after| after.words()) {
                None => None,
                Some([0, 0, 0, after]) => Some(i64::try_from(after).unwrap_or(i64::MAX - 1).min(i64::MAX - 1)),
                Some(_) => {
                    let context =
                        format!("the position in `{partition}` is not one of Kafka; is the store another one?");
                    return Err(Error::new(ErrorKind::Corrupt, context));
                }
            };
            held.seek(after, count);
            self.ended = false;
            self.ready.retain(|batch| batch.partition.as_ref() != Some(partition));
            Ok(())
        }
        .boxed()
    }

    fn ruler(&self) -> Ruler {
        Ruler::Offsets
    }

    fn commit<'a>(&'a mut self, commits: &'a [(PartitionId, Offset)]) -> BoxFuture<'a, Result<()>> {
        async move {
            let mut positions = Vec::with_capacity(commits.len());
            for (partition, offset) in commits {
                let Some(held) = self.held.iter_mut().find(|held| held.id == *partition) else { continue };
                let next = i64::try_from(offset.words()[3]).ok().and_then(|offset| offset.checked_add(1));
                let Some(next) = next else { continue };
                let asked = held.commit(next);
                // The last one does not wait for an earlier one: nothing would make it later. Should that one come last, as the
                // coordinator moves at this very moment, whoever reads next goes by the store.
                positions.extend(if self.ended { Some(held.at(Some(next))) } else { asked });
            }
            self.commit_positions(positions, self.ended).await;
            Ok(())
        }
        .boxed()
    }

    fn release<'a>(&'a mut self, partitions: &'a [PartitionId]) -> BoxFuture<'a, Result<()>> {
        async move {
            let given = self.held.iter().filter(|held| partitions.contains(&held.id));
            let positions = given.filter_map(|held| Some(held.at(Some(held.durable?)))).collect();
            let is_answered = self.commit_positions(positions, true).await;
            if std::mem::take(&mut self.giving) {
                return self.let_go(partitions);
            }
            // What nobody has asked back is released by one that stops. Leaving the group lets go of it; to do so before
            // would only make this member join once more, and leaving wait for that.
            let first = self.held.first().map(|held| held.at(None));
            if is_answered || self.is_group_busy(first).await { Ok(()) } else { Err(self.untold()) }
        }
        .boxed()
    }

    fn read_for(&mut self, tables: &[String]) {
        self.binding = Binding::of(tables);
    }

    fn asks(&self, what: Asks) -> BoxFuture<'static, ()> {
        let consumer = self.consumer.clone();
        async move {
            let mut slots = Slots::new(SLOTS);
            while !consumer.has_news(what) {
                consumer.listen(&mut slots);
                if consumer.has_news(what) {
                    return;
                }
                tokio::time::sleep(LISTEN).await;
            }
        }
        .boxed()
    }

    fn ends(&self) -> Option<Ends> {
        let (consumer, shown) = (Arc::downgrade(&self.consumer), self.shown.clone());
        Some(Box::new(move || {
            let held = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let consumer = consumer.upgrade();
            async move {
                let Some(consumer) = consumer else { return Vec::new() };
                let found = spawn_blocking(move || newest(&consumer, held)).await;
                found.unwrap_or_default()
            }
            .boxed()
        }))
    }

    fn carry_beside(&mut self) -> bool {
        self.config.metadata = true;
        true
    }

    fn carry_traces(&mut self, at_most: usize) {
        self.traces = at_most;
    }

    fn recycle(&mut self, mut batch: Batch) {
        // One that was large is not kept for ever.
        let kept: usize = self.spare.iter().map(|spare| spare.buffer.capacity()).sum();
        if self.spare.len() < SPARE && kept + batch.buffer.capacity() <= self.config.buffer.0 {
            batch.buffer.clear();
            batch.payloads.clear();
            batch.beside.clear();
            let Batch { buffer, payloads, beside, .. } = batch;
            self.spare.push(Batch { buffer, payloads, beside, ..Batch::default() });
        }
    }

    fn answers(&self) -> bool {
        !self.unanswered
    }

    fn place(&self, partition: &PartitionId, offset: Offset) -> Option<String> {
        Some(self.held.iter().find(|held| held.id == *partition)?.place(offset))
    }
}
