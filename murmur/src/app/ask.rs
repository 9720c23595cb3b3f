//! What a person asks about keys: an interval and what to ask of estimates, turned into a method and its request.

use serde_json::{Value, json};

use super::call::Json;
use super::cli::{CutAt, IntervalArgs, QuestionArgs};
use super::entry::Entry;
use super::units::{Step, Units};
use crate::aggregate::{Probe, Question};
use crate::engine::{Clock, SystemClock};
use crate::time::{Span, Timestamp, Zone};
use crate::wire::types::{self, Edges};
use crate::{Error, ErrorKind, Result};

/// A question about keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ask {
    interval: Interval,
    edges: CutAt,
    /// Whether to say what was read.
    explain: bool,
    /// What is asked of estimates, as `murmur.v1.Question`; null when nothing is.
    question: Json,
}

/// The interval of a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Interval {
    /// As it stands now.
    #[default]
    Retention,
    /// The last stretch of time.
    Window(Span),
    /// `[start, end)`; `end` is now when `None`.
    Range(Timestamp, Option<Timestamp>),
    /// The last units of a zone's calendar, or the last of those that are over.
    Calendar { units: Units, zone: Zone, whole: bool },
}

impl Ask {
    pub(super) fn new(args: &IntervalArgs, question: &QuestionArgs) -> Result<Self> {
        let zone = args.zone.unwrap_or_default();
        let interval = match (args.window, args.calendar, args.from, args.to) {
            (None, None, None, None) => Interval::Retention,
            (Some(window), None, None, None) => Interval::Window(window),
            (None, Some(units), None, None) => Interval::Calendar { units, zone, whole: args.whole },
            (None, None, Some(start), end) => Interval::Range(start, end),
            _ => {
                let context =
                    "an interval is given by `--window`, by `--calendar`, or by `--from` with or without `--to`";
                return Err(Error::new(ErrorKind::InvalidArgument, context));
            }
        };
        Ok(Self { interval, edges: args.edges, explain: false, question: asked(question)? })
    }

    /// The same, with what was read for the answer.
    pub(super) fn explained(self) -> Self {
        Self { explain: true, ..self }
    }

    /// The method for one key, or for many, and the rest of its request.
    pub(super) fn call(&self, many: bool) -> (&'static str, Json) {
        let name = |one, several| if many { several } else { one };
        let (method, request) = match self.interval {
            Interval::Retention => (name("Get", "GetMany"), json!({})),
            Interval::Window(window) => (name("GetWindow", "GetWindowMany"), json!({ "window": duration(window) })),
            Interval::Range(start, end) => {
                let end = end.unwrap_or_else(|| SystemClock.now());
                let request = json!({ "start": start.to_string(), "end": end.to_string() });
                (name("GetRange", "GetRangeMany"), request)
            }
            Interval::Calendar { units, zone, whole } => {
                (name("GetWindow", "GetWindowMany"), json!({ "calendar": calendar(units, zone, whole) }))
            }
        };
        (method, self.with_options(request))
    }

    /// The interval alone, as the fields of a request.
    pub(super) fn interval(&self) -> Json {
        Self { question: Json::Null, ..self.clone() }.call(false).1
    }

    /// The request of a series of this interval; steps of a calendar are those of `zone`.
    pub(super) fn series(&self, step: Step, zone: Zone, entry: &Entry) -> Result<Json> {
        let mut request = self.of_series(entry)?;
        match step {
            Step::Span(step) => request["step"] = duration(step).into(),
            Step::Calendar(units) => request["calendar_step"] = units.request(zone),
        }
        Ok(self.with_options(request))
    }

    fn of_series(&self, entry: &Entry) -> Result<Json> {
        let now = SystemClock.now();
        let (start, end) = match self.interval {
            Interval::Calendar { units, zone, whole } => {
                return Ok(json!({ "calendar": calendar(units, zone, whole) }));
            }
            Interval::Range(start, end) => (start, end.unwrap_or(now)),
            Interval::Window(window) => (now.saturating_sub(window), now),
            Interval::Retention => match entry.spec.window.horizon(now) {
                Some(start) => (start, now),
                None => {
                    let context =
                        format!("`{}` keeps all time; say with `--from` where the series begins", entry.spec.name);
                    return Err(Error::new(ErrorKind::InvalidArgument, context));
                }
            },
        };
        Ok(json!({ "start": start.to_string(), "end": end.to_string() }))
    }

