//! A month on DynamoDB (DynamoDB Local, which `MURMUR_TEST_DYNAMODB` names), by the program that a user has: what a worker
//! counts it rolls by itself, so that the first who asks about 30 days at edges of minutes reads a handful of items.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use murmur_tests::process::{self, Server, example};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::foreign_clients::post;
use crate::store_dynamodb::{endpoint, prefix};

const SERVICE: &str = "murmur_tests.v1.ByMinuteService";
const PAGES: [&str; 3] = ["/", "/docs", "/blog"];
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// A visit to each page in each minute of so many days, up to the last midnight.
const DAYS: i64 = 32;

struct Visit {
    page: &'static str,
    who: u64,
    /// Seconds since 1970.
    at: i64,
}

struct Month {
    folder: TempDir,
    visits: Vec<Visit>,
    /// The end of the last day.
    end: i64,
}

impl Month {
    fn new() -> Self {
        let end = jiff::Timestamp::now().as_second().div_euclid(DAY) * DAY;
        let minutes = DAYS * DAY / MINUTE;
        let visit = |minute: i64| {
            // Anywhere in its minute.
            let at = end - (minutes - minute) * MINUTE + minute * 7 % MINUTE;
            (0..).zip(PAGES).map(move |(nth, page)| Visit { page, who: (minute * 31 + nth) as u64 % 5_000, at })
        };
        Self { folder: TempDir::new().unwrap(), visits: (0..minutes).flat_map(visit).collect(), end }
    }

    /// 30 days that ended within the last day but one: edges of minutes, and of nothing above them.
    fn thirty_days(&self) -> (i64, i64) {
        let end = self.end - 2 * DAY + 10 * 3_600 + 17 * MINUTE;
        (end - 30 * DAY, end)
    }

