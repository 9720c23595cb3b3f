use super::{Span, TimeRange, Timestamp, Window};

/// How much time one tile covers. The letter is the prefix of the tile's sort key in the store.
///
/// Live writes touch only the finest level of a pipeline. The levels above it are written by rolling, which
/// exists for reads alone; a tile of any level has the same shape.
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
    /// All time.
    Forever,
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
            Self::Forever => 'a',
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
            'a' => Self::Forever,
            _ => return None,
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

    /// Length of a slot; `None` for all time.
    pub const fn slot_length(&self) -> Option<Span> {
        if self.slot == 0 { None } else { Some(Span::from_micros(self.slot as u64)) }
    }

    /// The largest number of slots in one tile.
    pub const fn slots_per_tile(&self) -> u16 {
        match self.level {
            Level::Slot | Level::Forever => 1,
            Level::Minute => (MINUTE / self.slot) as u16,
            Level::Hour => (HOUR / self.slot) as u16,
            Level::Day => (DAY / self.slot) as u16,
            Level::Month => 31,
        }
    }

    /// First instant of the slot that `at` lies in.
    pub fn floor_slot(&self, at: Timestamp) -> Timestamp {
        if self.slot == 0 {
            return Timestamp::MIN;
        }
        Timestamp::from_micros(floor(at.as_micros(), self.slot))
    }

    /// First instant that is not before `at` and starts a slot.
    pub fn ceil_slot(&self, at: Timestamp) -> Timestamp {
        if self.slot == 0 {
            return Timestamp::MIN;
        }
        let slot = self.slot_from(at.as_micros());
        if slot.start == at { at } else { slot.end }
    }

    /// The tile and slot that `at` lies in.
    pub fn locate(&self, at: Timestamp) -> (Tile, Slot) {
        let micros = at.as_micros();
        let start = match self.level {
            Level::Forever => return (Tile { level: self.level, start: Timestamp::EPOCH }, Slot(0)),
            Level::Slot => floor(micros, self.slot),
            Level::Minute => floor(micros, MINUTE),
            Level::Hour => floor(micros, HOUR),
            Level::Day => floor(micros, DAY),
            Level::Month => month_start(micros),
        };
        let tile = Tile { level: self.level, start: Timestamp::from_micros(start) };
        (tile, self.slot_in(tile, at))
    }

    /// The slot of `tile` that `at` lies in; `at` must lie in the tile.
    pub fn slot_in(&self, tile: Tile, at: Timestamp) -> Slot {
        if self.slot == 0 {
            return Slot(0);
        }
        Slot(((at.as_micros() - tile.start.as_micros()) / self.slot) as u16)
    }

    /// The interval of a tile.
    pub fn tile_range(&self, tile: Tile) -> TimeRange {
        let start = tile.start.as_micros();
        let end = match tile.level {
            Level::Forever => return TimeRange::new(Timestamp::MIN, Timestamp::MAX),
            Level::Slot => return self.slot_from(start),
            Level::Minute => start + MINUTE,
            Level::Hour => start + HOUR,
            Level::Day => start + DAY,
            // Any instant 31 days after the start of a month lies in the next one.
            Level::Month => month_start(start + 31 * DAY),
        };
        TimeRange::new(tile.start, Timestamp::from_micros(end))
    }

    /// The interval of a slot of a tile.
    pub fn slot_range(&self, tile: Tile, slot: Slot) -> TimeRange {
        if self.slot == 0 {
            return TimeRange::new(Timestamp::MIN, Timestamp::MAX);
        }
        self.slot_from(tile.start.as_micros() + i64::from(slot.0) * self.slot)
    }

    /// The slot that `micros` lies in. Not simply `micros` and a slot's length: the first slot of the year 1 begins
    /// before it, and is cut.
    fn slot_from(&self, micros: i64) -> TimeRange {
        let start = floor(micros, self.slot);
        TimeRange::new(Timestamp::from_micros(start), Timestamp::from_micros(start.saturating_add(self.slot)))
    }

    /// When a tile expires: the end of the tile plus the window's retention, never the time of a write.
    pub fn expiry(&self, tile: Tile, window: &Window) -> Option<Timestamp> {
        window.retention().map(|keep| self.tile_range(tile).end.saturating_add(keep))
    }
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
