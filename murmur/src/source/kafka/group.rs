//! What the group gives and takes, and what it is told.

use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::failure::Failure;
use super::held::Held;
use super::queue::{Event, Position};
use super::source::{KafkaSource, PATIENCE};
use super::topics::{all_partitions, look_up};
use crate::Result;
use crate::source::{Assignment, PartitionId, Poll};

/// How long the group has to take a commit that is waited for.
const LAST_COMMIT: Duration = Duration::from_secs(5);
/// How long a broker has then to say anything at all.
const ANSWER: Duration = Duration::from_secs(2);

impl KafkaSource {
    pub(super) async fn deal_with(&mut self, event: Event) -> Result<Option<Poll>> {
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
            Event::Committed(position) => {
                if let Some(held) = self.held.iter_mut().find(|held| held.is(&position)) {
                    held.commit_answered(position.offset);
                }
                Ok(None)
            }
            Event::Uncommitted(position) => {
                if let Some(held) = self.held.iter_mut().find(|held| held.is(&position)) {
                    held.commit_failed(position.offset, Instant::now());
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
            let among = self.among(topic, &committed.at, &start);
            assignments.push(Assignment { partition: held.id.clone(), start, among });
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
    pub(super) fn let_go(&mut self, partitions: &[PartitionId]) -> Result<()> {
        let gone = |held: &Held| partitions.contains(&held.id);
        let assigned: Vec<Position> =
            self.held.iter().filter(|held| gone(held) && held.is_assigned()).map(|held| held.at(None)).collect();
        self.consumer.answer_revoked(&assigned)?;
        self.held.retain(|held| !gone(held));
        self.show();
        self.ready.retain(|batch| !batch.partition.as_ref().is_some_and(|id| partitions.contains(id)));
        Ok(())
    }

    /// Repeat commits that have failed a while ago, and make those that had to wait for an earlier one.
    pub(super) async fn commit_again(&mut self) {
        let now = Instant::now();
        let positions = self.held.iter_mut().filter_map(|held| held.commit_again(now)).collect();
        self.commit_positions(positions, false).await;
    }

    /// Commit, and say in the log when it fails: the store has the positions, and whoever starts goes by them. Whether a
    /// broker has answered, where that was waited for.
    pub(super) async fn commit_positions(&mut self, positions: Vec<Position>, wait: bool) -> bool {
        if positions.is_empty() {
            return true;
        }
        if self.consumer.is_lost() {
            tracing::info!("the partitions are lost; nothing is committed");
            return true;
        }
        let done = if wait {
            self.commit_and_wait(positions.clone()).await
        } else {
            self.consumer.commit(&positions, &self.binding.note, false)
        };
        let mut each = |what: &dyn Fn(&mut Held, Option<i64>)| {
            for at in &positions {
                self.held.iter_mut().filter(|held| held.is(at)).for_each(|held| what(held, at.offset));
            }
        };
        let Err(failure) = done else {
            if !wait {
                each(&Held::commit_asked);
            }
            return true;
        };
        let now = Instant::now();
        each(&|held, next| held.commit_failed(next, now));
        let is_answered = !failure.is_unanswered();
        tracing::warn!(error = %self.explain(failure), "a commit failed; the store has the position");
        is_answered
    }

    /// Without a coordinator, or on a connection that says nothing, librdkafka would wait for up to a minute.
    async fn commit_and_wait(&self, positions: Vec<Position>) -> Result<(), Failure> {
        let (consumer, note) = (self.consumer.clone(), self.binding.note.clone());
        let commit = spawn_blocking(move || consumer.commit(&positions, &note, true));
        match timeout(LAST_COMMIT, commit).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Failure::new(Code::Fail, "the request died".to_owned())),
            Err(_) => Err(Failure::new(Code::OperationTimedOut, format!("no answer within {LAST_COMMIT:?}"))),
        }
    }

    /// Whether it is the group alone that has not answered the last commit. A coordinator takes the requests of a member in
    /// their order, and the one before may be to join a group that waits for the session of a dead member to run out.
    pub(super) async fn is_group_busy(&self, held: Option<Position>) -> bool {
        let Some(at) = held else { return false };
        if self.ask(move |consumer| consumer.range(&at, ANSWER)).await.is_err() {
            return false;
        }
        tracing::warn!(
            group = self.config.group,
            "the group did not take the last commit, as while it waits for a member that has died, or has no coordinator; the \
             tables say where reading goes on"
        );
        true
    }
}