    /// A request with what is asked in its options.
    fn with_options(&self, mut request: Json) -> Json {
        if !self.question.is_null() {
            request["options"]["question"] = self.question.clone();
        }
        if self.edges == CutAt::Sawtooth {
            request["options"]["edges"] = Edges::Sawtooth.proto_name().into();
        }
        if self.explain {
            request["options"]["explain"] = true.into();
        }
        request
    }
}

/// The message of what is asked of estimates. What the server would refuse is refused here, without the way there.
fn asked(args: &QuestionArgs) -> Result<Json> {
    let QuestionArgs { quantile, rank, element } = args;
    // As an element: what reads as a whole number is one, and `text:7` is the text.
    let elements = element.iter().map(|element| match (element.strip_prefix("text:"), element.parse()) {
        (None, Ok(number)) => Probe::Integer(number),
        (text, _) => Probe::from(text.unwrap_or(element)),
    });
    let question = Question {
        quantiles: quantile.clone(),
        ranks: rank.clone(),
        elements: elements.collect(),
        ..Question::default()
    };
    if question == Question::default() {
        return Ok(Value::Null);
    }
    question.check()?;
    let types::Question { quantiles, ranks, texts, integers } = question.into();
    // Infinities have no number in JSON; protobuf writes them as texts.
    let floats = |numbers: Vec<f64>| -> Vec<Json> {
        let infinite = |number: f64| json!(if number > 0.0 { "Infinity" } else { "-Infinity" });
        numbers.into_iter().map(|number| if number.is_finite() { json!(number) } else { infinite(number) }).collect()
    };
    Ok(json!({ "quantiles": floats(quantiles), "ranks": floats(ranks), "texts": texts, "integers": integers }))
}

fn calendar(units: Units, zone: Zone, whole: bool) -> Json {
    let mut request = units.request(zone);
    request["whole"] = whole.into();
    request
}

/// As protobuf's JSON writes a duration.
fn duration(span: Span) -> String {
    format!("{}.{:06}s", span.as_seconds(), span.as_micros() % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval() -> IntervalArgs {
        let edges = CutAt::Exact;
        IntervalArgs { window: None, calendar: None, zone: None, whole: false, from: None, to: None, edges }
    }

    fn request(quantile: &[f64], rank: &[f64], element: &[&str]) -> Result<Json> {
        let element = element.iter().map(|&element| element.to_owned()).collect();
        let question = QuestionArgs { quantile: quantile.to_vec(), rank: rank.to_vec(), element };
        Ask::new(&interval(), &question).map(|ask| ask.call(false).1)
    }

    #[test]
    fn edges_and_whether_to_explain_stand_in_the_options_too() {
        let question = QuestionArgs { quantile: Vec::new(), rank: Vec::new(), element: vec!["/a".into()] };
        let interval = IntervalArgs { edges: CutAt::Sawtooth, window: Some(Span::from_seconds(60)), ..interval() };
        let (_, request) = Ask::new(&interval, &question).unwrap().explained().call(false);
        let options = json!({
            "question": { "quantiles": [], "ranks": [], "texts": ["/a"], "integers": [] },
            "edges": "EDGES_SAWTOOTH",
            "explain": true,
        });
        assert_eq!(request, json!({ "window": "60.000000s", "options": options }));
    }

    #[test]
    fn questions_stand_in_the_options_of_a_request() {
        assert_eq!(request(&[], &[], &[]).unwrap(), json!({}));
        let question = json!({
            "quantiles": [0.5, 1.0], "ranks": ["-Infinity", 2.5], "texts": ["/a", "7", "1.5"], "integers": [7, -1],
        });
        let asked = request(&[0.5, 1.0], &[f64::NEG_INFINITY, 2.5], &["/a", "7", "text:7", "1.5", "-1"]);
        assert_eq!(asked.unwrap(), json!({ "options": { "question": question } }));
        let error = request(&[1.5], &[], &[]).unwrap_err();
        assert!(error.to_string().contains("`quantiles` has 1.5"), "{error}");
    }
}
