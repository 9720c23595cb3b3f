//! What a caller is told about an error.

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::channel::broken;
use super::refusal::Reason;
use crate::{Error, ErrorKind};

/// The status of an error. Errors that are not the caller's say only their reason; the log has the rest, since the
/// context may carry paths, tables and addresses.
pub(super) fn of(error: &Error) -> Status {
    let reason = match error.kind() {
        ErrorKind::InvalidArgument => Reason::FIELD_INVALID,
        ErrorKind::NotFound => Reason::STATE_MISSING,
        ErrorKind::ResourceExhausted => Reason::READS_EXHAUSTED,
        ErrorKind::Oversize => Reason::REPLY_TOO_LARGE,
        ErrorKind::Overflow => Reason::NUMBER_OVERFLOW,
        ErrorKind::DeadlineExceeded => Reason::DEADLINE_PASSED,
        ErrorKind::Unavailable | ErrorKind::Ambiguous => Reason::STORE_UNAVAILABLE,
        ErrorKind::Corrupt => Reason::STORED_VALUE_CORRUPT,
        _ => Reason::INTERNAL,
    };
    let code = reason.code;
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
    match error.field() {
        Some(field) => reason.of_field(field.to_owned(), message),
        None => reason.status(message),
    }
}

/// What a client makes of a status.
pub(crate) fn error(status: Status) -> Error {
    if let Some(why) = broken(&status) {
        return Error::new(ErrorKind::Unavailable, why).with_source(status);
    }
    let kind = match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition => ErrorKind::InvalidArgument,
        Code::NotFound | Code::Unimplemented => ErrorKind::NotFound,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::OutOfRange => ErrorKind::Overflow,
        Code::DeadlineExceeded | Code::Cancelled => ErrorKind::DeadlineExceeded,
        Code::Unauthenticated | Code::PermissionDenied => ErrorKind::Denied,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    let violations = status.get_details_bad_request().map(|refused| refused.field_violations).unwrap_or_default();
    let error = Error::new(kind, status.message());
    match violations.into_iter().next() {
        Some(violation) => error.of_field(violation.field),
        None => error,
    }
}
