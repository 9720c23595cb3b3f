//! One list of questions, asked by every client. A program in each language reads it from a file, calls what the client has for each
//! method, and prints the answers; `curl` and `grpcurl` are asked the same. What is right is known from the events alone.
//!
//! | method | with events | empty | absent | out of retention |
//! |---|---|---|---|---|
//! | `Get`, `GetMany` | each key | what is kept has no end without events | a key without any | it is all that is kept |
//! | `GetWindow`, `GetRange`, `Series` | each key | some | one | some |
//! | `GetWindowMany`, `GetRangeMany` | all keys | each that was empty | one | all keys |
//! | `Watch`, `WatchMany` | each key | by a window | one | they are up to now |
//! | `CombineSets` | five combinations; refused where no field is a set | | | |
//!
//! Keys and values are those at the ends of what types hold, and those that are easily taken for something else. Windows are of a
//! fixed length and by a calendar, up to a time and up to now.

mod answers;
mod generic;
mod meters;
mod pages;
mod plain;

use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::Code;

use answers::{Expected, Told, Words};
pub(super) use meters::Meters;

use super::Made;
use crate::foreign_clients::{Served, served, shared};

const DAY: i64 = 86_400;
/// How long ago is long ago, where something is kept still.
pub(crate) const LONG_AGO: i64 = 20 * DAY;
/// A window up to now that has all events but those of long ago.
const LATELY: i64 = 10 * DAY;
/// So many days up to now have all events.
const ALL_DAYS: i64 = 30;
/// A time zone whose day is not that of UTC.
const ZONE: &str = "Asia/Kathmandu";
const STEP: i64 = 300;

/// A stretch of time in seconds since 1970, on edges of slots, half-open.
pub(super) type Stretch = (i64, i64);
const EVER: Stretch = (i64::MIN, i64::MAX);

/// What is counted and served, so that it can be asked about.
pub(super) struct Counted<'a> {
    /// The client of its service, and the service.
    pub(super) made: Made,
    pub(super) url: String,
    /// Keys as protobuf's JSON writes them: the first has events in the stretch, the last but one has them long ago only, and
    /// the last never had one.
    pub(super) keys: Vec<Value>,
    /// With events, not long before now, in whole steps.
    pub(super) stretch: Stretch,
    /// What is true of the key at a place over a stretch; nothing without events.
    pub(super) truth: Box<dyn Fn(usize, Stretch) -> Option<Told<'a>> + 'a>,
    /// Questions that only this service has.
    pub(super) more: Vec<Question<'a>>,
}

/// A call, and what is right.
pub(super) struct Question<'a> {
    pub(super) method: &'static str,
    /// In protobuf's JSON.
    pub(super) request: Value,
    pub(super) expected: Expected<'a>,
}

impl<'a> Counted<'a> {
    fn told(&self, key: usize, stretch: Stretch) -> Told<'a> {
        match (self.truth)(key, stretch) {
            Some(told) => told,
            None if stretch.1 < self.stretch.0 - 100 * DAY => Told::Nothing("PRESENCE_OUT_OF_RETENTION"),
            None if (self.truth)(key, EVER).is_some() => Told::Nothing("PRESENCE_EMPTY"),
            None => Told::Nothing("PRESENCE_ABSENT"),
        }
    }

    /// The list.
    pub(super) fn questions(self) -> Vec<Question<'a>> {
        let mut list = List { asked: Vec::new(), of: &self };
        let all: Vec<usize> = (0..self.keys.len()).collect();
        // Those of which every presence can be told.
        let (first, long_ago, never) = (0, all.len() - 2, all.len() - 1);
        let (start, end) = self.stretch;
        for &key in &all {
            list.ever(key);
            list.over(key, self.stretch);
        }
        // Before anything is kept, and within it without events.
        let without = [(start - 200 * DAY, end - 200 * DAY), (start - DAY, end - DAY)];
        for stretch in without {
            [first, long_ago, never].into_iter().for_each(|key| list.over(key, stretch));
        }
        list.many_ever(&all);
        for stretch in [self.stretch, without[0], without[1]] {
            list.many_over(&all, stretch);
        }
        for key in [first, long_ago, never] {
            list.up_to_now(key);
        }
        list.many_up_to_now(&all);
        list.today(first);
        let List { mut asked, .. } = list;
        asked.extend(self.more);
        asked
    }
}

