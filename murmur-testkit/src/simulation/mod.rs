//! The real engine in a made-up world: paused time, one thread, one seed.
//!
//! A schedule lets several workers come and go over a growing log. Workers overlap, crash between any two steps, and
//! stop in good order; the store loses requests and replies, is slow, and lets copies of requests land long after.
//! At the end one undisturbed worker reads the log to its end; then every slot of every tile must be what an
//! independent fold of the log gives: never less, never more.

mod defect;
mod log;
mod schedule;
mod store;

pub use defect::Defect;

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

/// Run `schedules` schedules with the seeds `seed..`, until one ends wrong.
pub fn simulate(seed: u64, schedules: u64, defect: Option<Defect>) -> Report {
    let mut report = Report::default();
    for seed in seed..seed.saturating_add(schedules) {
        report.schedules += 1;
        if let Err(what) = schedule::run(seed, defect, &mut report) {
            report.failure = Some(Failure { seed, what });
            break;
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn no_schedule_ends_wrong() {
        let report = simulate(1, 2_000, None);
        assert!(report.failure.is_none(), "{:?}", report.failure);
        assert!(report.crashes > 1_000 && report.rewinds > 100 && report.resent > 1_000, "too tame: {report:?}");
    }

    #[test]
    fn every_defect_is_found() {
        for defect in Defect::value_variants() {
            assert!(simulate(1, 2_000, Some(*defect)).failure.is_some(), "{defect:?} was not found");
        }
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again() {
        let run = || {
            let report = simulate(77, 20, None);
            (report.events, report.crashes, report.rewinds, report.resent)
        };
        assert_eq!(run(), run());
    }
}
