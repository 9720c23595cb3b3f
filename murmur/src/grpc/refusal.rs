//! Why a call is refused: one catalogue of reasons, and the `google.rpc` details that say them to a program.
//!
//! `docs/errors.md` is made from the catalogue.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Error, ErrorKind};

/// The domain of the reasons, as `google.rpc.ErrorInfo` has one.
pub(super) const DOMAIN: &str = "murmur.dev";

/// Most characters of a text: it stands in the headers of a reply three times, and clients take no long ones.
const LONGEST: usize = 400;

/// How long to wait before a call is sent again, when nothing better is known.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a call is refused, for a program to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    /// The reason of `ErrorInfo`.
    pub(super) name: &'static str,
    pub(super) code: Code,
    /// What has happened.
    pub(super) means: &'static str,
    /// What to do about it.
    pub(super) way_out: &'static str,
}

macro_rules! reasons {
    ($($constant:ident: $code:ident, $means:literal, $way_out:literal;)*) => {
        impl Reason {
            $(
                pub(super) const $constant: Self =
                    Self { name: stringify!($constant), code: Code::$code, means: $means, way_out: $way_out };
            )*
            /// All of them, in the order of the reference.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$constant),*];
        }
    };
}

reasons! {
    FIELD_MISSING: InvalidArgument,
        "The call needs a field that is not set",
        "Set the field that `BadRequest` names";
    FIELD_INVALID: InvalidArgument,
        "A field has a value that it does not take, or that cannot be asked for: a text in place of a number, a length of time that is negative, a window longer than what is kept, a key that does not read, a field that is given twice, two fields of which one is possible",
        "Change the field that `BadRequest` names; the text says to what";
    REQUEST_UNREADABLE: InvalidArgument,
        "The request is not a message of the method, or a header of the protocol is wrong: a body that is cut off, is no JSON, has a field that the message has not, or does not decompress, a deadline that is no length of time",
        "Make it from the method's contract; the text says what cannot be read, and `BadRequest` names a field that there is not";
    COMPRESSION_UNNAMED: Internal,
        "A message of the request is marked as compressed, and no header says by what",
        "Send `grpc-encoding`, by Connect `connect-content-encoding`, or leave the mark away";
    PIPELINE_UNKNOWN: NotFound,
        "The server has no pipeline of this name",
        "Take one of those that the text or `ListPipelines` names";
    STATE_MISSING: NotFound,
        "The store has no table of this pipeline",
        "Start a worker with `--create-tables`, or run `table ensure`";
    SERVICE_UNKNOWN: NotFound,
        "The health of a service was asked for that the server has not",
        "Ask without a service for that of the server, or by the full name of one that `GET /` lists";
    NOT_OFFERED: Unimplemented,
        "There is no such service or nothing at this path, the service has no such method, or does not read bodies that are written or compressed like this one",
        "See `GET /`, or ask by reflection, for what there is; a client may be newer than the server";
    CONTRACT_MISMATCH: FailedPrecondition,
        "The client was made from a contract that the server does not answer by: it could take an answer for something else",
        "Make the client anew from the server's definitions; where the client is the newer one, bring the server up to date first";
    REQUEST_TOO_LARGE: ResourceExhausted,
        "The request has more bytes than are read",
        "Split it";
    REPLY_TOO_LARGE: ResourceExhausted,
        "The reply would have more bytes than are sent",
        "Ask for fewer keys, look up fewer elements, or ask for longer steps; JSON that is too large may be sent in protobuf";
    READS_EXHAUSTED: ResourceExhausted,
        "The answer needs more stored items, more bytes of them, or more look-ups in the store than one call may take; the text says which",
        "Ask for a shorter interval, or for fewer keys or sets";
    WATCHED_EXHAUSTED: ResourceExhausted,
        "The server watches as many keys, or keeps as many bytes of them and their answers, as it has room for",
        "Watch fewer keys, look up fewer elements of them, or end other streams; whoever runs the server can raise `--max-watched` and `--max-watched-bytes`";
    WATCHED_SHARE_EXHAUSTED: ResourceExhausted,
        "The caller would watch more keys, or have more bytes of them and their answers, than it leaves room for",
        "Watch fewer keys, look up fewer elements of them, or end other streams of this caller; whoever runs the server can raise `--max-watched` and `--max-watched-bytes`";
    NUMBER_OVERFLOW: OutOfRange,
        "A number of the answer does not fit its type",
        "Ask for a shorter interval, or give the aggregate a larger type";
    DEADLINE_PASSED: DeadlineExceeded,
        "The answer was not there in time",
        "Ask for less, or with a longer deadline: a call that names none has 5 seconds, and none has more than 30 ([limits](limits.md))";
    STORE_UNAVAILABLE: Unavailable,
        "The store cannot be reached, or takes no more requests now",
        "Call again after the time of `RetryInfo`; the server's log says why";
    CREDENTIALS_MISSING: Unauthenticated,
        "The server wants to know who calls, and nothing in the request says so",
        "Send a token as `authorization: Bearer TOKEN`, or a client certificate";
    CALLER_UNKNOWN: Unauthenticated,
        "The token or the certificate is not one that the server knows: it is not listed, or no issuer that counts here has signed it",
        "Get another one; the text says what is wrong with it";
    TOKEN_EXPIRED: Unauthenticated,
        "The token was good, and has expired, or the client's certificate; so has a stream that was begun with it",
        "Get a new one from its issuer, and call again; if it is new, compare the clocks";
    TOKEN_UNFIT: Unauthenticated,
        "The token is the issuer's, and not for this server, or not for now: another `iss` or `aud`, a claim that is missing or does not read, `nbf` that lies ahead, or no scope for a pipeline",
        "Have the issuer make one that fits; the text says what does not";
    PIPELINE_FORBIDDEN: PermissionDenied,
        "The caller may not read this pipeline",
        "Whoever runs the server can permit it";
    HOST_FORBIDDEN: PermissionDenied,
        "The server is for its own machine alone, and the request calls it by another name than `localhost` or an address, as a page does whose name was led to this machine",
        "Call it as `localhost` or by its address; whoever runs the server can say who may ask (`--access`), or that all may (`--insecure-no-auth`)";
    RATE_EXCEEDED: ResourceExhausted,
        "The caller calls more often than it may",
        "Call again after the time of `RetryInfo`, and less often";
    ACCESS_UNAVAILABLE: Unavailable,
        "Who calls cannot be found out now: the issuer's keys are not reached",
        "Call again after the time of `RetryInfo`, with the same token; the server's log says why";
    SERVER_BUSY: Unavailable,
        "The server answers as many calls as it takes at a time",
        "Call again after the time of `RetryInfo`";
    READER_STALLED: Unavailable,
        "The reader of a stream took nothing for so long that the server let go of it",
        "Read what comes, and go on where the stream stood; whoever runs the server can raise `--max-stream-stall`";
    SHUTTING_DOWN: Unavailable,
        "This server is being stopped",
        "Call again after the time of `RetryInfo`; another server answers, or the one that takes its place";
    STORED_VALUE_CORRUPT: DataLoss,
        "A stored value does not decode",
        "The server's log names its table, its tile and the mark of its key ([how to find it](observe/README.md#what-logs-do-not-say)); nothing was made up for it";
    INTERNAL: Internal,
        "A defect of the server",
        "The server's log has more";
}

