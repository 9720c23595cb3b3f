use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use murmur_testkit::faults::{Row, Run, Settings, find, rows, run};
use serde_json::json;

use super::Output;

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
            number => chosen.push(find(number).ok_or_else(|| format!("there is no `{number}`; see --list"))?),
        }
    }
    Ok(chosen)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the result of the command")]
pub(crate) fn main(args: &FaultsArgs) -> ExitCode {
    if args.list {
        for row in rows() {
            println!("{}  {}: {} ({})", row.number, row.about, row.promise, row.allows.join(", "));
        }
        return ExitCode::SUCCESS;
    }
    let chosen = match chosen(&args.which) {
        Ok(chosen) => chosen,
        Err(what) => {
            eprintln!("error: {what}");
            return ExitCode::from(2);
        }
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("error: this program cannot be found: {error}");
            return ExitCode::FAILURE;
        }
    };
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let length = args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    let settings = Settings { program, seed, length, kinds: args.kinds };
    let mut good = true;
    for row in chosen {
        match run(row, &settings) {
            Ok(run) => {
                good &= run.is_good();
                print(&run, seed, args.output);
            }
            Err(failure) => {
                good = false;
                eprintln!("{} could not be run: {failure}", row.number);
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the result of the command")]
fn print(run: &Run, seed: u64, output: Output) {
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
            println!("{line}");
        }
        Output::Table => {
            let as_promised = match (run.is_good(), finding.verdict.name()) {
                (true, "REFUSED") => " as promised",
                (true, _) => "",
                (false, _) => "  <-- worse than promised",
            };
            println!("{}  {}{as_promised}  ({seconds:.1} s, seed {seed})  {}", row.number, finding.verdict, row.about);
            let figures: Vec<_> =
                finding.figures.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
            println!("     {}", figures.join(", "));
        }
    }
    if !run.is_good() && !finding.log.is_empty() {
        eprintln!("{}", finding.log);
    }
}
