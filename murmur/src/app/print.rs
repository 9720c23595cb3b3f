//! Data goes to standard output, everything said about it to standard error.

use std::fmt;
use std::io::{self, Write};

use crate::Result;

/// A line on standard error. If nobody listens there, nothing is lost.
pub(super) fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text on standard output.
pub(super) fn data(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
