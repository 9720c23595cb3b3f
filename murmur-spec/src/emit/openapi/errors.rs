//! Errors as Connect writes them.
//!
//! | status | codes |
//! |---|---|
//! | 400 | `invalid_argument`, `failed_precondition`, `out_of_range` |
//! | 401, 403 | `unauthenticated`, `permission_denied` |
//! | 404 | `not_found`, and `unimplemented` for a path with nothing behind it |
//! | 415, 431 | none: whoever sends something else than JSON, or headers that are too long, is told so in plain text |
//! | 429 | `resource_exhausted` |
//! | 500 | `internal`, `unknown`, `data_loss` |
//! | 503 | `unavailable`: nothing else is worth a second try |
//! | 504 | `deadline_exceeded` |
//!
//! A stream that has failed is a 200 all the same, and its last frame has the error.

use super::{Json, content, reference, schema};

/// The schema of an error.
const ERROR: &str = "connect.Error";
const DETAIL: &str = "connect.ErrorDetail";
/// The schema of how a stream ended.
pub(super) const END: &str = "connect.EndOfStream";

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

/// An answer that is no reply.
struct Answer {
    status: &'static str,
    name: &'static str,
    about: &'static str,
    /// Whether it is a text for people, and not an error of Connect.
    plain: bool,
    /// A header that it can have, and what that says.
    header: Option<(&'static str, &'static str)>,
}

const fn error(status: &'static str, name: &'static str, about: &'static str) -> Answer {
    Answer { status, name, about, plain: false, header: None }
}

const AGAIN: Option<(&str, &str)> = Some(("Retry-After", "Seconds after which the same call can succeed."));

const ANSWERS: [Answer; 11] = [
    error("400", "Refused", "The request asks for what cannot be answered; the message says what to change."),
    Answer {
        header: Some(("WWW-Authenticate", "How to say who calls: `Bearer`.")),
        ..error("401", "Unauthenticated", "There is no token, or none that is known.")
    },
    error("403", "Denied", "The caller may not read this."),
    error("404", "NotFound", "What the request names is not there."),
    Answer { plain: true, ..error("415", "Unsupported", "The body is not of the type that the path takes.") },
    Answer {
        header: AGAIN,
        ..error(
            "429",
            "TooMuch",
            "The request, its reply, what has to be read for it, or how often the caller calls is over a limit.",
        )
    },
    Answer {
        plain: true,
        ..error(
            "431",
            "TooLong",
            "The headers, or the address, are longer than the server reads. There may be no text.",
        )
    },
    error("500", "Failed", "The server failed; its log has more."),
    Answer {
        header: AGAIN,
        ..error("503", "Unavailable", "The server or its store cannot be reached now: call again.")
    },
    error("504", "Late", "The deadline passed before the answer was there."),
    error("default", "Other", "Any other error."),
];

fn of(which: impl Fn(&Answer) -> bool) -> impl Iterator<Item = (&'static str, Json)> {
    ANSWERS
        .iter()
        .filter(move |answer| which(answer))
        .map(|answer| (answer.status, reference("responses", answer.name)))
}

/// What a method with one reply can answer instead of it.
pub(super) fn of_a_method() -> impl Iterator<Item = (&'static str, Json)> {
    of(|_| true)
}

/// What a method with a stream of replies can answer instead of a stream.
pub(super) fn of_a_stream() -> impl Iterator<Item = (&'static str, Json)> {
    of(|answer| answer.plain || answer.status == "404")
}

/// What a page can answer instead of itself: one that is for everybody, and one that asks who wants it.
pub(super) fn of_a_page(open: bool) -> impl Iterator<Item = (&'static str, Json)> {
    of(move |answer| match answer.status {
        "431" => true,
        "403" | "404" | "415" => false,
        _ => !open,
    })
}

/// The responses by their names.
pub(super) fn responses() -> Json {
    let string = || Json::object([("type", Json::from("string"))]);
    Json::object(ANSWERS.iter().map(|Answer { status, name, about, plain, header, .. }| {
        let content = match plain {
            true => content("text/plain; charset=utf-8", string()),
            false => content("application/json", schema(ERROR)),
        };
        let mut response = vec![("description", Json::from(*about))];
        // What reads HTTP/1.1 refuses such a request by itself, without a word.
        if *status != "431" {
            response.push(("content", content));
        }
        if let Some((header, about)) = header {
            let says = Json::object([("description", Json::from(*about)), ("schema", string())]);
            response.push(("headers", Json::object([(*header, says)])));
        }
        (*name, Json::object(response))
    }))
}

/// The schemas of an error, of its details, and of the end of a stream.
pub(super) fn schemas() -> Vec<(String, Json)> {
    let string = || Json::object([("type", Json::from("string"))]);
    let text = |about: &str| Json::object([("type", Json::from("string")), ("description", about.into())]);
    let list = |items: Json| Json::object([("type", Json::from("array")), ("items", items)]);
    let map = |values: Json| Json::object([("type", Json::from("object")), ("additionalProperties", values)]);
    let object = |properties: Vec<(&str, Json)>, required: &[&str]| {
        let required = required.iter().map(|name| Json::from(*name)).collect();
        let of = [
            ("type", Json::from("object")),
            ("properties", Json::object(properties)),
            ("required", Json::List(required)),
        ];
        Json::object(of)
    };
    let codes = Json::List(CODES.iter().map(|code| Json::from(*code)).collect());
    let value = Json::object([
        ("type", Json::from("string")),
        ("contentEncoding", "base64".into()),
        ("description", "The message in protobuf.".into()),
    ]);
    let about_field =
        object(vec![("field", text("The path of the field.")), ("description", string())], &["field", "description"]);
    let about_caller =
        object(vec![("subject", text("The caller.")), ("description", string())], &["subject", "description"]);
    // What the details of Murmur's own errors are; a service that is hosted may have others.
    let known = [
        (
            "google.rpc.ErrorInfo",
            vec![("reason", text("One of `docs/errors.md`.")), ("domain", string()), ("metadata", map(string()))],
        ),
        ("google.rpc.BadRequest", vec![("fieldViolations", list(about_field))]),
        ("google.rpc.RetryInfo", vec![("retryDelay", text("Seconds: `1s`, `0.25s`."))]),
        ("google.rpc.QuotaFailure", vec![("violations", list(about_caller))]),
    ];
    let debug = Json::object([
        ("description", Json::from("The same as JSON, for people; the form may change.")),
        ("anyOf", Json::List(known.iter().map(|(name, _)| schema(name)).collect())),
    ]);
    let error = vec![
        ("code", Json::object([("type", Json::from("string")), ("enum", codes)])),
        ("message", text("What is wrong, for people.")),
        ("details", list(schema(DETAIL))),
    ];
    let detail = vec![
        ("type", text("Full name of a message, such as `google.rpc.ErrorInfo`.")),
        ("value", value),
        ("debug", debug),
    ];
    let end = vec![("error", schema(ERROR)), ("metadata", map(list(string())))];
    let own =
        [(ERROR, object(error, &["code"])), (DETAIL, object(detail, &["type", "value"])), (END, object(end, &[]))];
    let known = known.into_iter().map(|(name, properties)| {
        let required: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
        (name, object(properties, &required))
    });
    own.into_iter().chain(known).map(|(name, schema)| (name.to_owned(), schema)).collect()
}
