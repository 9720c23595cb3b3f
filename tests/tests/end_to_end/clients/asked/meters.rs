//! Keys with a field of each type, and values, at the ends of these types; and sets that are kept by such keys.

use std::collections::BTreeSet;
use std::fmt::Write;

use murmur_tests::process::{self, Server, example};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::answers::{Expected, OPTIONAL, Told, Truth, exactly};
use super::{Counted, EVER, LONG_AGO, Question, STEP, Stretch, instant, seconds};
use crate::clients::Made;

const SERIALS: [u64; 3] = [0, (1 << 53) + 1, u64::MAX];
const FLOORS: [i64; 3] = [i64::MIN, 0, i64::MAX];
/// The first and the last instant that protobuf has, to the microsecond, and those around which there is easily a second too much.
const SINCE: [&str; 4] =
    ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
const PLACES: [&str; 5] = ["", "/", "a|b", "\u{e4}\u{65e5}\u{672c}\u{1f980}", "line\nbreak\t\u{1}"];
/// Each of these is in some key.
const KEYS: usize = 15;
/// What flows at once, and how warm it is.
const FLOWS: [u64; 4] = [0, (1 << 53) + 1, i64::MAX as u64 + 1, u64::MAX];
const DEGREES: [i64; 3] = [i64::MIN, -1, i64::MAX];
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Somebody looked at the meter of a key.
struct Reading {
    /// The place of the key.
    key: usize,
    reader: String,
    /// In seconds since 1970.
    at: i64,
    flow: u64,
    degrees: i64,
}

/// Readings that are counted and served.
pub(in super::super) struct Meters {
    /// In protobuf's JSON.
    keys: Vec<Value>,
    readings: Vec<Reading>,
    /// When those of late were, on the edge of a slot, within the last hour.
    recently: i64,
    pub(in super::super) server: Server,
    _folder: TempDir,
}

/// The key at a place, as long as there is no other with its fields.
fn key(at: usize) -> Value {
    let (serial, floor) = (SERIALS[at % 3].to_string(), FLOORS[at / 3 % 3].to_string());
    let (indoors, since, place) = ((at / 2).is_multiple_of(2), SINCE[at % 4], PLACES[at % 5]);
    json!({ "serial": serial, "floor": floor, "indoors": indoors, "since": since, "place": place })
}

fn named(place: &str) -> Value {
    json!({ "serial": "7", "floor": "-7", "indoors": true, "since": "2026-01-01T00:00:00Z", "place": place })
}

impl Meters {
    /// With more arguments for the server.
    pub(in super::super) fn start(more: &[&str]) -> Self {
        let recently = (jiff::Timestamp::now().as_second() - 10 * MINUTE).div_euclid(MINUTE) * MINUTE;
        let mut keys: Vec<Value> = (0..KEYS).map(key).collect();
        let too_large = keys.len();
        keys.extend(["more than fits", "long ago", "never"].map(named));
        let mut readings = Vec::new();
        let mut read = |key: usize, readers: std::ops::Range<u32>, at: i64, flow: u64, degrees: i64| {
            readings.extend(readers.map(|reader| Reading { key, reader: reader.to_string(), at, flow, degrees }));
        };
        for at in 0..KEYS {
            // The ends of the types, each of which is a sum of one, and then more that leave it as it is.
            read(at, 0..1, recently, FLOWS[at % 4], DEGREES[at % 3]);
            read(at, 0..at as u32 % 7, recently, 0, 0);
        }
        read(0, 0..500, recently, 0, 0);
        read(0, 500..1_000, recently - LONG_AGO, 1, 1);
        read(1, 600..1_300, recently - LONG_AGO, 0, 0);
        read(1, 1..10, recently, 0, 0);
        // In two slots: an event that one would not hold is not counted.
        read(too_large, 0..1, recently, u64::MAX, 0);
        read(too_large, 1..2, recently - MINUTE, u64::MAX, 0);
        read(too_large + 1, 0..3, recently - LONG_AGO, 5, -5);

        let mut lines = String::new();
        for Reading { key, reader, at, flow, degrees } in &readings {
            let mut line = keys[*key].clone();
            // Which are texts in protobuf's JSON, and numbers in the events.
            for name in ["serial", "floor"] {
                line[name] = serde_json::from_str(line[name].as_str().unwrap()).unwrap();
            }
            line["reader"] = json!(reader);
            line["at"] = json!(instant(*at));
            (line["flow"], line["degrees"]) = (json!(flow), json!(degrees));
            writeln!(lines, "{line}").unwrap();
        }
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("readings.jsonl");
        std::fs::write(&file, lines).unwrap();
        let (source, store) = (file.display().to_string(), process::store(&folder.path().join("state")));
        let run = ["run", "--until-end", "--source", &source, "--store", &store, "-o", "json"];
        assert_eq!(process::json(example("meters"), &run)["applied"], readings.len());
        let server = Server::start(example("meters"), &[&["serve", "--store", &store], more].concat());
        Self { keys, readings, recently, server, _folder: folder }
    }

