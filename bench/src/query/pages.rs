//! What is asked about: pages, each visited once, and a few that are visited every minute of three months.

use murmur::engine::Unreadable;
use murmur::prelude::*;
use murmur::time::TimeRange;

use crate::pool::Pool;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Pages that are visited every minute, unless few are enough.
pub(super) const BUSY: u32 = 20;
/// For so many minutes: a day more than is kept.
const MINUTES: i64 = 91 * 24 * 60;

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

    /// The reply that says so.
    pub(super) fn reply(self) -> Result<<Stays as Monoid>::Reply, String> {
        let visits = Stays { visits: Count::of(self.visits), millis: Sum::of(self.millis) };
        visits.reply(&Question::default()).map_err(|error| error.to_string())
    }
}

/// All visits.
pub(super) struct Pages {
    /// Pages that were visited once.
    pub(super) once: u32,
    /// Pages that are visited every minute.
    pub(super) busy: u32,
    /// When the minute of the last visits begins.
    last: i64,
    /// What the minutes before each one weigh together.
    before: Vec<u64>,
}

impl Pages {
    /// So many that were visited once, and so many busy ones, until `end`.
    pub(super) fn new(once: u32, busy: u32, end: Timestamp) -> Self {
        let last = end.as_micros().div_euclid(MINUTE) * MINUTE;
        let sums = (0..MINUTES).scan(0, |sum, minute| {
            *sum += weight(minute);
            Some(*sum)
        });
        Self { once, busy, last, before: std::iter::once(0).chain(sums).collect() }
    }

    pub(super) fn name(page: u32) -> String {
        format!("page-{page:08}")
    }

    fn at(&self, minute: i64) -> Timestamp {
        Timestamp::from_micros(self.last - (MINUTES - 1 - minute) * MINUTE)
    }

    /// The visits of the pages that have one each.
    pub(super) fn single(&self) -> Pool {
        pool((0..self.once).map(|page| (page, once(page), self.at(MINUTES - 60))), self.once as usize)
    }

    /// The visits of the busy pages, in the order of their times.
    pub(super) fn every_minute(&self) -> Pool {
        let visits = (0..MINUTES)
            .flat_map(|minute| (0..self.busy).map(move |page| (page, weight(minute) as u32 + page, self.at(minute))));
        pool(visits, MINUTES as usize * self.busy as usize)
    }

    /// What is true of a page that was visited once.
    pub(super) fn total(page: u32) -> Visited {
        Visited { visits: 1, millis: u64::from(once(page)) }
    }

    /// What is true of a busy page over `range`.
    pub(super) fn within(&self, page: u32, range: TimeRange) -> Visited {
        // How many minutes begin before an instant.
        let begun = |at: Timestamp| {
            let since = at.as_micros() - self.at(0).as_micros();
            (since + MINUTE - 1).div_euclid(MINUTE).clamp(0, MINUTES) as usize
        };
        let (from, to) = (begun(range.start), begun(range.end));
        let visits = (to - from) as u64;
        Visited { visits, millis: self.before[to] - self.before[from] + visits * u64::from(page) }
    }

    /// What is finished of the busy pages, and so can be rolled.
    pub(super) fn finished(&self) -> TimeRange {
        TimeRange::new(self.at(0), self.at(MINUTES - 60))
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
        let pages = Pages::new(1, 4, "2026-05-12T10:17:31Z".parse().unwrap());
        let pool = pages.every_minute();
        let mut ranges = vec![pages.thirty_days(), pages.finished()];
        ranges.extend(pages.whole_days().into_iter().take(2));
        for range in ranges {
            let mut found = Visited { visits: 0, millis: 0 };
            for n in 0..pool.payloads() {
                let visit = decode(pool.payload(n)).unwrap();
                if visit.page == Pages::name(3) && range.contains(visit.at) {
                    found.visits += 1;
                    found.millis += u64::from(visit.millis);
                }
            }
            assert!(found.visits > 1_000);
            assert_eq!(pages.within(3, range), found);
        }
    }
}
