//! How a request wants its sides to be cut, and what was read for it, through the typed client and through JSON.

use std::num::NonZeroU32;

use serde_json::json;

use super::http::{path, post};
use super::*;
use crate::query::Edges;
use crate::time::{CalendarUnit, CalendarUnits, Zone};

async fn world() -> World {
    let world = World::new();
    for (hours, count) in [(0, 1), (4, 10), (30, 100)] {
        world.count(&stock(7, "tea", -2), hours_ago(hours), count).await;
    }
    world
}

#[tokio::test]
async fn the_typed_client_is_told_what_was_read() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let (keys, day) = (vec![stock(7, "tea", -2), stock(0, "", 0)], "1d".parse().unwrap());
    let silent = client.window(keys[0].clone(), day, None).await.unwrap();
    assert_eq!(silent.answer.unwrap().explanation, None);
    let client = client.explaining();
    let answer = client.window(keys[0].clone(), day, None).await.unwrap();
    let explanation = answer.answer.unwrap().explanation.unwrap();
    assert_eq!(answer.value, 11);
    let days = explanation.levels.iter().find(|reads| reads.level == "day").unwrap();
    assert!(days.items > 0 && days.bytes > 0 && explanation.read_units > 0.0, "{explanation:?}");
    let entries = client.window_many(keys.clone(), day, None).await.unwrap();
    let explained = entries.iter().map(|entry| entry.answer.as_ref().unwrap().explanation.is_some());
    assert_eq!(explained.collect::<Vec<_>>(), [true, false]);
}

#[tokio::test]
async fn the_typed_client_says_how_sides_are_cut() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await.edges(Edges::Sawtooth);
    let answer = client.window(stock(7, "tea", -2), "1d".parse().unwrap(), None).await.unwrap();
    assert_eq!(answer.value, 11);
    let day = CalendarUnits { count: NonZeroU32::MIN, unit: CalendarUnit::Day, zone: Zone::utc() };
    let error = client.calendar(stock(7, "tea", -2), day, false, None).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains("`edges`"), "{error}");
}

#[tokio::test]
async fn curl_is_told_what_was_read() {
    let world = world().await;
    let key = json!({"shop": 7, "sku": "tea", "shelf": -2});
    let options = json!({"explain": true, "edges": "EDGES_SAWTOOTH"});
    let request = json!({"key": key, "window": "86400s", "options": options});
    let reply = post(&world, &path("GetWindow"), request).await.json();
    let explanation = &reply["answer"]["explanation"];
    assert_eq!((&reply["value"], explanation["requests"].is_string()), (&json!("11"), true), "{reply}");
    assert!(explanation["readUnits"].as_f64().unwrap() > 0.0 && explanation["levels"].is_array(), "{reply}");
    let request = json!({"key": key, "calendar": {"days": 1}, "options": {"edges": 2}});
    let reply = post(&world, &path("GetWindow"), request).await.json();
    assert!(reply["message"].as_str().unwrap().contains("`edges`"), "{reply}");
}