    /// Have a worker count all of it into tables of its own; their URL, and the worker's summary.
    fn count(&self, more: &[&str]) -> (String, Value) {
        let store = format!("dynamodb://{}?endpoint={}", prefix(), endpoint());
        let lines = self.visits.iter().fold(String::new(), |mut lines, Visit { page, who, at }| {
            writeln!(lines, r#"{{"page":"{page}","who":{who},"at":"{}"}}"#, instant(*at)).unwrap();
            lines
        });
        let file = self.folder.path().join("visits.jsonl");
        fs::write(&file, lines).unwrap();
        let (source, letters) = (file.display().to_string(), self.folder.path().join("letters").display().to_string());
        let run = ["run", "--until-end", "--create-tables", "--source", &source, "--store", &store];
        let given = ["--dead-letters", &letters, "-o", "json"];
        let summary = process::json(example("visits"), &[&run, &given[..], more].concat());
        assert_eq!(summary["applied"], self.visits.len());
        (store, summary)
    }

    /// What is true of a page, by the visits alone.
    fn truth(&self, page: &str, (start, end): (i64, i64)) -> Value {
        let inside = self.visits.iter().filter(|visit| visit.page == page && start <= visit.at && visit.at < end);
        let (count, sum) = inside.fold((0, 0), |(count, sum), visit| (count + 1, sum + visit.who));
        // Numbers of 64 bits are texts in protobuf's JSON.
        json!({ "visits": count.to_string(), "sum": sum.to_string() })
    }

    /// A right answer about the 30 days of a page, by a program that has just been started; what it says that it read.
    fn first_answer(&self, store: &str, page: &str) -> Explanation {
        let (start, end) = self.thirty_days();
        let range = ["--from", &instant(start), "--to", &instant(end)];
        let query = ["query", "by_minute", page, "--store", store, "--explain", "-o", "json"];
        let reply = process::json(example("visits"), &[&query[..], &range].concat());
        self.explained(page, &reply)
    }

    /// The same of a server.
    fn answer(&self, server: &Server, page: &str) -> Explanation {
        let (start, end) = self.thirty_days();
        let request = json!({
            "key": { "page": page }, "start": instant(start), "end": instant(end), "options": { "explain": true },
        });
        self.explained(page, &post(&format!("{}/{SERVICE}/GetRange", server.url()), &request))
    }

    fn explained(&self, page: &str, reply: &Value) -> Explanation {
        let range = self.thirty_days();
        assert_eq!(reply["value"], self.truth(page, range), "{page}");
        let side = |name: &str| reply["answer"][name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!((side("start"), side("end")), range);
        Explanation(reply["answer"]["explanation"].clone())
    }
}

fn instant(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

/// What was read for an answer. A program and a server write its names in two ways.
#[derive(Debug)]
struct Explanation(Value);

impl Explanation {
    fn of(&self, name: &str, camel: &str) -> &Value {
        self.0.get(name).or(self.0.get(camel)).unwrap_or(&Value::Null)
    }

    fn levels(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0["levels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reads| (reads["level"].as_str().unwrap(), count(&reads["items"])))
    }

    /// Whether the records of the partitions were read: once a second at most.
    fn has_records(&self) -> bool {
        self.levels().any(|(level, _)| level == "records")
    }

    /// Tiles that were read.
    fn items(&self) -> u64 {
        self.levels().filter(|(level, _)| *level != "records").map(|(_, items)| items).sum()
    }

    fn is_rolled(&self) -> bool {
        self.of("not_rolled", "notRolled").as_array().is_none_or(Vec::is_empty)
    }

    fn round_trips(&self) -> u64 {
        count(self.of("round_trips", "roundTrips"))
    }

    fn requests(&self) -> u64 {
        count(&self.0["requests"])
    }

    /// Read units, as DynamoDB Local says.
    fn consumed(&self) -> f64 {
        self.of("consumed_units", "consumedUnits").as_f64().unwrap()
    }
}

/// Of 64 bits, or left out because it is nothing.
fn count(number: &Value) -> u64 {
    number.as_str().map_or(0, |number| number.parse().unwrap())
}

#[test]
fn the_first_who_asks_about_a_month_reads_what_its_worker_has_rolled() {
    let month = Month::new();
    let (store, summary) = month.count(&[]);
    // Of each day but the last one, of which an event may still come in time: its hours, and itself in its month. The end of the
    // source may have come while a page was rolled; that was begun again, and found done in part.
    let (all, rolled) = (PAGES.len() as i64 * (DAYS - 1) * (24 + 1), summary["rolled"].as_i64().unwrap());
    assert!((all - (24 + 1)..=all).contains(&rolled), "{rolled} of {all} slots");

    let first = month.first_answer(&store, "/");
    println!("the first answer about 30 days: {} items, {} read units", first.items(), first.consumed());
    assert!(first.is_rolled() && first.items() <= 6, "{first:?}");
    // Whoever has just been started has to know first how far the partitions are.
    assert!(first.has_records() && first.round_trips() == 2, "{first:?}");
    assert_eq!(
        first.consumed(),
        1.0 + first.items() as f64 / 2.0,
        "the records strongly, and half a unit for each tile"
    );

    // A server knows that for a second; and no page was asked about here before.
    let server = Server::start(example("visits"), &["serve", "--store", &store, "--tile-cache", "0"]);
    let mut answers = PAGES.iter().cycle().take(300).map(|page| month.answer(&server, page)).inspect(|answer| {
        assert!(answer.is_rolled() && answer.items() <= 6, "{answer:?}");
    });
    let second = answers.find(|answer| !answer.has_records()).expect("two answers within a second");
    println!("one that knows the partitions: {} items, {} read units", second.items(), second.consumed());
    assert_eq!((second.round_trips(), second.requests()), (1, 2), "the tiles, and beside them what came late");
    assert_eq!(second.consumed(), second.items() as f64 / 2.0);
}

#[test]
fn what_no_worker_rolls_is_put_together_once_and_rolled_by_who_asks() {
    let month = Month::new();
    let (store, summary) = month.count(&["--roll", "off"]);
    assert_eq!(summary["rolled"], 0);
    let server = Server::start(example("visits"), &["serve", "--store", &store, "--tile-cache", "0"]);
    let first = month.answer(&server, "/");
    assert!(!first.is_rolled() && first.items() > 29 * 24, "{first:?}");
    let begun = Instant::now();
    let last = loop {
        let answer = month.answer(&server, "/");
        if answer.is_rolled() {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "never rolled: {answer:?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(last.items() <= 6, "{last:?}");
}
