//! An error as Connect writes it: a JSON object, and a fitting status of HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::StatusCode;
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What Connect calls a code, and the HTTP status that goes with it.
pub(in crate::grpc) fn code(code: Code) -> (&'static str, StatusCode) {
    // nginx's status for a client that went away; the Connect protocol uses it too.
    let closed = StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT);
    match code {
        Code::Ok | Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Cancelled => ("canceled", closed),
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
    }
}

/// The object of an error.
pub(super) fn object(status: &Status) -> Value {
    let mut object = json!({ "code": code(status.code()).0, "message": status.message() });
    let details = details(status);
    if !details.is_empty() {
        object["details"] = Value::Array(details);
    }
    object
}

/// Each of the messages that stand beside the text, by its type.
fn details(status: &Status) -> Vec<Value> {
    // A service may put anything there; what does not decode says nothing that could be passed on.
    let decoded = Details::decode(status.details()).unwrap_or_default();
    let known = status.get_error_details();
    let detail = |any: prost_types::Any| {
        let name = any.type_url.rsplit('/').next().unwrap_or_default();
        let mut detail = json!({ "type": name, "value": STANDARD_NO_PAD.encode(any.value) });
        if let Some(debug) = debug(name, &known) {
            detail["debug"] = debug;
        }
        detail
    };
    decoded.details.into_iter().map(detail).collect()
}

/// A detail as JSON, for people: it can be read where its bytes need the type. Those that Murmur's own services send.
fn debug(name: &str, known: &ErrorDetails) -> Option<Value> {
    match name {
        "google.rpc.ErrorInfo" => known
            .error_info()
            .map(|info| json!({ "reason": info.reason, "domain": info.domain, "metadata": info.metadata })),
        "google.rpc.BadRequest" => known.bad_request().map(|request| {
            let violations = request.field_violations.iter();
            let violations = violations.map(|of| json!({ "field": of.field, "description": of.description }));
            json!({ "fieldViolations": violations.collect::<Vec<_>>() })
        }),
        "google.rpc.RetryInfo" => {
            let delay = known.retry_info()?.retry_delay?;
            Some(json!({ "retryDelay": format!("{}s", delay.as_secs_f64()) }))
        }
        "google.rpc.QuotaFailure" => known.quota_failure().map(|failure| {
            let violations = failure.violations.iter();
            let violations = violations.map(|of| json!({ "subject": of.subject, "description": of.description }));
            json!({ "violations": violations.collect::<Vec<_>>() })
        }),
        _ => None,
    }
}

/// The part of a `google.rpc.Status` that is looked at here.
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}
