//! The events: 30 days of visits to pages, in the order of their times.

use std::collections::{HashMap, HashSet};

use murmur::engine::{Clock, SystemClock};
use murmur::prelude::*;
use murmur::time::TimeRange;

use crate::pool::Pool;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Thirty days.
const SPAN: i64 = 30 * DAY;
/// When they end, in the day: what the first and the last day cost depends on it.
const END: i64 = (13 * 60 + 17) * MINUTE;
/// How many visitors there are.
const VISITORS: u32 = 5_000;
/// Bytes of a payload: page, visitor, time.
const LENGTH: usize = 16;

/// A visit to a page; decoding it costs next to nothing.
#[murmur::event]
pub(super) struct Visit {
    pub(super) page: u32,
    pub(super) who: u32,
    #[murmur(time)]
    at: Timestamp,
}

/// Visits by their number and that of the pages, over `days`; each page is visited equally often, at random.
pub(super) struct Stream {
    events: u64,
    pub(super) pages: u32,
    /// 30 days up to 13:17 of today or yesterday. Both sides are edges of minutes, and of nothing above them.
    pub(super) days: TimeRange,
}

impl Stream {
    pub(super) fn new(events: u64, pages: u32) -> Self {
        let now = SystemClock.now().as_micros();
        let end = (now - END).div_euclid(DAY) * DAY + END;
        let days = TimeRange::new(Timestamp::from_micros(end - SPAN), Timestamp::from_micros(end));
        Self { events, pages, days }
    }

    /// The visits, evenly over the days.
    fn visits(&self) -> impl Iterator<Item = Visit> {
        let mut rng = fastrand::Rng::with_seed(23);
        let start = self.days.start.as_micros();
        (0..self.events).map(move |n| {
            let into = i128::from(SPAN) * i128::from(n) / i128::from(self.events);
            let at = Timestamp::from_micros(start + into as i64);
            Visit { page: rng.u32(..self.pages), who: rng.u32(..VISITORS), at }
        })
    }

    pub(super) fn payloads(&self) -> Pool {
        let mut bytes = Vec::with_capacity(LENGTH * self.events as usize);
        for Visit { page, who, at } in self.visits() {
            bytes.extend_from_slice(&page.to_le_bytes());
            bytes.extend_from_slice(&who.to_le_bytes());
            bytes.extend_from_slice(&at.as_micros().to_le_bytes());
        }
        let ends = (1..=self.events as usize).map(|n| LENGTH * n).collect();
        Pool::new(bytes, ends, self.events)
    }

    /// What is true of each page in an interval, by the numbers alone.
    pub(super) fn truths(&self, range: TimeRange) -> HashMap<u32, Truth> {
        let mut truths = HashMap::<u32, Truth>::new();
        for visit in self.visits().filter(|visit| range.contains(visit.at)) {
            let truth = truths.entry(visit.page).or_default();
            truth.visits += 1;
            truth.sum += u64::from(visit.who);
            truth.visitors.insert(visit.who);
        }
        truths
    }
}

/// What is true of a page.
#[derive(Default)]
pub(super) struct Truth {
    pub(super) visits: u64,
    /// Of the numbers of the visitors.
    pub(super) sum: u64,
    pub(super) visitors: HashSet<u32>,
}

pub(super) fn decode(payload: &[u8]) -> Result<Visit, murmur::engine::Unreadable> {
    let (page, rest) = payload.split_first_chunk().ok_or("cut off")?;
    let (who, rest) = rest.split_first_chunk().ok_or("cut off")?;
    let at = i64::from_le_bytes(rest.try_into().map_err(|_| "cut off")?);
    Ok(Visit { page: u32::from_le_bytes(*page), who: u32::from_le_bytes(*who), at: Timestamp::from_micros(at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pages_are_visited_in_most_minutes_and_payloads_say_what_is_true() {
        let stream = Stream::new(100_000, 1);
        let mut minutes = HashSet::new();
        let (pool, mut sum) = (stream.payloads(), 0);
        for n in 0..pool.payloads() {
            let visit = decode(pool.payload(n)).unwrap();
            assert!(stream.days.contains(visit.at));
            minutes.insert(visit.at.as_micros() / MINUTE);
            sum += u64::from(visit.who);
        }
        assert_eq!(minutes.len() as i64, SPAN / MINUTE);
        let truth = &stream.truths(stream.days)[&0];
        assert_eq!((truth.visits, truth.sum, truth.visitors.len()), (100_000, sum, VISITORS as usize));
        assert!(decode(&[0; LENGTH - 1]).is_err());
    }
}