/// Questions as they are put together.
struct List<'c, 'a> {
    asked: Vec<Question<'a>>,
    of: &'c Counted<'a>,
}

impl<'a> List<'_, 'a> {
    fn ask(&mut self, method: &'static str, request: Value, expected: Expected<'a>) {
        self.asked.push(Question { method, request, expected });
    }

    fn one(&self, key: usize, stretch: Stretch) -> Expected<'a> {
        let cut = (stretch.0 != i64::MIN && stretch.1 != i64::MAX).then_some(stretch);
        Expected::One { told: self.of.told(key, stretch), cut }
    }

    fn entries(&self, keys: &[usize], stretch: Stretch) -> Expected<'a> {
        Expected::Entries(keys.iter().map(|&key| (self.of.keys[key].clone(), self.of.told(key, stretch))).collect())
    }

    fn points(&self, key: usize, stretch: Stretch, steps: Vec<Stretch>) -> Expected<'a> {
        let whole = self.of.told(key, stretch);
        let kept = !matches!(whole, Told::Nothing("PRESENCE_OUT_OF_RETENTION"));
        let steps = if kept { steps } else { Vec::new() };
        Expected::Points { whole, steps: steps.into_iter().map(|step| (step, self.of.told(key, step))).collect() }
    }

    fn keys(&self, keys: &[usize]) -> Vec<Value> {
        keys.iter().map(|&key| self.of.keys[key].clone()).collect()
    }

    /// Over all that is kept of a key.
    fn ever(&mut self, key: usize) {
        let of = self.of.keys[key].clone();
        for method in ["Get", "Watch"] {
            self.ask(method, json!({ "key": of }), self.one(key, EVER));
        }
    }

    fn over(&mut self, key: usize, stretch: Stretch) {
        let ((start, end), of) = (stretch, self.of.keys[key].clone());
        let (from, to, step) = (instant(start), instant(end), seconds(STEP));
        let steps = (start..end).step_by(STEP as usize).map(|start| (start, start + STEP)).collect();
        let window = seconds(end - start);
        self.ask("GetWindow", json!({ "key": of, "window": window, "end": to }), self.one(key, stretch));
        self.ask("GetRange", json!({ "key": of, "start": from, "end": to }), self.one(key, stretch));
        let asked = json!({ "key": of, "start": from, "end": to, "step": step });
        self.ask("Series", asked, self.points(key, stretch, steps));
    }

    fn many_ever(&mut self, keys: &[usize]) {
        let of = self.keys(keys);
        for method in ["GetMany", "WatchMany"] {
            self.ask(method, json!({ "keys": of }), self.entries(keys, EVER));
        }
    }

    fn many_over(&mut self, keys: &[usize], stretch: Stretch) {
        let ((start, end), of) = (stretch, self.keys(keys));
        let window = seconds(end - start);
        let asked = json!({ "keys": of, "window": window, "end": instant(end) });
        self.ask("GetWindowMany", asked, self.entries(keys, stretch));
        let asked = json!({ "keys": of, "start": instant(start), "end": instant(end) });
        self.ask("GetRangeMany", asked, self.entries(keys, stretch));
    }

    /// By a length of time, and by a calendar.
    fn up_to_now(&mut self, key: usize) {
        let (of, lately) = (self.of.keys[key].clone(), (self.of.stretch.1 - LATELY, i64::MAX));
        let calendar = json!({ "days": ALL_DAYS, "zone": ZONE });
        for method in ["GetWindow", "Watch"] {
            self.ask(method, json!({ "key": of, "window": seconds(LATELY) }), self.one(key, lately));
            self.ask(method, json!({ "key": of, "calendar": calendar }), self.one(key, EVER));
        }
    }

    fn many_up_to_now(&mut self, keys: &[usize]) {
        let (of, lately) = (self.keys(keys), (self.of.stretch.1 - LATELY, i64::MAX));
        let calendar = json!({ "days": ALL_DAYS, "zone": ZONE });
        for method in ["GetWindowMany", "WatchMany"] {
            self.ask(method, json!({ "keys": of, "window": seconds(LATELY) }), self.entries(keys, lately));
            self.ask(method, json!({ "keys": of, "calendar": calendar }), self.entries(keys, EVER));
        }
    }

    /// The day so far in a time zone, and how that was read.
    fn today(&mut self, key: usize) {
        let (end, of) = (self.of.stretch.1, self.of.keys[key].clone());
        let midnight = jiff::Timestamp::from_second(end).unwrap().in_tz(ZONE).unwrap().start_of_day().unwrap();
        let today = (midnight.timestamp().as_second(), end);
        let asked = json!({ "key": of, "calendar": { "days": 1, "zone": ZONE }, "end": instant(end) });
        self.ask("GetWindow", asked.clone(), self.one(key, today));
        let mut steps = asked.clone();
        steps["calendarStep"] = json!({ "days": 1 });
        for asked in [asked, steps] {
            self.ask("Series", asked, self.points(key, today, vec![today]));
        }
        let explaining = json!({ "key": of, "options": { "explain": true } });
        self.ask("Get", explaining, Expected::Explained(self.of.told(key, EVER)));
    }
}

