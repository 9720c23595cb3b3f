//! When reading to the end is over.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::failure::Failure;
use super::held::Held;
use super::queue::{Committed, Position};
use super::source::{KafkaSource, PATIENCE};
use super::topics::ends;
use crate::source::Poll;
use crate::{Error, ErrorKind, Result};

/// How often to look how far the others are.
const LOOK: Duration = Duration::from_millis(250);
/// After so many looks the ends move: two members that have begun while messages arrived may wait for each other, each
/// for some that came after the other one had looked for the end.
const LOOKS: u32 = 20;

/// The ends of all partitions of the topics, as they were at the start of the run, and who has reached them.
///
/// A member cannot tell from what it holds whether everything is done: it may get partitions later, and with the
/// cooperative protocol it often gets none at first. So it ends when its own are done and the group's commits say that
/// the others are.
#[derive(Debug, Default)]
pub(super) struct Ending {
    goals: BTreeMap<(String, i32), Goal>,
    /// A look at the commits that is under way.
    pub(super) look: Option<JoinHandle<Result<Look, Failure>>>,
    pub(super) look_due: Option<Instant>,
    looks: u32,
    /// The engine was told that what it has is to be made durable.
    pub(super) settled: bool,
}

#[derive(Debug)]
struct Goal {
    end: i64,
    /// A commit of the group has it.
    reached: bool,
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct Look {
    /// The group's commits in the partitions that were missing.
    pub(super) committed: Vec<Committed>,
    /// The present ends of those that are held, where they were asked for.
    pub(super) ends: Vec<Position>,
}

impl Ending {
    /// Everything before these offsets is to be read.
    pub(super) fn at(ends: Vec<Position>) -> Self {
        let goal = |at: Position| ((at.topic, at.partition), Goal { end: at.offset.unwrap_or(0), reached: false });
        Self { goals: ends.into_iter().map(goal).collect(), ..Self::default() }
    }

    /// Where to end in a partition; `None` for one that came later.
    pub(super) fn of(&self, at: &Position) -> Option<i64> {
        Some(self.goals.get(&(at.topic.clone(), at.partition))?.end)
    }

    /// The partitions of which neither we nor the commits say that they are done, and none when all are.
    pub(super) fn missing(&self, held: &[Held]) -> Vec<Position> {
        let open = self.goals.iter().filter(|(_, goal)| !goal.reached);
        let open = open.map(|((topic, partition), goal)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: Some(goal.end),
        });
        open.filter(|at| !held.iter().any(|held| held.is(at) && held.is_done())).collect()
    }

    /// Whether the next look is one that moves the ends.
    pub(super) fn is_stuck(&mut self) -> bool {
        self.looks += 1;
        self.looks.is_multiple_of(LOOKS)
    }

    /// The group has these commits.
    pub(super) fn learn(&mut self, committed: Vec<Committed>) {
        for Committed { at: Position { topic, partition, offset }, .. } in committed {
            if let Some(goal) = self.goals.get_mut(&(topic, partition)) {
                // A partition that is empty gets a commit too, from whoever begins there.
                goal.reached |= offset.is_some_and(|next| next >= goal.end);
            }
        }
        self.look_due = Some(Instant::now() + LOOK);
    }

    /// There is something to do again.
    pub(super) fn go_on(&mut self) {
        self.settled = false;
        self.looks = 0;
    }
}

impl KafkaSource {
    /// There is nothing to do: whether that is the end.
    pub(super) async fn end(&mut self) -> Result<Option<Poll>> {
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
            // Nothing that the engine says would make these commits later.
            let last = self.held.iter_mut().filter_map(Held::commit_last).collect();
            self.commit_positions(last, true).await;
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
}

#[cfg(test)]
mod tests {
    use super::super::held::Stage;
    use super::super::identity::TopicId;
    use super::*;
    use crate::source::Start;

    fn at(partition: i32, offset: impl Into<Option<i64>>) -> Position {
        Position { topic: "t".to_owned(), partition, offset: offset.into() }
    }

    fn committed(partition: i32, offset: impl Into<Option<i64>>) -> Committed {
        Committed { at: at(partition, offset), note: String::new() }
    }

    fn partitions(missing: Vec<Position>) -> Vec<i32> {
        missing.into_iter().map(|at| at.partition).collect()
    }

    #[test]
    fn it_is_over_when_every_partition_is_done_here_or_committed() {
        let mut ending = Ending::at(vec![at(0, 5), at(1, 5), at(2, 0)]);
        assert_eq!((ending.of(&at(1, None)), ending.of(&at(3, None))), (Some(5), None));
        assert_eq!(partitions(ending.missing(&[])), [0, 1, 2], "to hold nothing is not to be done");
        let mut held = Held::new(&TopicId::of([7; 16]), &at(0, None), &Start::Beginning);
        (held.stage, held.next, held.end) = (Stage::Fetching, 4, Some(5));
        assert_eq!(partitions(ending.missing(std::slice::from_ref(&held))), [0, 1, 2]);
        held.next = 5;
        assert_eq!(partitions(ending.missing(std::slice::from_ref(&held))), [1, 2]);
        ending.learn(vec![committed(1, 4), committed(2, None), committed(3, 9)]);
        assert_eq!(partitions(ending.missing(std::slice::from_ref(&held))), [1, 2]);
        ending.learn(vec![committed(1, 5), committed(2, 0)]);
        assert!(ending.missing(&[held]).is_empty());
        assert_eq!(partitions(ending.missing(&[])), [0], "what is done here is not committed yet");
    }
}
