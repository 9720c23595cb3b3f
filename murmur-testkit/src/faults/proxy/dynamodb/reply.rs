//! Answers that the proxy makes by itself.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Shared, lock};

pub(super) fn throttled(shared: &Shared, reason: &str) -> Response<Full<Bytes>> {
    let mut tally = lock(&shared.tally);
    tally.throttled += 1;
    let (name, reasons) = if tally.throttled.is_multiple_of(2) {
        ("ThrottlingException", "throttlingReasons")
    } else {
        ("ProvisionedThroughputExceededException", "ThrottlingReasons")
    };
    let mut body = error_body(name, "a made-up throttle");
    body[reasons] = json!([{ "reason": reason, "resource": "arn:aws:dynamodb:eu-west-1:0:table/made-up" }]);
    said(StatusCode::BAD_REQUEST, Bytes::from(body.to_string()))
}

pub(super) fn error(status: StatusCode, name: &str, message: &str) -> Response<Full<Bytes>> {
    said(status, Bytes::from(error_body(name, message).to_string()))
}

fn error_body(name: &str, message: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": message })
}

pub(super) fn said(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("application/x-amz-json-1.0");
    response.headers_mut().insert("content-type", kind);
    response
}
