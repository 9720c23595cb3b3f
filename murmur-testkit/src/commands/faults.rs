use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use murmur_testkit::faults::{Row, Run, Settings, elsewhere, find, rows, run};
use serde_json::json;

use super::{Output, data, ended, note};

#[derive(Args)]
pub(crate) struct FaultsArgs {
    /// The number of a fault (`F05`), or `all`
    #[arg(required_unless_present = "list")]
    which: Vec<String>,
    /// How long events are sent in each; a few seconds by default.
    #[arg(long, value_name = "M", value_parser = minutes)]
    minutes: Option<f64>,
    /// What is sent, and what happens when; a random one by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Keep one aggregate of each kind too.
    #[arg(long)]
    kinds: bool,
    /// List the faults and what is promised.
    #[arg(long)]
    list: bool,
    /// How to print the verdicts.
    #[arg(short, long, default_value = "table")]
    output: Output,
}

/// A day at most.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.0..=1_440.0).contains(minutes));
    minutes.ok_or_else(|| "write a number of minutes, up to 1440".to_owned())
}

fn chosen(which: &[String]) -> Result<Vec<&'static Row>, String> {
    let mut chosen = Vec::new();
    for name in which {
        match name.as_str() {
            "all" => chosen.extend(rows()),
            number => chosen.push(find(number).ok_or_else(|| missing(number))?),
        }
    }
    Ok(chosen)
}

/// Why there is no such row.
fn missing(number: &str) -> String {
    let numbers: Vec<_> = rows().iter().map(|row| row.number).collect();
    let numbers = numbers.join(", ");
    match elsewhere().iter().find(|fault| fault.number.eq_ignore_ascii_case(number)) {
        Some(fault) => format!("`{number}` has no row: {fault}; those with one are {numbers}"),
        None => format!("there is no `{number}`; rows are {numbers}, and docs/faults.md has the whole table"),
    }
}

fn list() -> io::Result<()> {
    for row in rows() {
        data(format_args!("{}  {}: {} ({})", row.number, row.about, row.promise, row.allows.join(", ")))?;
    }
    elsewhere().iter().try_for_each(|fault| data(format_args!("{}  {fault}", fault.number)))
}

pub(crate) fn main(args: &FaultsArgs) -> ExitCode {
    if args.list {
        return ended(list(), ExitCode::SUCCESS);
    }
    let chosen = match chosen(&args.which) {
        Ok(chosen) => chosen,
        Err(what) => {
            note(format_args!("error: {what}"));
            return ExitCode::from(2);
        }
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            note(format_args!("error: this program cannot be found: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let length = args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let settings = Settings { program, seed, length, kinds: args.kinds };
    let mut good = true;
    // Whoever reads no further wants no more of them.
    let printed = chosen.into_iter().try_for_each(|row| match run(row, &settings) {
        Ok(run) => {
            good &= run.is_good();
            print(&run, seed, args.output)
        }
        Err(failure) => {
            good = false;
            note(format_args!("{} could not be run: {failure}", row.number));
            Ok(())
        }
    });
    ended(printed, if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(run: &Run, seed: u64, output: Output) -> io::Result<()> {
    let Run { row, finding, took } = run;
    let seconds = took.as_secs_f64();
    match output {
        Output::Json => {
            let figures: serde_json::Map<_, _> =
                finding.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            let line = json!({
                "fault": row.number, "about": row.about, "verdict": finding.verdict.to_string(), "good": run.is_good(),
                "seed": seed, "seconds": seconds, "figures": figures,
            });
            data(format_args!("{line}"))?;
        }
        Output::Table => {
            let as_promised = match (run.is_good(), finding.verdict.name()) {
                (true, "REFUSED") => " as promised",
                (true, _) => "",
                (false, _) => "  <-- worse than promised",
            };
            let (number, verdict, about) = (row.number, &finding.verdict, row.about);
            data(format_args!("{number}  {verdict}{as_promised}  ({seconds:.1} s, seed {seed})  {about}"))?;
            let figures: Vec<_> =
                finding.figures.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
            data(format_args!("     {}", figures.join(", ")))?;
        }
    }
    if !run.is_good() && !finding.log.is_empty() {
        note(format_args!("{}", finding.log));
    }
    Ok(())
}
