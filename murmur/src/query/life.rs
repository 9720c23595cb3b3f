//! What was rolled for good, and for how long that holds: a table may be put back to an earlier state.
//!
//! A slot that is rolled stays as it is, in one table. It is made of the events that came in time, and which partitions can
//! have had such events follows from their floors (see `engine/frontier.rs`). A table that is restored to yesterday is
//! counted on from yesterday. The same events give the same slot; but a partition that came since may have another floor
//! now, and be in time where it was late. Whoever keeps what he has read has to notice.
//!
//! ```text
//! look    the records of the partitions, and the frontier, which is read behind them
//! sealed  what closes by the frontier of the look before, and by what every partition has reached
//! ```
//!
//! Partitions that are not known at a look begin at or behind the frontier of the look before, so all that have events in
//! sealed slots are known. The next look is at the same life of the table, and what was sealed still is, if
//!
//! - no partition is gone or has gone back, and none has another floor since its first flush,
//! - the frontier has not gone back,
//! - every new partition begins at or behind the frontier of the look before,
//! - no partition was retired since.
//!
//! Where one is retired, or ever was, nothing is sealed: its owners mark what was rolled, and an eventual read may answer with
//! what stood there before a mark, however long ago the look was.
//!
//! That is what decides, however long ago the look before was. It goes by the events of the log. A restored table that has
//! caught up may lack events that the log does not have any more, or be counted by another version of the program; so a
//! life ends as well where a version of a record went back, when a look fails, and when none was made for
//! [a minute](PATIENCE): a table that is taken away and made anew from a backup is gone for longer than that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::PartitionRecord;
use crate::source::Version;
use crate::time::{Span, Tiling, TimeRange, Timestamp};

/// A stretch of time in which a table was not put back. No two tables or readers have the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Life(u64);

/// What is known to be rolled for good, if it is rolled at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) life: Life,
    /// What closes by then; `None` for nothing.
    by: Option<Timestamp>,
}

impl Seal {
    /// Whether these slots are sealed.
    pub(super) fn covers(self, tiling: &Tiling, slots: TimeRange) -> bool {
        let (last, _) = tiling.locate(slots.end.saturating_sub(Span::from_micros(1)));
        tiling.closes(last).is_some_and(|closes| self.by >= Some(closes))
    }
}

/// How far two looks may lie apart. DynamoDB takes minutes to remove a table and to restore one, whatever is in it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record of a partition, with its name.
pub(super) type Named = (String, Version, PartitionRecord);

/// The lives of a table, by the looks at it, one after the other.
#[derive(Default)]
pub(super) struct Lives(Option<(Look, Life)>);

/// What was found there.
pub(super) struct Look {
    pub(super) began: Instant,
    pub(super) frontier: Option<Timestamp>,
    /// In the order of names.
    pub(super) records: Vec<Named>,
}

impl Lives {
    /// A look that has just ended.
    pub(super) fn look(&mut self, look: Look) -> Seal {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let seal = match self.0.take().filter(|(before, _)| before.leads_to(&look)) {
            Some((before, life)) => Seal { life, by: before.frontier.min(look.reached()) },
            None => Seal { life: Life(NEXT.fetch_add(1, Ordering::Relaxed)), by: None },
        };
        self.0 = Some((look, seal.life));
        seal
    }

    /// A look that failed.
    pub(super) fn fail(&mut self) {
        self.0 = None;
    }
}

impl Look {
    /// What every partition has reached; `None` while that of one is not settled, without any, and where one is or was
    /// retired.
    fn reached(&self) -> Option<Timestamp> {
        let never_retired = |(.., record): &Named| !record.retirement.is_or_was();
        let reached = self.records.iter().map(|(.., record)| record.reached()).min().flatten();
        reached.filter(|_| self.records.iter().all(never_retired))
    }

    /// Whether the other look, which has just ended, is at the same life of the table.
    fn leads_to(&self, next: &Self) -> bool {
        let find = |records: &[Named], name: &str| {
            let at = records.binary_search_by(|(other, ..)| other.as_str().cmp(name));
            at.ok().map(|at| (records[at].1, records[at].2))
        };
        let goes_on = |(name, version, old): &Named| {
            let Some((now, new)) = find(&next.records, name) else { return false };
            let floor_stands = old.is_movable() || new.floor == old.floor;
            let stays = now > *version || (now == *version && new == *old);
            stays && new.retirement == old.retirement && old.merged(new) == new && floor_stands
        };
        let comes_behind = |(name, _, new): &Named| {
            let begins_behind = || new.floor.is_some_and(|floor| Some(floor) >= self.frontier);
            find(&self.records, name).is_some() || begins_behind()
        };
        self.began.elapsed() < PATIENCE
            && next.frontier >= self.frontier
            && self.records.iter().all(goes_on)
            && next.records.iter().all(comes_behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Retirement;
    use crate::source::Offset;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_seconds(seconds))
    }

