//! The topics as the cluster has them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::config::Rebalance;
use super::failure::Failure;
use super::identity::TopicId;
use super::queue::{Committed, Consumer, Member, Position};
use super::source::{CHECK, KafkaSource, PATIENCE};
use crate::source::{Offset, PartitionId};
use crate::{Error, ErrorKind, Result};

/// Topics by name.
pub(super) type Topics = HashMap<String, Topic>;

/// What the cluster says of the topics, the group's commits, and its members where these matter.
pub(super) type Check = (Topics, Vec<Committed>, Option<Vec<Member>>);

/// What a topic is now.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) partitions: i32,
}

impl KafkaSource {
    /// Look now and then whether a topic was deleted and created again: its offsets mean other messages then. And
    /// whether all partitions have an owner, and none of another program.
    pub(super) async fn check_topics(&mut self) -> Result<()> {
        if self.check.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(check) = self.check.take()
        {
            self.check_due = Instant::now() + CHECK;
            match check.await {
                Ok(Ok((topics, committed, members))) => {
                    self.unanswered = false;
                    self.check_same(&topics)?;
                    self.binding.check(&self.config, &committed)?;
                    self.check_owners(&topics, members)?;
                }
                Ok(Err(failure)) => self.unanswered = failure.is_passing(),
                // It broke down, and says nothing about the brokers.
                Err(_) => {}
            }
        }
        if self.check.is_none() && Instant::now() >= self.check_due {
            let (consumer, topics) = (self.consumer.clone(), self.config.topics.clone());
            let group = self.config.member().is_some() && self.config.rebalance == Rebalance::Cooperative;
            let group = group.then(|| self.config.group.clone());
            self.check = Some(spawn_blocking(move || {
                let topics = look_up(&consumer, &topics)?;
                let partitions: Vec<Position> = all_partitions(&topics).collect();
                // Looked at when partitions come, too; here for two programs that have begun at the same time.
                let committed = consumer.committed(&partitions, PATIENCE).unwrap_or_default();
                // Who may read the group may describe it; where not, it is as before.
                let members = group.and_then(|group| consumer.members(&group, PATIENCE).ok().flatten());
                Ok((topics, committed, members))
            }));
        }
        Ok(())
    }

    /// Take these for what the topics are from now on. Not where one has another id: what is held of the old one would
    /// go on with the messages of the new one, and no later check would find out.
    pub(super) fn adopt(&mut self, topics: Topics) -> Result<()> {
        self.check_same(&topics)?;
        self.topics = topics;
        Ok(())
    }

    /// An error when one of our topics has another id now.
    pub(super) fn check_same(&self, topics: &Topics) -> Result<()> {
        let is_other = |(name, topic): &(&String, &Topic)| self.topics.get(*name).is_some_and(|own| own.id != topic.id);
        let Some((topic, _)) = topics.iter().find(is_other) else { return Ok(()) };
        let context = format!(
            "topic `{topic}` was deleted and created again while it was read; its offsets mean other messages now. Start \
             again: the new topic is read from its own beginning, and what the old one has brought stays"
        );
        Err(Error::new(ErrorKind::Conflict, context))
    }
}

/// What these topics are now.
pub(super) fn look_up(consumer: &Consumer, names: &[String]) -> Result<Topics, Failure> {
    let described = consumer.describe(names, PATIENCE).map_err(|failure| match failure.is_missing_topic() {
        true => failure.while_doing("create it, or correct the URL of the source"),
        false => failure,
    })?;
    let mut cluster = None;
    let named = names.iter().zip(described).map(|(name, described)| {
        let id = match described.id {
            Some(id) => TopicId::of(id),
            None => {
                let cluster = cluster.get_or_insert_with(|| consumer.cluster_id(PATIENCE).unwrap_or_default());
                TopicId::of_name(cluster, name)
            }
        };
        (name.clone(), Topic { id, partitions: described.partitions })
    });
    Ok(named.collect())
}

pub(super) fn all_partitions(topics: &Topics) -> impl Iterator<Item = Position> {
    topics.iter().flat_map(|(name, topic)| {
        (0..topic.partitions).map(|partition| Position { topic: name.clone(), partition, offset: None })
    })
}

/// Where these partitions end now.
pub(super) fn ends(consumer: &Consumer, partitions: Vec<Position>) -> Result<Vec<Position>, Failure> {
    let end = |at: Position| {
        let (_, high) =
            consumer.range(&at, PATIENCE).map_err(|failure| failure.while_doing(format!("partition `{at}`")))?;
        Ok(Position { offset: Some(high), ..at })
    };
    partitions.into_iter().map(end).collect()
}

/// How long a look at one partition may take. Nothing depends on it but what is shown.
const GLANCE: Duration = Duration::from_secs(2);

/// The offsets of the newest messages of these partitions, as far as brokers answer: who asks about one in vain asks
/// about no further one. `None` of one that holds nothing.
pub(super) fn newest(consumer: &Consumer, held: Vec<(PartitionId, Position)>) -> Vec<(PartitionId, Option<Offset>)> {
    let ranges = held.into_iter().map_while(|(id, at)| Some((id, consumer.range(&at, GLANCE).ok()?)));
    let newest = |(low, high): (i64, i64)| (low < high).then(|| u64::try_from(high - 1).ok().map(Offset::from_u64))?;
    ranges.map(|(id, range)| (id, newest(range))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::KafkaConfig;

    #[tokio::test]
    async fn a_topic_that_is_another_one_now_is_not_taken_for_the_one_that_is_read() {
        let topics =
            |id, partitions| Topics::from([("views".to_owned(), Topic { id: TopicId::of([id; 16]), partitions })]);
        let config = KafkaConfig::parse("kafka://127.0.0.1:1/views?group=g").unwrap();
        let mut source = KafkaSource::new(config).unwrap();
        source.adopt(topics(1, 2)).unwrap();
        source.adopt(topics(1, 3)).unwrap();
        let error = source.adopt(topics(2, 3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("`views`"), "{error}");
        assert!(source.adopt(topics(2, 3)).is_err(), "what was refused is still another one");
    }
}
