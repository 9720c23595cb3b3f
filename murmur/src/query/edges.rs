//! Where the sides of an interval are cut.

use crate::time::{Level, Span, Tiling, TimeRange, Timestamp};

/// How the sides of an interval are cut, when they are not those of a calendar.
///
/// Both kinds move a side outwards only, so that nothing is missing that was asked for, and the
/// [`Interval`](super::Interval) of the answer says where its sides came to lie. Neither reaches back beyond retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Edges {
    /// At slots: each side is moved to the next edge of one, by less than a slot.
    #[default]
    Exact,
    /// At hops, for the fewest reads: each side is moved to the next edge of a hop, by less than a hop.
    ///
    /// A hop is a unit that tiles are made of: a slot, or a minute, an hour or a day of UTC where tiles of the pipeline hold
    /// such units. It is the longest of them of which the time asked about has twelve: for 30 days a day, for a day an
    /// hour. So a side is moved by less than a twelfth of that time, and the tiles that hold the rest of an hour or a day
    /// are not read.
    ///
    /// The end is never moved beyond the end of the slot that now lies in, unless it was asked for later than that: what
    /// runs up to now is as fresh as with [`Exact`](Self::Exact), and holds nothing that is dated later. Where a hop is no
    /// longer kept as a whole, the start is that of retention. [`Ask::Retention`](super::Ask::Retention) has both its
    /// sides there already, and is the same with either kind.
    Sawtooth,
}

/// Hops that the time asked about has at least.
const HOPS: i64 = 12;
/// The longest hop.
const DAY: Span = Span::from_seconds(86_400);

impl Edges {
    /// The interval with its sides moved.
    pub(super) fn cut(self, tiling: &Tiling, asked: TimeRange, now: Timestamp) -> TimeRange {
        let exact = TimeRange::new(tiling.floor_slot(asked.start), tiling.ceil_slot(asked.end));
        match self {
            Self::Exact => exact,
            Self::Sawtooth => {
                let length = asked.end.since(asked.start).as_micros();
                let fits = |level: &&Level| {
                    let unit = tiling.unit_length(**level);
                    unit.is_some_and(|unit| unit <= DAY && unit.as_micros().saturating_mul(HOPS) <= length)
                };
                // The coarser ones come last.
                let Some(&level) = tiling.parents().iter().rfind(fits) else { return exact };
                let present = tiling.ceil_slot(now.saturating_add(Span::from_micros(1)));
                let end = tiling.ceil_unit(level, asked.end).min(present.max(exact.end));
                TimeRange::new(tiling.floor_unit(level, asked.start), end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Window;

    fn cut(slot: u64, packed: bool, [start, end, now]: [&str; 3]) -> [String; 2] {
        let window = Window::Sliding { span: Span::from_seconds(90 * 86_400), slot: Span::from_seconds(slot) };
        let [start, end, now] = [start, end, now].map(|at| at.parse().unwrap());
        let cut = Edges::Sawtooth.cut(&Tiling::new(&window, packed), TimeRange::new(start, end), now);
        [cut.start, cut.end].map(|at: Timestamp| at.to_string())
    }

    #[test]
    fn a_hop_is_the_longest_of_which_there_are_twelve() {
        let now = "2026-06-01T00:00:00Z";
        let cases = [
            // Twelve days, and a microsecond less; twelve hours, and less.
            (["2026-05-01T10:17:00Z", "2026-05-13T10:17:00Z"], ["2026-05-01T00:00:00Z", "2026-05-14T00:00:00Z"]),
            (["2026-05-01T10:17:00.000001Z", "2026-05-13T10:17:00Z"], ["2026-05-01T10:00:00Z", "2026-05-13T11:00:00Z"]),
            (["2026-05-01T10:17:30Z", "2026-05-01T22:17:30Z"], ["2026-05-01T10:00:00Z", "2026-05-01T23:00:00Z"]),
            (["2026-05-01T10:17:30Z", "2026-05-01T22:17:29Z"], ["2026-05-01T10:17:00Z", "2026-05-01T22:18:00Z"]),
        ];
        for (asked, covered) in cases {
            for packed in [true, false] {
                assert_eq!(cut(60, packed, [asked[0], asked[1], now]), covered, "{asked:?}");
            }
        }
        // Of days in twos and fours people know no edges; a slot that is longer than a day is its own hop.
        let year = ["2026-01-01T10:00:00Z", "2026-05-31T10:00:00Z", now];
        assert_eq!(cut(3_600, false, year), ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"]);
        assert_eq!(cut(7 * 86_400, false, year), ["2025-12-29T00:00:00Z", "2026-06-01T00:00:00Z"]);
    }

    #[test]
    fn the_present_is_not_moved() {
        let asked = ["2026-04-12T10:17:30Z", "2026-05-12T10:17:30Z"];
        let start = "2026-04-12T00:00:00Z";
        assert_eq!(cut(60, true, [asked[0], asked[1], asked[1]]), [start, "2026-05-12T10:18:00Z"]);
        // An hour ago is in the day that is not over; the day is taken as far as it is.
        assert_eq!(cut(60, true, [asked[0], asked[1], "2026-05-12T11:17:30Z"]), [start, "2026-05-12T11:18:00Z"]);
        // Asked for later than now.
        assert_eq!(cut(60, true, [asked[0], asked[1], "2026-05-12T09:00:00Z"]), [start, "2026-05-12T10:18:00Z"]);
    }
}
