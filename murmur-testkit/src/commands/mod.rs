//! The verbs of the program, a file each.

#[cfg(feature = "faults")]
pub(crate) mod faults;
pub(crate) mod simulate;

use clap::ValueEnum;

/// How a result is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Table,
    /// JSON, an object a line.
    Json,
}
