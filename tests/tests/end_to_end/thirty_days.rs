//! What 30 days at edges of minutes cost on DynamoDB (DynamoDB Local, which `MURMUR_TEST_DYNAMODB` names), by what the
//! server says that it consumed.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::sync::Arc;

use murmur::aggregate::Monoid;
use murmur::engine::{Clock, Options, SystemClock, Worker, json};
use murmur::pipeline::Pipeline;
use murmur::prelude::*;
use murmur::query::{Answer, Edges, Explanation, Reader};
use murmur::source::jsonl::{self, Input, JsonlConfig};
use murmur::source::{FileDeadLetters, Shelf};
use murmur::store::{Consistency, DynamoConfig, DynamoStore, Store, Table};
use murmur::time::TimeRange;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::store_dynamodb::{endpoint, prefix};

#[murmur::event]
#[derive(serde::Deserialize)]
struct Visit {
    page: String,
    who: u64,
    #[murmur(time)]
    at: Timestamp,
}

/// Visits and the numbers of their visitors added up, in a store that adds.
#[murmur::aggregate]
struct Visits {
    visits: Count,
    sum: Sum<u64>,
}

#[murmur::pipeline(key = page, window = sliding("35d", slot = "1m"))]
fn by_minute(visit: &Visit) -> Visits {
    Visits { visits: Count::one(), sum: Sum::of(visit.who) }
}

/// A sketch has a tile for each of its slots.
#[murmur::pipeline(key = page, window = sliding("35d", slot = "1h"))]
fn visitors(visit: &Visit) -> Distinct {
    Distinct::of(visit.who)
}

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// A visit in each of the last so many minutes.
const MINUTES: u64 = 34 * DAY / MINUTE;

struct World {
    store: Arc<DynamoStore>,
    now: Timestamp,
}

