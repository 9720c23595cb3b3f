//! Keys with a field of each type, at the ends of these types, and sets that are kept by such keys, asked about in each language.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use murmur_tests::process::{self, Server, cargo_murmur, example, success, target};
use murmur_tests::{tools, workspace};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::made_of;
use crate::foreign_clients::{post, shared};

const SERVICE: &str = "murmur_tests.v1.ByMeterService";
const SERIALS: [u64; 3] = [0, (1 << 53) + 1, u64::MAX];
const FLOORS: [i64; 3] = [i64::MIN, 0, i64::MAX];
/// The first and the last instant that protobuf has, to the microsecond, and those around which there is easily a second too much.
const SINCE: [&str; 4] =
    ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
const PLACES: [&str; 5] = ["", "/", "a|b", "\u{e4}\u{65e5}\u{672c}\u{1f980}", "line\nbreak\t\u{1}"];
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

#[derive(Debug, PartialEq, Eq)]
struct Key {
    serial: u64,
    floor: i64,
    indoors: bool,
    since: String,
    place: String,
}

impl Key {
    /// Each once: 3, 4 and 5 have no common factor.
    fn all() -> Vec<Self> {
        let key = |at: usize| Self {
            serial: SERIALS[at % 3],
            floor: FLOORS[at / 3 % 3],
            indoors: (at / 2).is_multiple_of(2),
            since: SINCE[at % 4].to_owned(),
            place: PLACES[at % 5].to_owned(),
        };
        (0..3 * 4 * 5).map(key).collect()
    }

    /// Of protobuf's JSON, which may leave out what is empty.
    fn read(json: &Value) -> Self {
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).unwrap_or("0");
        Self {
            serial: number("serial").parse().unwrap(),
            floor: number("floor").parse().unwrap(),
            indoors: json.get("indoors").is_some_and(|indoors| *indoors == true),
            since: text("since").to_owned(),
            place: text("place").to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        let Self { serial, floor, indoors, since, place } = self;
        let (serial, floor) = (serial.to_string(), floor.to_string());
        json!({ "serial": serial, "floor": floor, "indoors": indoors, "since": since, "place": place })
    }

    /// As the clients are asked about it.
    fn to_list(&self) -> Value {
        let Self { serial, floor, indoors, since, place } = self;
        json!([serial.to_string(), floor.to_string(), indoors, since, place])
    }
}

/// What makes a set.
#[derive(Clone, Copy)]
struct Operand {
    /// The place of its key.
    key: usize,
    /// In seconds since 1970, where it is not all that is kept.
    range: Option<(i64, i64)>,
    /// The length of the last stretch instead, in seconds.
    window: Option<i64>,
}

impl Operand {
    /// In JSON, with its key, and a length of time in seconds, as somebody writes these.
    fn to_json(self, key: Value, length: impl Fn(i64) -> Value) -> Value {
        match (self.range, self.window) {
            (Some((start, end)), _) => json!({ "key": key, "start": instant(start), "end": instant(end) }),
            (None, Some(window)) => json!({ "key": key, "window": length(window) }),
            (None, None) => json!({ "key": key }),
        }
    }
}

