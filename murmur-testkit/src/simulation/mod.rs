//! The real engine in a made-up world: paused time, one thread, one seed.
//!
//! A schedule lets several workers come and go over a growing log. Workers overlap, crash between any two steps, and
//! stop in good order; the store loses requests and replies, is slow, takes nothing of some keys for some seconds, lets
//! copies of requests land long after, and is put back to an earlier state now and then. What is finished is rolled by workers and by others, several at once,
//! of whom some die of it; partitions are retired and recalled while their owners live on. Dead letters go to a topic,
//! to a folder of each worker, or to one that all share as the workers of a process do; in that one each letter must be
//! once. Most schedules last six hours of event time, and those of four neighbouring seeds of each sixteen sixty days,
//! for the levels of days and months. At the end one undisturbed worker reads the log to its end; then every slot of
//! every tile must be what an independent fold of the log gives: never less, never more.

mod alike;
mod answers;
mod course;
mod defect;
mod letters;
mod log;
mod schedule;
mod store;
mod subject;

use murmur::engine::Decode;
use murmur::pipeline::Pipeline;
use murmur::time::Timestamp;

pub use course::Course;
pub use defect::Defect;
/// Random numbers from a seed.
pub use fastrand::Rng;
use subject::{Hours, Months, One, Subject, Swinging};

use crate::pipelines::Tick;

/// What a run of schedules came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Schedules run.
    pub schedules: u64,
    /// Events in their logs.
    pub events: u64,
    /// Workers killed.
    pub crashes: u64,
    /// Times that a worker went back to its commits.
    pub rewinds: u64,
    /// Requests sent again.
    pub resent: u64,
    /// Slots rolled for those who asked.
    pub rolled: u64,
    /// Slots that workers rolled by themselves.
    pub rolled_by_workers: u64,
    /// Slots of months, and of two days and more, that were rolled at the end of a schedule.
    pub rolled_high: u64,
    /// Times that an operator retired a partition.
    pub retired: u64,
    /// Slots marked, at the end of a schedule, as events of a retired partition may not be in what was rolled into them.
    pub unrolled: u64,
    /// Tiles that readers did not read again, as they kept them.
    pub kept: u64,
    /// Times that the store was put back to an earlier state.
    pub restores: u64,
    /// Times that a tile was full, and closed to a partition.
    pub closed: u64,
    /// Times that a worker had a dead letter which another one of its process had put.
    pub met: u64,
    /// The first schedule that ended wrong; running stops there.
    pub failure: Option<Failure>,
}

/// A schedule that ended wrong.
#[derive(Debug)]
pub struct Failure {
    /// Its seed: the same seed gives the same schedule.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
}

/// Run `schedules` schedules of the testkit's own pipelines with the seeds `seed..`, until one ends wrong: over this course
/// of time, or without one over months for four of sixteen.
pub fn simulate_own(seed: u64, schedules: u64, course: Option<Course>, defect: Option<Defect>) -> Report {
    run(seed, schedules, defect, |seed| match course.unwrap_or_else(|| Course::of(seed)) {
        Course::Hours if seed % 4 == 3 => &Swinging::NEW as &dyn Subject<Event = Tick>,
        Course::Hours => &Hours::NEW,
        Course::Months => &Months::NEW,
    })
}

fn run<'s, S: Subject + ?Sized + 's>(
    seed: u64,
    schedules: u64,
    defect: Option<Defect>,
    subject: impl Fn(u64) -> &'s S,
) -> Report {
    let mut report = Report::default();
    for seed in seed..seed.saturating_add(schedules) {
        report.schedules += 1;
        if let Err(what) = schedule::run(subject(seed), seed, defect, &mut report) {
            report.failure = Some(Failure { seed, what });
            break;
        }
    }
    report
}

