use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::binding::Binding;
use super::config::KafkaConfig;
use super::ending::{Ending, Look};
use super::failure::Failure;
use super::held::{Along, Held, Stage, Taken};
use super::orphans::Orphans;
use super::queue::{Consumer, Event, Position, Slots};
use super::topics::{Check, Topics, all_partitions, ends, look_up, newest};
use crate::source::{Asks, Assignment, Batch, Ends, Offset, PartitionId, Poll, Ruler, Source};
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
    /// How many partitions they had when this member began: what is added later is read from its first message on.
    pub(super) begun: HashMap<String, i32>,
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
            begun: HashMap::new(),
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
        self.begun = self.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions)).collect();
        if self.config.until_end {
            let partitions: Vec<Position> = all_partitions(&self.topics).collect();
            self.ending = Ending::at(self.ask(move |consumer| ends(consumer, partitions)).await?);
        }
        self.consumer.subscribe(&self.config.topics)?;
        self.subscribed = true;
        Ok(())
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

    /// There is nothing to do: whether that is the end.
    async fn end(&mut self) -> Result<Option<Poll>> {
        let done = self.assigned && !self.answering && self.held.iter().all(Held::is_done);
        if !self.config.until_end || !done {
            self.ending.go_on();
            return Ok(None);
        }
        if self.ending.look.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(look) = self.ending.look.take()
        {
            match look.await {
                Ok(Ok(Look { committed, ends })) => {
                    self.ending.learn(committed);
                    self.extend(&ends);
                }
                Ok(Err(failure)) if failure.is_passing() => self.ending.learn(Vec::new()),
                Ok(Err(failure)) => return Err(failure.into()),
                Err(error) => {
                    return Err(Error::new(ErrorKind::Internal, "a request to kafka died").with_source(error));
                }
            }
        }
        let missing = self.ending.missing(&self.held);
        if missing.is_empty() {
            self.ended = true;
            return Ok(Some(Poll::End));
        }
        if !self.ending.settled {
            self.ending.settled = true;
            return Ok(Some(Poll::Settle));
        }
        if self.ending.look.is_none() && self.ending.look_due.is_none_or(|due| due <= Instant::now()) {
            let stuck = self.ending.is_stuck();
            let own: Vec<Position> = self.held.iter().filter(|_| stuck).map(|held| held.at(None)).collect();
            let consumer = self.consumer.clone();
            self.ending.look = Some(spawn_blocking(move || {
                Ok(Look { committed: consumer.committed(&missing, PATIENCE)?, ends: ends(&consumer, own)? })
            }));
        }
        Ok(None)
    }

    /// The ends are further away now.
    fn extend(&mut self, ends: &[Position]) {
        for at in ends {
            if let Some((held, end)) = self.held.iter_mut().find(|held| held.is(at)).zip(at.offset) {
                held.extend(end);
            }
        }
    }

    /// Take what has arrived, and cut it into batches of one partition each; how many there were.
    fn take(&mut self) -> usize {
        let Self { config, traces, consumer, held, slots, failures, ready, spare, .. } = self;
        let along = Along { metadata: config.metadata, traces: *traces };
        let mut touched: Vec<usize> = Vec::new();
        // Messages of one partition come in runs.
        let mut run = None;
        let taken = consumer.take(slots, |message| {
            let key = (message.topic_token(), message.partition());
            let at = match run {
                Some((last, at)) if last == key => at,
                _ => {
                    let topic = message.topic();
                    let at = held.iter().position(|held| held.partition == key.1 && *held.c_topic == *topic);
                    run = Some((key, at));
                    at
                }
            };
            let taken = match (message.failure(), at) {
                (None, Some(at)) => held[at].take(message, along, spare),
                // Of a partition that is not ours any more.
                (None, None) => Taken::Left,
                // The group's own have no topic, and 0 for a partition.
                (Some(failure), None) if !message.has_topic() => {
                    failures.push_back((None, failure));
                    Taken::Left
                }
                (Some(_), None) if message.partition() >= 0 => Taken::Left,
                (Some(failure), Some(at)) if failure.is_end_of_log() => held[at].pass(message.offset(), spare),
                (Some(failure), _) => {
                    if let Some(at) = at {
                        held[at].refetch();
                    }
                    let topic = message.topic().to_string_lossy().into_owned();
                    let offset = Some(message.offset()).filter(|offset| *offset >= 0);
                    failures.push_back((Some(Position { topic, partition: message.partition(), offset }), failure));
                    Taken::Left
                }
            };
            if let (Taken::Kept, Some(at)) = (taken, at)
                && touched.last() != Some(&at)
                && !touched.contains(&at)
            {
                touched.push(at);
                // One of a batch will do, and costs nothing.
                held[at].stamp(message.failure().is_none().then(|| message.stamped()).flatten());
            }
        });
        for at in touched {
            let end = consumer.known_end(&held[at].c_topic, held[at].partition);
            ready.extend(held[at].finish(end));
        }
        taken
    }

    /// Nothing more has arrived: look where transaction markers have moved the positions to, which are not delivered.
    /// Where reading ends at the end, the end is reported, and makes the positions wrong.
    fn pass_markers(&mut self) -> Result<bool> {
        if self.config.until_end {
            return Ok(false);
        }
        let Self { consumer, held, ready, spare, .. } = self;
        let asked: Vec<Position> =
            held.iter().filter(|held| held.stage == Stage::Fetching).map(|held| held.at(None)).collect();
        if asked.is_empty() {
            return Ok(false);
        }
        let mut passed = false;
        for position in consumer.position(&asked)? {
            let Some(held) = held.iter_mut().find(|held| held.is(&position)) else { continue };
            if let Some(offset) = position.offset
                && held.pass(offset, spare) == Taken::Kept
            {
                ready.extend(held.finish(consumer.known_end(&held.c_topic, held.partition)));
                passed = true;
            }
        }
        Ok(passed)
    }

    async fn deal_with(&mut self, event: Event) -> Result<Option<Poll>> {
        match event {
            Event::Assigned(partitions) => {
                self.refetch().await?;
                self.offer(partitions).await
            }
            Event::Revoked(partitions) => {
                self.refetch().await?;
                self.assigned = false;
                let gone = self.ids(&partitions);
                self.ready.retain(|batch| !batch.partition.as_ref().is_some_and(|id| gone.contains(id)));
                if gone.is_empty() {
                    self.consumer.answer_revoked(&[])?;
                    return Ok(None);
                }
                self.giving = true;
                Ok(Some(Poll::Revoked(gone)))
            }
            Event::Lost(partitions) => {
                self.assigned = false;
                let gone = self.ids(&partitions);
                tracing::warn!(
                    partitions = gone.len(),
                    "the group has given partitions to others; dropping what was not flushed"
                );
                self.let_go(&gone)?;
                Ok((!gone.is_empty()).then_some(Poll::Lost(gone)))
            }
            Event::Uncommitted(position) => {
                if let Some(held) = self.held.iter_mut().find(|held| held.is(&position)) {
                    held.commit_failed(Instant::now());
                }
                Ok(None)
            }
            Event::Fatal(failure) => Err(self.explain(failure)),
        }
    }

    /// Partitions stand still until a rebalance is answered. One that has reported its end would go on behind the next
    /// message then, and either miss it or find that there is none.
    async fn refetch(&mut self) -> Result<()> {
        if self.config.until_end {
            self.held.iter_mut().for_each(Held::refetch);
            self.seek_again().await?;
        }
        Ok(())
    }

    /// The group gives us partitions: the engine has to say from where.
    async fn offer(&mut self, partitions: Vec<Position>) -> Result<Option<Poll>> {
        if partitions.is_empty() {
            self.consumer.answer_assigned(&[])?;
            self.assigned = true;
            return Ok(Some(Poll::Assigned(Vec::new())));
        }
        let names = self.config.topics.clone();
        let (topics, committed, others) = self
            .ask(move |consumer| {
                let topics = look_up(consumer, &names)?;
                let others = consumer.committed(&all_partitions(&topics).collect::<Vec<_>>(), PATIENCE)?;
                Ok((topics, consumer.committed(&partitions, PATIENCE)?, others))
            })
            .await?;
        self.adopt(topics)?;
        self.binding.check(&self.config, &committed)?;
        self.binding.check(&self.config, &others)?;
        let starts = self.starts(&committed).await?;
        let mut assignments = Vec::new();
        for (committed, start) in committed.iter().zip(starts) {
            let Some(topic) = self.topics.get(&committed.at.topic) else { continue };
            let mut held = Held::new(&topic.id, &committed.at, &start);
            held.is_ours = self.binding.is_said(committed);
            assignments.push(Assignment { partition: held.id.clone(), start });
            self.held.retain(|known| known.id != held.id);
            self.held.push(held);
        }
        self.show();
        self.answering = true;
        self.assigned = true;
        Ok(Some(Poll::Assigned(assignments)))
    }

    /// Let those who look from elsewhere see what is held now.
    fn show(&self) {
        let held = self.held.iter().map(|held| (held.id.clone(), held.at(None))).collect();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    fn ids(&self, partitions: &[Position]) -> Vec<PartitionId> {
        let held = |at: &Position| self.held.iter().find(|held| held.is(at)).map(|held| held.id.clone());
        partitions.iter().filter_map(held).collect()
    }

    /// Forget partitions, and tell the group that they are free.
    fn let_go(&mut self, partitions: &[PartitionId]) -> Result<()> {
        let gone = |held: &Held| partitions.contains(&held.id);
        let assigned: Vec<Position> =
            self.held.iter().filter(|held| gone(held) && held.is_assigned()).map(|held| held.at(None)).collect();
        self.consumer.answer_revoked(&assigned)?;
        self.held.retain(|held| !gone(held));
        self.show();
        self.ready.retain(|batch| !batch.partition.as_ref().is_some_and(|id| partitions.contains(id)));
        Ok(())
    }

    /// Repeat commits that have failed a while ago.
    async fn commit_again(&mut self) {
        let now = Instant::now();
        let positions = self.held.iter_mut().filter_map(|held| held.commit_again(now)).collect();
        self.commit_positions(positions, false).await;
    }

    /// Commit, and say in the log when it fails: the store has the positions, and whoever starts goes by them.
    pub(super) async fn commit_positions(&mut self, positions: Vec<Position>, wait: bool) {
        if positions.is_empty() {
            return;
        }
        if self.consumer.is_lost() {
            tracing::info!("the partitions are lost; nothing is committed");
            return;
        }
        let done = if wait {
            let (positions, note) = (positions.clone(), self.binding.note.clone());
            self.ask(move |consumer| consumer.commit(&positions, &note, true)).await
        } else {
            self.consumer.commit(&positions, &self.binding.note, false).map_err(Error::from)
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a commit failed; the store has the position");
            let now = Instant::now();
            let failed = |held: &&mut Held| positions.iter().any(|at| held.is(at));
            self.held.iter_mut().filter(failed).for_each(|held| held.commit_failed(now));
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
                held.durable = next;
                positions.extend(next.map(|next| held.at(Some(next))));
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
            self.commit_positions(positions, true).await;
            // What nobody has asked back is released by one that stops. Leaving the group lets go of it; to do so before
            // would only make this member join once more, and leaving wait for that.
            if std::mem::take(&mut self.giving) { self.let_go(partitions) } else { Ok(()) }
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
        if self.spare.len() < SPARE {
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
