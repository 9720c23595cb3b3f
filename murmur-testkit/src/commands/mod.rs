//! The verbs of the program, a file each.

#[cfg(feature = "faults")]
pub(crate) mod faults;
pub(crate) mod simulate;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

/// How a result is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Table,
    /// JSON, an object a line.
    Json,
}

/// A line on standard output: what was asked for.
pub(crate) fn data(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// A line on standard error: what is said about it. If nobody listens there, nothing is lost.
pub(crate) fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// How the program ends that found `found`, as far as it came. That its reader went away (`| head`) is no failure of its
/// own.
pub(crate) fn ended(printed: io::Result<()>, found: ExitCode) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            note(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
        _ => found,
    }
}
