//! The law of this module: plan and fold over tiles equal a plain fold over all events.

use proptest::prelude::*;

use super::*;
use crate::ErrorKind;
use crate::query::{Answer, Ask, Every, Interval, Presence};
use crate::store::Consistency::Eventual;
use crate::time::{CalendarUnit, CalendarUnits, Tiling, TimeRange};

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
    /// How many of the events there are before the rolls.
    before: usize,
    /// What is rolled: of which key, from where, how much.
    rolls: Vec<(bool, i64, i64)>,
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
    let rolls = (0..40usize, prop::collection::vec((any::<bool>(), -1_300..20i64, 1..1_300i64), 0..4));
    (now, prop::collection::vec(event, 0..40), interval, units(), any::<bool>(), rolls).prop_map(
        |(now, events, (start, length, jitter, points), units, whole, (before, rolls))| Case {
            now,
            events,
            start,
            length,
            jitter,
            points,
            units,
            whole,
            before,
            rolls,
        },
    )
}

/// All that is kept of a test, folded without tiles.
struct Naive<'a, P> {
    events: &'a [Happening],
    /// Which of them came late.
    late: &'a [bool],
    now: Timestamp,
    pipeline: PhantomData<P>,
}

impl<P> Naive<'_, P>
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    /// The events of a key that have not expired, in the order in which they are to be combined.
    fn kept(&self, id: &str) -> Vec<&Happening> {
        let tiling = P::tiling();
        let kept = |(event, _): &(&Happening, bool)| {
            let tile = tiling.locate(event.at).0;
            event.id == id && tiling.expiry(tile, &P::SPEC.window).is_none_or(|at| at > self.now)
        };
        let mut kept: Vec<_> = self.events.iter().zip(self.late.iter().copied()).filter(kept).collect();
        kept.sort_by_key(|(event, late)| (*late, tiling.floor_slot(event.at), event.partition));
        kept.into_iter().map(|(event, _)| event).collect()
    }

    fn fold(&self, id: &str, within: impl Fn(Timestamp) -> bool) -> (P::Aggregate, usize) {
        let mut all = P::Aggregate::identity();
        let mut count = 0;
        for event in self.kept(id).into_iter().filter(|event| within(event.at)) {
            all.combine(OfEvent::of(event));
            count += 1;
        }
        (all, count)
    }

    fn answer(&self, id: &str, ask: Ask) -> (<P::Aggregate as Monoid>::Reply, Presence) {
        let tiling = P::tiling();
        let floor = P::SPEC.window.horizon(self.now).map(|horizon| tiling.floor_slot(horizon));
        let range = match ask {
            Ask::Retention => match floor {
                Some(floor) => TimeRange::new(floor, slot_end(&tiling, self.now)),
                None => TimeRange::new(Timestamp::MIN, Timestamp::MAX),
            },
            Ask::Window { span, end } => {
                let end = end.unwrap_or(self.now);
                TimeRange::new(tiling.floor_slot(end.saturating_sub(span)), tiling.ceil_slot(end))
            }
            Ask::Range(range) => TimeRange::new(tiling.floor_slot(range.start), tiling.ceil_slot(range.end)),
            Ask::Calendar { .. } => {
                let range = stretch(ask, self.now);
                TimeRange::new(tiling.floor_slot(range.start), tiling.ceil_slot(range.end))
            }
        };
        let kept = |at| range.contains(at) && floor.is_none_or(|floor| at >= floor);
        let (value, count) = self.fold(id, kept);
        let gone = floor.is_some_and(|floor| range.end <= floor);
        let presence = match (count, gone, self.kept(id).is_empty()) {
            (1.., _, _) => Presence::Present,
            (0, true, _) => Presence::OutOfRetention,
            (0, false, true) => Presence::Absent,
            (0, false, false) => Presence::Empty,
        };
        (value.reply(&Question::default()).unwrap(), presence)
    }
}

/// What a calendar makes of a question.
fn stretch(ask: Ask, now: Timestamp) -> TimeRange {
    let Ask::Calendar { units, whole, end } = ask else { panic!("{ask:?} is none of the calendar") };
    let end = end.unwrap_or(now.saturating_add(Span::from_micros(1)));
    if whole { units.whole_before(end).unwrap() } else { units.before(end).unwrap() }
}

