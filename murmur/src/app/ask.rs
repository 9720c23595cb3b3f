//! What a person asks about keys: an interval, turned into a method and its request.

use serde_json::json;

use super::call::Json;
use super::cli::IntervalArgs;
use super::entry::Entry;
use crate::engine::{Clock, SystemClock};
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// The interval of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// As it stands now.
    Retention,
    /// The last stretch of time.
    Window(Span),
    /// `[start, end)`; `end` is now when `None`.
    Range(Timestamp, Option<Timestamp>),
}

impl Ask {
    pub(super) fn new(args: &IntervalArgs) -> Result<Self> {
        match (args.window, args.from, args.to) {
            (None, None, None) => Ok(Self::Retention),
            (Some(window), None, None) => Ok(Self::Window(window)),
            (None, Some(start), end) => Ok(Self::Range(start, end)),
            _ => Err(Error::new(
                ErrorKind::InvalidArgument,
                "an interval is given by `--window`, or by `--from` with or without `--to`",
            )),
        }
    }

    /// The method for one key, or for many, and the rest of its request.
    pub(super) fn call(&self, many: bool) -> (&'static str, Json) {
        let name = |one, several| if many { several } else { one };
        match *self {
            Self::Retention => (name("Get", "GetMany"), json!({})),
            Self::Window(window) => (name("GetWindow", "GetWindowMany"), json!({ "window": duration(window) })),
            Self::Range(start, end) => {
                let end = end.unwrap_or_else(|| SystemClock.now());
                let request = json!({ "start": start.to_string(), "end": end.to_string() });
                (name("GetRange", "GetRangeMany"), request)
            }
        }
    }

    /// The request of a series of this interval.
    pub(super) fn series(&self, step: Span, entry: &Entry) -> Result<Json> {
        let now = SystemClock.now();
        let (start, end) = match *self {
            Self::Range(start, end) => (start, end.unwrap_or(now)),
            Self::Window(window) => (now.saturating_sub(window), now),
            Self::Retention => match entry.spec.window.horizon(now) {
                Some(start) => (start, now),
                None => {
                    let context =
                        format!("`{}` keeps all time; say with `--from` where the series begins", entry.spec.name);
                    return Err(Error::new(ErrorKind::InvalidArgument, context));
                }
            },
        };
        Ok(json!({ "start": start.to_string(), "end": end.to_string(), "step": duration(step) }))
    }
}

/// As protobuf's JSON writes a duration.
fn duration(span: Span) -> String {
    format!("{}.{:06}s", span.as_seconds(), span.as_micros() % 1_000_000)
}
