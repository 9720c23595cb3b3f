//! The pipeline of `examples/page-traffic`, with all its fields, from JSON to the memory store, beside one that counts
//! the same events.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use murmur::engine::{Clock, Options, SystemClock, Worker, json};
use murmur::prelude::*;
use murmur::query::Reader;
use murmur::store::{Consistency, MemoryStore};
use murmur::time::TimeRange;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::cases::is_near;
use crate::draws::Draws;
use crate::pool::Pool;
use crate::resources::{Meter, Used};
use crate::views::NoLetters;

/// How many pages the events are spread over, evenly.
const PAGES: usize = 100;
/// How many different referrers there are at most.
const REFERRERS: u32 = 1_000;
const MINUTE: i64 = 60_000_000;
/// All events lie in one hour, in the order of their times.
const HOUR: i64 = 60 * MINUTE;

/// One view of one page.
#[murmur::event]
#[derive(serde::Deserialize)]
pub(super) struct PageView {
    page_id: String,
    user_id: String,
    dwell_ms: u64,
    referrer: Option<String>,
    #[murmur(time)]
    viewed_at: Timestamp,
}

/// What is known about a page.
#[murmur::aggregate]
pub(super) struct Traffic {
    pub(super) views: Count,
    pub(super) dwell_ms: Sum<u64>,
    pub(super) visitors: Distinct,
    pub(super) referrers: TopK<10>,
    pub(super) slowest: Max<u64>,
}

/// Traffic per page, over any window of up to 90 days.
#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub(super) fn page_traffic(view: &PageView) -> Traffic {
    Traffic {
        views: Count::one(),
        dwell_ms: Sum::of(view.dwell_ms),
        visitors: Distinct::of(&view.user_id),
        referrers: TopK::of(view.referrer.as_deref()),
        slowest: Max::of(view.dwell_ms),
    }
}

/// The same without what it takes to know more than how many.
#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub(super) fn page_views(_: &PageView) -> Count {
    Count::one()
}

/// What the event at place `n` says: the one side of the oracle, and what its JSON is made of.
struct Said<'a> {
    page: usize,
    user: &'a str,
    dwell: u64,
    referrer: Option<u32>,
    at: Timestamp,
}

/// Views of pages by the elements of `draws`: each is a visitor, of whom one in four comes from nowhere.
pub(super) struct Traffics<'a> {
    draws: &'a Draws,
    hour: Timestamp,
}

impl<'a> Traffics<'a> {
    /// In the last full hour.
    pub(super) fn new(draws: &'a Draws) -> Self {
        let now = SystemClock.now().as_micros();
        Self { draws, hour: Timestamp::from_micros(now - now % HOUR - HOUR) }
    }

