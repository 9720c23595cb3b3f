//! What is asked about: many pages that are visited now and then, and a few that are visited every minute of three months.

use murmur::engine::Unreadable;
use murmur::prelude::*;
use murmur::time::{Span, TimeRange};

use crate::pool::Pool;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Pages that are visited every minute, unless few are enough.
pub(super) const BUSY: u32 = 20;
/// For so many minutes: a day more than is kept.
const MINUTES: i64 = 91 * 24 * 60;
/// How often each of the others is visited in that time.
const SELDOM: usize = 4;

/// A visit to a page.
#[murmur::event]
pub(super) struct Stay {
    page: String,
    millis: u32,
    #[murmur(time)]
    at: Timestamp,
}

/// Visits, and how long they took.
#[murmur::aggregate]
pub(super) struct Stays {
    visits: Count,
    millis: Sum<u64>,
}

/// All visits ever: one tile a page.
#[murmur::pipeline(key = page)]
pub(super) fn page_total(visit: &Stay) -> Stays {
    Stays { visits: Count::one(), millis: Sum::of(u64::from(visit.millis)) }
}

/// Visits over any window of up to 90 days, at edges of minutes.
#[murmur::pipeline(key = page, window = sliding("90d", slot = "1m"))]
pub(super) fn page_window(visit: &Stay) -> Stays {
    Stays { visits: Count::one(), millis: Sum::of(u64::from(visit.millis)) }
}

/// What a page was visited, as an answer says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visited {
    pub(super) visits: u64,
    pub(super) millis: u64,
}

impl Visited {
    pub(super) fn of(reply: &<Stays as Monoid>::Reply) -> Self {
        Self { visits: reply.visits, millis: reply.millis }
    }

    /// As it is counted.
    pub(super) fn stays(self) -> Stays {
        Stays { visits: Count::of(self.visits), millis: Sum::of(self.millis) }
    }

    /// The reply that says so.
    pub(super) fn reply(self) -> Result<<Stays as Monoid>::Reply, String> {
        self.stays().reply(&Question::default()).map_err(|error| error.to_string())
    }
}

/// How many pages of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Those whose visits are counted over all time: one each.
    pub(super) totals: u32,
    /// Those that are visited every minute.
    pub(super) busy: u32,
    /// Those that are visited now and then: their numbers follow those of the busy ones.
    pub(super) seldom: u32,
}

/// All visits.
pub(super) struct Pages {
    pub(super) counts: Counts,
    /// When the minute of the last visits begins.
    last: i64,
    /// What the minutes before each one weigh together.
    before: Vec<u64>,
}

impl Pages {
    /// So many, visited until `end`.
    pub(super) fn new(counts: Counts, end: Timestamp) -> Self {
        let last = end.as_micros().div_euclid(MINUTE) * MINUTE;
        let sums = (0..MINUTES).scan(0, |sum, minute| {
            *sum += weight(minute);
            Some(*sum)
        });
        Self { counts, last, before: std::iter::once(0).chain(sums).collect() }
    }

    pub(super) fn name(page: u32) -> String {
        format!("page-{page:08}")
    }

    /// The numbers of the pages that are visited now and then.
    pub(super) fn seldom(&self) -> std::ops::Range<u32> {
        self.counts.busy..self.counts.busy + self.counts.seldom
    }

    fn at(&self, minute: i64) -> Timestamp {
        Timestamp::from_micros(self.last - (MINUTES - 1 - minute) * MINUTE)
    }

    /// The visits that are counted over all time.
    pub(super) fn once(&self) -> Pool {
        let totals = self.counts.totals;
        pool((0..totals).map(|page| (page, once(page), self.at(MINUTES - 60))), totals as usize)
    }

    /// The visits that are counted by the minute, in the order of their times.
    pub(super) fn by_minute(&self) -> Pool {
        let Counts { busy, seldom, .. } = self.counts;
        let mut visits: Vec<(Timestamp, u32, u32)> = Vec::with_capacity(seldom as usize * SELDOM);
        for page in self.seldom() {
            visits.extend(self.visits(page).map(|(at, millis)| (at, page, millis)));
        }
        visits.sort_unstable();
        let mut visits = visits.into_iter().peekable();
        let all = (0..MINUTES).flat_map(|minute| {
            let at = self.at(minute);
            let busy = (0..busy).map(move |page| (page, weight(minute) as u32 + page, at));
            let others = std::iter::from_fn(|| visits.next_if(|(visited, ..)| *visited <= at));
            busy.chain(others.map(|(at, page, millis)| (page, millis, at)).collect::<Vec<_>>())
        });
        pool(all, MINUTES as usize * busy as usize + seldom as usize * SELDOM)
    }

    /// When a page that is visited now and then was, and for how many milliseconds: within each of the two hours in which
    /// [`thirty_days`](Self::thirty_days) begin and end, so that some of these visits lie outside, once between them, and within the
    /// last hour.
    pub(super) fn visits(&self, page: u32) -> [(Timestamp, u32); SELDOM] {
        let TimeRange { start, end } = self.thirty_days();
        let hour = |at: Timestamp| Timestamp::from_micros(at.as_micros().div_euclid(60 * MINUTE) * 60 * MINUTE);
        let mut rng = fastrand::Rng::with_seed(page.into());
        let mut within =
            |from: Timestamp, minutes: u64| from.saturating_add(Span::from_seconds(60 * rng.u64(..minutes)));
        let between = hour(start).saturating_add(Span::from_seconds(3_600));
        let inner = 30 * 24 * 60 - 60;
        let times =
            [within(hour(start), 60), within(between, inner), within(hour(end), 60), within(self.at(MINUTES - 60), 60)];
        times.map(|at| (at, once(page) + 1 + (at.as_micros() / MINUTE % 60) as u32))
    }

