use std::collections::VecDeque;

use crate::source::Offset;
use crate::time::{Span, Timestamp};

/// Since when a partition has something that was read and is not committed.
///
/// Marks say when the partition was read up to where; those below the commit go. So the answer is right to the distance
/// of two marks, whatever is committed in between.
#[derive(Debug, Clone)]
pub(super) struct Age {
    marks: VecDeque<(Offset, Timestamp)>,
    apart: Span,
}

/// Between two marks, as long as there are not [`MOST`] of them.
const APART: Span = Span::from_micros(100_000);
const MOST: usize = 256;

impl Age {
    pub(super) fn new() -> Self {
        Self { marks: VecDeque::new(), apart: APART }
    }

    /// Where the partition is now; when the oldest event was read that is not committed.
    pub(super) fn note(&mut self, read: Option<Offset>, commit: Option<Offset>, now: Timestamp) -> Option<Timestamp> {
        while self.marks.front().is_some_and(|(offset, _)| Some(*offset) <= commit) {
            self.marks.pop_front();
        }
        if self.marks.is_empty() {
            self.apart = APART;
        }
        let due = |(offset, at): &(Offset, Timestamp)| Some(*offset) < read && now.since(*at) >= self.apart;
        if let Some(read) = read.filter(|read| Some(*read) > commit)
            && self.marks.back().is_none_or(due)
        {
            self.marks.push_back((read, now));
        }
        if self.marks.len() > MOST {
            let mut n = 0;
            self.marks.retain(|_| {
                n += 1;
                n % 2 == 1
            });
            self.apart = Span::from_micros(2 * self.apart.as_micros() as u64);
        }
        self.oldest()
    }

    /// When the oldest event was read that was not committed at the last note.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.marks.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(n: u64) -> Option<Offset> {
        Some(Offset::from_u64(n))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_oldest_that_is_not_committed_says_how_old() {
        let mut age = Age::new();
        assert_eq!(age.note(None, None, at(0)), None);
        assert_eq!(age.note(offset(5), None, at(1_000)), Some(at(1_000)));
        assert_eq!(age.note(offset(9), None, at(2_000)), Some(at(1_000)));
        assert_eq!(age.note(offset(9), offset(5), at(3_000)), Some(at(2_000)), "6 to 9 were read after the first mark");
        assert_eq!(age.note(offset(9), offset(9), at(4_000)), None);
    }

    #[test]
    fn a_commit_that_is_stuck_costs_no_memory() {
        let mut age = Age::new();
        for n in 1..100_000 {
            assert_eq!(age.note(offset(n as u64), None, at(n * 100)), Some(at(100)));
        }
        assert!(age.marks.len() <= MOST);
        let since = age.note(offset(100_000), offset(50_000), at(10_000_000)).unwrap();
        assert!((at(5_000_000)..at(5_200_000)).contains(&since), "{since}");
    }
}
