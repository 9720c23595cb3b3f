//! `cargo murmur`: make a project of pipelines, keep its contracts committed and compatible.
//!
//! It parses the sources of a package and does not compile them, so that it works on a crate that does not build yet;
//! only `check --sizes` asks the built program.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | all is well |
//! | 1 | broken: something is wrong with the source or the command, or clients would break |
//! | 2 | out of date: `cargo murmur sync` would change committed files |

mod accept;
mod check;
mod cli;
mod clients;
mod diff;
mod new;
mod print;
mod sizes;
mod sync;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Verb};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// All is well.
    Well = 0,
    /// Something is wrong.
    Broken = 1,
    /// The committed files are not those of the source.
    Behind = 2,
}

/// What stopped a command, as a sentence.
type Failure = String;

fn main() -> ExitCode {
    // Cargo calls `cargo-murmur murmur ...`.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "murmur") {
        arguments.remove(1);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; clap knows which it is.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Broken as u8 } else { Exit::Well as u8 });
        }
    };
    let done = match &cli.verb {
        Verb::New(args) => new::new(args),
        Verb::Check(args) => check::check(args),
        Verb::Sync(args) => sync::sync(args),
        Verb::Accept(args) => accept::accept(args),
        Verb::Diff(args) => diff::diff(args),
        Verb::Clients(args) => clients::clients(args),
    };
    let exit = done.unwrap_or_else(|failure| {
        print::note(format_args!("error: {failure}"));
        Exit::Broken
    });
    ExitCode::from(exit as u8)
}
