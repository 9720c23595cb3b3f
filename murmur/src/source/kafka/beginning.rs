//! Where reading begins, and whether the log has that.

use std::time::Duration;

use tokio::time::Instant;

use super::config::{Begin, Gap, Isolation, KafkaConfig};
use super::failure::Failure;
use super::held::{Held, Stage, before};
use super::queue::{Committed, Consumer, Position};
use super::source::{KafkaSource, PATIENCE};
use crate::source::Start;
use crate::{Error, ErrorKind, Result};

/// How long a log may seem to end before our position: a new leader learns the end of its log from its followers.
const BEYOND: Duration = Duration::from_secs(10);

/// Where a pipeline begins in a partition that is new to it.
pub(super) struct Starts {
    pub(super) start: Start,
    /// The same when the partition was added to its topic after the pipeline had begun.
    pub(super) added: Start,
}

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
    pub(super) async fn starts(&self, committed: &[Committed]) -> Result<Vec<Starts>> {
        let begin = self.config.start;
        // What is added has nothing that came before the pipeline began.
        let added = if matches!(begin, Begin::Latest | Begin::Group) { Begin::Earliest } else { begin };
        let asked: Vec<Position> = committed.iter().map(|Committed { at, .. }| at.clone()).collect();
        let firsts = self
            .ask(move |consumer| {
                let first = |at: &Position| {
                    let both = first(consumer, at, begin)
                        .and_then(|own| Ok((own, if added == begin { own } else { first(consumer, at, added)? })));
                    both.map_err(|failure| failure.while_doing(format!("partition `{at}`")))
                };
                asked.iter().map(first).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let start = |at: &Position, first: Option<i64>| match first {
            Some(first) => before(first).map_or(Start::Beginning, Start::After),
            None => Start::Nowhere(nowhere(&self.config, at).into()),
        };
        let both = |(Committed { at, .. }, (own, added)): (&Committed, _)| Starts {
            start: start(at, own),
            added: start(at, added),
        };
        Ok(committed.iter().zip(firsts).map(both).collect())
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
        let next = held.map(|held| self.held[held].next).or(at.offset);
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
        Err(out_of_range(&self.config, &Position { offset: at.offset.or(next), ..at }, low, high))
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
            Some(consumer.offset_at(at, millis, PATIENCE)?.map_or_else(|| range().map(|(_, high)| high), Ok)?)
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