/// The tables of both pipelines, filled by a worker up to now.
async fn world(folder: &TempDir) -> World {
    let config = DynamoConfig { prefix: prefix(), endpoint: Some(endpoint()), ..DynamoConfig::new() };
    let store = Arc::new(DynamoStore::open(&config).await.unwrap());
    store.ensure(&Shelf::Sources, &[]).await.unwrap();
    for pipeline in [ByMinute::SPEC.name, Visitors::SPEC.name] {
        store.ensure(&Table::new(pipeline, 1).shelf(), &[]).await.unwrap();
    }
    let now = SystemClock.now();
    let lines = (0..MINUTES).rev().fold(String::new(), |mut lines, ago| {
        let at = now.saturating_sub(Span::from_seconds(ago * MINUTE));
        writeln!(lines, r#"{{"page":"/","who":{},"at":"{at}"}}"#, who(ago)).unwrap();
        lines
    });
    let file = folder.path().join("visits.jsonl");
    fs::write(&file, lines).unwrap();
    let source = JsonlConfig { follow: false, ..JsonlConfig::new(Input::Path(file)) };
    let letters = Box::new(FileDeadLetters::open(folder.path().join("letters")).unwrap());
    let worker = Worker::builder(store.clone(), jsonl::open(source, store.clone()), json::<Visit>, letters);
    // What is not rolled yet is asked about as well.
    let mut options = Options::default();
    options.roll_every = None;
    let (_keep, shutdown) = watch::channel(false);
    let summary =
        worker.options(options).pipeline::<ByMinute>().pipeline::<Visitors>().build().run(shutdown).await.unwrap();
    assert!(summary.ended);
    World { store, now }
}

/// Whoever came so many minutes ago.
fn who(ago: u64) -> u64 {
    ago % 5_000
}

impl World {
    /// Minutes ago of those who came in this interval.
    fn minutes(&self, range: TimeRange) -> impl Iterator<Item = u64> {
        let inside =
            move |now: Timestamp, ago: u64| range.contains(now.saturating_sub(Span::from_seconds(ago * MINUTE)));
        let now = self.now;
        (0..MINUTES).filter(move |ago| inside(now, *ago))
    }

    /// Everything that is finished: what closed an hour ago.
    fn finished(&self) -> TimeRange {
        let ago = |seconds| floor_hour(self.now.saturating_sub(Span::from_seconds(seconds)));
        TimeRange::new(ago(70 * DAY), ago(3_600))
    }

    /// 30 days that end so long ago, at edges of minutes, of which neither side is that of an hour.
    fn month(&self, seconds_ago: u64) -> TimeRange {
        let end = self.now.floor_seconds() - seconds_ago as i64;
        let end = Timestamp::from_seconds(end.div_euclid(3_600) * 3_600 + 17 * 60);
        TimeRange::new(end.saturating_sub(Span::from_seconds(30 * DAY)), end)
    }
}

/// An answer for which the records of the partitions were not read, as they are once a second at most.
async fn explained<P: Pipeline>(
    reader: &Reader<P>,
    key: &P::Key,
    range: TimeRange,
) -> Answer<<P::Aggregate as Monoid>::Reply> {
    loop {
        let answer = reader.range(key, range, Consistency::Eventual).await.unwrap();
        if answer.explanation.iter().flat_map(|explanation| &explanation.levels).all(|reads| reads.level.is_some()) {
            return answer;
        }
    }
}

#[allow(clippy::print_stdout, reason = "the figure that this is about")]
fn show(what: &str, explanation: &Explanation) {
    println!(
        "{what}: {} items, {} bytes, {} read units by the rule, {:?} consumed, {} requests, {} round trips",
        explanation.items(),
        explanation.bytes(),
        explanation.read_units,
        explanation.consumed_units,
        explanation.requests,
        explanation.round_trips,
    );
}

#[tokio::test]
async fn thirty_days_at_edges_of_minutes_are_six_items_in_one_round_trip() {
    let folder = TempDir::new().unwrap();
    let world = world(&folder).await;
    let key = ByMinuteKey { page: "/".to_owned() };
    let reader = Reader::<ByMinute>::new(world.store.clone(), 1);
    let range = world.month(2 * DAY);
    let truth = (world.minutes(range).count() as u64, world.minutes(range).map(who).sum::<u64>());
    let unrolled = reader.range(&key, range, Consistency::Strong).await.unwrap().value;
    assert_eq!((unrolled.visits, unrolled.sum), truth);
    reader.roll(&key, world.finished()).await.unwrap();

    let reader = reader.explaining();
    let explain = async |reader: &Reader<ByMinute>, range| {
        let answer = explained(reader, &key, range).await;
        (answer.value, answer.interval, answer.explanation.unwrap())
    };
    let (value, interval, explanation) = explain(&reader, range).await;
    show("30 days that ended two days ago", &explanation);
    assert_eq!((value.visits, value.sum), truth);
    assert!(interval.start_exact && interval.end_exact);
    assert!(explanation.items() <= 6 && explanation.not_rolled.is_empty(), "{explanation:?}");
    assert_eq!(explanation.round_trips, 1);
    // Half a unit for each tile (six; fewer where a side lies in the first or last hour of a day, or day of a month), and half a one to
    // know that nothing came late, for which DynamoDB Local takes nothing.
    let tiles = explanation.items() as f64 / 2.0;
    assert_eq!((explanation.read_units, explanation.consumed_units), (tiles + 0.5, Some(tiles)));
    assert_eq!(explanation.requests, 2, "a batch of tiles, and beside it the range of what came late");

    let range = world.month(0);
    let (value, _, explanation) = explain(&reader, range).await;
    show("30 days up to this hour", &explanation);
    assert_eq!(value.visits, world.minutes(range).count() as u64);
    assert!(explanation.items() <= 7, "the hour before this one is not finished: {explanation:?}");
    assert_eq!(explanation.round_trips, 1);

    let range = world.month(2 * DAY);
    let (_, interval, explanation) = explain(&reader.clone().edges(Edges::Sawtooth), range).await;
    show("the same 30 days at whole days", &explanation);
    assert!(!interval.start_exact && !interval.end_exact);
    assert!(explanation.items() <= 2 && explanation.consumed_units <= Some(1.5), "{explanation:?}");

    sketches(&world).await;
}

/// What the same days cost of a sketch, which has a tile for each slot of an hour, and days in twos, fours and so on.
async fn sketches(world: &World) {
    let key = VisitorsKey { page: "/".to_owned() };
    let reader = Reader::<Visitors>::new(world.store.clone(), 1).explaining();
    let range = world.month(2 * DAY);
    let range = TimeRange::new(floor_hour(range.start), floor_hour(range.end));
    let unrolled = explained(&reader, &key, range).await.explanation.unwrap();
    show("30 days of a sketch by the hour, not rolled", &unrolled);
    // A tile for each slot, and before that a look which finds that there is much.
    assert!((30 * 24..=30 * 24 + 8).contains(&unrolled.items()), "{}", unrolled.items());
    reader.roll(&key, world.finished()).await.unwrap();
    let truth = world.minutes(range).map(who).collect::<HashSet<_>>().len() as f64;
    for (what, edges) in [("at edges of hours", Edges::Exact), ("at whole days", Edges::Sawtooth)] {
        let answer = explained(&reader.clone().edges(edges), &key, range).await;
        let explanation = answer.explanation.unwrap();
        show(&format!("30 days of a sketch {what}"), &explanation);
        assert!(answer.value.lower <= truth && truth <= answer.value.upper, "{:?} of {truth}", answer.value);
        // Both sides move outwards, and then every day is a whole one.
        let (start, end) = match edges {
            Edges::Exact => (range.start, range.end),
            Edges::Sawtooth => (floor_day(range.start), ceil_day(range.end)),
        };
        let items = tiles(start, end);
        assert_eq!((explanation.items(), explanation.round_trips), (items, 1), "{explanation:?}");
        assert_eq!(explanation.not_rolled, []);
        assert!(explanation.read_units < unrolled.read_units / 2.0, "{explanation:?}");
        // What the README says.
        assert!(items <= if edges == Edges::Exact { 31 } else { 8 }, "{items}");
    }
}

/// How many tiles an interval takes: hours up to the first day and behind the last one, and the days between in the
/// longest stretches of a power of two that begin at a multiple of their length.
fn tiles(start: Timestamp, end: Timestamp) -> u64 {
    let hours = |from: Timestamp, to: Timestamp| (to.floor_seconds() - from.floor_seconds()) as u64 / 3_600;
    let (first, last) = (ceil_day(start), floor_day(end));
    let day = |at: Timestamp| at.floor_seconds() / DAY as i64;
    let (mut at, last_day, mut stretches) = (day(first), day(last), 0);
    while at < last_day {
        let fit = |length: &i64| at % length == 0 && at + length <= last_day;
        at += [32, 16, 8, 4, 2, 1].into_iter().find(fit).unwrap();
        stretches += 1;
    }
    hours(start, first) + stretches + hours(last, end)
}

fn floor_day(at: Timestamp) -> Timestamp {
    let day = DAY as i64;
    Timestamp::from_seconds(at.floor_seconds().div_euclid(day) * day)
}

fn ceil_day(at: Timestamp) -> Timestamp {
    floor_day(at.saturating_add(Span::from_seconds(DAY - 1)))
}

fn floor_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.floor_seconds().div_euclid(3_600) * 3_600)
}
