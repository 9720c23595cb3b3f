//! The law of this module: plan and fold over tiles equal a plain fold over all events, whatever was rolled, and whoever died
//! of it, whatever came late, and however the sides are cut, with tiles that are kept and without. How to play more cases, and in which store: see `places.rs`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::falling::Falling;
use super::hooked::Hooked;
use super::naive::Naive;
use super::places::{On, Place, Places, cases};
use super::*;
use crate::ErrorKind;
use crate::engine::Worth;
use crate::query::{Answer, Ask, Edges, Every, Interval, Presence, Series, TileCache};
use crate::store::Consistency::{Eventual, Strong};
use crate::time::{CalendarUnit, CalendarUnits, TimeRange};

/// A case in units that fit every window: times are thousandths of the retention before now.
#[derive(Debug, Clone)]
struct Case {
    now: i64,
    events: Vec<(bool, i64, i64, u8, char)>,
    start: i64,
    length: i64,
    jitter: i64,
    points: i64,
    units: CalendarUnits,
    whole: bool,
    explains: bool,
    keeps: bool,
    rolls: Vec<Roll>,
}

/// Somebody rolls, and perhaps dies of it.
#[derive(Debug, Clone)]
struct Roll {
    /// How many of the events there are before.
    after: usize,
    /// Of which key, from where, how much.
    other: bool,
    from: i64,
    length: i64,
    /// How many writes are answered; whether the one after them arrives all the same.
    writes: u8,
    arrives: bool,
    /// A worker that has written so many units, and rolls what ends in the time that it wrote.
    busy: Option<u64>,
}

/// Zones whose days begin at an edge of most slots, at one of few, and whose clocks change by less than any.
const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago"];

fn units() -> impl Strategy<Value = CalendarUnits> {
    let unit = proptest::sample::select(&[CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month]);
    (1..4u32, unit, proptest::sample::select(&ZONES)).prop_map(|(count, unit, zone)| CalendarUnits {
        count: count.try_into().unwrap(),
        unit,
        zone: zone.parse().unwrap(),
    })
}

fn case() -> impl Strategy<Value = Case> {
    let event = (any::<bool>(), -1_400..30i64, 0..1_000i64, 0..3u8, prop::char::range('a', 'z'));
    let now = -300_000_000_000_000..2_500_000_000_000_000i64;
    let interval = (-1_300..20i64, 1..1_000i64, -3_000_000..3_000_000i64, 1..6i64);
    let roll =
        (0..40usize, any::<bool>(), -1_300..20i64, 1..1_300i64, prop_oneof![Just(u8::MAX), 0..8u8], any::<bool>());
    let busy = prop::option::of(prop_oneof![Just(u64::MAX), 0..400u64]);
    let roll = (roll, busy).prop_map(|((after, other, from, length, writes, arrives), busy)| Roll {
        after,
        other,
        from,
        length,
        writes,
        arrives,
        busy,
    });
    let rolls = (any::<bool>(), any::<bool>(), prop::collection::vec(roll, 0..5));
    (now, prop::collection::vec(event, 0..40), interval, units(), any::<bool>(), rolls).prop_map(
        |(now, events, (start, length, jitter, points), units, whole, (explains, keeps, rolls))| Case {
            now,
            events,
            start,
            length,
            jitter,
            points,
            units,
            whole,
            explains,
            keeps,
            rolls,
        },
    )
}

/// What a table was asked.
#[derive(Default)]
struct Asked {
    /// Tiles that were not read, as they were kept.
    kept: AtomicU64,
    /// Stretches of time that all keys were asked about in the end, each cut in one way, and series of one.
    windows: AtomicU64,
}

impl Asked {
    fn window(&self) {
        self.windows.fetch_add(1, Ordering::Relaxed);
    }
}