/// An operation, and its sets.
type Combination = (&'static str, Vec<Operand>);

/// Readings that are counted and served.
pub(super) struct Meters {
    keys: Vec<Key>,
    /// The place of the key, who looked, and when, in seconds since 1970.
    readings: Vec<(usize, String, i64)>,
    /// On the edge of a slot, within the last hour.
    recently: i64,
    long_ago: i64,
    pub(super) server: Server,
    _folder: TempDir,
}

/// One server for all clients that ask at the same time.
fn served() -> Arc<Meters> {
    static SERVED: Mutex<Weak<Meters>> = Mutex::new(Weak::new());
    shared(&SERVED, || Meters::start(&[]))
}

impl Meters {
    /// With more arguments for the server.
    pub(super) fn start(more: &[&str]) -> Self {
        let recently = (jiff::Timestamp::now().as_second() - 10 * MINUTE).div_euclid(MINUTE) * MINUTE;
        let long_ago = recently - 20 * 24 * HOUR;
        let keys = Key::all();
        // Keys differ in how often they were read, and by how many.
        let each = |at: usize| (0..1 + at % 7).map(move |nth| (at, format!("{at} {}", nth % (1 + at % 5)), recently));
        let mut readings: Vec<_> = (0..keys.len()).flat_map(each).collect();
        let mut read = |at: usize, readers: std::ops::Range<u32>, when: i64| {
            readings.extend(readers.map(|reader| (at, reader.to_string(), when)));
        };
        read(0, 0..500, recently);
        read(0, 500..1_000, long_ago);
        read(keys.len() - 1, 600..1_300, long_ago);
        read(keys.len() - 1, 0..10, recently);

        let mut lines = String::new();
        for (at, reader, when) in &readings {
            let Key { serial, floor, indoors, since, place } = &keys[*at];
            let key = json!({ "serial": serial, "floor": floor, "indoors": indoors, "since": since, "place": place });
            let mut line = key;
            line["reader"] = json!(reader);
            line["at"] = json!(instant(*when));
            writeln!(lines, "{line}").unwrap();
        }
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("readings.jsonl");
        std::fs::write(&file, lines).unwrap();
        let (source, store) = (file.display().to_string(), process::store(&folder.path().join("state")));
        let run = ["run", "--until-end", "--source", &source, "--store", &store, "-o", "json"];
        assert_eq!(process::json(example("meters"), &run)["applied"], readings.len());
        let server = Server::start(example("meters"), &[&["serve", "--store", &store], more].concat());
        Self { keys, readings, recently, long_ago, server, _folder: folder }
    }

    /// Over several keys, and over windows and ranges of one.
    fn combinations(&self) -> [Combination; 5] {
        let all = |key: usize| Operand { key, range: None, window: None };
        let (first, last) = (all(0), all(self.keys.len() - 1));
        let lately = Operand { window: Some(HOUR), ..first };
        let then = Operand { range: Some((self.long_ago, self.long_ago + MINUTE)), ..last };
        [
            ("SET_OPERATION_UNION", vec![first, last, all(1)]),
            ("SET_OPERATION_INTERSECTION", vec![first, last]),
            ("SET_OPERATION_DIFFERENCE", vec![first, last]),
            ("SET_OPERATION_DIFFERENCE", vec![first, lately]),
            ("SET_OPERATION_INTERSECTION", vec![then, first]),
        ]
    }

    /// What every client is asked to ask.
    fn question(&self) -> String {
        let keys: Vec<Value> = self.keys.iter().map(Key::to_list).collect();
        // There is one field that is a set, and so it need not be named.
        let sets = self.combinations().into_iter().zip(["readers", ""].into_iter().cycle());
        let sets = sets.map(|((operation, sets), field)| {
            let sets: Vec<Value> = sets.into_iter().map(|of| of.to_json(json!(of.key), Value::from)).collect();
            json!({ "operation": operation, "field": field, "sets": sets })
        });
        json!({ "keys": keys, "sets": sets.collect::<Vec<_>>() }).to_string()
    }

    /// Who read a meter.
    fn readers(&self, of: Operand) -> BTreeSet<&str> {
        let (start, end) = match (of.range, of.window) {
            (Some(range), _) => range,
            (None, Some(window)) => (self.recently + 10 * MINUTE - window, i64::MAX),
            (None, None) => (i64::MIN, i64::MAX),
        };
        let inside = self.readings.iter().filter(|(at, _, when)| *at == of.key && (start..end).contains(when));
        inside.map(|(_, reader, _)| reader.as_str()).collect()
    }

    /// Check what a client in some language says to the question.
    pub(super) fn assert_answers(&self, ask: impl Fn(&str, &str) -> Value) {
        let answers = ask(&self.server.url(), &self.question());
        let one = answers["one"].as_array().unwrap();
        assert_eq!(one.len(), self.keys.len());
        one.iter().enumerate().for_each(|(at, reply)| self.assert_value(at, reply));
        self.assert_entries(&answers["many"]);
        self.assert_entries(&answers["watched"]);
        self.assert_sets(&answers["sets"]);
    }

    fn assert_entries(&self, entries: &Value) {
        let entries = entries.as_array().unwrap();
        assert_eq!(entries.len(), self.keys.len());
        for (at, (key, entry)) in self.keys.iter().zip(entries).enumerate() {
            assert_eq!(Key::read(&entry["key"]), *key, "{entry}");
            self.assert_value(at, entry);
        }
    }

    fn assert_value(&self, at: usize, reply: &Value) {
        let key = &self.keys[at];
        assert_eq!(reply["present"], true, "{key:?}: {reply}");
        let readings = self.readings.iter().filter(|(of, ..)| *of == at).count();
        assert_eq!(reply["value"]["readings"], readings.to_string(), "{key:?}: {reply}");
        let readers = self.readers(Operand { key: at, range: None, window: None });
        assert_exactly(&reply["value"]["readers"], readers.len());
    }

    fn assert_sets(&self, replies: &Value) {
        let (replies, combinations) = (replies.as_array().unwrap(), self.combinations());
        assert_eq!(replies.len(), combinations.len());
        for ((operation, sets), reply) in combinations.into_iter().zip(replies) {
            let sets: Vec<BTreeSet<&str>> = sets.into_iter().map(|of| self.readers(of)).collect();
            let combined = sets.iter().cloned().reduce(|before, set| match operation {
                "SET_OPERATION_UNION" => &before | &set,
                "SET_OPERATION_INTERSECTION" => &before & &set,
                _ => &before - &set,
            });
            assert_exactly(&reply["estimate"], combined.unwrap().len());
            assert_eq!(reply["present"], true);
            let each = reply["sets"].as_array().unwrap();
            assert_eq!(each.len(), sets.len());
            each.iter().zip(&sets).for_each(|(estimate, set)| assert_exactly(estimate, set.len()));
        }
    }
}

/// Sets of this size are kept whole, so there is nothing to estimate.
fn assert_exactly(estimate: &Value, count: usize) {
    assert_ne!(count, 0, "nothing is what anything could be taken for");
    for name in ["value", "lower", "upper"] {
        assert_eq!(estimate[name].as_f64(), Some(count as f64), "{estimate}");
    }
}

fn instant(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

/// The package for a language.
pub(super) fn made(language: &str) -> PathBuf {
    made_of(project(), language, "meters")
}

/// The program's definitions in a folder of their own, with the contract that it has been built with.
pub(super) fn project() -> &'static Path {
    static PROJECT: OnceLock<PathBuf> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let project = target().join("tmp/clients/meters-project");
        // An earlier one would be the one before, and the program has none.
        if project.exists() {
            std::fs::remove_dir_all(&project).unwrap();
        }
        std::fs::create_dir_all(project.join("examples")).unwrap();
        for file in ["Cargo.toml", "examples/meters.rs"] {
            std::fs::copy(workspace().join("tests").join(file), project.join(file)).unwrap();
        }
        success(cargo_murmur(), &["murmur", "sync", "--manifest-path", project.join("Cargo.toml").to_str().unwrap()]);
        project
    })
}

