use std::ops::Range;

use super::{Span, TimeRange, Timestamp, Window};

/// How much time one tile covers. The letter is the prefix of the tile's sort key in the store.
///
/// Live writes touch only the finest level of a pipeline and its late twin. The levels above are written by rolling,
/// which exists for reads alone; a tile of any level has the same shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Exactly one slot, for values too large to pack and for slots of several days.
    Slot,
    /// One minute, holding slots of seconds.
    Minute,
    /// One hour, holding slots of minutes.
    Hour,
    /// One day, holding slots of hours.
    Day,
    /// One calendar month of UTC, holding days.
    Month,
    /// Two days, counted from 1970-01-01, as one value.
    Days2,
    /// Four days.
    Days4,
    /// Eight days.
    Days8,
    /// Sixteen days.
    Days16,
    /// Thirty-two days.
    Days32,
    /// All time.
    Forever,
    /// As long as a tile of the finest level, for what came [late](Tiling::closes).
    Late,
}

impl Level {
    /// The prefix of the sort key.
    pub const fn letter(self) -> char {
        match self {
            Self::Slot => 's',
            Self::Minute => 'i',
            Self::Hour => 'h',
            Self::Day => 'd',
            Self::Month => 'm',
            Self::Days2 => '2',
            Self::Days4 => '4',
            Self::Days8 => '8',
            Self::Days16 => 'x',
            Self::Days32 => 'y',
            Self::Forever => 'a',
            Self::Late => 'l',
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Days2 => "2 days",
            Self::Days4 => "4 days",
            Self::Days8 => "8 days",
            Self::Days16 => "16 days",
            Self::Days32 => "32 days",
            Self::Forever => "all time",
            Self::Late => "late",
        }
    }

    /// The level whose [`letter`](Self::letter) this is.
    pub const fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            's' => Self::Slot,
            'i' => Self::Minute,
            'h' => Self::Hour,
            'd' => Self::Day,
            'm' => Self::Month,
            '2' => Self::Days2,
            '4' => Self::Days4,
            '8' => Self::Days8,
            'x' => Self::Days16,
            'y' => Self::Days32,
            'a' => Self::Forever,
            'l' => Self::Late,
            _ => return None,
        })
    }

    /// How long its tiles are in microseconds, where all are of one length that does not depend on the pipeline.
    pub(crate) const fn length(self) -> Option<i64> {
        Some(match self {
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Days2 => 2 * DAY,
            Self::Days4 => 4 * DAY,
            Self::Days8 => 8 * DAY,
            Self::Days16 => 16 * DAY,
            Self::Days32 => 32 * DAY,
            Self::Slot | Self::Month | Self::Forever | Self::Late => return None,
        })
    }
}

/// A tile's place in time: its level and the instant it starts at. The length follows from the [`Tiling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// How much time it covers.
    pub level: Level,
    /// Its first instant.
    pub start: Timestamp,
}

/// The place of a slot within its tile, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// How much later than the end of its tile an event may come, by the watermark of its partition, and still go into it.
/// Nobody can set it: whether an event is late must come out the same whoever reads it, before and after an upgrade.
const GRACE: Span = Span::from_seconds(3_600);
/// 1970-01-05 was the first Monday: slots of whole weeks start on Mondays.
const FIRST_MONDAY: i64 = 4 * DAY;

/// How a pipeline's time is cut into slots, and slots into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Slot length in microseconds; 0 means all time.
    slot: i64,
    level: Level,
}

impl Tiling {
    /// The tiling of a window. `packed` says that a tile may hold several slots.
    pub const fn new(window: &Window, packed: bool) -> Self {
        let Some(slot) = window.slot() else { return Self { slot: 0, level: Level::Forever } };
        let slot = slot.as_micros();
        let level = if !packed || slot > DAY || slot == 0 {
            Level::Slot
        } else if slot == DAY {
            Level::Month
        } else if slot >= HOUR && DAY % slot == 0 {
            Level::Day
        } else if slot >= MINUTE && HOUR % slot == 0 {
            Level::Hour
        } else if slot >= SECOND && MINUTE % slot == 0 {
            Level::Minute
        } else {
            Level::Slot
        };
        Self { slot, level }
    }

    /// The level that live writes touch.
    pub const fn finest(&self) -> Level {
        self.level
    }

    /// The twin of a tile of the finest level, which holds what came late.
    pub const fn late(&self, tile: Tile) -> Tile {
        Tile { level: Level::Late, start: tile.start }
    }

