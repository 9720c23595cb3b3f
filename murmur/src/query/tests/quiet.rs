//! Keys of which little or nothing is there, of values that are no numbers: what they cost, and whom they keep waiting.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::hooked::{Hook, Hooked};
use super::*;
use crate::ErrorKind;
use crate::query::{Ask, Explanation, LevelReads, Limits, Presence, TileCache};
use crate::store::Consistency::Eventual;
use crate::time::{Level, TimeRange};

type Alone = Text<{ usize::MAX }>;

fn now() -> Timestamp {
    "2026-05-14T12:00:30Z".parse().unwrap()
}

fn ago(seconds: u64) -> Timestamp {
    now().saturating_sub(Span::from_seconds(seconds))
}

/// A table in which `busy` has an event every so many seconds for so many days, and `quiet` has two in all.
async fn world<P>(days: u64, every: u64) -> Arc<MemoryStore>
where
    P: Pipeline<Event = Happening, Key = Id>,
    P::Aggregate: OfEvent,
{
    let store = Arc::new(MemoryStore::new());
    let event = |id: &str, at| Happening { id: id.into(), at, partition: 0, what: 'x' };
    let mut events: Vec<_> = (0..days * 86_400 / every).map(|n| event("busy", ago(n * every))).collect();
    events.extend([event("quiet", ago(20 * 86_400 + 7 * 3_600)), event("quiet", ago(5 * 86_400))]);
    events.sort_by_key(|event| event.at);
    Filler::<P>::new(&*store, 1).take(&events).await;
    store
}

fn reader<P: Pipeline>(store: Arc<dyn Store>) -> Reader<P> {
    Reader::new(store, 1).clock(Arc::new(Standing(now())))
}

/// Look-ups of an answer, and the units they cost; of the tiles alone.
fn cost(explanation: &Explanation) -> (u64, f64) {
    let (tiles, records): (Vec<&LevelReads>, Vec<_>) =
        explanation.levels.iter().partition(|reads| reads.level.is_some());
    let lookups = |reads: &[&LevelReads]| reads.iter().map(|reads| reads.reads).sum::<u64>();
    (lookups(&tiles), explanation.read_units - lookups(&records) as f64)
}