async fn check<W: Shape, A: OfEvent>(place: &Place<'_>, case: &Case, asked: &Asked) -> Result<(), TestCaseError> {
    let now = place.now(case.now);
    let keep = W::WINDOW.retention().unwrap_or(Span::from_seconds(86_400)).as_micros();
    let at =
        |thousandths: i64, jitter: i64| Timestamp::from_micros(now.as_micros() + thousandths * (keep / 1_000) + jitter);
    let events: Vec<Happening> = case
        .events
        .iter()
        .map(|&(other, thousandths, jitter, partition, what)| Happening {
            id: if other { "b" } else { "a" }.into(),
            at: at(thousandths, jitter * 1_000),
            partition,
            what,
        })
        .collect();
    let store = place.empty();
    let clock = Arc::new(Standing(now));
    let mut filler = Filler::<Test<W, A>>::new(&*store, 1);
    let (mut late, mut taken) = (Vec::new(), 0);
    let keeping = Reader::<Test<W, A>>::new(store.clone(), 1).clock(clock.clone()).caching(&TileCache::new(1 << 20));
    for roll in &case.rolls {
        let before = roll.after.clamp(taken, events.len());
        late.extend(filler.take(&events[taken..before]).await);
        taken = before;
        let hook = Arc::new(Falling::new(roll.writes, roll.arrives));
        let hooked = Arc::new(Hooked { inner: store.clone(), hook: hook.clone() });
        let roller = Reader::<Test<W, A>>::new(hooked, 1).clock(clock.clone());
        let range = TimeRange::new(at(roll.from, case.jitter), at(roll.from + roll.length, 0));
        let id = if roll.other { "b" } else { "a" };
        let rolled = match roll.busy {
            None => roller.roll(&Id::new(id), range).await,
            Some(units) => {
                let tiling = <Test<W, A>>::tiling();
                let stretch = TimeRange::new(tiling.locate(range.start).0.start, tiling.locate(range.end).0.start);
                roller.roll_busy(&key_text(id), stretch, Worth { units: units / 10, bytes: units }).await
            }
        };
        prop_assert!(rolled.is_ok() || hook.has_died(), "{:?}", rolled);
        meanwhile(&keeping, &Naive::new(&events[..taken], &late, now), range, asked).await?;
    }
    late.extend(filler.take(&events[taken..]).await);
    let naive = Naive::<Test<W, A>>::new(&events, &late, now);
    let everything = TimeRange::new(at(case.start, case.jitter), at(case.start + case.length, 0));
    meanwhile(&keeping, &naive, everything, asked).await?;
    let fresh = Reader::<Test<W, A>>::new(store.clone(), 1).clock(clock);
    let reader = if case.keeps { keeping } else { fresh };
    let reader = if case.explains { reader.explaining() } else { reader };
    let keys = ["a", "b", "nobody", "a"].map(Id::new);

    let mut asks = vec![Ask::Retention];
    if W::WINDOW != Window::AllTime {
        let start = at(case.start, case.jitter);
        let span = Span::from_micros((case.length * (keep / 1_000)) as u64);
        asks.push(Ask::Window { span, end: None });
        asks.push(Ask::Window { span, end: Some(start) });
        asks.push(Ask::Range(TimeRange::new(start, start.saturating_add(span))));
        let Case { units, whole, .. } = *case;
        for ask in [None, Some(start)].map(|end| Ask::Calendar { units, whole, end }) {
            if units.least() <= W::WINDOW.retention().unwrap() {
                asks.push(ask);
            } else {
                let refused = reader.ask(&keys[0], ask, Eventual).await.unwrap_err();
                prop_assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
            }
        }
    }
    let sawtooth = reader.clone().edges(Edges::Sawtooth);
    for ask in asks {
        let answers = reader.ask_many(&keys, ask, Eventual).await.unwrap();
        prop_assert_eq!(answers.len(), keys.len());
        asked.window();
        for (Id { id }, answer) in keys.iter().zip(&answers) {
            let (value, presence) = naive.answer(id, ask);
            prop_assert_eq!(&answer.value, &value, "{:?} of {}", ask, id);
            prop_assert_eq!(answer.presence, presence, "{:?} of {}", ask, id);
            truthful::<Test<W, A>>(answer, ask, now)?;
        }
        let explained = answers.iter().map(|answer| answer.explanation.is_some());
        prop_assert_eq!(explained.collect::<Vec<_>>(), [case.explains, false, false, false]);
        if let Ask::Range(range) = ask {
            series(&reader, &naive, range, case.points).await?;
            asked.window();
            calendar_series(&reader, &naive, range, case.units).await?;
            asked.window();
        }
        match (ask, sawtooth.ask_many(&keys, ask, Eventual).await) {
            (Ask::Calendar { .. }, refused) => {
                prop_assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
            }
            (Ask::Retention, same) => {
                prop_assert!(same.unwrap().iter().map(|a| &a.value).eq(answers.iter().map(|a| &a.value)));
                asked.window();
            }
            (ask, answers) => {
                asked.window();
                for (Id { id }, answer) in keys.iter().zip(&answers.unwrap()) {
                    outwards::<Test<W, A>>(answer, ask, now)?;
                    let covered = TimeRange::new(answer.interval.start.unwrap(), answer.interval.end.unwrap());
                    let (value, presence) = naive.over(id, covered);
                    prop_assert_eq!(&answer.value, &value, "{:?} of {} over {:?}", ask, id, covered);
                    prop_assert_eq!(answer.presence, presence, "{:?} of {} over {:?}", ask, id, covered);
                }
            }
        }
        if let Ask::Range(range) = ask {
            let slot = W::WINDOW.slot().unwrap();
            let step = Span::from_micros((slot.as_micros() * case.points) as u64);
            let series = sawtooth.series(&keys[0], range.start, Some(range.end), Some(step), Eventual).await.unwrap();
            points(&series, &naive)?;
            asked.window();
        }
    }
    Ok(())
}

