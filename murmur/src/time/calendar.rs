use std::fmt;
use std::iter;
use std::num::NonZeroU32;

use jiff::civil::Date;

use super::{Span, TimeRange, Timestamp, Zone};

/// A unit of the calendar. Its length is what the calendar of a zone says: a day on which the clock is set forward or
/// back has 23 or 25 hours, and a day that a zone has left out has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday, as ISO 8601 has it.
    Week,
    /// From the first of a month to the first of the next one.
    Month,
}

impl CalendarUnit {
    /// In lower case, in the singular.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first date of the unit that `date` lies in.
    fn first(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Week => date.saturating_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset())),
            Self::Month => date.first_of_month(),
        }
    }

    /// So many units, where the calendar has so many.
    fn span(self, count: u32) -> Option<jiff::Span> {
        let (span, count) = (jiff::Span::new(), i64::from(count));
        match self {
            Self::Day => span.try_days(count),
            Self::Week => span.try_weeks(count),
            Self::Month => span.try_months(count),
        }
        .ok()
    }
}

/// So many days, weeks or months of a time zone.
///
/// ```
/// use std::num::NonZeroU32;
/// use murmur::time::{CalendarUnit, CalendarUnits, TimeRange, Timestamp};
///
/// let two = NonZeroU32::new(2).ok_or("none")?;
/// let days = CalendarUnits { count: two, unit: CalendarUnit::Day, zone: "Europe/Berlin".parse()? };
/// let at = |text: &str| text.parse::<Timestamp>();
/// // Yesterday, when the clock was set forward, and today up to ten in the morning.
/// let range = days.before(at("2026-03-30T08:00:00Z")?)?;
/// assert_eq!(range, TimeRange::new(at("2026-03-28T23:00:00Z")?, at("2026-03-30T08:00:00Z")?));
/// // The two days before today: 24 hours and 23.
/// let range = days.whole_before(at("2026-03-30T08:00:00Z")?)?;
/// assert_eq!(range, TimeRange::new(at("2026-03-27T23:00:00Z")?, at("2026-03-29T22:00:00Z")?));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalendarUnits {
    /// How many.
    pub count: NonZeroU32,
    /// Of which length.
    pub unit: CalendarUnit,
    /// On whose calendar.
    pub zone: Zone,
}

impl CalendarUnits {
    /// The last so many units up to `end`, the current one among them: that which the last instant before `end` lies
    /// in. Seven days are today, up to `end`, and the six days before.
    ///
    /// # Errors
    ///
    /// In the last days of the year 9999, and in the first of the year 1, some zones have no calendar.
    pub fn before(&self, end: Timestamp) -> Result<TimeRange, String> {
        let (current, _) = self.current(end).ok_or_else(|| no_calendar(end))?;
        Ok(TimeRange::new(self.back(current, self.count.get() - 1), end))
    }

    /// The last so many units that were over at `end`. Seven days are yesterday and the six days before.
    ///
    /// # Errors
    ///
    /// As those of [`before`](Self::before).
    pub fn whole_before(&self, end: Timestamp) -> Result<TimeRange, String> {
        let (current, next) = self.current(end).ok_or_else(|| no_calendar(end))?;
        // With the last instant before `end` the current one may just have been completed.
        let bound = if next == Some(end) { self.add(current, 1) } else { Some(current) };
        let over = |bound| Some((bound, self.start_of(bound)?));
        let (bound, over) = bound.and_then(over).ok_or_else(|| no_calendar(end))?;
        let mut count = self.count.get();
        let mut start = self.back(bound, count);
        // A day that the zone has left out, as Samoa did on its way over the date line, is no yesterday.
        while start == over && start > Timestamp::MIN {
            count = count.saturating_add(1);
            start = self.back(bound, count);
        }
        Ok(TimeRange::new(start, over))
    }

    /// The least time that so many units take: whether it can be asked for must not depend on the day. Days of 24
    /// hours, months of 28 days.
    pub fn least(&self) -> Span {
        let days = match self.unit {
            CalendarUnit::Day => 1,
            CalendarUnit::Week => 7,
            CalendarUnit::Month => 28,
        };
        Span::from_seconds(days * 86_400 * u64::from(self.count.get()))
    }

    /// Every so manieth beginning of a unit after `start`, counted from the unit that `start` lies in, to the end of
    /// the calendar.
    pub(crate) fn edges(self, start: Timestamp) -> impl Iterator<Item = Timestamp> {
        let after = start.saturating_add(Span::from_micros(1));
        let first = self.current(after).map(|(current, _)| current);
        let dates = iter::successors(first, move |date| self.add(*date, self.count.get()));
        // Of a unit that was left out the beginning is that of the next one.
        dates.map_while(move |date| self.start_of(date)).skip_while(move |at| *at <= start)
    }

    /// First date of the unit that the last instant before `end` lies in, and where the unit after it begins.
    fn current(&self, end: Timestamp) -> Option<(Date, Option<Timestamp>)> {
        let last = end.saturating_sub(Span::from_micros(1));
        let mut current = self.unit.first(self.zone.date(jiff::Timestamp::from_microsecond(last.as_micros()).ok()?));
        loop {
            let next = self.add(current, 1);
            let over = next.and_then(|next| self.start_of(next));
            match next {
                // The clock was set back over midnight: the date is that of yesterday again, and today has begun.
                Some(next) if over.is_some_and(|over| over <= last) => current = next,
                _ => return Some((current, over)),
            }
        }
    }

    fn add(&self, date: Date, count: u32) -> Option<Date> {
        date.checked_add(self.unit.span(count)?).ok()
    }

    /// Where the unit begins that lies so many before that of `date`; the first instant of all when there is none.
    fn back(&self, date: Date, count: u32) -> Timestamp {
        let date = self.unit.span(count).and_then(|span| date.checked_sub(span).ok());
        date.and_then(|date| self.start_of(date)).unwrap_or(Timestamp::MIN)
    }

    fn start_of(&self, date: Date) -> Option<Timestamp> {
        self.zone.start_of(date).map(|at| Timestamp::from_micros(at.as_microsecond()))
    }
}

fn no_calendar(end: Timestamp) -> String {
    format!("`end` {end} lies too close to the end of time for a calendar")
}

impl fmt::Display for CalendarUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count.get() == 1 { "" } else { "s" };
        write!(f, "{} {}{plural} of {}", self.count, self.unit.name(), self.zone)
    }
}