    /// What is true of a page that was visited once.
    pub(super) fn total(page: u32) -> Visited {
        Visited { visits: 1, millis: u64::from(once(page)) }
    }

    /// What is true of a page whose visits are counted by the minute, over `range`.
    pub(super) fn within(&self, page: u32, range: TimeRange) -> Visited {
        if page >= self.counts.busy {
            let inside = self.visits(page).into_iter().filter(|(at, _)| range.contains(*at));
            return inside.fold(Visited { visits: 0, millis: 0 }, |sum, (_, millis)| Visited {
                visits: sum.visits + 1,
                millis: sum.millis + u64::from(millis),
            });
        }
        // How many minutes begin before an instant.
        let begun = |at: Timestamp| {
            let since = at.as_micros() - self.at(0).as_micros();
            (since + MINUTE - 1).div_euclid(MINUTE).clamp(0, MINUTES) as usize
        };
        let (from, to) = (begun(range.start), begun(range.end));
        let visits = (to - from) as u64;
        Visited { visits, millis: self.before[to] - self.before[from] + visits * u64::from(page) }
    }

    /// What is finished of the visits by the minute, and so can be rolled: tiles wait an hour for what comes late.
    pub(super) fn finished(&self) -> TimeRange {
        TimeRange::new(self.at(0), self.at(MINUTES - 61))
    }

    /// Thirty days at edges of minutes that are no edges of anything above them, and ended two days ago.
    pub(super) fn thirty_days(&self) -> TimeRange {
        let hour = 60 * MINUTE;
        let end = (self.last - 2 * DAY).div_euclid(hour) * hour + 17 * MINUTE;
        TimeRange::new(Timestamp::from_micros(end - 30 * DAY), Timestamp::from_micros(end))
    }

    /// Thirty whole days that are over.
    pub(super) fn whole_days(&self) -> Vec<TimeRange> {
        let end = self.last.div_euclid(DAY) * DAY;
        let day = |ago: i64| Timestamp::from_micros(end - ago * DAY);
        (1..=30).rev().map(|ago| TimeRange::new(day(ago), day(ago - 1))).collect()
    }
}

/// How long the one visit of a page took: another time for each of neighbouring pages.
fn once(page: u32) -> u32 {
    (page as u64 * 7_919 % 1_000_003) as u32
}

fn weight(minute: i64) -> u64 {
    minute as u64 * 7_919 % 10_000
}

/// ```text
/// 8 bytes  when, in microseconds
/// 4 bytes  milliseconds
/// n bytes  the page
/// ```
fn pool(visits: impl Iterator<Item = (u32, u32, Timestamp)>, count: usize) -> Pool {
    let (mut bytes, mut ends) = (Vec::with_capacity(count * 25), Vec::with_capacity(count));
    for (page, millis, at) in visits {
        bytes.extend_from_slice(&at.as_micros().to_le_bytes());
        bytes.extend_from_slice(&millis.to_le_bytes());
        bytes.extend_from_slice(Pages::name(page).as_bytes());
        ends.push(bytes.len());
    }
    Pool::new(bytes, ends, count as u64)
}

pub(super) fn decode(payload: &[u8]) -> Result<Stay, Unreadable> {
    let (at, rest) = payload.split_first_chunk().ok_or("cut off")?;
    let (millis, page) = rest.split_first_chunk().ok_or("cut off")?;
    let page = str::from_utf8(page).map_err(|error| error.to_string())?.to_owned();
    Ok(Stay { page, millis: u32::from_le_bytes(*millis), at: Timestamp::from_micros(i64::from_le_bytes(*at)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_true_of_an_interval_is_what_its_visits_add_up_to() {
        let counts = Counts { totals: 1, busy: 4, seldom: 50 };
        let pages = Pages::new(counts, "2026-05-12T10:17:31Z".parse().unwrap());
        let pool = pages.by_minute();
        let visits: Vec<Stay> = (0..pool.payloads()).map(|n| decode(pool.payload(n)).unwrap()).collect();
        assert!(visits.is_sorted_by_key(|visit| visit.at));
        assert_eq!(visits.len(), MINUTES as usize * 4 + 50 * SELDOM);
        let mut ranges = vec![pages.thirty_days(), pages.finished()];
        ranges.extend(pages.whole_days().into_iter().take(2));
        for page in [3, 4, 30, 53] {
            for range in &ranges {
                let mut found = Visited { visits: 0, millis: 0 };
                for visit in visits.iter().filter(|visit| visit.page == Pages::name(page) && range.contains(visit.at)) {
                    found.visits += 1;
                    found.millis += u64::from(visit.millis);
                }
                assert!(page > 3 || found.visits > 1_000);
                assert_eq!(pages.within(page, *range), found);
            }
        }
    }

    #[test]
    fn the_hours_at_both_edges_of_thirty_days_have_visits_inside_and_outside() {
        let counts = Counts { totals: 0, busy: 0, seldom: 100 };
        let pages = Pages::new(counts, "2026-05-12T10:17:31Z".parse().unwrap());
        let visits = |page| pages.within(page, pages.thirty_days()).visits;
        for expected in 1..=3 {
            assert!(pages.seldom().any(|page| visits(page) == expected), "{expected}");
        }
    }
}
