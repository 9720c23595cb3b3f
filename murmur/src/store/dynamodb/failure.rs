use std::error::Error as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use super::client::Answer;
use super::format::{PARTITION_KEY, SORT_KEY};
use super::limiter::Overload;
use super::wire::{Reason, Refusal};
use crate::{Error, ErrorKind};

/// What a request was for: decides what it means when nobody knows what became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Read,
    Write,
}

/// What DynamoDB calls "too much at once".
const THROTTLES: [&str; 9] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "TransactionInProgressException",
    "TransactionConflictException",
    // Of a global table with strong consistency: another region is changing the item. It passes as those above do.
    "ReplicatedWriteConflictException",
];

/// Names of the errors that say: not you, not with these credentials, not here.
const DENIALS: [&str; 12] = [
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
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Names of the errors that a wrong time of the signature can be the reason of, as Amazon's SDK has them.
const OF_CLOCK: [&str; 5] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "RequestTimeTooSkewed",
    "AccessDeniedException",
];

const INVALID: &str = "ValidationException";

/// Parts of what DynamoDB and DynamoDB Local say to a request for a table of other keys than ours. There is no name
/// for it.
const OTHER_KEYS: [&str; 8] = [
    "number of conditions on the keys is invalid",
    "key element does not match the schema",
    "missed key schema element",
    "key condition not supported",
    "One of the required keys was not given a value",
    "Missing the key ",
    "Type mismatch for key",
    "Condition parameter type does not match schema type",
];

/// Whether the store said that it is too much.
pub(super) fn is_throttle<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code().is_some_and(is_throttled)
}

/// Whether an error of this name says that it is too much.
pub(super) fn is_throttled(code: &str) -> bool {
    THROTTLES.contains(&code)
}

/// Whether an error of this name says: not with these credentials.
pub(super) fn is_denial(code: &str) -> bool {
    DENIALS.contains(&code)
}

/// Whether an error of this name can say: not with a signature of this time.
pub(super) fn is_of_clock(code: &str) -> bool {
    OF_CLOCK.contains(&code)
}

impl Refusal {
    /// Whether the store found the request itself at fault.
    pub(super) fn is_invalid(&self) -> bool {
        self.code == INVALID
    }

    /// What was too much, when something was.
    pub(super) fn overload(&self) -> Overload {
        let of_key = |reason: &Reason| reason.reason.ends_with("KeyRangeThroughputExceeded");
        if self.reasons.iter().any(of_key) { Overload::Key } else { Overload::Table }
    }

    /// Whether an item would be larger than DynamoDB takes.
    pub(super) fn is_too_large(&self) -> bool {
        self.is_invalid() && self.message.starts_with("Item size")
    }
}

/// What went wrong with a request to the table `table` of the store at `place`.
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>, intent: Intent, table: &str, place: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            refused(code, message, service.raw().status().as_u16(), intent, table, place)
        }
        SdkError::ConstructionFailure(_) => unsendable(&cause(&error), table),
        SdkError::DispatchFailure(_) if has_no_credentials(&error) => no_credentials(table, place),
        _ => lost(&cause(&error), intent, table, place),
    }
}

/// What went wrong with a write to the table `table` of the store at `place`.
pub(super) fn write_failure(answer: Answer, table: &str, place: &str) -> Error {
    let intent = Intent::Write;
    match answer {
        Answer::Refused(Refusal { code, message, status, .. }) => {
            refused(&code, &message, status, intent, table, place)
        }
        Answer::Lost(why) => lost(&why, intent, table, place),
        Answer::NoCredentials(error) => no_credentials(table, place).with_source(error),
        Answer::Unsendable(why) => unsendable(&why, table),
        Answer::Done(_) => Error::new(ErrorKind::Internal, "a write that was carried out is no failure"),
    }
}

/// The server answered with an error of this name.
fn refused(code: &str, message: &str, status: u16, intent: Intent, table: &str, place: &str) -> Error {
    if code == INVALID && OTHER_KEYS.iter().any(|part| message.contains(part)) {
        return foreign(table, place);
    }
    let said = |what: &str| format!("{what}: {code} {message}");
    let (kind, context) = match code {
        _ if is_throttled(code) => {
            (ErrorKind::Unavailable, said(&format!("table `{table}` at {place} takes no more just now")))
        }
        _ if is_denial(code) => (
            ErrorKind::Denied,
            said(&format!(
                "table `{table}` at {place} is closed to these credentials; renew them, or allow them the table \
                 (AWS_PROFILE and AWS_ACCESS_KEY_ID say whose they are)"
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
        _ if status >= 500 => (unknown(intent), said(&format!("{place} failed (HTTP {status}) on table `{table}`"))),
        _ => (ErrorKind::Internal, said(&format!("{place} refused a request to table `{table}`"))),
    };
    Error::new(kind, context)
}

/// A table of that name has other keys than ours.
pub(super) fn foreign(table: &str, place: &str) -> Error {
    let context = format!(
        "the keys of the table `{table}` at {place} are not the texts `{PARTITION_KEY}` and `{SORT_KEY}`: it is not \
         ours; choose another prefix in the URL (`dynamodb://PREFIX`)"
    );
    Error::new(ErrorKind::Foreign, context)
}

/// A table that holds what no pipeline has written.
pub(super) fn strange(table: &str, place: &str) -> Error {
    let context = format!(
        "the table `{table}` at {place} is not ours: it holds items, and no record of a pipeline that wrote them. It was \
         left as it is; choose another prefix in the URL (`dynamodb://PREFIX`)"
    );
    Error::new(ErrorKind::Foreign, context)
}

/// What it means when nobody knows what became of a request.
fn unknown(intent: Intent) -> ErrorKind {
    match intent {
        Intent::Read => ErrorKind::Unavailable,
        Intent::Write => ErrorKind::Ambiguous,
    }
}

fn lost(why: &str, intent: Intent, table: &str, place: &str) -> Error {
    Error::new(unknown(intent), format!("no answer from {place} about table `{table}`: {why}"))
}

fn unsendable(why: &str, table: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("no request to table `{table}` could be made: {why}"))
}

fn no_credentials(table: &str, place: &str) -> Error {
    let context = format!(
        "there are no AWS credentials for table `{table}` at {place}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or give the machine a role"
    );
    Error::new(ErrorKind::Denied, context)
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