    /// What a client is asked, and what is right.
    pub(super) fn counted(&self, made: Made) -> Counted<'_> {
        let end = self.recently + MINUTE;
        Counted {
            made,
            url: self.server.url(),
            keys: self.keys.clone(),
            stretch: (end - 4 * STEP, end),
            truth: Box::new(move |key, stretch| self.told(key, stretch, made != Made::MetersBefore)),
            more: self.combinations(),
        }
    }

    /// What is true of a key: all of it, or what the first contract has.
    fn told(&self, key: usize, stretch: Stretch, all: bool) -> Option<Told<'_>> {
        let readings: Vec<&Reading> = self.within(key, stretch).collect();
        let [flow, degrees] = [|of: &Reading| i128::from(of.flow), |of: &Reading| i128::from(of.degrees)]
            .map(|field| readings.iter().map(|reading| field(reading)).sum::<i128>());
        if u64::try_from(flow).is_err() {
            return Some(Told::TooLarge("flow"));
        }
        let (most, coldest) = (readings.iter().map(|of| of.flow).max()?, readings.iter().map(|of| of.degrees).min()?);
        let numbers = [("flow", flow), ("most", most.into()), ("degrees", degrees), ("coldest", coldest.into())];
        let known = if all { numbers.to_vec() } else { Vec::new() };
        let count = ("readings", readings.len() as i128);
        let numbers = [vec![count], known].concat();
        Some(Told::Value(Box::new(Seen { numbers, readers: readers(readings).len() })))
    }

    fn within(&self, key: usize, (start, end): Stretch) -> impl Iterator<Item = &Reading> {
        self.readings.iter().filter(move |of| of.key == key && (start..end).contains(&of.at))
    }

    /// Sets of several keys, and over windows and ranges of one.
    fn combinations(&self) -> Vec<Question<'_>> {
        let now = self.recently + 10 * MINUTE;
        let then = (self.recently - LONG_AGO, self.recently - LONG_AGO + MINUTE);
        let all = |key: usize| (json!({ "key": self.keys[key] }), key, EVER);
        let range = json!({ "key": self.keys[1], "start": instant(then.0), "end": instant(then.1) });
        let window = json!({ "key": self.keys[0], "window": seconds(HOUR) });
        let lately = (window, 0, (now - HOUR, i64::MAX));
        let combinations = [
            ("SET_OPERATION_UNION", vec![all(0), all(1), all(2)]),
            ("SET_OPERATION_INTERSECTION", vec![all(0), all(1)]),
            ("SET_OPERATION_DIFFERENCE", vec![all(0), all(1)]),
            ("SET_OPERATION_DIFFERENCE", vec![all(0), lately]),
            ("SET_OPERATION_INTERSECTION", vec![(range, 1, then), all(0)]),
        ];
        // There is one field that is a set, and so it need not be named.
        let fields = ["readers", ""].into_iter().cycle();
        let questions = combinations.into_iter().zip(fields).map(|((operation, operands), field)| {
            let sets: Vec<BTreeSet<&str>> =
                operands.iter().map(|(_, key, stretch)| readers(self.within(*key, *stretch))).collect();
            let combined = sets.iter().cloned().reduce(|before, set| match operation {
                "SET_OPERATION_UNION" => &before | &set,
                "SET_OPERATION_INTERSECTION" => &before & &set,
                _ => &before - &set,
            });
            let combined = combined.unwrap().len();
            assert_ne!(combined, 0, "nothing is what anything could be taken for");
            let asked: Vec<Value> = operands.into_iter().map(|(asked, ..)| asked).collect();
            Question {
                method: "CombineSets",
                request: json!({ "sets": asked, "operation": operation, "field": field }),
                expected: Expected::Sets { combined, each: sets.iter().map(BTreeSet::len).collect() },
            }
        });
        questions.collect()
    }
}

fn readers<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> BTreeSet<&'a str> {
    readings.into_iter().map(|reading| &*reading.reader).collect()
}

/// What was seen at a meter.
struct Seen {
    numbers: Vec<(&'static str, i128)>,
    readers: usize,
}

impl Truth for Seen {
    fn compare(&self, value: &Value) -> Result<(), String> {
        for (name, right) in &self.numbers {
            // What is zero may be left out, unless it could be that there is none.
            let zero = (!OPTIONAL.contains(name)).then_some("0");
            let text = value.get(name).map_or(zero, Value::as_str);
            let number = text.and_then(|text| text.parse::<i128>().ok());
            if number != Some(*right) {
                return Err(format!("{name} is {:?} instead of {right}", value.get(name)));
            }
        }
        exactly(&value["readers"], self.readers)
    }
}