impl Reason {
    /// The status of this reason with a text of its own.
    pub(super) fn status(self, text: impl Into<String>) -> Status {
        self.with(text, ErrorDetails::new())
    }

    /// The same, about a field of the request.
    pub(super) fn of_field(self, field: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Status {
        let text = short(text.into());
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(field.into(), &*text);
        self.with(text, details)
    }

    /// The same, of a caller, or a server, of which there is no more to be had.
    pub(super) fn of_quota(self, subject: &str, text: impl Into<String>) -> Status {
        let text = short(text.into());
        let mut details = ErrorDetails::new();
        details.add_quota_failure_violation(subject, &*text);
        self.with(text, details)
    }

    /// The same, of a caller who called too often and has to wait.
    pub(super) fn after(self, wait: Duration, caller: &str, text: impl Into<String>) -> Status {
        let text = text.into();
        let mut details = ErrorDetails::new();
        details.add_quota_failure_violation(caller, &*text).set_retry_info(Some(wait));
        self.with(text, details)
    }

    /// A status without details: what the layer of the protocols makes, for services that have none. Those that have some find the
    /// reason in it.
    pub(super) fn bare(self, text: impl Into<String>) -> Status {
        self.named(text, None)
    }

    /// The same, about a field of the request.
    pub(super) fn bare_of_field(self, field: impl Into<String>, text: impl Into<String>) -> Status {
        self.named(text, Some(field.into()))
    }

    fn named(self, text: impl Into<String>, field: Option<String>) -> Status {
        let mut status = Status::new(self.code, short(text.into()));
        status.set_source(Arc::new(Named { reason: self, field }));
        status
    }

    /// An error of one who calls and is not known, for this reason; see [`of`](Self::of).
    pub(super) fn denied(self, text: impl Into<String>) -> Error {
        Error::new(ErrorKind::Denied, text).with_source(Named { reason: self, field: None })
    }

    /// The reason that an error or a status has from [`denied`](Self::denied) or [`bare`](Self::bare).
    pub(super) fn of(error: &dyn std::error::Error) -> Option<Self> {
        Named::in_source_of(error).map(|named| named.reason)
    }

    /// What stands for a status that the layer of the protocols has made, which knows of no reasons.
    fn of_protocol(code: Code) -> Option<Self> {
        Some(match code {
            Code::InvalidArgument => Self::REQUEST_UNREADABLE,
            Code::Unimplemented => Self::NOT_OFFERED,
            Code::ResourceExhausted => Self::REQUEST_TOO_LARGE,
            Code::DeadlineExceeded => Self::DEADLINE_PASSED,
            Code::Unavailable => Self::SHUTTING_DOWN,
            Code::Internal => Self::INTERNAL,
            _ => return None,
        })
    }

    fn with(self, text: impl Into<String>, mut details: ErrorDetails) -> Status {
        details.set_error_info(self.name, DOMAIN, std::collections::HashMap::new());
        if self.code == Code::Unavailable {
            details.set_retry_info(Some(AGAIN));
        }
        Status::with_error_details(self.code, short(text.into()), details)
    }
}

/// The same status, of a field in this part of the request.
pub(super) fn within(status: Status, place: &str) -> Status {
    let mut details = status.get_error_details();
    if let Some(mut about) = details.bad_request().cloned() {
        for violation in &mut about.field_violations {
            violation.field = format!("{place}.{}", violation.field);
            violation.description = format!("`{place}`: {}", violation.description);
        }
        details.set_bad_request(about.field_violations);
    }
    Status::with_error_details(status.code(), format!("`{place}`: {}", status.message()), details)
}

/// The reason of a status or an error that says it to no caller, and the field that it is about.
#[derive(Debug)]
struct Named {
    reason: Reason,
    field: Option<String>,
}

impl Named {
    fn in_source_of(error: &dyn std::error::Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.name)
    }
}