/// Ask by the client of a language, `ask` with a URL and a question, and check what it says.
pub(super) fn assert_answers(ask: impl Fn(&str, &str) -> Value) {
    served().assert_answers(ask);
}

/// The requests for all keys, and for the sets, in protobuf's JSON.
fn requests(meters: &Meters) -> (Value, Vec<Value>) {
    let keys: Vec<Value> = meters.keys.iter().map(Key::to_json).collect();
    let sets = meters.combinations().into_iter().map(|(operation, sets)| {
        let sets = sets.into_iter().map(|of| of.to_json(keys[of.key].clone(), |seconds| json!(format!("{seconds}s"))));
        let sets: Vec<Value> = sets.collect();
        json!({ "operation": operation, "field": "readers", "sets": sets })
    });
    let sets = sets.collect();
    (json!({ "keys": keys }), sets)
}

/// The same by whoever asks a method with protobuf's JSON.
fn assert_answers_in_json(ask: impl Fn(&Meters, &str, &Value) -> Value) {
    let meters = served();
    let (keys, sets) = requests(&meters);
    meters.assert_entries(&ask(&meters, "GetMany", &keys)["entries"]);
    meters.assert_sets(&sets.iter().map(|sets| ask(&meters, "CombineSets", sets)).collect());
}

#[test]
fn curl_asks_by_keys_of_all_types_and_for_sets() {
    assert_answers_in_json(|meters, method, request| {
        post(&format!("{}/{SERVICE}/{method}", meters.server.url()), request)
    });
}

#[test]
fn grpcurl_asks_by_keys_of_all_types_and_for_sets() {
    let grpcurl = tools::grpcurl();
    assert_answers_in_json(|meters, method, request| {
        let (request, method) = (request.to_string(), format!("{SERVICE}/{method}"));
        process::json(&grpcurl, &["-plaintext", "-max-time", "30", "-d", &request, &meters.server.address, &method])
    });
}
