//! Where reading begins, and whether the log has that.

use std::time::Duration;

use tokio::time::Instant;

use super::config::{Begin, Gap, Isolation, KafkaConfig};
use super::failure::Failure;
use super::held::{Held, Stage, before};
use super::queue::{Committed, Consumer, Position};
use super::source::{KafkaSource, PATIENCE};
use super::topics::Topic;
use crate::source::{Among, Start};
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
            let next = self.in_range(at, next, low, high).await?;
            let end = self.config.until_end.then(|| self.ending.of(&partition).unwrap_or(high));
            let held = &mut self.held[at];
            held.begin_at(next, low);
            held.end = end;
            positions.push(held.at(Some(held.next)));
            ends.push((at, high));
            if held.committed != Some(next) || !held.is_ours {
                behind.extend(held.commit(next));
            }
        }
        self.consumer.answer_assigned(&positions)?;
        self.held.iter_mut().filter(|held| !held.is_assigned()).for_each(Held::begun);
        self.answering = false;
        for (at, end) in ends {
            self.ready.extend(self.held[at].tell(Some(end)));
        }
        // The group has another position than the store, which is right: a commit was lost, the tables were restored, or
        // they are new. With nothing new no commit would follow.
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

    /// Where pipelines begin that are new to these partitions, which come with the group's commits.
    pub(super) async fn starts(&self, committed: &[Committed]) -> Result<Vec<Start>> {
        let begin = self.config.start;
        let asked: Vec<Position> = committed.iter().map(|Committed { at, .. }| at.clone()).collect();
        let firsts = self
            .ask(move |consumer| {
                let first = |at: &Position| {
                    first(consumer, at, begin).map_err(|failure| failure.while_doing(format!("partition `{at}`")))
                };
                asked.iter().map(first).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let start = |(Committed { at, .. }, first): (&Committed, Option<i64>)| match first {
            Some(first) => before(first).map_or(Start::Beginning, Start::After),
            None => Start::Nowhere(nowhere(&self.config, at).into()),
        };
        Ok(committed.iter().zip(firsts).map(start).collect())
    }

    /// A partition among those of its topic. All of what is added later is for a pipeline that began before, and it is an error
    /// that it is gone, unless it began at a time.
    pub(super) fn among(&self, topic: &Topic, at: &Position, start: &Start) -> Option<Among> {
        let (place, count) = (at.partition.try_into().ok()?, (*self.known.get(&at.topic)?).try_into().ok()?);
        let if_added = if matches!(self.config.start, Begin::At(_)) { start.clone() } else { Start::Beginning };
        Some(Among { whole: topic.id.whole(), place, count, if_added })
    }

    /// Where to go on: at `next`, or at the first message that is there, if it is not and the user accepts that.
    async fn in_range(&mut self, at: usize, next: i64, low: i64, high: i64) -> Result<i64> {
        let mut high = high;
        if next > high && self.config.isolation == Isolation::ReadCommitted {
            let certain = high;
            high = self.newest_end(&self.held[at].at(None)).await?;
            if next <= high {
                let partition = self.held[at].at(None);
                tracing::info!(
                    %partition, next, certain,
                    "a transaction is open before the position; waiting for its end"
                );
            }
        }
        let held = &mut self.held[at];
        if (low..=high).contains(&next) {
            held.beyond_since = None;
            return Ok(next);
        }
        if next < low && self.config.gap == Gap::Accept {
            held.pass_gap(low);
            say_gap(&held.at(None), next, low);
            return Ok(low);
        }
        let error = out_of_range(&self.config, &held.at(Some(next)), low, high);
        if next > high && held.beyond_since.get_or_insert_with(Instant::now).elapsed() < BEYOND {
            return Err(Error::new(ErrorKind::Unavailable, error.context()));
        }
        Err(error)
    }

    /// The offset after the newest message, open transactions included.
    async fn newest_end(&self, at: &Position) -> Result<i64> {
        let at = at.clone();
        self.ask(move |consumer| consumer.end(&at, PATIENCE)).await
    }

    /// The consumer found no message where it was to go on.
    pub(super) async fn face_gap(&mut self, at: Position) -> Result<()> {
        let (low, mut high) = self.range(&at).await?;
        let held = self.held.iter().position(|held| held.is(&at));
        // What leads up to the beginning was counted before.
        if held.is_some_and(|held| self.held[held].pass_lead(low)) {
            return Ok(());
        }
        let next = held.map(|held| self.held[held].due()).or(at.offset);
        if let (Some(held), Some(next), Gap::Accept) = (held, next, self.config.gap) {
            if next < low {
                self.held[held].pass_gap(low);
                say_gap(&at, next, low);
            }
            // It may be said of a place that was left meanwhile.
            if next <= low || at.offset.is_some_and(|offset| offset < next) {
                return Ok(());
            }
        }
        if next > Some(high) {
            high = self.newest_end(&at).await?;
        }
        Err(out_of_range(&self.config, &Position { offset: at.offset.max(next), ..at }, low, high))
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

/// The offset of the first message for whoever begins so; `None` when there is no such place.
fn first(consumer: &Consumer, at: &Position, begin: Begin) -> Result<Option<i64>, Failure> {
    let range = || consumer.range(at, PATIENCE);
    Ok(match begin {
        Begin::Earliest => Some(range()?.0),
        Begin::Latest => Some(range()?.1),
        Begin::At(time) => {
            let millis = time.as_micros().div_euclid(1_000);
            // Asked first: what comes in between is of that time.
            let (_, high) = range()?;
            Some(consumer.offset_at(at, millis, PATIENCE)?.unwrap_or(high))
        }
        Begin::Group => at.offset,
        Begin::Nowhere => None,
    })
}

fn nowhere(config: &KafkaConfig, at: &Position) -> String {
    let group = &config.group;
    match config.start {
        Begin::Group => format!(
            "group `{group}` has no commit in `{at}`, where `start=group` wants to begin; give it one \
             (`kafka-consumer-groups.sh --reset-offsets`), or say with `start=earliest`, `start=latest` or `start=TIME` \
             where to begin"
        ),
        _ => format!(
            "the store has no position in `{at}`; say with `start=earliest`, `start=latest`, `start=TIME` or \
             `start=group` where to begin"
        ),
    }
}

/// What is not counted is said as loudly as can be.
fn say_gap(at: &Position, next: i64, low: i64) {
    tracing::error!(
        partition = %at, skipped = low - next, from = next, to = low - 1,
        "messages were deleted before they were counted, and `gap=accept` goes on without them"
    );
}

/// Fault F18: what was to be read next is not there.
pub(super) fn out_of_range(config: &KafkaConfig, at: &Position, low: i64, high: i64) -> Error {
    let next = at.offset.unwrap_or(0);
    let what = if next < low {
        format!(
            "{} messages were deleted before they were counted (by retention, or by hand). To go on without them, start \
             with `gap=accept` in the URL of the source (`kafka://.../{}?group={}&gap=accept`) until they are passed",
            low - next,
            config.topics.join(","),
            config.group
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
