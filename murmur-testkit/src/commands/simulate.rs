use std::io;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use murmur_testkit::simulation::{Course, Defect, Report, simulate_own};

use super::{Output, data, ended};

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// How many schedules; their seeds count up from --seed.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// Seed of the first schedule.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how long things happen in each of them; by default months for four seeds of sixteen.
    #[arg(long)]
    over: Option<Course>,
    /// Switch on this defect; the simulation must then find it.
    #[arg(long = "break", value_name = "NAME")]
    defect: Option<Defect>,
    /// How to print the result.
    #[arg(short, long, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: &SimulateArgs) -> ExitCode {
    let report = simulate_own(args.seed, args.schedules, args.over, args.defect);
    let is_right = report.failure.is_some() == args.defect.is_some();
    let found = if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    ended(print(&report, args.defect, args.output), found)
}

fn print(report: &Report, defect: Option<Defect>, output: Output) -> io::Result<()> {
    let name = defect.and_then(|defect| Some(defect.to_possible_value()?.get_name().to_owned()));
    match output {
        Output::Json => {
            let failure = report.failure.as_ref().map(|f| serde_json::json!({ "seed": f.seed, "what": f.what }));
            let line = serde_json::json!({
                "name": "simulate", "schedules": report.schedules, "events": report.events,
                "crashes": report.crashes, "rewinds": report.rewinds, "resent": report.resent, "rolled": report.rolled, "rolled_by_workers": report.rolled_by_workers, "rolled_high": report.rolled_high, "retired": report.retired, "unrolled": report.unrolled, "closed": report.closed,
                "restores": report.restores, "kept": report.kept, "letters_met": report.met,
                "broken": name, "failure": failure,
            });
            data(format_args!("{line}"))
        }
        Output::Table => {
            data(format_args!(
                "{} schedules, {} events, {} crashes, {} rewinds, {} requests sent again, {} slots rolled, {} by workers, {} of months and several days at the end, {} partitions retired, {} slots unrolled, {} times a full tile, {} restores, {} tiles kept, {} letters met",
                report.schedules,
                report.events,
                report.crashes,
                report.rewinds,
                report.resent,
                report.rolled,
                report.rolled_by_workers,
                report.rolled_high,
                report.retired,
                report.unrolled,
                report.closed,
                report.restores,
                report.kept,
                report.met
            ))?;
            match (&report.failure, name) {
                (None, None) => data(format_args!("0 wrong")),
                (Some(failure), None) => data(format_args!("WRONG at seed {}: {}", failure.seed, failure.what)),
                (Some(failure), Some(name)) => {
                    data(format_args!("`{name}` was found at seed {}: {}", failure.seed, failure.what))
                }
                (None, Some(name)) => data(format_args!("`{name}` was NOT found")),
            }
        }
    }
}
