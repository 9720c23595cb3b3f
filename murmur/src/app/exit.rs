use std::process::ExitCode;

use crate::{Error, ErrorKind, Result};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done,
    Failed,
    Usage,
    Problems,
    Unavailable,
    /// Ended by this signal before it was done.
    Signal(u8),
}

impl Exit {
    /// As shells have it: 128 and the number of the signal.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Problems => 3,
            Self::Unavailable => 4,
            Self::Signal(number) => 128 + number,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::Configuration => Self::Usage,
            ErrorKind::Foreign => Self::Problems,
            ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Conflict => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

/// Say on standard error what went wrong.
pub(super) fn report(done: Result<Exit>) -> Exit {
    done.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // The reader went away (`| head`): no failure of ours, and nobody is left to tell.
            return Exit::Done;
        }
        super::print::note(format_args!("error: {error}"));
        Exit::from(&error)
    })
}

fn is_broken_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}
