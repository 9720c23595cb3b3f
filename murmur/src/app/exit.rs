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
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Problems => 3,
            Exit::Unavailable => 4,
            Exit::Interrupted => 130,
        })
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
