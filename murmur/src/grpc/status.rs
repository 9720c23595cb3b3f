//! What a caller is told about an error.

use tonic::{Code, Status};

use super::channel::broken;
use crate::{Error, ErrorKind};

/// The status of an error. Errors that are not the caller's say only their kind; the log has the rest, since the
/// context may carry keys and paths.
pub(super) fn of(error: &Error) -> Status {
    let code = match error.kind() {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Overflow => Code::OutOfRange,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Unavailable | ErrorKind::Ambiguous => Code::Unavailable,
        ErrorKind::Corrupt => Code::DataLoss,
        _ => Code::Internal,
    };
    let message = match code {
        Code::InvalidArgument | Code::NotFound | Code::ResourceExhausted | Code::OutOfRange => error.context(),
        Code::DeadlineExceeded => "the deadline passed",
        Code::Unavailable => "the store cannot be reached now; call again",
        Code::DataLoss => "a stored value does not decode; the server's log names its tile",
        _ => "internal error; the server's log has more",
    };
    if matches!(code, Code::DataLoss | Code::Internal | Code::Unavailable) {
        tracing::error!(%error, ?code, "a query failed");
    }
    Status::new(code, message)
}

/// What a client makes of a status.
pub(super) fn error(status: Status) -> Error {
    if let Some(why) = broken(&status) {
        return Error::new(ErrorKind::Unavailable, why).with_source(status);
    }
    let kind = match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition => ErrorKind::InvalidArgument,
        Code::NotFound | Code::Unimplemented => ErrorKind::NotFound,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::OutOfRange => ErrorKind::Overflow,
        Code::DeadlineExceeded | Code::Cancelled => ErrorKind::DeadlineExceeded,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, status.message())
}
