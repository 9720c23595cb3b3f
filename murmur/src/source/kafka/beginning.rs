//! Where reading begins, and whether the log has that.

use std::time::Duration;

use tokio::time::Instant;

use super::config::{Begin, KafkaConfig};
use super::held::{Held, Stage};
use super::queue::Position;
use super::source::{KafkaSource, PATIENCE};
use crate::{Error, ErrorKind, Result};

/// How long a log may seem to end before our position: a new leader learns the end of its log from its followers.
const BEYOND: Duration = Duration::from_secs(10);

impl KafkaSource {
    /// The engine has said from where for all that were offered: check that it is there, and fetch.
    pub(super) async fn begin(&mut self) -> Result<()> {
        let mut positions = Vec::new();
        let mut behind = Vec::new();
        let mut ends = Vec::new();
        for at in 0..self.held.len() {
            let Stage::Sought(next) = self.held[at].stage else { continue };
            let partition = self.held[at].at(None);
            let (low, high) = self.range(&partition).await?;
            let next = match next.or(self.held[at].committed).or(self.held[at].begin) {
                Some(next) => next,
                None => self.first(at, low, high).await?,
            };
            self.check_range(at, next, low, high)?;
            let end = self.config.until_end.then(|| self.ending.of(&partition).unwrap_or(high));
            let held = &mut self.held[at];
            held.begin_at(next, low);
            held.end = end;
            positions.push(held.at(Some(held.next)));
            ends.push((at, high));
            if held.begin.is_none() && held.committed.is_none_or(|committed| committed < next) {
                held.durable = Some(next);
                behind.push(held.at(Some(next)));
            }
        }
        self.consumer.answer_assigned(&positions)?;
        self.held.iter_mut().filter(|held| !held.is_assigned()).for_each(Held::begun);
        self.answering = false;
        for (at, end) in ends {
            self.ready.extend(self.held[at].tell(Some(end)));
        }
        // What the store has and the group has not: a commit was lost, and with nothing new none would follow.
        self.commit_positions(behind, false).await;
        Ok(())
    }

    pub(super) async fn range(&self, at: &Position) -> Result<(i64, i64)> {
        let at = at.clone();
        self.ask(move |consumer| {
            consumer.range(&at, PATIENCE).map_err(|failure| failure.while_doing(format!("partition `{at}`")))
        })
        .await
    }

    /// Where to begin for want of any position. It is committed at once, or a crash before the first flush would move
    /// it, and with it what is counted.
    async fn first(&mut self, at: usize, low: i64, high: i64) -> Result<i64> {
        let partition = self.held[at].at(None);
        let is_added = self.begun.get(&partition.topic).is_some_and(|count| partition.partition >= *count);
        let first = match self.config.start {
            Begin::Earliest => low,
            // Nothing in it is older than this member.
            Begin::Latest if is_added => low,
            Begin::Latest => high,
            Begin::At(time) => {
                let partition = partition.clone();
                let millis = time.as_micros().div_euclid(1_000);
                self.ask(move |consumer| consumer.offset_at(&partition, millis, PATIENCE)).await?.unwrap_or(high)
            }
            Begin::Nowhere => {
                let context = format!(
                    "group `{}` has no position in `{partition}`, and neither has the store; say with \
                     `start=earliest`, `start=latest` or `start=TIME` where to begin",
                    self.config.group
                );
                return Err(Error::new(ErrorKind::NotFound, context));
            }
        };
        let commit = self.held[at].at(Some(first));
        self.ask(move |consumer| consumer.commit(&[commit], true)).await?;
        tracing::info!(%partition, offset = first, "no position yet; beginning here");
        self.held[at].begin = Some(first);
        Ok(first)
    }

    fn check_range(&mut self, at: usize, next: i64, low: i64, high: i64) -> Result<()> {
        let held = &mut self.held[at];
        if (low..=high).contains(&next) {
            held.beyond_since = None;
            return Ok(());
        }
        let error = out_of_range(&self.config, &held.at(Some(next)), low, high);
        if next > high && held.beyond_since.get_or_insert_with(Instant::now).elapsed() < BEYOND {
            return Err(Error::new(ErrorKind::Unavailable, error.context()));
        }
        Err(error)
    }

    /// Go back in partitions that are fetched already.
    pub(super) async fn seek_again(&mut self) -> Result<()> {
        for at in 0..self.held.len() {
            let held = &self.held[at];
            if held.stage == Stage::Seeking && held.before > 0 {
                let (low, _) = self.range(&held.at(None)).await?;
                self.held[at].begin_again(low);
            }
        }
        let positions: Vec<Position> =
            self.held.iter().filter(|held| held.stage == Stage::Seeking).map(|held| held.at(Some(held.next))).collect();
        if positions.is_empty() {
            return Ok(());
        }
        self.ask(move |consumer| consumer.seek(&positions, PATIENCE)).await?;
        for held in self.held.iter_mut().filter(|held| held.stage == Stage::Seeking) {
            held.begun();
            let end = self.consumer.known_end(&held.c_topic, held.partition);
            self.ready.extend(held.tell(end));
        }
        Ok(())
    }
}

/// Fault F18: what was to be read next is not there.
pub(super) fn out_of_range(config: &KafkaConfig, at: &Position, low: i64, high: i64) -> Error {
    let next = at.offset.unwrap_or(0);
    let what = if next < low {
        format!(
            "{} messages were deleted before they were counted (by retention, or by hand). To go on without them, stop \
             all workers and move the group: `kafka-consumer-groups.sh --bootstrap-server {} --group {} --topic {}:{} \
             --reset-offsets --to-offset {low} --execute`",
            low - next,
            config.brokers,
            config.group,
            at.topic,
            at.partition
        )
    } else if next > high {
        "messages that were counted are gone from its end, or this is another cluster. To count what comes from now on, \
         give the messages a new topic"
            .to_owned()
    } else {
        "the log was cut off and has grown again since: messages that were counted were replaced by others".to_owned()
    };
    let context = format!(
        "OFFSET_OUT_OF_RANGE: `{at}` is to be read from offset {next}, and has the offsets {low} up to {high} (exclusive): {what}"
    );
    Error::new(ErrorKind::OutOfRange, context)
}