async fn check<W: Shape, A: OfEvent>(case: &Case) -> Result<(), TestCaseError> {
    let now = Timestamp::from_micros(case.now);
    let keep = W::WINDOW.retention().unwrap_or(Span::from_seconds(86_400)).as_micros();
    let at = |thousandths: i64, jitter: i64| Timestamp::from_micros(case.now + thousandths * (keep / 1_000) + jitter);
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
    let store = Arc::new(MemoryStore::new());
    // One for each, since a reader need not see for a second what is written after it has looked.
    let reader = || Reader::<Test<W, A>>::new(store.clone(), 1).clock(Arc::new(Standing(now)));
    let (roller, reader) = (reader(), reader());
    let mut filler = Filler::<Test<W, A>>::new(&*store);
    let (before, after) = events.split_at(case.before.min(events.len()));
    let mut late = filler.take(before).await;
    for &(other, from, length) in &case.rolls {
        let id = Id::new(if other { "b" } else { "a" });
        roller.roll(&id, TimeRange::new(at(from, case.jitter), at(from + length, 0))).await.unwrap();
    }
    late.extend(filler.take(after).await);
    let naive = Naive::<Test<W, A>> { events: &events, late: &late, now, pipeline: PhantomData };
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
    for ask in asks {
        let answers = match ask {
            Ask::Retention => reader.get_many(&keys, Eventual).await,
            Ask::Window { span, end } => reader.window_many(&keys, span, end, Eventual).await,
            Ask::Range(range) => reader.range_many(&keys, range, Eventual).await,
            Ask::Calendar { .. } => reader.ask_many(&keys, ask, Eventual).await,
        };
        let answers = answers.unwrap();
        prop_assert_eq!(answers.len(), keys.len());
        for (Id { id }, answer) in keys.iter().zip(&answers) {
            let (value, presence) = naive.answer(id, ask);
            prop_assert_eq!(&answer.value, &value, "{:?} of {}", ask, id);
            prop_assert_eq!(answer.presence, presence, "{:?} of {}", ask, id);
            truthful::<Test<W, A>>(answer, ask, now)?;
        }
        if let Ask::Range(range) = ask {
            series(&reader, &naive, range, case.points).await?;
            calendar_series(&reader, &naive, range, case.units).await?;
        }
    }
    Ok(())
}

/// The end of the slot that `at` lies in.
fn slot_end(tiling: &Tiling, at: Timestamp) -> Timestamp {
    let (tile, slot) = tiling.locate(at);
    tiling.slot_range(tile, slot).end
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
        Ask::Window { span, end } => {
            let end = end.unwrap_or(now);
            TimeRange::new(end.saturating_sub(span), end)
        }
        Ask::Range(range) => range,
        Ask::Calendar { .. } => stretch(ask, now),
    };
    let tiling = P::tiling();
    let floor = P::SPEC.window.horizon(now).map(|horizon| tiling.floor_slot(horizon)).unwrap();
    let mut expected = tiling.floor_slot(asked.start);
    if answer.presence != Presence::OutOfRetention {
        expected = expected.max(floor);
    }
    prop_assert_eq!(start, Some(expected));
    let last = if ask == Ask::Retention { slot_end(&tiling, now) } else { tiling.ceil_slot(asked.end) };
    prop_assert_eq!(end, Some(last));
    prop_assert_eq!((start_exact, end_exact), (start == Some(asked.start), end == Some(asked.end)));
    Ok(())
}

/// The points of a series have no gaps, and each equals the fold over its own range.
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
    prop_assert_eq!(series.points.first().map(|p| p.range.start), series.interval.start);
    prop_assert_eq!(series.points.last().map(|p| p.range.end), series.interval.end);
    for pair in series.points.windows(2) {
        prop_assert_eq!(pair[0].range.end, pair[1].range.start);
        let from_start = pair[1].range.start.since(<Test<W, A>>::tiling().floor_slot(range.start));
        prop_assert_eq!(from_start.as_micros() % step.as_micros(), 0);
    }
    for point in &series.points {
        let (value, count) = naive.fold("a", |at| point.range.contains(at));
        prop_assert_eq!(&point.value, &value.reply(&Question::default()).unwrap());
        prop_assert_eq!(point.present, count > 0);
    }
    Ok(())
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
    let ends = series.points.iter().skip(1).map(|point| point.range.start).chain([end]);
    for (point, end) in series.points.iter().zip(ends) {
        prop_assert_eq!(point.range.end, end);
        let (value, count) = naive.fold("a", |at| point.range.contains(at));
        prop_assert_eq!(&point.value, &value.reply(&Question::default()).unwrap());
        prop_assert_eq!(point.present, count > 0);
    }
    Ok(())
}

/// Text in a packed tile, and text that stands alone.
type Packed = Text<8>;
type Alone = Text<{ usize::MAX }>;

macro_rules! every {
    ($($name:ident: $shape:ident;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(96))]
            $(
                #[test]
                fn $name(case in case()) {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        check::<$shape, Count>(&case).await?;
                        check::<$shape, Packed>(&case).await?;
                        check::<$shape, Alone>(&case).await
                    })?;
                }
            )*
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

#[test]
fn the_two_texts_are_packed_and_not_packed() {
    use crate::time::Level;
    assert_eq!(<Test<Minutes, Packed>>::tiling().finest(), Level::Hour);
    assert_eq!(<Test<Minutes, Alone>>::tiling().finest(), Level::Slot);
}