impl std::error::Error for Named {}

/// The beginning of a text that is too long.
fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push_str(" ..");
    }
    text
}

/// A name that a caller has made up, as an error says it: its beginning, with nothing in it that is not to be seen.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("..");
    }
    shown
}

/// A status of one of our services with its details, wherever it comes from.
pub(super) fn explained(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    if let Some(Named { reason, field: Some(field) }) = Named::in_source_of(&status) {
        return reason.of_field(field.clone(), status.message());
    }
    match Reason::of(&status).or_else(|| Reason::of_protocol(status.code())) {
        Some(reason) => reason.status(status.message()),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::emitted::is_up_to_date;

    const HEAD: &str = "# Errors of the query service

Made from `murmur/src/grpc/refusal.rs` by the test `the_errors_are_documented`; `BLESS=1 cargo test -p murmur-stream refusal`
writes it again.

Every error of a pipeline's service, of the generic one and of that of health, and of a path that nothing is at has a text for people and, in every protocol, the details of
[`google.rpc`](https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto) for programs:
`ErrorInfo` with one of these reasons in the domain `murmur.dev`; `BadRequest` with the path of the field where the error is
about one; `RetryInfo` where the same call can succeed a little later; `QuotaFailure` where a caller called too often, or watches too much. By gRPC they stand in `grpc-status-details-bin`, by
Connect and plain HTTP in `details`, there with `debug` in JSON as well. An error with
`RetryInfo` can be sent again as it is after that time (`Retry-After` over plain HTTP); no other one can be helped by that.

A text alone have: what a service says that a program has added (`ServerBuilder::service`), and what the port says of a call of it; a path
that nothing is at, where the port has no pipelines at all; both are somebody else's, and
[Connect's conformance suite](https://github.com/connectrpc/conformance) wants nothing added to them. gRPC's reflection answers for itself.
What is no call at all is answered by HTTP's own status with words: 405, 415, 431, 505.

| reason | code | what has happened | what to do |
|---|---|---|---|
";

    #[test]
    fn the_errors_are_documented() {
        let mut page = HEAD.to_owned();
        for Reason { name, code, means, way_out } in Reason::ALL {
            let code = super::super::protocol::connect::code(*code).0.to_uppercase();
            writeln!(page, "| `{name}` | `{code}` | {means} | {way_out} |").unwrap();
        }
        is_up_to_date("errors.md", &page);
    }

    #[test]
    fn a_reason_reads_as_the_guidelines_for_apis_want_it() {
        for Reason { name, means, way_out, .. } in Reason::ALL {
            assert!(name.len() <= 63 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
            assert!(!means.ends_with('.') && !way_out.ends_with('.'), "{name}");
        }
    }
}
