//! What rolling costs in write units, beside those of the events themselves, and what reads gain by it: on the DynamoDB
//! that `MURMUR_TEST_DYNAMODB` names, by what its replies say.

mod reads;
mod stream;

use std::sync::Arc;

use clap::ValueEnum;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use murmur::aggregate::Monoid;
use murmur::engine::{Options, Progress, Worker};
use murmur::metrics::catalogue::{ROLL_WRITE_UNITS, STORE_WRITE_UNITS};
use murmur::prelude::*;
use murmur::query::Reader;
use murmur::store::{DynamoConfig, DynamoStore, Store, Table};
use serde_json::Map;
use tokio::sync::watch;

use crate::aggregates::is_near;
use crate::measurement::Measurement;
use crate::resources::Meter;
use crate::tally::Tally;
use crate::views::NoLetters;
use reads::Reads;
use stream::{Stream, Truth, Visit, decode};

/// As many events of a page as it takes to be busy in most minutes of 30 days.
const DENSE: u64 = 50_000;
/// Three a day.
const SPARSE: u64 = 90;
/// Pages that are rolled, or asked about, at the same time.
const AT_ONCE: usize = 16;

/// Visits and what their visitors' numbers sum up to: numbers that the store adds (Form A).
#[murmur::aggregate]
struct Visits {
    visits: Count,
    sum: Sum<u64>,
}

#[murmur::pipeline(key = page, window = sliding("35d", slot = "1m"))]
fn visits_by_minute(visit: &Visit) -> Visits {
    Visits { visits: Count::one(), sum: Sum::of(u64::from(visit.who)) }
}

/// A sketch, which is put as a whole (Form B).
#[murmur::pipeline(key = page, window = sliding("35d", slot = "1m"))]
fn visitors_by_minute(visit: &Visit) -> Distinct {
    Distinct::of(visit.who)
}

/// What the worker rolls by itself, as its own option of that name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Roll {
    /// Days that are over, of keys that were busy in them.
    Busy,
    /// Nothing.
    Off,
}

/// A pipeline to measure.
trait Rolled: Pipeline<Event = Visit> {
    /// Its name in the output.
    const VARIANT: &'static str;

    fn key(page: u32) -> Self::Key;

    /// Whether this is a right answer about a page.
    fn is_right(reply: &<Self::Aggregate as Monoid>::Reply, truth: &Truth) -> bool;
}

impl Rolled for VisitsByMinute {
    const VARIANT: &'static str = "numbers";

    fn key(page: u32) -> VisitsByMinuteKey {
        VisitsByMinuteKey { page }
    }

    fn is_right(reply: &<Visits as Monoid>::Reply, truth: &Truth) -> bool {
        (reply.visits, reply.sum) == (truth.visits, truth.sum)
    }
}

impl Rolled for VisitorsByMinute {
    const VARIANT: &'static str = "sketch";

    fn key(page: u32) -> VisitorsByMinuteKey {
        VisitorsByMinuteKey { page }
    }

    fn is_right(reply: &<Distinct as Monoid>::Reply, truth: &Truth) -> bool {
        is_near(reply, truth.visitors.len() as u64)
    }
}