    fn said(&self, n: usize) -> Said<'a> {
        let element = self.draws.order[n];
        let into = (i128::from(HOUR) * n as i128 / self.draws.order.len() as i128) as i64;
        Said {
            page: n % PAGES,
            user: &self.draws.names[element as usize],
            // Any number that follows from both.
            dwell: (u64::from(element) * 7_919 + n as u64 * 104_729) % 300_000,
            referrer: (!element.is_multiple_of(4)).then_some(element % REFERRERS),
            at: Timestamp::from_micros(self.hour.as_micros() + into / 1_000 * 1_000),
        }
    }

    fn all(&self) -> impl Iterator<Item = Said<'a>> {
        (0..self.draws.order.len()).map(|n| self.said(n))
    }

    fn payloads(&self) -> Pool {
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(self.draws.order.len()));
        for Said { page, user, dwell, referrer, at } in self.all() {
            let referrer = referrer.map_or_else(|| "null".to_owned(), |n| format!("\"{}\"", site(n)));
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                r#"{{"page_id":"{}","user_id":"{user}","dwell_ms":{dwell},"referrer":{referrer},"viewed_at":{}}}"#,
                name(page),
                at.as_micros() / 1_000
            );
            ends.push(text.len());
        }
        Pool::new(text.into_bytes(), ends, self.draws.events())
    }

    /// Both halves of the hour: edges of minutes, and never of what is above them.
    fn windows(&self) -> [TimeRange; 2] {
        let [start, middle, end] = [0, 31, 60].map(|n| Timestamp::from_micros(self.hour.as_micros() + n * MINUTE));
        [TimeRange::new(start, middle), TimeRange::new(middle, end)]
    }

    /// Fold all by a worker with all fields; what that used, and whether a reader then says of each page what is true.
    pub(super) fn run(&self) -> Result<(Used, bool), String> {
        let (store, runtime) = (Arc::new(MemoryStore::default()), runtime()?);
        let used = self.fold::<PageTraffic>(&store, &runtime)?;
        let reader = Reader::<PageTraffic>::new(store, 1);
        let mut right = true;
        for window in self.windows() {
            for (page, truth) in self.truths(window) {
                let key = PageTrafficKey { page_id: name(page) };
                let answer = runtime.block_on(reader.range(&key, window, Consistency::Strong));
                right &= truth.is(&answer.map_err(|error| error.to_string())?.value);
            }
        }
        Ok((used, right))
    }

    /// The same by a worker that counts.
    pub(super) fn run_count(&self) -> Result<(Used, bool), String> {
        let (store, runtime) = (Arc::new(MemoryStore::default()), runtime()?);
        let used = self.fold::<PageViews>(&store, &runtime)?;
        let reader = Reader::<PageViews>::new(store, 1);
        let mut right = true;
        for window in self.windows() {
            for (page, truth) in self.truths(window) {
                let key = PageViewsKey { page_id: name(page) };
                let answer = runtime.block_on(reader.range(&key, window, Consistency::Strong));
                right &= answer.map_err(|error| error.to_string())?.value == truth.views;
            }
        }
        Ok((used, right))
    }

    fn fold<P: Pipeline<Event = PageView>>(&self, store: &Arc<MemoryStore>, runtime: &Runtime) -> Result<Used, String> {
        let pool = Box::new(self.payloads());
        let worker = Worker::builder(store.clone(), pool, json, Box::new(NoLetters));
        let worker = worker.options(Options::default()).pipeline::<P>().build();
        let (_stop, stopped) = watch::channel(false);
        let meter = Meter::start();
        runtime.block_on(worker.run(stopped)).map_err(|error| error.to_string())?;
        Ok(meter.used())
    }

    /// What is true of each page in this interval, by the numbers alone.
    fn truths(&self, window: TimeRange) -> HashMap<usize, Truth<'a>> {
        let mut truths = HashMap::<usize, Truth<'_>>::new();
        for Said { page, user, dwell, referrer, .. } in self.all().filter(|said| window.contains(said.at)) {
            let truth = truths.entry(page).or_default();
            truth.views += 1;
            truth.dwell += dwell;
            truth.slowest = truth.slowest.max(dwell);
            truth.visitors.insert(user);
            if let Some(referrer) = referrer {
                *truth.referrers.entry(site(referrer)).or_default() += 1;
            }
        }
        truths
    }
}

/// What is true of a page.
#[derive(Default)]
struct Truth<'a> {
    views: u64,
    dwell: u64,
    slowest: u64,
    visitors: HashSet<&'a str>,
    referrers: HashMap<String, u64>,
}

impl Truth<'_> {
    fn is(&self, reply: &<Traffic as Monoid>::Reply) -> bool {
        let top = &reply.referrers;
        (reply.views, reply.dwell_ms, reply.slowest) == (self.views, self.dwell, Some(self.slowest))
            && is_near(&reply.visitors, self.visitors.len() as u64)
            && top.total == self.referrers.values().sum::<u64>()
            && top.items.iter().all(|item| {
                self.referrers.get(&item.item).is_some_and(|count| (item.lower..=item.upper).contains(count))
            })
            // Where hundreds are equally frequent there may be none that is more frequent than the error.
            && (top.items.len() == 10 || self.referrers.iter().filter(|(_, count)| **count > top.maximum_error).all(
                |(referrer, _)| top.items.iter().any(|item| item.item == *referrer),
            ))
            && top.items.len() <= 10
    }
}

fn name(page: usize) -> String {
    format!("page-{page:08}")
}

fn site(referrer: u32) -> String {
    format!("https://site-{referrer:04}.example/")
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Shape;

    #[test]
    fn a_page_of_which_anything_is_not_true_shows() {
        let draws = Draws::new(Shape::Zipf, 20_000, 500, 3);
        let traffic = Traffics::new(&draws);
        let [half, _] = traffic.windows();
        let truths = traffic.truths(half);
        let mut value = Traffic::identity();
        for said in traffic.all().filter(|said| said.page == 0 && half.contains(said.at)) {
            value.combine(page_traffic(&PageView {
                page_id: name(0),
                user_id: said.user.to_owned(),
                dwell_ms: said.dwell,
                referrer: said.referrer.map(site),
                viewed_at: said.at,
            }));
        }
        let reply = value.reply(&Question::default()).unwrap();
        assert!(truths[&0].is(&reply));
        assert!(!truths[&1].is(&reply));
        let mut visitors = reply.clone();
        visitors.visitors.value *= 2.0;
        assert!(!truths[&0].is(&visitors));
        let mut referrers = reply.clone();
        referrers.referrers.items[0].upper = 0;
        assert!(!truths[&0].is(&referrers));
        let mut slowest = reply;
        slowest.slowest = Some(300_000);
        assert!(!truths[&0].is(&slowest));
    }
}
