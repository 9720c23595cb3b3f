//! `murmur-bench`: what Murmur costs, measured as CPU time of the whole process, with the end state checked.
//!
//! One JSON object a line per measurement with `-o json`. A figure whose end state is `wrong` is void, and the
//! command then exits with 1.

mod accuracy;
mod aggregates;
mod codegen;
mod draws;
#[cfg(feature = "services")]
mod dynamodb;
mod fold;
#[cfg(feature = "services")]
mod kafka;
mod measurement;
mod pool;
#[cfg(feature = "query")]
mod query;
mod resources;
#[cfg(feature = "services")]
mod rolling;
mod tally;
mod views;
mod watch;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use measurement::{Measurement, Output, print};

/// Measure.
#[derive(Parser)]
#[command(
    name = "murmur-bench",
    version,
    after_help = "Examples:
  cargo run --release -p murmur-bench -- list
  cargo run --release -p murmur-bench -- fold --events 5000000 -o json"
)]
struct Arguments {
    /// What to measure.
    name: Name,
    /// How many events (for `codegen`: how many pipelines; for `dynamodb`: how many writes; for `query`: how many calls).
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    events: Option<u64>,
    /// Only this variant, where a measurement has several (`aggregates`, `kafka`, `query`, `watch`).
    #[arg(long)]
    variant: Option<String>,
    /// How many different keys, or elements (`aggregates`); without it, each variant has its own.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    keys: Option<u64>,
    /// How the messages of the topic are compressed (`kafka`).
    #[cfg(feature = "services")]
    #[arg(long)]
    compression: Option<kafka::Compression>,
    /// What the worker rolls by itself (`rolling`); without it both are measured.
    #[cfg(feature = "services")]
    #[arg(long)]
    roll: Option<rolling::Roll>,
    /// Bytes that the server keeps of tiles that cannot change any more, as its own option of that name (`query`).
    #[cfg(feature = "query")]
    #[arg(long, default_value_t = 64 << 20)]
    tile_cache: u64,
    /// How to print.
    #[arg(short, long, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Name all measurements.
    List,
    /// Decode of JSON, window and count through the real engine, on one core.
    Fold,
    /// Updates and merges of each aggregate, alone and in the worker, beside the crate `datasketches`.
    Aggregates,
    /// True values beside what the sketches say, as docs/accuracy.md; `--events` is the longest stream.
    Accuracy,
    /// Conditional writes to a DynamoDB server (`MURMUR_TEST_DYNAMODB`).
    #[cfg(feature = "services")]
    Dynamodb,
    /// From Kafka into each store, beside plain consumers, Kafka Streams and Bytewax; needs the services of
    /// scripts/services.sh.
    #[cfg(feature = "services")]
    Kafka,
    /// CPU time of the server for each call of the typed service, by gRPC and in JSON, beside a server of tonic that greets.
    #[cfg(feature = "query")]
    Query,
    /// Write units of rolling finished tiles beside those of the events, and what reads gain by it; needs DynamoDB
    /// (`MURMUR_TEST_DYNAMODB`).
    #[cfg(feature = "services")]
    Rolling,
    /// 10,000 streams of `Watch`: memory of each, and how long after a write they have it; also beside readers that have
    /// stopped, from a server that looks by itself, and as streams of many keys. `--events` is how many writes.
    Watch,
    /// What the macros add to an incremental `cargo check`.
    Codegen,
}

impl Arguments {
    /// An option that this measurement does not look at.
    fn unused(&self) -> Option<&'static str> {
        let name = self.name.to_possible_value()?;
        let is_of = |names: &[&str]| names.contains(&name.get_name());
        let given = [
            ("--events", self.events.is_some(), !is_of(&["list"])),
            ("--variant", self.variant.is_some(), is_of(&["aggregates", "kafka", "query", "watch"])),
            ("--keys", self.keys.is_some(), !is_of(&["list", "accuracy", "codegen"])),
            #[cfg(feature = "services")]
            ("--compression", self.compression.is_some(), is_of(&["kafka"])),
            #[cfg(feature = "services")]
            ("--roll", self.roll.is_some(), is_of(&["rolling"])),
        ];
        given.into_iter().find(|(_, is_given, is_used)| *is_given && !is_used).map(|(option, ..)| option)
    }
}

#[allow(clippy::print_stdout, reason = "the result of the command")]
fn list() {
    for name in Name::value_variants() {
        if let Some(value) = name.to_possible_value() {
            println!("{:<12} {}", value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default());
        }
    }
}

fn main() -> ExitCode {
    #[cfg(feature = "services")]
    if let Some(done) = kafka::be_child() {
        return done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
    }
    if let Some(done) = watch::be_child() {
        return done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
    }
    #[cfg(feature = "query")]
    if let Some(done) = query::be_server() {
        return done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if let Some(option) = arguments.unused() {
        return failed(&format!(
            "`{option}` is no option of this measurement; `murmur-bench --help` says of which it is"
        ));
    }
    let mut exact = true;
    let mut report = |measurement: Measurement| {
        exact &= measurement.exact;
        print(&measurement, arguments.output);
    };
    let measured = match arguments.name {
        Name::List => {
            list();
            Ok(())
        }
        Name::Fold => fold::measure(arguments.events, arguments.keys, &mut report),
        Name::Aggregates => {
            aggregates::measure(arguments.events, arguments.keys, arguments.variant.as_deref(), &mut report)
        }
        Name::Accuracy => accuracy::print(arguments.events),
        #[cfg(feature = "services")]
        Name::Dynamodb => dynamodb::measure(arguments.events, arguments.keys, &mut report),
        #[cfg(feature = "services")]
        Name::Kafka => kafka::measure(&arguments, &mut report),
        #[cfg(feature = "query")]
        Name::Query => query::measure(&arguments, &mut report),
        #[cfg(feature = "services")]
        Name::Rolling => rolling::measure(arguments.events, arguments.keys, arguments.roll, &mut report),
        Name::Watch => watch::measure(&arguments, &mut report),
        Name::Codegen => codegen::measure(arguments.events, &mut report),
    };
    if let Err(error) = measured {
        return failed(&error);
    }
    if exact { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[allow(clippy::print_stderr, reason = "the error of the command")]
fn failed(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
