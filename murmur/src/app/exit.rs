use std::process::ExitCode;

use crate::{Error, ErrorKind, Result};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done,
    Failed,
    Usage,
    Unavailable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 4,
        })
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidArgument => Self::Usage,
            ErrorKind::Unavailable | ErrorKind::DeadlineExceeded | ErrorKind::Conflict => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

/// Say on standard error what went wrong.
pub(super) fn report(done: Result<Exit>) -> Exit {
    done.unwrap_or_else(|error| {
        // A reader that went away (`| head`) is no failure of ours, and there is nobody left to tell.
        let broken_pipe = std::error::Error::source(&error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe);
        if broken_pipe {
            return Exit::Done;
        }
        super::print::note(format_args!("error: {error}"));
        Exit::from(&error)
    })
}
