//! What the group of a trial has committed.

use std::time::{Duration, Instant};

use super::{PATIENCE, SAMPLE, Trial};
use crate::faults::Failure;

impl Trial {
    /// Look whether a commit is ahead of the tables, or behind an earlier one, unless that was looked at a moment ago.
    pub(super) async fn sample(&mut self) -> Result<(), Failure> {
        if self.sampled.elapsed() <= SAMPLE || self.gap.is_some() {
            return Ok(());
        }
        // A broker that is down says nothing.
        let Ok(commits) = self.commits.now() else { return Ok(()) };
        for (partition, now) in &commits {
            let before = self.seen.insert(*partition, *now).unwrap_or(0);
            if *now < before {
                self.gap = Some(format!("the commit of partition {partition} was {before} and is {now}"));
            }
        }
        if self.gap.is_none() {
            self.gap = self.oracle.gap(&commits).await?;
        }
        self.samples += 1;
        self.sampled = Instant::now();
        Ok(())
    }

    /// How many messages are committed; 0 while the broker is down, and says nothing.
    pub(in crate::faults) fn committed(&self) -> u64 {
        self.committed_as_said().unwrap_or(0)
    }

    fn committed_as_said(&self) -> Option<u64> {
        let commits = self.commits.now().ok()?;
        Some(commits.values().map(|offset| offset.cast_unsigned()).sum())
    }

    /// Send nothing more, and wait until everything is committed: how much that is, `None` when it does not come to it.
    ///
    /// A commit of somebody who has lost their partitions would be behind those, and nobody would put it right.
    pub(in crate::faults) async fn stand_still(&mut self) -> Result<Option<u64>, Failure> {
        self.hold_feed_here();
        let sent = self.let_so_far();
        Ok(self.until(PATIENCE, |trial| trial.committed() >= sent).await?.then_some(sent))
    }

    /// Let it go on for so long; whether no commit went back meanwhile behind what was committed.
    pub(in crate::faults) async fn stays_at(&mut self, committed: u64, time: Duration) -> Result<bool, Failure> {
        let until = Instant::now() + time;
        let mut stays = true;
        while stays && Instant::now() < until {
            self.pass(Duration::from_millis(50)).await?;
            stays = self.committed_as_said().is_none_or(|now| now >= committed);
        }
        Ok(stays)
    }
}
