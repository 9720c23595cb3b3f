//! What the consumer reports instead of messages.

use tokio::time::Instant;

use super::config::KafkaConfig;
use super::failure::{Exclusion, Failure};
use super::queue::Position;
use super::source::KafkaSource;
use super::topics::look_up;
use crate::{Error, Result};

impl KafkaSource {
    /// It is about a topic.
    pub(super) async fn face(&mut self, at: Position, failure: Failure) -> Result<()> {
        if failure.is_out_of_range() {
            let topics = self.config.topics.clone();
            let topics = self.ask(move |consumer| look_up(consumer, &topics)).await?;
            self.check_same(&topics)?;
            return self.face_gap(at).await;
        }
        if failure.is_passing() || failure.is_missing_topic() {
            tracing::warn!(error = %Error::from(failure), "the consumer goes on trying");
            self.check_due = self.check_due.min(Instant::now());
            return Ok(());
        }
        Err(Error::from(failure).while_doing(format!("reading `{at}`")))
    }

    /// It is about the group: an error where this member will never be let in as it is. Otherwise librdkafka goes on
    /// trying.
    pub(super) fn face_group(&self, failure: Failure) -> Result<()> {
        if failure.is_fatal() || failure.exclusion().is_some() {
            return Err(self.explain(failure));
        }
        tracing::warn!(error = %Error::from(failure), group = self.config.group, "the consumer goes on trying");
        Ok(())
    }

    /// With the way out, where the group has put this member out for good.
    pub(super) fn explain(&self, failure: Failure) -> Error {
        let failure = self.consumer.fatal().unwrap_or(failure);
        match failure.exclusion() {
            Some(exclusion) => failure.while_doing(way_out(exclusion, &self.config)).into(),
            None => failure.into(),
        }
    }
}

fn way_out(exclusion: Exclusion, config: &KafkaConfig) -> String {
    let group = &config.group;
    match exclusion {
        Exclusion::Fenced => format!(
            "another process has become the member `{}` of group `{group}`; give every process an `instance` of its own, \
             and stop one of the two",
            config.member().unwrap_or_default()
        ),
        Exclusion::Protocol => format!(
            "the members of group `{group}` share their partitions out in another way; all of them need the same \
             `rebalance`, so stop the ones with the other before you start any with this one"
        ),
        Exclusion::SessionTimeout => {
            "the brokers do not allow this `librdkafka.session.timeout.ms`; they say which they do with \
             `group.min.session.timeout.ms` and `group.max.session.timeout.ms`"
                .to_owned()
        }
        Exclusion::Unauthorized => {
            format!(
                "the user may not read as group `{group}`; allow it READ of the group (an ACL), or name another group"
            )
        }
        Exclusion::Other => format!("group `{group}` does not take this member"),
    }
}