    /// When a tile closes: once the newest event of a partition has reached this instant, the later events of that
    /// partition are late for it, and go to the tile's [twin](Self::late) instead. `None` when it never does.
    pub fn closes(&self, tile: Tile) -> Option<Timestamp> {
        (tile.level != Level::Forever).then(|| self.tile_range(tile).end.saturating_add(GRACE))
    }

    /// All tiles of the finest level that end by this instant are closed to a partition that has reached `reached`.
    pub fn closed_by(&self, reached: Timestamp) -> Timestamp {
        self.locate(reached.saturating_sub(GRACE)).0.start
    }

    /// The levels that rolling writes, the finer ones first; each is made of the tiles of the one before it.
    ///
    /// Where slots are packed, a slot of a parent is a tile of the level below. Values too large for that have tiles of
    /// one slot, and days in twos, fours and so on, so that a month is a handful of them.
    pub const fn parents(&self) -> &'static [Level] {
        const DAYS: &[Level] = &[Level::Days2, Level::Days4, Level::Days8, Level::Days16, Level::Days32];
        const FROM_DAY: &[Level] =
            &[Level::Day, Level::Days2, Level::Days4, Level::Days8, Level::Days16, Level::Days32];
        const FROM_HOUR: &[Level] =
            &[Level::Hour, Level::Day, Level::Days2, Level::Days4, Level::Days8, Level::Days16, Level::Days32];
        match self.level {
            Level::Minute => &[Level::Hour, Level::Day, Level::Month],
            Level::Hour => &[Level::Day, Level::Month],
            Level::Day => &[Level::Month],
            Level::Slot if self.slot < HOUR && HOUR % self.slot == 0 => FROM_HOUR,
            Level::Slot if self.slot < DAY && DAY % self.slot == 0 => FROM_DAY,
            Level::Slot if self.slot == DAY => DAYS,
            _ => &[],
        }
    }

    /// Length of the slots of a level, in microseconds; 0 means all time.
    const fn unit(&self, level: Level) -> i64 {
        match (self.level, level) {
            (finest, level) if finest as u8 == level as u8 => self.slot,
            (_, Level::Late | Level::Forever | Level::Slot) => self.slot,
            (Level::Slot, level) => match level.length() {
                Some(length) => length,
                None => self.slot,
            },
            (_, Level::Hour) => MINUTE,
            (_, Level::Day) => HOUR,
            (_, _) => DAY,
        }
    }

    /// First instant of the slot of this level that `at` lies in.
    pub fn floor_unit(&self, level: Level, at: Timestamp) -> Timestamp {
        match self.unit(level) {
            0 => Timestamp::MIN,
            unit => Timestamp::from_micros(floor(at.as_micros(), unit)),
        }
    }

    /// First instant that is not before `at` and starts a slot of this level.
    pub fn ceil_unit(&self, level: Level, at: Timestamp) -> Timestamp {
        match self.unit(level) {
            0 => Timestamp::MIN,
            unit => {
                let slot = slot_from(unit, at.as_micros());
                if slot.start == at { at } else { slot.end }
            }
        }
    }

    /// Length of the slots of a level; `None` for all time.
    pub const fn unit_length(&self, level: Level) -> Option<Span> {
        match self.unit(level) {
            0 => None,
            unit => Some(Span::from_micros(unit as u64)),
        }
    }

    /// Length of a slot; `None` for all time.
    pub const fn slot_length(&self) -> Option<Span> {
        if self.slot == 0 { None } else { Some(Span::from_micros(self.slot as u64)) }
    }

    /// The largest number of slots in one tile.
    pub const fn slots_per_tile(&self) -> u16 {
        match self.level {
            Level::Minute => (MINUTE / self.slot) as u16,
            Level::Hour => (HOUR / self.slot) as u16,
            Level::Day => (DAY / self.slot) as u16,
            Level::Month => 31,
            _ => 1,
        }
    }

    /// The largest number of slots in one tile of any level: hours have 60 minutes, days 24 hours, months 31 days.
    pub const fn most_slots(&self) -> u16 {
        let above = match self.level {
            Level::Minute => 60,
            Level::Hour | Level::Day => 31,
            _ => 1,
        };
        let own = self.slots_per_tile();
        if own > above { own } else { above }
    }

    /// First instant of the slot of the finest level that `at` lies in.
    pub fn floor_slot(&self, at: Timestamp) -> Timestamp {
        self.floor_unit(self.level, at)
    }

    /// First instant that is not before `at` and starts a slot of the finest level.
    pub fn ceil_slot(&self, at: Timestamp) -> Timestamp {
        self.ceil_unit(self.level, at)
    }

    /// The tile and slot of the finest level that `at` lies in.
    pub fn locate(&self, at: Timestamp) -> (Tile, Slot) {
        let tile = self.tile_of(self.level, at);
        (tile, self.slot_in(tile, at))
    }

    /// The tile of a level that `at` lies in.
    pub fn tile_of(&self, level: Level, at: Timestamp) -> Tile {
        let micros = at.as_micros();
        let place = if level == Level::Late { self.level } else { level };
        let start = match place {
            Level::Forever | Level::Late => return Tile { level, start: Timestamp::EPOCH },
            Level::Slot => floor(micros, self.slot),
            Level::Month => month_start(micros),
            // `length` knows all others.
            other => floor(micros, other.length().unwrap_or(DAY)),
        };
        Tile { level, start: Timestamp::from_micros(start) }
    }

    /// The slot of `tile` that `at` lies in; `at` must lie in the tile.
    pub fn slot_in(&self, tile: Tile, at: Timestamp) -> Slot {
        match self.unit(tile.level) {
            0 => Slot(0),
            unit => Slot(((at.as_micros() - tile.start.as_micros()) / unit) as u16),
        }
    }

    /// The numbers of the slots of `tile` that begin in `[from, end)`; both must lie in the tile, or at its end.
    pub(crate) fn slots_between(&self, tile: Tile, from: Timestamp, end: Timestamp) -> Range<u16> {
        if from >= end {
            return 0..0;
        }
        let last = self.slot_in(tile, end.saturating_sub(Span::from_micros(1)));
        self.slot_in(tile, from).0..last.0 + 1
    }

    /// The interval of a tile.
    pub fn tile_range(&self, tile: Tile) -> TimeRange {
        let start = tile.start.as_micros();
        let place = if tile.level == Level::Late { self.level } else { tile.level };
        let end = match place {
            Level::Forever | Level::Late => return TimeRange::new(Timestamp::MIN, Timestamp::MAX),
            Level::Slot => return slot_from(self.slot, start),
            // Any instant 31 days after the start of a month lies in the next one.
            Level::Month => month_start(start + 31 * DAY),
            other => return slot_from(other.length().unwrap_or(DAY), start),
        };
        TimeRange::new(tile.start, Timestamp::from_micros(end))
    }

    /// The interval of a slot of a tile.
    pub fn slot_range(&self, tile: Tile, slot: Slot) -> TimeRange {
        match self.unit(tile.level) {
            0 => TimeRange::new(Timestamp::MIN, Timestamp::MAX),
            unit => slot_from(unit, tile.start.as_micros() + i64::from(slot.0) * unit),
        }
    }

    /// When a tile expires: the end of the tile plus the window's retention, never the time of a write.
    pub fn expiry(&self, tile: Tile, window: &Window) -> Option<Timestamp> {
        window.retention().map(|keep| self.tile_range(tile).end.saturating_add(keep))
    }
}

/// The slot of this length that `micros` lies in. Not simply `micros` and a slot's length: the first slot of the year 1
/// begins before it, and is cut.
fn slot_from(unit: i64, micros: i64) -> TimeRange {
    let start = floor(micros, unit);
    TimeRange::new(Timestamp::from_micros(start), Timestamp::from_micros(start.saturating_add(unit)))
}

/// The last multiple of `unit` that is not after `micros`.
fn floor(micros: i64, unit: i64) -> i64 {
    let origin = if unit % WEEK == 0 { FIRST_MONDAY } else { 0 };
    (micros - origin).div_euclid(unit) * unit + origin
}

/// First instant of the calendar month that `micros` lies in.
///
/// Days are counted in years that begin in March, so that the leap day is the last of its year, and in eras of 400
/// years, which all have 146,097 days.
fn month_start(micros: i64) -> i64 {
    /// Days from the first of March of the year 0 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    const ERA: i64 = 146_097;
    let day = micros.div_euclid(DAY);
    let of_era = (day + EPOCH).rem_euclid(ERA);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months of March to July, August to December, January and February have 31, 30, 31, 30, 31 days: 153 in all.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5;
    (day - of_month) * DAY
}
