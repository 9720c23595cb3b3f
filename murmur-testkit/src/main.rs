//! `murmur-testkit`: the simulation and the faults as a command.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Test what Murmur promises.
#[derive(Parser)]
#[command(name = "murmur-testkit", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the real engine through seeded schedules of crashes, lost requests and replies, late duplicates and
    /// overlapping owners, and compare every tile with an oracle.
    ///
    /// Exit code 0: no schedule ended wrong (with --break: the defect was found). 1: the reverse.
    #[command(after_help = "Examples:
  murmur-testkit simulate --schedules 20000
  murmur-testkit simulate --schedules 1 --seed 4711      (one schedule again)
  murmur-testkit simulate --break claim-before-apply     (must be found)")]
    Simulate(commands::simulate::SimulateArgs),
    /// Run real workers on a real broker and real tables, do them harm, and compare every slot of every tile with what
    /// was sent.
    ///
    /// The broker and the tables are those that MURMUR_TEST_KAFKA and MURMUR_TEST_DYNAMODB name; without these they are
    /// started by scripts/services.sh. Exit code 0: every verdict is one that the row allows. 1: one is worse.
    #[cfg(feature = "faults")]
    #[command(after_help = "Examples:
  murmur-testkit faults --list
  murmur-testkit faults F05 --seed 4711
  murmur-testkit faults all --minutes 2 -o json")]
    Faults(commands::faults::FaultsArgs),
    /// The worker that the faults are done to.
    #[cfg(feature = "faults")]
    #[command(hide = true)]
    Worker(murmur_testkit::faults::worker::WorkerArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::Simulate(args) => commands::simulate::run(&args),
        #[cfg(feature = "faults")]
        Verb::Faults(args) => commands::faults::main(&args),
        #[cfg(feature = "faults")]
        Verb::Worker(args) => murmur_testkit::faults::worker::main(&args),
    }
}
