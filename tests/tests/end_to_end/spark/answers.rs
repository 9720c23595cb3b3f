//! Aggregates of which Spark has no bytes: it answers the same of the same events.

use std::fs;
use std::path::Path;

use murmur::aggregate::{
    Average, Count, Decayed, First, Frequency, Last, Latest, Map, Max, Membership, Min, Moments, Monoid, Probe,
    Question, Set, Sum,
};
use murmur::time::Timestamp;
use serde_json::{Map as Object, Value, json};

/// The heading in `docs/spark.md`.
const SECTION: &str = "Answers";
/// What the page asks about, and when.
const ASKED: &str = "a";
const NOON: &str = "2026-05-01T12:00:00Z";

/// Its times and versions are its own, as Spark takes any of those with equal ones.
struct Event {
    at: Timestamp,
    element: Option<String>,
    number: Option<i64>,
    version: i64,
    real: Option<f64>,
}

impl Event {
    fn json(&self) -> Value {
        let Self { at, element, number, version, real } = self;
        json!({ "at": at, "element": element, "number": number, "version": version, "real": real })
    }
}

/// Write down the events; what Spark answers is checked by what is returned.
pub(super) fn prepare(folder: &Path) -> Box<dyn FnOnce(&Value)> {
    let cases = cases();
    let lines = cases.iter().map(|(key, events)| {
        let events: Vec<_> = events.iter().map(Event::json).collect();
        json!({ "key": key, "elements": events }).to_string() + "\n"
    });
    fs::write(folder.join(format!("{SECTION}.EVENT.jsonl")), lines.collect::<String>()).unwrap();
    Box::new(move |replies| {
        let views = &replies[format!("{SECTION}.EVENT")];
        for (key, events) in &cases {
            let mut spark = views["answers"][*key].as_object().unwrap().clone();
            assert_eq!(spark.remove("key"), Some(json!(key)));
            // A key without elements has no map.
            spark.insert("map".into(), views["maps"][*key].get("map").cloned().unwrap_or_else(|| json!({})));
            check(key, &ours(events), &spark);
        }
    })
}

fn cases() -> Vec<(&'static str, Vec<Event>)> {
    let noon: Timestamp = NOON.parse().unwrap();
    let at = |micros: i64| Timestamp::from_micros(noon.as_micros() - micros);
    let event = |micros, element: Option<&str>, number, version, real| Event {
        at: at(micros),
        element: element.map(str::to_owned),
        number,
        version,
        real,
    };
    // Without a pattern, and the same every time.
    let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let many = (0..2_000).map(|n| {
        let random = mixed(n);
        Event {
            at: at((random as i64 >> 24) & 0xf_ffff_ffff),
            element: (random % 7 != 0).then(|| ["a", "b", "é", "", "日本語", "Z"][random as usize % 6].to_owned()),
            number: (random % 5 != 0).then_some(random as i64 >> 20),
            version: random as i64,
            real: (random % 3 != 0).then_some((random >> 40) as f64 / 1024.0 - 4_000.0),
        }
    });
    vec![
        ("nothing", vec![event(1, None, None, 1, None), event(2, None, None, 2, None)]),
        ("single", vec![event(1, Some("a"), Some(-7), 1, Some(0.5))]),
        (
            "ends",
            vec![
                // The first, the last and the newest have no element.
                event(3_600_000_000, None, Some(i64::MIN / 2), i64::MAX, Some(1e100)),
                event(1_800_000_000, Some("b"), Some(i64::MIN / 2), -1, Some(-1e100)),
                event(1_000_000, Some("c"), Some(i64::MAX / 2), i64::MIN, Some(1e-100)),
                event(1, None, Some(0), 0, None),
            ],
        ),
        ("many", many.collect()),
    ]
}

fn answer<A: Monoid>(events: &[Event], of: impl Fn(&Event) -> A) -> A::Reply {
    let mut whole = A::identity();
    events.iter().for_each(|event| whole.combine(of(event)));
    let question = Question { as_of: NOON.parse().unwrap(), elements: vec![Probe::from(ASKED)], ..Question::default() };
    whole.reply(&question).unwrap()
}

/// By the names that the page gives them.
fn ours(events: &[Event]) -> Object<String, Value> {
    let element = |event: &Event| event.element.clone();
    let average = answer(events, |event| Average::of(event.real));
    let moments = answer(events, |event| Moments::of(event.real));
    let set = answer(events, |event| Set::<String, 100>::of(element(event)));
    let map = answer(events, |event| Map::<String, Count, 100>::of(element(event), Count::one()));
    let frequency = answer(events, |event| Frequency::of(element(event)));
    let membership = answer(events, |event| Membership::<10_000>::of(element(event)));
    let answers = json!({
        "count": answer(events, |_| Count::one()),
        "sum": answer(events, |event| Sum::<i64>::of(event.number)),
        "average": average.mean,
        "mean": moments.mean,
        "variance": moments.variance,
        "deviation": moments.standard_deviation,
        "population_variance": moments.population_variance,
        "min": answer(events, |event| Min::<i64>::of(event.number)),
        "max": answer(events, |event| Max::<String>::of(element(event))),
        "first": answer(events, |event| First::<String>::at(event.at, element(event))).map(|kept| kept.value),
        "last": answer(events, |event| Last::<String>::at(event.at, element(event))).map(|kept| kept.value),
        "latest": answer(events, |event| Latest::of(event.version, element(event))),
        "set": set.values,
        "map": map.entries,
        "decayed": answer(events, |event| Decayed::<3600>::of(event.real, event.at)).value,
        "frequency": frequency.frequencies[0].count,
        "member": membership.members[0].contained,
    });
    let Value::Object(answers) = answers else { unreachable!("written as one") };
    answers
}

fn check(key: &str, ours: &Object<String, Value>, spark: &Object<String, Value>) {
    let unknown: Vec<_> = spark.keys().filter(|name| !ours.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "nothing here answers {unknown:?}");
    for (name, ours) in ours {
        // `to_json` leaves out what is null; a sum of nothing is 0 here.
        let nothing = if matches!(name.as_str(), "sum" | "decayed") { json!(0) } else { Value::Null };
        let spark = spark.get(name).unwrap_or(&nothing);
        let same = match (ours.as_f64(), spark.as_f64()) {
            (Some(a), Some(b)) if ours.is_f64() => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => ours == spark,
        };
        assert!(same, "`{name}` of `{key}`: {ours}, and Spark answers {spark}");
    }
}