    fn record(floor: i64, front: i64, commit: u64) -> PartitionRecord {
        let commit = Some(Offset::from_u64(commit));
        PartitionRecord { commit, horizon: commit, floor: at(floor), front: at(front), ..PartitionRecord::default() }
    }

    fn look(lives: &mut Lives, frontier: i64, records: &[(&str, u64, PartitionRecord)]) -> Seal {
        let records = records.iter().map(|(name, version, record)| ((*name).to_owned(), Version(*version), *record));
        lives.look(Look { began: Instant::now(), frontier: at(frontier), records: records.collect() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_goes_on_while_records_come_and_grow() {
        let mut lives = Lives::default();
        let first = look(&mut lives, 50, &[("a", 3, record(0, 100, 1))]);
        assert_eq!(first.by, None, "what was rolled before the first look may be of partitions that it did not see");
        let free = PartitionRecord { horizon: None, commit: None, front: None, ..record(50, 0, 0) };
        let second = look(&mut lives, 60, &[("a", 3, record(0, 100, 1)), ("b", 1, free)]);
        assert_eq!(second, Seal { by: at(50), ..first });
        tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
        let third = look(&mut lives, 70, &[("a", 9, record(0, 100, 5)), ("b", 2, record(70, 0, 0))]);
        assert_eq!(third, Seal { by: at(60), ..first }, "a roller moved `b`");
    }

    #[tokio::test(start_paused = true)]
    async fn what_went_back_or_is_gone_or_comes_from_before_begins_another() {
        let stood = ("b", 7, record(5, 9, 5));
        for (frontier, now) in [
            (50, &[("a", 1, record(50, 60, 0))][..]),
            (49, &[stood]),
            (50, &[("b", 6, record(5, 9, 5))]),
            (50, &[("b", 7, record(5, 9, 6))]),
            (50, &[("b", 8, record(5, 9, 4))]),
            (50, &[("b", 8, record(5, 8, 6))]),
            (50, &[("b", 8, record(4, 9, 6))]),
            (50, &[("b", 8, record(6, 9, 6))]),
            (50, &[stood, ("c", 1, record(49, 60, 0))]),
            (50, &[stood, ("c", 1, PartitionRecord::default())]),
        ] {
            let mut lives = Lives::default();
            let first = look(&mut lives, 50, &[stood]);
            let second = look(&mut lives, frontier, now);
            assert!(second.life != first.life && second.by.is_none(), "{frontier} {now:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_ends_as_a_partition_is_retired_and_nothing_is_sealed_from_then_on() {
        let of = |retirement, commit| PartitionRecord { retirement, ..record(0, 9, commit) };
        let there = ("b", 3, record(0, 100, 1));
        let mut lives = Lives::default();
        let first = look(&mut lives, 50, &[("a", 3, of(Retirement::Active, 1)), there]);
        let states = [Retirement::Retired, Retirement::Recalled, Retirement::Returned];
        for (version, retirement) in [4, 6, 8].into_iter().zip(states) {
            for (version, commit) in [(version, version), (version + 1, version + 1), (version + 1, version + 1)] {
                let seal = look(&mut lives, 50, &[("a", version, of(retirement, commit)), there]);
                assert!(seal.life != first.life && seal.by.is_none(), "{retirement:?}");
            }
        }
        let mut lives = Lives::default();
        look(&mut lives, 50, &[there]);
        let new = ("c", 9, PartitionRecord { retirement: Retirement::Retired, ..record(60, 60, 5) });
        assert_eq!(look(&mut lives, 50, &[there, new]).by, None, "it may have marked already");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_has_looked_at_may_be_another_table() {
        let mut lives = Lives::default();
        let stands = [("a", 3, record(0, 9, 1))];
        let first = look(&mut lives, 5, &stands);
        tokio::time::advance(PATIENCE).await;
        let second = look(&mut lives, 5, &stands);
        assert_ne!(second.life, first.life);
        lives.fail();
        assert_ne!(look(&mut lives, 5, &stands).life, second.life);
    }

    #[test]
    fn no_two_readers_share_a_life() {
        let first = look(&mut Lives::default(), 5, &[]);
        assert_ne!(look(&mut Lives::default(), 5, &[]).life, first.life);
    }
}