/// Simulate a pipeline: one line of a test.
///
/// The real engine runs it through so many schedules of crashes, lost requests and replies, late duplicates and
/// overlapping owners. What it keeps, slot by slot, must be the fold of the log event by event; what cannot be counted
/// must lie in the dead letters.
///
/// `payload` makes the next message of the log, about something that happened at the time it is given. It may make
/// messages that do not decode. `decode` is [`json`](murmur::engine::json), or what else turns a payload into the event.
///
/// Values of Form B are compared by their bytes, floats of Form A in their first nine digits. What readers answer is compared
/// bit for bit, but [`Moments`](murmur::aggregate::Moments) within the error that they state.
///
/// What happens takes six hours; with four neighbouring seeds of each sixteen sixty days, of a pipeline that keeps as much,
/// so that days and months of it are rolled.
///
/// ```
/// use murmur::engine::json;
/// use murmur::prelude::*;
///
/// #[murmur::event]
/// #[derive(serde::Deserialize)]
/// struct Order {
///     shop: String,
///     cents: u64,
///     #[murmur(time)]
///     at: Timestamp,
/// }
///
/// #[murmur::aggregate]
/// struct Turnover {
///     orders: Count,
///     cents: Sum<u64>,
///     largest: Max<u64>,
/// }
///
/// #[murmur::pipeline(key = shop, window = sliding("30d", slot = "1h"))]
/// fn shop_turnover(order: &Order) -> Turnover {
///     Turnover { orders: Count::one(), cents: Sum::of(order.cents), largest: Max::of(order.cents) }
/// }
///
/// // In a `#[test]`:
/// murmur_testkit::simulate::<ShopTurnover>(json, |rng, at| {
///     format!(r#"{{"shop":"s{}","cents":{},"at":"{at}"}}"#, rng.u8(..4), rng.u16(..)).into_bytes()
/// }, 200);
/// ```
///
/// # Panics
///
/// When a schedule ends wrong: with its seed, which `MURMUR_SEED` gives again as the first one.
#[track_caller]
#[allow(clippy::panic, reason = "this is an assertion")]
pub fn simulate<P: Pipeline>(
    decode: Decode<P::Event>,
    payload: impl Fn(&mut Rng, Timestamp) -> Vec<u8> + Sync,
    schedules: u64,
) -> Report {
    let seed = std::env::var("MURMUR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let over = |course| One::<P, _> { course, decode, payload: &payload };
    let (hours, months) = (over(Course::Hours), over(Course::Months));
    let keeps_months = P::SPEC.window.retention() > Some(Course::Months.length());
    let report = run(seed, schedules, None, |seed| match Course::of(seed) {
        Course::Months if keeps_months => &months,
        _ => &hours,
    });
    if let Some(Failure { seed, what }) = &report.failure {
        panic!("`{}` under the schedule of MURMUR_SEED={seed}: {what}", P::SPEC.name);
    }
    report
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use murmur::aggregate::{DecodeError, Form, Monoid, Question};
    use murmur::pipeline::{Emissions, Spec};
    use murmur::time::{Span, Window};

    use super::*;
    use crate::pipelines::{Kinds, Swings, Tick, TickKey, Trails, decode};

    #[test]
    fn no_schedule_ends_wrong() {
        // On two cores.
        let halves = std::thread::scope(|scope| {
            let halves = [1, 1_501].map(|seed| scope.spawn(move || simulate_own(seed, 1_500, None, None)));
            halves.map(|half| half.join().unwrap())
        });
        for report in halves {
            assert!(report.failure.is_none(), "{:?}", report.failure);
            assert!(report.crashes > 500 && report.rewinds > 50 && report.resent > 500, "too tame: {report:?}");
            assert!(report.closed > 250 && report.rolled > 2_500 && report.restores > 12, "too tame: {report:?}");
            assert!(report.rolled_high > 500 && report.retired > 250 && report.unrolled > 250, "too tame: {report:?}");
            assert!(report.kept > 500 && report.rolled_by_workers > 500 && report.met > 250, "too tame: {report:?}");
        }
    }

    /// In the first a score depended on whether amounts of 106 half-lives ago came before or after a tie that they decide;
    /// in the second four equal numbers had a variance where they were put together one by one.
    #[test]
    fn what_is_answered_does_not_depend_on_how_events_are_grouped() {
        for seed in [778_321, 9_009_590] {
            let report = simulate_own(seed, 1, None, None);
            assert!(report.failure.is_none(), "{:?}", report.failure);
        }
    }

    #[test]
    fn every_defect_is_found() {
        for defect in Defect::value_variants() {
            assert!(simulate_own(1, 2_000, None, Some(*defect)).failure.is_some(), "{defect:?} was not found");
        }
    }

    #[test]
    fn defects_of_rolling_are_found_in_months_too() {
        for defect in Defect::value_variants().iter().copied().filter(|defect| defect.is_about_rolling()) {
            let report = simulate_own(1, 500, Some(Course::Months), Some(defect));
            assert!(report.failure.is_some(), "{defect:?} was not found");
        }
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again() {
        let run = || {
            let report = simulate_own(77, 20, None, None);
            (report.events, report.crashes, report.rewinds, report.resent)
        };
        assert_eq!(run(), run());
    }

    fn payload(rng: &mut Rng, at: Timestamp) -> Vec<u8> {
        Tick { key: rng.u8(..3).to_string(), at, amount: rng.u64(1..1_000) }.to_payload()
    }

    #[test]
    fn a_pipeline_of_the_user_is_simulated() {
        let report = simulate::<Trails>(decode, payload, 200);
        assert!(report.schedules == 200 && report.crashes > 100 && report.resent > 100, "too tame: {report:?}");
    }

    /// With one of these seeds an engine came to a wrong sum that took bytes which it had sent before for stored.
    #[test]
    fn a_value_that_comes_back_to_what_it_was_is_written_again() {
        let swings = One::<Swings, _> { course: Course::Hours, decode, payload: &payload };
        let report = run(2_600, 100, None, |_| &swings);
        assert!(report.failure.is_none(), "{:?}", report.failure);
    }

    #[test]
    fn one_aggregate_of_each_kind_is_exact_by_bytes() {
        let report = simulate::<Kinds>(decode, payload, 100);
        assert!(report.crashes > 100 && report.resent > 20 && report.rolled > 200, "too tame: {report:?}");
    }

    /// Keeps the mean of two means: not associative, as a `TopK` with more keys than it has room for is not in its bytes.
    #[derive(Debug, Clone, Copy)]
    struct MeanOfMeans(f64);

    impl Monoid for MeanOfMeans {
        const FORM: Form = Form::Put;
        const MAX_BYTES: usize = 8;
        type Reply = f64;

        fn identity() -> Self {
            Self(0.0)
        }

        fn combine(&mut self, later: Self) {
            self.0 = if self.0 == 0.0 { later.0 } else { (self.0 + later.0) / 2.0 };
        }

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0.to_le_bytes());
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            let bytes = bytes.try_into().map_err(|_| DecodeError("not 8 bytes".into()))?;
            Ok(Self(f64::from_le_bytes(bytes)))
        }

        fn reply(&self, _: &Question) -> murmur::Result<f64> {
            Ok(self.0)
        }
    }

    struct Means;

    /// All that happens lies in two slots, so that many events meet.
    const HOURS: Window = Window::Sliding { span: Span::from_seconds(86_400), slot: Span::from_seconds(3_600) };

    impl Pipeline for Means {
        type Event = Tick;
        type Key = TickKey;
        type Aggregate = MeanOfMeans;
        const SPEC: Spec = Spec { name: "means", window: HOURS, ..Trails::SPEC };

        fn apply(event: &Tick, out: &mut Emissions<MeanOfMeans>) {
            out.begin("").field(&String::new());
            out.emit(MeanOfMeans(event.amount as f64));
        }
    }

    #[test]
    fn an_aggregate_that_depends_on_how_events_are_grouped_is_folded_event_by_event() {
        simulate::<Means>(decode, payload, 500);
    }
}
