use super::{Edges, Interval};
use crate::time::{CalendarUnits, Level, Span, Tiling, TimeRange, Timestamp, Window};
use crate::{Error, ErrorKind, Result};

/// Which time a request asks about. What lies ahead of now is answered by what is dated there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The value as it stands now: the last stretch of time as long as the window, up to the end of the slot that now
    /// lies in; of tumbling windows all that are kept, up to the current one; without a window all events ever. What is
    /// dated later than that is not in it.
    Retention,
    /// The last stretch of time.
    Window {
        /// How long.
        span: Span,
        /// Where it ends; now when `None`.
        end: Option<Timestamp>,
    },
    /// Between two instants.
    Range(TimeRange),
    /// The last days, weeks or months of a time zone.
    ///
    /// What is refused for its length is refused every day: it is that of [`CalendarUnits::least`]. What retention then
    /// cuts, since a month has 31 days or those that are over lie far back, is said by [`Interval::start_exact`].
    Calendar {
        /// How many of which, and where.
        units: CalendarUnits,
        /// Only those that are over at `end`. Otherwise the current one counts as the last of them, up to `end`.
        whole: bool,
        /// Where it ends; now, this instant included, when `None`.
        end: Option<Timestamp>,
    },
}

impl Ask {
    /// Where the time that is asked about ends, as this plan has it.
    pub(super) fn end(self, plan: &Plan, now: Timestamp) -> Timestamp {
        match self {
            Self::Retention => now,
            Self::Window { end, .. } => end.unwrap_or(now),
            Self::Range(range) => range.end,
            Self::Calendar { .. } => plan.cut.end,
        }
    }
}

/// Which tiles answer a request, and where they are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What will be answered.
    pub interval: Interval,
    /// The same, with the sides that have no bound at the ends of time. It begins and ends at edges of slots.
    pub cut: TimeRange,
    /// What was asked for before retention cut it, at edges: where the steps of a series are counted from.
    pub origin: Timestamp,
    /// What to read of the finest level; `None` when the whole interval lies out of retention. Levels above it may answer
    /// the inner part of it with fewer items.
    pub finest: Option<Step>,
    /// Whether it covers everything that is stored.
    pub whole: bool,
}

/// Consecutive tiles of one level, and which of their slots count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which level.
    pub level: Level,
    /// The tiles that start inside.
    pub tiles: TimeRange,
    /// The slots that start inside.
    pub slots: TimeRange,
}

impl Plan {
    /// Plan an interval as of `now`. Errors name the field of the request.
    pub fn make(window: &Window, tiling: &Tiling, ask: Ask, edges: Edges, now: Timestamp) -> Result<Self> {
        let (asked, span, field) = match ask {
            Ask::Retention => return Ok(Self::now(window, tiling, now)),
            Ask::Window { span, end } => {
                let end = end.unwrap_or(now);
                (TimeRange::new(end.saturating_sub(span), end), span, "window")
            }
            Ask::Range(range) => (range, range.end.since(range.start), "start"),
            Ask::Calendar { .. } if edges != Edges::Exact => {
                return Err(refused(
                    "edges",
                    "`edges`: days, weeks and months have edges of their own; ask for them without `edges`",
                ));
            }
            Ask::Calendar { units, whole, end } => {
                let end = end.unwrap_or_else(|| now.saturating_add(Span::from_micros(1)));
                let range = if whole { units.whole_before(end) } else { units.before(end) };
                (range.map_err(|why| refused("calendar", why))?, units.least(), "calendar")
            }
        };
        let Some(keep) = window.retention() else {
            return Err(refused(field, "this pipeline keeps one value over all time and no window; use `Get`"));
        };
        if asked.is_empty() {
            return Err(refused(
                field,
                match field {
                    "window" => "`window` must be longer than nothing".to_owned(),
                    _ if asked.start == asked.end => {
                        format!("`start` and `end` are both {}, to the microsecond, which times are cut to", asked.end)
                    }
                    _ => format!("`start` {} is not before `end` {}", asked.start, asked.end),
                },
            ));
        }
        if span > keep {
            return Err(refused(
                field,
                format!("`{field}` asks for {span}, but only {keep} are kept; ask for at most {keep}"),
            ));
        }
        let edges = edges.cut(tiling, asked, now);
        Ok(Self::over(tiling, asked, edges, floor(window, tiling, now)))
    }

    /// As it stands now.
    fn now(window: &Window, tiling: &Tiling, now: Timestamp) -> Self {
        let Some(horizon) = window.horizon(now) else {
            let interval = Interval { start: None, end: None, start_exact: true, end_exact: true };
            let cut = TimeRange::new(Timestamp::MIN, Timestamp::MAX);
            let step = Step { level: tiling.finest(), tiles: retained(tiling, None), slots: cut };
            return Self { interval, cut, origin: cut.start, finest: Some(step), whole: true };
        };
        let asked = TimeRange::new(horizon, now);
        // An event of this very instant is not one of the future, at the edge of a slot neither.
        let after = now.saturating_add(Span::from_micros(1));
        let edges = TimeRange::new(tiling.floor_slot(horizon), tiling.ceil_slot(after));
        Self::over(tiling, asked, edges, floor(window, tiling, now))
    }

    /// Over `edges`, as far as they do not lie before `floor`.
    fn over(tiling: &Tiling, asked: TimeRange, edges: TimeRange, floor: Option<Timestamp>) -> Self {
        let cut = TimeRange::new(floor.map_or(edges.start, |floor| edges.start.max(floor)), edges.end);
        let answered = if cut.is_empty() { edges } else { cut };
        let interval = Interval {
            start: Some(answered.start),
            end: Some(answered.end),
            start_exact: answered.start == asked.start,
            end_exact: answered.end == asked.end,
        };
        let finest = (!cut.is_empty()).then(|| {
            let first = tiling.locate(cut.start).0;
            Step { level: first.level, tiles: TimeRange::new(first.start, cut.end), slots: cut }
        });
        Self { interval, cut, origin: edges.start, finest, whole: false }
    }
}

/// First instant of the oldest slot that is kept; `None` when nothing expires. Its tile has not expired, and may begin
/// before it: how slots are packed into tiles decides nothing.
fn floor(window: &Window, tiling: &Tiling, now: Timestamp) -> Option<Timestamp> {
    window.horizon(now).map(|horizon| tiling.floor_slot(horizon))
}

/// Where all tiles that are kept start.
fn retained(tiling: &Tiling, floor: Option<Timestamp>) -> TimeRange {
    match floor {
        Some(floor) => TimeRange::new(tiling.locate(floor).0.start, Timestamp::MAX),
        None => {
            let start = tiling.locate(Timestamp::EPOCH).0.start;
            TimeRange::new(start, Timestamp::from_micros(start.as_micros() + 1))
        }
    }
}

/// Where all tiles of the finest level that are kept at `now` start.
pub(super) fn kept(window: &Window, tiling: &Tiling, now: Timestamp) -> TimeRange {
    retained(tiling, floor(window, tiling, now))
}

fn refused(field: &'static str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, why).of_field(field)
}