/// What is known of a key over a window, and what that costs of a reader that has rolled what it finds worth it.
async fn asked<P>(reader: &Reader<P>, id: &str, days: u64) -> (String, Presence, (u64, f64))
where
    P: Pipeline<Key = Id>,
    P::Aggregate: Monoid<Reply = String>,
{
    let ask = Ask::Window { span: Span::from_seconds(days * 86_400), end: None };
    let ask = async || reader.clone().explaining().ask(&Id::new(id), ask, Eventual).await.unwrap();
    let before = ask().await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let answer = ask().await;
    assert_eq!((&before.value, before.presence), (&answer.value, answer.presence));
    (answer.value, answer.presence, cost(&answer.explanation.unwrap()))
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_absent_or_quiet_costs_a_few_look_ups() {
    let minutes = world::<Test<QuarterOfMinutes, Alone>>(95, 3 * 3_600).await;
    let minutes = reader::<Test<QuarterOfMinutes, Alone>>(minutes).rolling();
    let century = world::<Test<CenturyOfDays, Alone>>(2_000, 86_400).await;
    let century = reader::<Test<CenturyOfDays, Alone>>(century).rolling();
    for (id, value) in [("nobody", ""), ("quiet", "xx")] {
        let costs = [asked(&minutes, id, 30).await, asked(&minutes, id, 90).await, asked(&century, id, 36_525).await];
        for (found, presence, (lookups, units)) in costs {
            assert_eq!((&*found, presence == Presence::Present), (value, !value.is_empty()));
            assert!(lookups <= 20 && units <= 10.0, "{id}: {lookups} look-ups, {units} units");
        }
    }
    let busy = [asked(&minutes, "busy", 90).await, asked(&century, "busy", 36_525).await];
    for ((found, _, (lookups, units)), events) in busy.into_iter().zip([90 * 8 + 1, 2_000]) {
        assert_eq!(found.len(), events);
        assert!(lookups <= 30 && units <= 15.0, "busy: {lookups} look-ups, {units} units");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_has_rolled_costs_little_more_than_what_it_has() {
    let store = world::<Test<QuarterOfMinutes, Alone>>(95, 8 * 3_600).await;
    let reader = reader::<Test<QuarterOfMinutes, Alone>>(store);
    let (found, _, (lookups, units)) = asked(&reader, "busy", 30).await;
    assert_eq!(found.len(), 30 * 3 + 1);
    assert!(lookups <= 50 && units <= 25.0, "{lookups} look-ups, {units} units");
}

#[tokio::test(start_paused = true)]
async fn more_rolled_tiles_than_a_page_are_all_counted() {
    let days = 36_400;
    let store = world::<Test<CenturyOfDays, Alone>>(days, 20 * 86_400).await;
    let plain = reader::<Test<CenturyOfDays, Alone>>(store);
    plain.roll(&Id::new("busy"), TimeRange::new(ago(days * 86_400), now())).await.unwrap();
    let cache = TileCache::new(1 << 20);
    let keeping = plain.clone().caching(&cache);
    for reader in [&plain, &keeping, &keeping, &keeping] {
        tokio::time::advance(Duration::from_secs(2)).await;
        let answer = reader.clone().explaining().get(&Id::new("busy"), Eventual).await.unwrap();
        assert_eq!(answer.value.len() as u64, days / 20);
        let longest = |reads: &&LevelReads| reads.level == Some(Level::Days32);
        let explanation = answer.explanation.unwrap();
        let months = explanation.levels.iter().find(longest).unwrap();
        assert!(months.items + months.kept > 1_024 && months.reads <= 3, "{months:?}");
    }
    // 256 of them are looked for, and no others take room.
    assert!((256 * 448..400 * 448).contains(&cache.bytes()), "{}", cache.bytes());
}

#[tokio::test(start_paused = true)]
async fn tiles_beside_each_other_that_are_kept_are_not_read() {
    let store = world::<Test<QuarterOfMinutes, Alone>>(95, 3_600).await;
    let reader = reader::<Test<QuarterOfMinutes, Alone>>(store).caching(&TileCache::new(1 << 20));
    reader.roll(&Id::new("busy"), TimeRange::new(ago(95 * 86_400), now())).await.unwrap();
    let mut hours = (0, 0);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(2)).await;
        let answer = reader.clone().explaining().get(&Id::new("busy"), Eventual).await.unwrap();
        assert_eq!(answer.value.len(), 90 * 24 + 1);
        let levels = answer.explanation.unwrap().levels;
        hours =
            levels.iter().find(|reads| reads.level == Some(Level::Hour)).map(|hour| (hour.reads, hour.kept)).unwrap();
    }
    assert!(hours.0 == 0 && hours.1 > 12, "{hours:?}");
}

#[tokio::test(start_paused = true)]
async fn time_without_anything_is_asked_for_and_tiles_that_are_kept_beside_it_are_not() {
    const DAY: i64 = 86_400;
    // Ninety steps of two days, a tile each.
    let first = ago(190 * DAY as u64).as_micros() / (2 * DAY * 1_000_000);
    let day = |n: i64| Timestamp::from_seconds(2 * first * DAY + n * DAY);
    // How many stretches have nothing, and how many steps have something.
    for (every, empty, stretches, steps) in [(7, 0..1, 13, 77), (30, 10..16, 3, 72)] {
        let is_empty = |step: i64| empty.contains(&(step % every));
        let store = Arc::new(MemoryStore::new());
        let event = |n| Happening { id: "busy".into(), at: day(n), partition: 0, what: 'x' };
        let events: Vec<_> = (0..190).filter(|n| !is_empty(n / 2)).map(event).collect();
        Filler::<Test<CenturyOfDays, Alone>>::new(&*store, 1).take(&events).await;
        let reader = reader::<Test<CenturyOfDays, Alone>>(store).caching(&TileCache::new(1 << 20)).explaining();
        reader.roll(&Id::new("busy"), TimeRange::new(day(0), day(180))).await.unwrap();
        let mut pairs = (0, 0, 0);
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(2)).await;
            let step = Some(Span::from_seconds(2 * DAY as u64));
            let series = reader.series(&Id::new("busy"), day(0), Some(day(180)), step, Eventual).await.unwrap();
            assert_eq!(series.points.iter().filter(|point| point.value == "xx").count(), steps);
            let levels = series.explanation.unwrap().levels;
            let reads = levels.iter().find(|reads| reads.level == Some(Level::Days2)).unwrap();
            pairs = (reads.reads, reads.items, reads.kept);
        }
        assert_eq!(pairs, (stretches, 0, steps as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn look_ups_are_counted_whether_anything_is_there_or_not_and_one_too_many_is_refused() {
    let store = world::<Test<QuarterOfMinutes, Alone>>(1, 600).await;
    let within = async |lookups: u64, ids: &[&str]| {
        let limits = Limits { lookups: lookups as usize, ..Limits::default() };
        let reader = reader::<Test<QuarterOfMinutes, Alone>>(store.clone()).limits(limits).explaining();
        let ids: Vec<_> = ids.iter().copied().map(Id::new).collect();
        let answers = reader.get_many(&ids, Eventual).await?;
        crate::Result::Ok(cost(answers[0].explanation.as_ref().unwrap()).0)
    };
    for ids in [&["nobody"][..], &["nobody", "none", "nil"]] {
        let most = within(1_000, ids).await.unwrap();
        assert_eq!(within(most, ids).await.unwrap(), most);
        let error: crate::Error = within(most - 1, ids).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        let what = format!("more than {} look-ups", most - 1);
        assert!(error.to_string().contains(&what), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_keys_of_counters_by_the_minute_are_far_below_what_may_be_looked_up() {
    let store = world::<Test<MonthOfMinutes, Count>>(29, 6 * 3_600).await;
    let reader = reader::<Test<MonthOfMinutes, Count>>(store).explaining();
    // Those that are not there take the most.
    let ids: Vec<_> = (0..1_000).map(|n| Id::new(format!("{n}"))).collect();
    let answers = reader.get_many(&ids, Eventual).await.unwrap();
    let (lookups, _) = cost(answers[0].explanation.as_ref().unwrap());
    assert!(lookups * 5 < Limits::default().lookups as u64, "{lookups}");
}

/// Counts reads; something happens at one of them.
struct At {
    reads: AtomicUsize,
    read: usize,
    happens: Notify,
}

impl At {
    fn the(read: usize) -> Arc<Self> {
        Arc::new(Self { reads: AtomicUsize::new(0), read, happens: Notify::new() })
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Hook for At {
    fn before_read<'a>(&'a self, tiles: &'a [TileId]) -> BoxFuture<'a, crate::Result<()>> {
        let reads = tiles.len().max(1);
        if self.reads.fetch_add(reads, Ordering::SeqCst) + reads >= self.read {
            self.happens.notify_one();
        }
        Box::pin(async { Ok(()) })
    }
}

fn nobodies() -> Vec<Id> {
    (0..1_000).map(|n| Id::new(format!("nobody {n}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_deadline_cuts_into_a_request_whose_store_makes_nobody_wait() {
    let store = world::<Test<QuarterOfMinutes, Alone>>(1, 600).await;
    let everything = At::the(usize::MAX);
    let hooked = |hook: &Arc<At>| Arc::new(Hooked { inner: store.clone(), hook: hook.clone() });
    let answers = reader::<Test<QuarterOfMinutes, Alone>>(hooked(&everything)).get_many(&nobodies(), Eventual).await;
    assert_eq!(answers.unwrap().len(), 1_000);
    // Wherever it comes to lie.
    for tenth in 1..10 {
        let deadline = At::the(everything.reads() * tenth / 10);
        let reader = reader::<Test<QuarterOfMinutes, Alone>>(hooked(&deadline));
        let keys = nobodies();
        tokio::select! {
            biased;
            _ = reader.get_many(&keys, Eventual) => panic!("nothing cut in at {tenth} tenths"),
            () = deadline.happens.notified() => {}
        }
        let more = deadline.reads() - deadline.read;
        // A call for single tiles is of a page of them.
        assert!(more <= 1_024 + 256, "{more} look-ups after the deadline at {tenth} tenths");
    }
}

#[tokio::test(start_paused = true)]
async fn others_are_answered_while_much_is_looked_for() {
    let store = world::<Test<QuarterOfMinutes, Alone>>(1, 600).await;
    let reader = reader::<Test<QuarterOfMinutes, Alone>>(store);
    let ended = Mutex::new(Vec::new());
    let end = |who: &'static str| ended.lock().unwrap().push(who);
    let keys = nobodies();
    let much = async {
        assert_eq!(reader.get_many(&keys, Eventual).await.unwrap().len(), 1_000);
        end("much");
    };
    let little = async {
        for _ in 0..10 {
            assert_eq!(reader.get(&Id::new("quiet"), Eventual).await.unwrap().value, "xx");
            end("little");
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(much, little);
    assert_eq!(ended.into_inner().unwrap()[..10], ["little"; 10]);
}

#[tokio::test(start_paused = true)]
async fn others_have_their_turn_while_large_values_are_folded_and_need_none_while_few_are_small() {
    let turns = async |keys: usize, bytes: usize| {
        let (store, tiling) = (MemoryStore::new(), <Test<Days, Alone>>::tiling());
        let value: bytes::Bytes = envelope::seal(&Text::<8>("x".repeat(bytes))).into();
        let writes = (0..keys * 80).map(|n| {
            let (tile, slot) = tiling.locate(ago((n % 80) as u64 * 86_400));
            let id = TileId { key: key_text(&format!("{}", n / 80)), tile, part: Some(PartitionId::new("p")) };
            let values = vec![(slot, value.clone())];
            Write::Put { id, values, first: Offset::ZERO, last: Offset::ZERO, expires: None }
        });
        store.write(&Table::new("test", 1), writes.collect::<Vec<_>>().into()).await;
        let reader = reader::<Test<Days, Alone>>(Arc::new(store));
        let keys: Vec<_> = (0..keys).map(|key| Id::new(format!("{key}"))).collect();
        let mut reading = std::pin::pin!(reader.get_many(&keys, Eventual));
        let mut turns = 0;
        let answers = std::future::poll_fn(|context| {
            let polled = reading.as_mut().poll(context);
            turns += usize::from(polled.is_pending());
            polled
        });
        let answers = answers.await.unwrap();
        assert!(answers.iter().all(|answer| answer.value.len() == 80 * bytes));
        turns
    };
    assert_eq!(turns(2, 1).await, 0);
    // Of each four of them, one.
    let large = turns(2, 64 << 10).await;
    assert!((30..=60).contains(&large), "{large}");
}
