//! The forms that several aggregates of a pipeline can have, from lines of JSON to what a program answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use murmur_tests::process::{self, Server, example};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::foreign_clients::post;

/// Floor, buyer and price.
type Sale = (u32, String, u64);

fn sales() -> Vec<Sale> {
    (0..200).map(|n| (n % 3, format!("buyer {}", n * 7 % 40), u64::from(n * 31 % 997))).collect()
}

/// What is true of some of them, as a program answers it.
fn truth<'a>(sales: impl Iterator<Item = &'a Sale> + Clone) -> Value {
    let buyers = sales.clone().map(|(_, buyer, _)| buyer).collect::<BTreeSet<_>>().len();
    let highest = sales.clone().map(|(.., price)| *price).max().unwrap();
    json!({ "sales": sales.count().to_string(), "buyers": buyers as f64, "highest": highest.to_string() })
}

/// An estimate as the number that it is of so few.
fn exact(mut place: Value) -> Value {
    let buyers = place["buyers"]["value"].as_f64().unwrap().round();
    place["buyers"] = json!(buyers);
    place
}

#[test]
fn a_tuple_answers_what_a_struct_does_and_a_map_of_structs_for_each_key() {
    let (folder, sales) = (TempDir::new().unwrap(), sales());
    let lines = sales.iter().fold(String::new(), |mut lines, (floor, buyer, price)| {
        writeln!(lines, r#"{{"shop":"corner","floor":{floor},"buyer":"{buyer}","price":{price}}}"#).unwrap();
        lines
    });
    let file = folder.path().join("sales.jsonl");
    fs::write(&file, lines).unwrap();
    let store = process::store(&folder.path().join("state"));
    let source = file.display().to_string();
    let letters = folder.path().join("letters").display().to_string();
    let run = ["run", "--until-end", "--source", &source, "--store", &store, "--dead-letters", &letters, "-o", "json"];
    assert_eq!(process::json(example("sales"), &run)["applied"], sales.len());

    let table = process::success(example("sales"), &["query", "by_tuple", "corner", "--store", &store]);
    for column in ["sales", "buyers", "highest", "200"] {
        assert!(table.contains(column), "`{column}` is not in:\n{table}");
    }

    let server = Server::start(example("sales"), &["serve", "--store", &store]);
    let get = |service: &str| {
        let url = format!("http://{}/murmur_tests.v1.{service}/Get", server.address);
        post(&url, &json!({ "key": { "shop": "corner" } }))["value"].clone()
    };
    let (tuple, whole) = (get("ByTupleService"), get("ByStructService"));
    assert_eq!(tuple, whole);
    assert_eq!(exact(tuple), truth(sales.iter()));

    let floors = get("ByFloorService");
    let entries = floors["entries"].as_object().unwrap().clone();
    let told: BTreeMap<String, Value> = entries.into_iter().map(|(floor, place)| (floor, exact(place))).collect();
    let of = |floor: u32| (floor.to_string(), truth(sales.iter().filter(move |sale| sale.0 == floor)));
    assert_eq!(told, (0..3).map(of).collect());
    assert_eq!(floors["truncated"], false);
}
