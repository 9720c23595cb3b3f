use std::error::Error as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::{Error, ErrorKind};

/// What a request was for: decides what it means when nobody knows what became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Read,
    Write,
}

/// What DynamoDB calls "too much at once".
const THROTTLES: [&str; 8] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "TransactionInProgressException",
    "TransactionConflictException",
];

/// Names of the errors that say: not you, not with these credentials, not here.
const DENIALS: [&str; 10] = [
    "AccessDeniedException",
    "AccessDenied",
    "ExpiredTokenException",
    "ExpiredToken",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
];

/// Whether the store said that it is too much.
pub(super) fn is_throttle<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code().is_some_and(|code| THROTTLES.contains(&code))
}

/// Whether the store found the request itself at fault.
pub(super) fn is_invalid<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("ValidationException")
}

/// Whether an item would be larger than DynamoDB takes.
pub(super) fn is_too_large<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    is_invalid(error) && error.message().is_some_and(|message| message.starts_with("Item size"))
}

/// What went wrong with a request to the table `table` of the store at `place`.
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>, intent: Intent, table: &str, place: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let unknown = match intent {
        Intent::Read => ErrorKind::Unavailable,
        Intent::Write => ErrorKind::Ambiguous,
    };
    let (kind, context) = match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            let status = service.raw().status().as_u16();
            let said = |what: &str| format!("{what}: {code} {message}");
            match code {
                _ if THROTTLES.contains(&code) => {
                    (ErrorKind::Unavailable, said(&format!("table `{table}` at {place} takes no more just now")))
                }
                _ if DENIALS.contains(&code) => (
                    ErrorKind::Denied,
                    said(&format!(
                        "table `{table}` at {place} is closed to these credentials; renew them, or allow them the \
                         table (AWS_PROFILE and AWS_ACCESS_KEY_ID say whose they are)"
                    )),
                ),
                "ResourceNotFoundException" | "TableNotFoundException" => (
                    ErrorKind::NotFound,
                    format!(
                        "there is no table `{table}` at {place}; make it with the command `table ensure`, or say \
                     `--create-tables`"
                    ),
                ),
                "ItemCollectionSizeLimitExceededException" => {
                    (ErrorKind::ResourceExhausted, said(&format!("table `{table}` at {place} is full for this key")))
                }
                _ if status >= 500 => (unknown, said(&format!("{place} failed (HTTP {status}) on table `{table}`"))),
                _ => (ErrorKind::Internal, said(&format!("{place} refused a request to table `{table}`"))),
            }
        }
        SdkError::ConstructionFailure(_) => {
            (ErrorKind::Internal, format!("no request to table `{table}` could be made: {}", cause(&error)))
        }
        SdkError::DispatchFailure(_) if has_no_credentials(&error) => (
            ErrorKind::Denied,
            format!(
                "there are no AWS credentials for table `{table}` at {place}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID \
                 and AWS_SECRET_ACCESS_KEY, or give the machine a role"
            ),
        ),
        _ => (unknown, format!("no answer from {place} about table `{table}`: {}", cause(&error))),
    };
    Error::new(kind, context)
}

/// What is at the bottom of it; the errors above only say that something is.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    deepest.to_string()
}

fn has_no_credentials<E: std::error::Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
