//! Errors as Connect writes them.
//!
//! | status | codes |
//! |---|---|
//! | 400 | `invalid_argument`, `failed_precondition`, `out_of_range` |
//! | 401, 403 | `unauthenticated`, `permission_denied` |
//! | 404 | `not_found`, and `unimplemented` for a path with nothing behind it |
//! | 415 | none: whoever sends something else than JSON is told so in plain text |
//! | 429 | `resource_exhausted` |
//! | 500 | `internal`, `unknown`, `data_loss` |
//! | 503 | `unavailable`: nothing else is worth a second try |
//! | 504 | `deadline_exceeded` |

use super::{Json, content, reference, schema};

/// The schema of an error.
const ERROR: &str = "connect.Error";
const DETAIL: &str = "connect.ErrorDetail";

const CODES: [&str; 16] = [
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

const RESPONSES: [(&str, &str, &str); 9] = [
    ("400", "Refused", "The request asks for what cannot be answered; the message says what to change."),
    ("401", "Unauthenticated", "There is no token, or none that is known."),
    ("403", "Denied", "The caller may not read this."),
    ("404", "NotFound", "What the request names is not there."),
    ("429", "TooMuch", "The request, its reply, or what has to be read for it is over a limit."),
    ("500", "Failed", "The server failed; its log has more."),
    ("503", "Unavailable", "The server or its store cannot be reached now: call again."),
    ("504", "Late", "The deadline passed before the answer was there."),
    ("default", "Other", "Any other error."),
];

const UNSUPPORTED: &str = "Unsupported";

/// What every method can answer instead of its reply.
pub(super) fn of_a_method() -> impl Iterator<Item = (&'static str, Json)> {
    let (before, after) = RESPONSES.split_at(4);
    let named = |(status, name, _): &(&'static str, &str, &str)| (*status, reference("responses", name));
    before.iter().map(named).chain([("415", reference("responses", UNSUPPORTED))]).chain(after.iter().map(named))
}

/// The responses by their names.
pub(super) fn responses() -> Json {
    let of = |about: &str, content: Json| Json::object([("description", Json::from(about)), ("content", content)]);
    let errors =
        RESPONSES.iter().map(|(_, name, about)| (*name, of(about, content("application/json", schema(ERROR)))));
    let words = content("text/plain; charset=utf-8", Json::object([("type", Json::from("string"))]));
    let unsupported = of("The body is not `application/json`.", words);
    Json::object(errors.chain([(UNSUPPORTED, unsupported)]))
}

/// The schemas of an error and of its details.
pub(super) fn schemas() -> [(String, Json); 2] {
    let text = |about: &str| Json::object([("type", Json::from("string")), ("description", about.into())]);
    let codes = Json::List(CODES.iter().map(|code| Json::from(*code)).collect());
    let details = Json::object([("type", Json::from("array")), ("items", schema(DETAIL))]);
    let value = Json::object([
        ("type", Json::from("string")),
        ("contentEncoding", "base64".into()),
        ("description", "The message in protobuf.".into()),
    ]);
    let error = [
        ("code", Json::object([("type", Json::from("string")), ("enum", codes)])),
        ("message", text("What is wrong, for people.")),
        ("details", details),
    ];
    let detail = [("type", text("Full name of a message, such as `google.rpc.ErrorInfo`.")), ("value", value)];
    let object = |properties: Json, required: &[&str]| {
        let required = required.iter().map(|name| Json::from(*name)).collect();
        Json::object([("type", Json::from("object")), ("properties", properties), ("required", Json::List(required))])
    };
    [
        (ERROR.to_owned(), object(Json::object(error), &["code"])),
        (DETAIL.to_owned(), object(Json::object(detail), &["type", "value"])),
    ]
}