/// What a reader that keeps tiles answers in between, while more is still to come.
async fn meanwhile<W: Shape, A: OfEvent>(
    reader: &Reader<Test<W, A>>,
    naive: &Naive<'_, Test<W, A>>,
    range: TimeRange,
    asked: &Asked,
) -> Result<(), TestCaseError> {
    let keys = ["a", "b"].map(Id::new);
    let ranged = W::WINDOW != Window::AllTime && !range.is_empty();
    for ask in [Some(Ask::Retention), ranged.then_some(Ask::Range(range))].into_iter().flatten() {
        // A strong answer looks at the records, which are otherwise good for a second. By two looks it is known what is
        // rolled for good, and the second eventual answer has all that is kept.
        for consistency in [Strong, Strong, Eventual, Eventual] {
            let answers = match reader.clone().explaining().ask_many(&keys, ask, consistency).await {
                Err(error) if error.kind() == ErrorKind::InvalidArgument => break,
                answers => answers.unwrap(),
            };
            for (Id { id }, answer) in keys.iter().zip(&answers) {
                let (value, presence) = naive.answer(id, ask);
                prop_assert_eq!(&answer.value, &value, "{:?} of {} by {:?}", ask, id, consistency);
                prop_assert_eq!(answer.presence, presence, "{:?} of {} by {:?}", ask, id, consistency);
            }
            let levels = answers[0].explanation.iter().flat_map(|explanation| &explanation.levels);
            asked.kept.fetch_add(levels.map(|reads| reads.kept).sum(), Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Each side of an interval that is cut at hops lies outside of what was asked for, by less than a twelfth of it where it is
/// not as with slots, and neither out of retention nor in the future.
fn outwards<P: Pipeline>(answer: &Answer<impl std::fmt::Debug>, ask: Ask, now: Timestamp) -> Result<(), TestCaseError> {
    let (tiling, asked) = (P::tiling(), naive::asked(ask, now));
    let Interval { start: Some(start), end: Some(end), start_exact, end_exact } = answer.interval else {
        return Err(TestCaseError::fail("no bound"));
    };
    prop_assert_eq!((start_exact, end_exact), (start == asked.start, end == asked.end));
    let exact = TimeRange::new(tiling.floor_slot(asked.start), tiling.ceil_slot(asked.end));
    let floor = P::SPEC.window.horizon(now).map(|horizon| tiling.floor_slot(horizon)).unwrap();
    let hop = |moved: Span| moved.as_micros() * 12 < asked.end.since(asked.start).as_micros();
    let is_kept = answer.presence != Presence::OutOfRetention;
    prop_assert!(start <= exact.start || is_kept && start == floor);
    prop_assert!(!is_kept || start >= floor);
    prop_assert!(start >= exact.start || hop(asked.start.since(start)), "{:?} from {}", ask, start);
    prop_assert!(end == exact.end || end > exact.end && hop(end.since(asked.end)), "{:?} to {}", ask, end);
    prop_assert!(end == exact.end || end <= naive::slot_end(&tiling, now));
    for side in [start, end] {
        prop_assert_eq!(tiling.floor_slot(side), side);
    }
    Ok(())
}

/// The points of a series have no gaps, and each equals the fold over its own range.
fn points<W: Shape, A: OfEvent>(series: &Series<A::Reply>, naive: &Naive<'_, Test<W, A>>) -> Result<(), TestCaseError> {
    prop_assert_eq!(series.points.is_empty(), series.presence == Presence::OutOfRetention);
    if let [first, .., last] = &series.points[..] {
        prop_assert_eq!((Some(first.range.start), Some(last.range.end)), (series.interval.start, series.interval.end));
    }
    for pair in series.points.windows(2) {
        prop_assert_eq!(pair[0].range.end, pair[1].range.start);
    }
    let mut folds: Vec<Option<A>> = series.points.iter().map(|_| None).collect();
    for event in naive.kept("a") {
        let next = series.points.partition_point(|point| point.range.start <= event.at);
        if next > 0 && series.points[next - 1].range.contains(event.at) {
            folds[next - 1].get_or_insert_with(A::identity).combine(A::of(event));
        }
    }
    let reply = |value: A| value.reply(&Question::default()).unwrap();
    let nothing = reply(A::identity());
    for (point, fold) in series.points.iter().zip(folds) {
        prop_assert_eq!(point.present, fold.is_some());
        prop_assert_eq!(&point.value, &fold.map_or_else(|| nothing.clone(), reply));
    }
    Ok(())
}

/// The interval of an answer says what was asked, moved at most to the edges of slots and to retention.
fn truthful<P: Pipeline>(answer: &Answer<impl std::fmt::Debug>, ask: Ask, now: Timestamp) -> Result<(), TestCaseError> {
    let Interval { start, end, start_exact, end_exact } = answer.interval;
    let asked = match ask {
        Ask::Retention => match P::SPEC.window.horizon(now) {
            Some(horizon) => TimeRange::new(horizon, now),
            None => {
                prop_assert!(start.is_none() && end.is_none() && start_exact && end_exact);
                return Ok(());
            }
        },
        ask => naive::asked(ask, now),
    };
    let tiling = P::tiling();
    let floor = P::SPEC.window.horizon(now).map(|horizon| tiling.floor_slot(horizon)).unwrap();
    let mut expected = tiling.floor_slot(asked.start);
    if answer.presence != Presence::OutOfRetention {
        expected = expected.max(floor);
    }
    prop_assert_eq!(start, Some(expected));
    let last = if ask == Ask::Retention { naive::slot_end(&tiling, now) } else { tiling.ceil_slot(asked.end) };
    prop_assert_eq!(end, Some(last));
    prop_assert_eq!((start_exact, end_exact), (start == Some(asked.start), end == Some(asked.end)));
    Ok(())
}

/// A series is of what is asked about, and its points begin at whole steps.
async fn series<W: Shape, A: OfEvent>(
    reader: &Reader<Test<W, A>>,
    naive: &Naive<'_, Test<W, A>>,
    range: TimeRange,
    slots: i64,
) -> Result<(), TestCaseError> {
    let slot = W::WINDOW.slot().unwrap();
    let step = Span::from_micros((slot.as_micros() * slots) as u64);
    let series = reader.series(&Id::new("a"), range.start, Some(range.end), Some(step), Eventual).await.unwrap();
    let (_, presence) = naive.answer("a", Ask::Range(range));
    prop_assert_eq!(series.presence, presence);
    if presence == Presence::OutOfRetention {
        prop_assert!(series.points.is_empty());
        return Ok(());
    }
    for pair in series.points.windows(2) {
        let from_start = pair[1].range.start.since(<Test<W, A>>::tiling().floor_slot(range.start));
        prop_assert_eq!(from_start.as_micros() % step.as_micros(), 0);
    }
    points(&series, naive)
}

/// The points of a series by the calendar have no gaps, begin with the units of the zone, and each equals the fold over
/// its own range; where a unit begins within a slot there is no series.
async fn calendar_series<W: Shape, A: OfEvent>(
    reader: &Reader<Test<W, A>>,
    naive: &Naive<'_, Test<W, A>>,
    range: TimeRange,
    units: CalendarUnits,
) -> Result<(), TestCaseError> {
    let tiling = <Test<W, A>>::tiling();
    let series = reader.series_of(&Id::new("a"), Ask::Range(range), Every::Calendar(units), Eventual).await;
    let whole = reader.range(&Id::new("a"), range, Eventual).await.unwrap();
    if whole.presence == Presence::OutOfRetention {
        prop_assert!(series.unwrap().points.is_empty());
        return Ok(());
    }
    let (start, end) = (whole.interval.start.unwrap(), whole.interval.end.unwrap());
    let asked_from = tiling.floor_slot(range.start);
    let edges: Vec<Timestamp> =
        units.edges(asked_from).skip_while(|edge| *edge <= start).take_while(|edge| *edge < end).collect();
    if edges.iter().any(|edge| tiling.floor_slot(*edge) != *edge) {
        let refused = series.unwrap_err();
        prop_assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        prop_assert!(refused.to_string().contains("within a slot of"), "{}", refused);
        return Ok(());
    }
    let series = series.unwrap();
    prop_assert_eq!((series.presence, series.interval), (whole.presence, whole.interval));
    let starts: Vec<Timestamp> = series.points.iter().map(|point| point.range.start).collect();
    prop_assert_eq!(starts, std::iter::once(start).chain(edges).collect::<Vec<_>>());
    points(&series, naive)
}

/// Text in a packed tile, and text that stands alone.
type Packed = Text<8>;
type Alone = Text<{ usize::MAX }>;

/// So many random cases of a window, with each kind of aggregate.
fn law<W: Shape>(on: On, cases: u32) {
    let (played, asked) = (AtomicUsize::new(0), Asked::default());
    Places::new(on).play(cases, |place, cases| {
        let config = ProptestConfig { cases, source_file: Some(file!()), ..ProptestConfig::default() };
        let mut runner = TestRunner::new(config);
        let result = runner.run(&case(), |case| {
            place.runtime.block_on(async {
                check::<W, Count>(place, &case, &asked).await?;
                check::<W, Packed>(place, &case, &asked).await?;
                check::<W, Alone>(place, &case, &asked).await
            })?;
            played.fetch_add(3, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}\n{runner}");
        }
    });
    let (windows, kept) = (asked.windows.into_inner(), asked.kept.into_inner());
    let tables = played.into_inner();
    println!("{:?}: {tables} tables asked about {windows} windows, 0 wrong, {kept} tiles kept", W::WINDOW);
}

macro_rules! every {
    ($($name:ident: $shape:ident;)*) => {
        $(
            #[test]
            fn $name() {
                law::<$shape>(On::asked(), cases());
            }
        )*

        /// So many cases of each window.
        #[cfg(any(feature = "embedded", feature = "dynamodb"))]
        fn all(on: On, cases: u32) {
            $(law::<$shape>(on, cases);)*
        }
    };
}

every! {
    without_a_window_equals_a_plain_fold: AllTime;
    tumbling_hours_equal_a_plain_fold: Hourly;
    tumbling_weeks_equal_a_plain_fold: Weekly;
    sliding_seconds_equal_a_plain_fold: Seconds;
    sliding_minutes_equal_a_plain_fold: Minutes;
    slots_that_fit_no_larger_unit_equal_a_plain_fold: Sevens;
    sliding_hours_equal_a_plain_fold: Hours;
    slots_of_an_hour_and_a_half_equal_a_plain_fold: HalfThirds;
    sliding_days_equal_a_plain_fold: Days;
    a_month_of_quarters_of_an_hour_equals_a_plain_fold: MonthOfQuarters;
}

#[cfg(feature = "embedded")]
#[test]
fn tables_on_a_disk_equal_a_plain_fold() {
    all(On::Disk, 10);
}

#[cfg(feature = "dynamodb")]
#[test]
#[ignore = "needs the server that MURMUR_TEST_DYNAMODB names"]
fn tables_of_a_server_equal_a_plain_fold() {
    all(On::Server, 1);
}

#[test]
fn the_two_texts_are_packed_and_not_packed() {
    use crate::time::Level;
    assert_eq!(<Test<Minutes, Packed>>::tiling().finest(), Level::Hour);
    assert_eq!(<Test<Minutes, Alone>>::tiling().finest(), Level::Slot);
}
