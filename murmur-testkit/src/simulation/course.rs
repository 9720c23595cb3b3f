//! How event time passes in a schedule. What rolling makes of it depends on that: in six hours nothing is a whole day.

use clap::ValueEnum;
use murmur::engine::Clock;
use murmur::time::{Span, TimeRange, Timestamp};

/// The first time at which something happens: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Steps in which time goes on with the log, and how many of them lie before its first entry.
const STEPS: usize = 12;
const AHEAD: usize = 3;

/// For how long things happen, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Course {
    /// Six hours, in no order: several tiles of an hour, and longer than one stays open.
    Hours,
    /// Sixty days, most of it near the newest: two months that end, and a day of each length up to thirty-two.
    Months,
}

impl Course {
    /// That of a seed: four of sixteen take months.
    pub(super) const fn of(seed: u64) -> Self {
        if (seed / 4).is_multiple_of(4) { Self::Months } else { Self::Hours }
    }

    /// How many times as long everything takes as in [`Hours`](Self::Hours).
    const fn stretch(self) -> i64 {
        match self {
            Self::Hours => 1,
            Self::Months => 240,
        }
    }

    /// The same in seconds.
    const fn duration(self) -> i64 {
        6 * HOUR * self.stretch()
    }

    /// For how long things happen.
    pub(super) const fn length(self) -> Span {
        Span::from_seconds(self.duration() as u64)
    }

    /// A clock that stands still after everything that happens, so that what has expired does not depend on who reads when.
    pub(super) const fn clock(self) -> StandingClock {
        StandingClock(Timestamp::from_seconds(BEGIN + self.duration() + 1))
    }

    /// So many minutes after the first thing that happens, or as much later as everything takes longer.
    pub(super) fn minute(self, minutes: i64) -> Timestamp {
        Timestamp::from_seconds(BEGIN + 60 * minutes * self.stretch())
    }

    /// When the next event of a partition happens that has so many entries.
    pub(super) fn next_event(self, rng: &mut fastrand::Rng, entries: usize) -> Timestamp {
        let steps = match self {
            Self::Hours => entries,
            // Fewer of them: some events meet in a slot, and later ones find it finished.
            Self::Months => entries / 3,
        };
        let until = self.duration() * (steps.min(STEPS) + AHEAD) as i64 / (STEPS + AHEAD) as i64;
        let back = match self {
            Self::Hours => until,
            // A tile of a day is closed an hour after it: of what lies anywhere nearly all would be late.
            Self::Months => match rng.u32(..8) {
                0..4 => HOUR,
                4..7 => 2 * DAY,
                _ => until,
            },
        };
        Timestamp::from_seconds(BEGIN + rng.i64(until - back..until))
    }

    /// What somebody wants to have rolled: from the beginning or later, to the end or before it.
    pub(super) fn stretch_to_roll(self, rng: &mut fastrand::Rng) -> TimeRange {
        let duration = self.duration();
        let from = if rng.bool() { 0 } else { rng.i64(0..duration) };
        let to = if rng.bool() { duration } else { rng.i64(from..duration) + HOUR * self.stretch() };
        TimeRange::new(Timestamp::from_seconds(BEGIN + from), Timestamp::from_seconds(BEGIN + to))
    }

    /// How much a worker rolls at a time: several tiles of it, not all that happens.
    pub(super) fn roll_every(self, rng: &mut fastrand::Rng) -> Span {
        Span::from_seconds(match self {
            Self::Hours => HOUR as u64 * rng.u64(1..4),
            Self::Months => DAY as u64 * rng.u64(1..20),
        })
    }
}

/// See [`Course::clock`].
#[derive(Debug, Clone, Copy)]
pub(super) struct StandingClock(Timestamp);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