/// A line for each pipeline and density of keys, for workers that roll and for those that do not; or for `roll` alone.
pub(crate) fn measure(
    events: Option<u64>,
    keys: Option<u64>,
    roll: Option<Roll>,
    report: &mut dyn FnMut(Measurement),
) -> Result<(), String> {
    let endpoint = std::env::var("MURMUR_TEST_DYNAMODB").map_err(|_| {
        "MURMUR_TEST_DYNAMODB names no DynamoDB server; `scripts/services.sh start dynamodb`, then \
         `export $(scripts/services.sh env)`"
    })?;
    let [many, fewer] = events.map_or([4 * DENSE, 1_000 * SPARSE], |events| [events; 2]);
    let densities = match keys {
        Some(keys) => vec![(format!("keys-{keys}"), many, keys)],
        None => {
            vec![("dense".to_owned(), many, many.div_ceil(DENSE)), ("sparse".to_owned(), fewer, fewer.div_ceil(SPARSE))]
        }
    };
    // Before a store is opened.
    let bench = Bench { endpoint, tally: Tally::install()? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    for (density, events, keys) in densities {
        let stream = Stream::new(events, keys.try_into().map_err(|_| "so many different keys are too many")?);
        for worker in [Roll::Off, Roll::Busy].into_iter().filter(|worker| roll.is_none_or(|roll| roll == *worker)) {
            let failed = |error: murmur::Error| error.to_string();
            report(runtime.block_on(bench.run::<VisitsByMinute>(&density, &stream, worker)).map_err(failed)?);
            report(runtime.block_on(bench.run::<VisitorsByMinute>(&density, &stream, worker)).map_err(failed)?);
        }
    }
    Ok(())
}

struct Bench {
    endpoint: String,
    tally: Tally,
}

impl Bench {
    /// Write units of everything until now, records among them.
    fn units(&self) -> u64 {
        self.tally.sum(STORE_WRITE_UNITS.name, None)
    }

    /// Those of what workers roll by themselves.
    fn rolled_units(&self) -> u64 {
        self.tally.sum(ROLL_WRITE_UNITS.name, Some(("trigger", "write")))
    }

    async fn run<P: Rolled>(&self, density: &str, stream: &Stream, worker: Roll) -> murmur::Result<Measurement> {
        let store = self.store::<P>(density, stream).await?;
        let (before, rolled_before) = (self.units(), self.rolled_units());
        let meter = Meter::start();
        let Progress { applied: events, rolled: slots, .. } = fill::<P>(&store, stream, worker).await?;
        let used = meter.used();
        let by_worker = self.rolled_units() - rolled_before;
        let live = self.units() - before - by_worker;
        let (unrolled, roll_units) = match worker {
            Roll::Off => {
                let unrolled = Reads::of::<P>(&store, stream).await?;
                let started = self.units();
                roll::<P>(&store, stream).await?;
                (Some(unrolled), self.units() - started)
            }
            Roll::Busy => (None, by_worker),
        };
        let rolled = Reads::of::<P>(&store, stream).await?;

        let mut more = Map::new();
        more.insert("keys".into(), stream.pages.into());
        let per_million = |units: u64| (units as f64 / events as f64 * 1e6).round();
        more.insert("write_units_per_million".into(), per_million(live).into());
        more.insert("roll_units_per_million".into(), per_million(roll_units).into());
        if worker == Roll::Busy {
            more.insert("slots_rolled".into(), slots.into());
        }
        for (when, reads) in [("before", unrolled.as_ref()), ("after", Some(&rolled))] {
            if let Some(reads) = reads {
                more.insert(format!("items_{when}"), reads.items.into());
                more.insert(format!("read_units_{when}"), reads.units.into());
            }
        }
        let name = match worker {
            Roll::Off => "",
            Roll::Busy => "/busy",
        };
        let variant = format!("{}/{density}{name}", P::VARIANT);
        let exact = rolled.right && unrolled.is_none_or(|unrolled| unrolled.right);
        Ok(Measurement { name: "rolling", variant, events, used, exact, ratio: None, more })
    }

    /// A store on tables of its own.
    async fn store<P: Rolled>(&self, density: &str, stream: &Stream) -> murmur::Result<Arc<dyn Store>> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
        let prefix = format!("bench{now}-{}-{density}-{}-", P::VARIANT, stream.pages);
        let config = DynamoConfig { prefix, endpoint: Some(self.endpoint.clone()), ..DynamoConfig::new() };
        let store: Arc<dyn Store> = Arc::new(DynamoStore::open(&config).await?);
        store.ensure(&Table::new(P::SPEC.name, 1).shelf(), &[]).await?;
        Ok(store)
    }
}

/// Have a worker read all events, with its other options as they are; what it has done.
async fn fill<P: Rolled>(store: &Arc<dyn Store>, stream: &Stream, roll: Roll) -> murmur::Result<Progress> {
    let worker = Worker::builder(store.clone(), Box::new(stream.payloads()), decode, Box::new(NoLetters));
    let mut options = Options::default();
    if roll == Roll::Off {
        options.roll_every = None;
    }
    let worker = worker.options(options).pipeline::<P>().build();
    let (_stop, stopped) = watch::channel(false);
    Ok(worker.run(stopped).await?.progress)
}

/// Roll what is finished of all pages: the slots that lie within the days, as reads of these days ask for it.
async fn roll<P: Rolled>(store: &Arc<dyn Store>, stream: &Stream) -> murmur::Result<()> {
    let reader = Reader::<P>::new(store.clone(), 1);
    // The first one says how far rolling has come; the others only look it up.
    reader.roll(&P::key(0), stream.days).await?;
    let reader = &reader;
    let rolls = iter(1..stream.pages).map(async |page| reader.roll(&P::key(page), stream.days).await);
    rolls.buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await
}

#[cfg(test)]
mod tests {
    use murmur::store::MemoryStore;

    use super::*;

    async fn filled<P: Rolled>(stream: &Stream) -> Arc<dyn Store> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        fill::<P>(&store, stream, Roll::Off).await.unwrap();
        store
    }

    async fn fewer_items_say_the_same<P: Rolled>() {
        let stream = Stream::new(3_000, 3);
        let store = filled::<P>(&stream).await;
        let before = Reads::of::<P>(&store, &stream).await.unwrap();
        roll::<P>(&store, &stream).await.unwrap();
        let after = Reads::of::<P>(&store, &stream).await.unwrap();
        assert!(before.right && after.right);
        assert!(after.items * 10.0 < before.items, "{} of {}", after.items, before.items);
        assert!(after.units < before.units, "{} of {}", after.units, before.units);
    }

    #[tokio::test]
    async fn rolled_pages_have_fewer_items_that_say_the_same() {
        fewer_items_say_the_same::<VisitsByMinute>().await;
        fewer_items_say_the_same::<VisitorsByMinute>().await;
    }

    #[tokio::test]
    async fn what_a_worker_has_rolled_says_the_same_in_fewer_items() {
        // A visit in nearly each hour.
        let (stream, store) = (Stream::new(3_000, 1), Arc::new(MemoryStore::new()) as Arc<dyn Store>);
        assert!(fill::<VisitsByMinute>(&store, &stream, Roll::Busy).await.unwrap().rolled > 0);
        let reads = Reads::of::<VisitsByMinute>(&store, &stream).await.unwrap();
        assert!(reads.right && reads.items < 100.0, "{}", reads.items);
    }

    #[tokio::test]
    async fn a_wrong_end_state_shows() {
        let store = filled::<VisitsByMinute>(&Stream::new(2_999, 3)).await;
        assert!(!Reads::of::<VisitsByMinute>(&store, &Stream::new(3_000, 3)).await.unwrap().right);
    }
}