fn instant(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

fn seconds(length: i64) -> String {
    format!("{length}s")
}

/// The questions as programs read them.
fn written(questions: &[Question<'_>]) -> NamedTempFile {
    let asked: Vec<Value> = questions
        .iter()
        .map(|Question { method, request, .. }| json!({ "method": method, "request": request }))
        .collect();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!(asked).to_string()).unwrap();
    file
}

/// Ask by a client, `ask` with which one, a URL and the file of the questions, and check each answer.
fn assert_answered(counted: Counted<'_>, ask: &impl Fn(Made, &str, &Path) -> Value) {
    let (made, url) = (counted.made, counted.url.clone());
    assert_questions(made, &url, &counted.questions(), ask);
}

fn assert_questions(made: Made, url: &str, questions: &[Question<'_>], ask: &impl Fn(Made, &str, &Path) -> Value) {
    let file = written(questions);
    let answers = ask(made, url, file.path());
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), questions.len());
    let wrong: Vec<String> = questions
        .iter()
        .zip(answers)
        .filter_map(|(Question { method, request, expected }, answer)| {
            let wrong = expected.compare(answer).err()?;
            Some(format!("{made:?} {method} {request}\n    {wrong}\n    {answer}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} answers are wrong:\n{}", wrong.len(), questions.len(), wrong.join("\n"));
}

/// One server for all clients that ask at the same time.
fn meters() -> Arc<Meters> {
    static SERVED: Mutex<Weak<Meters>> = Mutex::new(Weak::new());
    shared(&SERVED, || Meters::start(&[]))
}

/// Ask all questions of both services.
pub(super) fn assert_answers(ask: impl Fn(Made, &str, &Path) -> Value) {
    assert_answered(pages::counted(&served()), &ask);
    assert_answered(meters().counted(Made::Meters), &ask);
}

/// The same of servers of one's own.
pub(super) fn assert_answers_of(pages: &Served, meters: &Meters, ask: impl Fn(Made, &str, &Path) -> Value) {
    assert_answered(pages::counted(pages), &ask);
    assert_answered(meters.counted(Made::Meters), &ask);
}

/// A client of the contract before has all its answers, and one of a contract that the server does not have is told so by every
/// method, instead of a number that is none.
pub(super) fn assert_contracts(ask: impl Fn(Made, &str, &Path) -> Value) {
    let meters = meters();
    assert_answered(meters.counted(Made::MetersBefore), &ask);
    let counted = meters.counted(Made::MetersAhead);
    let url = counted.url.clone();
    let mut questions = counted.questions();
    questions.sort_by_key(|question| question.method);
    questions.dedup_by_key(|question| question.method);
    assert_eq!(questions.len(), 10, "every method");
    for question in &mut questions {
        let words: Words = &["another contract of `meters.v1.ByMeterService`", "cargo murmur clients"];
        question.expected = Expected::Refused(Code::FailedPrecondition, words);
    }
    assert_questions(Made::MetersAhead, &url, &questions, &ask);
}
