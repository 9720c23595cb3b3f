//! Days, weeks and months of zones through the typed client and through JSON.

use serde_json::{Value, json};

use super::http::{path, post};
use super::*;
use crate::time::{CalendarUnit, CalendarUnits};

async fn world() -> World {
    let world = World::new();
    // Of today at noon, of this morning, and of yesterday morning.
    for (hours, count) in [(0, 1), (4, 10), (30, 100)] {
        world.count(&tea(), hours_ago(hours), count).await;
    }
    world
}

fn tea() -> StockKey {
    stock(7, "tea", -2)
}

fn days(count: u32, zone: &str) -> CalendarUnits {
    CalendarUnits { count: count.try_into().unwrap(), unit: CalendarUnit::Day, zone: zone.parse().unwrap() }
}

#[tokio::test]
async fn the_typed_client_asks_by_the_calendar() {
    let world = world().await;
    let server = world.serve().await;
    let client = server.client::<Stock>().await;
    let value = async |units, whole, end| client.calendar(tea(), units, whole, end).await.unwrap().value;
    assert_eq!(value(days(1, "Europe/Berlin"), false, None).await, 11);
    assert_eq!(value(days(1, "Europe/Berlin"), true, None).await, 100);
    assert_eq!(value(days(2, "Europe/Berlin"), false, None).await, 111);
    // On an island far in the east it is tomorrow already, since ten o'clock.
    assert_eq!(value(days(1, "Pacific/Kiritimati"), false, None).await, 1);
    assert_eq!(value(days(1, "Europe/Berlin"), false, Some(hours_ago(31))).await, 0);
    let month = CalendarUnits { unit: CalendarUnit::Month, ..days(1, "UTC") };
    assert!(
        client.calendar(tea(), month, false, None).await.unwrap_err().to_string().contains("`calendar` asks for 28d")
    );

    let keys = vec![stock(0, "", 0), tea()];
    let entries = client.calendar_many(keys, days(1, "Europe/Berlin"), true, None).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.value).collect::<Vec<_>>(), [0, 100]);

    let series = async |units, step| {
        let series = client.calendar_series(tea(), units, false, None, step).await.unwrap();
        series.points.into_iter().map(|point| point.value).collect::<Vec<_>>()
    };
    assert_eq!(series(days(2, "Europe/Berlin"), None).await, [100, 11]);
    assert_eq!(series(days(2, "Europe/Berlin"), Some(days(1, "Pacific/Kiritimati"))).await, [100, 10, 1]);
}

#[tokio::test]
async fn curl_asks_by_the_calendar() {
    let world = world().await;
    let key = json!({"shop": 7, "sku": "tea", "shelf": -2});
    let value = async |method: &str, request: Value| post(&world, &path(method), request).await.json();
    let today = json!({"key": key, "calendar": {"days": 1, "zone": "Europe/Berlin"}});
    let today = value("GetWindow", today).await;
    assert_eq!((&today["value"], &today["answer"]["start"]), (&json!("11"), &json!("2026-02-28T23:00:00Z")));
    assert_eq!((&today["answer"]["startExact"], &today["answer"]["endExact"]), (&json!(true), &json!(false)));
    let nepal = json!({"key": key, "calendar": {"days": 1, "zone": "asia/kathmandu"}});
    let nepal = value("GetWindow", nepal).await;
    assert_eq!(
        (&nepal["answer"]["start"], &nepal["answer"]["startExact"]),
        (&json!("2026-02-28T18:00:00Z"), &json!(false))
    );
    let yesterday = json!({"keys": [key], "calendar": {"days": 1, "whole": true}});
    assert_eq!(value("GetWindowMany", yesterday).await["entries"][0]["value"], "100");

    let points = async |mut request: Value| {
        request["key"] = key.clone();
        let series = value("Series", request).await;
        let points = series["points"].as_array().unwrap_or_else(|| panic!("{series}"));
        points.iter().map(|point| (point["start"].clone(), point["value"].clone())).collect::<Vec<_>>()
    };
    let point = |start: &str, value: &str| (json!(start), json!(value));
    let by_day = [point("2026-02-27T23:00:00Z", "100"), point("2026-02-28T23:00:00Z", "11")];
    let calendar = json!({"days": 2, "zone": "Europe/Berlin"});
    assert_eq!(points(json!({"calendar": calendar})).await, by_day);
    assert_eq!(points(json!({"calendar": calendar, "calendarStep": {"days": 1}})).await, by_day, "of the same zone");
    let step = json!({"days": 1, "zone": "Europe/Berlin"});
    assert_eq!(points(json!({"start": "2026-02-27T23:00:00Z", "calendarStep": step})).await, by_day);
    assert_eq!(points(json!({"calendar": calendar, "step": "3600s"})).await.len(), 38);

    let generic = json!({"pipeline": "stock", "key": ["7", "tea", "-2"], "calendar": {"days": 1, "whole": true}});
    let reply = post(&world, "/murmur.v1.QueryService/Query", generic).await.json();
    assert_eq!(reply["answer"]["start"], "2026-02-28T00:00:00Z");
}

#[tokio::test]
async fn a_calendar_that_cannot_be_is_refused_by_the_name_of_its_field() {
    let world = world().await;
    let day = json!({"days": 1});
    let nowhere =
        "`calendar.zone`: \"Mars/Base\" is not a time zone of the IANA database; write a name such as Europe/Berlin";
    let example = "\"calendar\": {\"days\": 7, \"zone\": \"Europe/Berlin\"}";
    for (method, request, words) in [
        ("GetWindow", json!({}), "neither `window` nor `calendar` is set"),
        ("GetWindow", json!({}), example),
        ("GetWindow", json!({"calendar": day, "window": "60s"}), "`window` and `calendar` cannot both be set"),
        ("GetWindow", json!({"calendar": {}}), "`calendar` needs exactly one of `days`, `weeks` and `months`"),
        ("GetWindow", json!({"calendar": {"days": 1, "weeks": 1}}), "`calendar` needs exactly one of"),
        ("GetWindow", json!({"calendar": {"days": 1, "zone": "Mars/Base"}}), nowhere),
        ("GetWindow", json!({"calendar": {"days": 3}}), "`calendar` asks for 3d, but only 2d are kept"),
        ("GetWindow", json!({"calendar": {"hours": 3}}), "hours"),
        ("GetWindow", json!({"calendar": day, "end": "9999-12-31T23:00:00Z"}), "`end` 9999-12-31T23:00:00Z"),
        ("Series", json!({}), "neither `start` nor `calendar` is set"),
        ("Series", json!({"calendar": day, "start": "2026-03-01T00:00:00Z"}), "`calendar` and `start` cannot both"),
        ("Series", json!({"calendar": day, "step": "60s", "calendarStep": day}), "`step` and `calendar_step` cannot"),
        ("Series", json!({"calendar": day, "calendarStep": {"zone": "UTC"}}), "`calendar_step` needs exactly one of"),
        ("Series", json!({"calendar": day, "calendarStep": {"days": 1, "zone": "x"}}), "`calendar_step.zone`: \"x\""),
        (
            "Series",
            json!({"calendar": {"days": 1, "zone": "Asia/Kathmandu"}}),
            "`calendar_step`: a day of Asia/Kathmandu",
        ),
    ] {
        let mut request = request;
        request["key"] = json!({"shop": 7, "sku": "tea", "shelf": -2});
        let (status, code, message) = post(&world, &path(method), request.clone()).await.error();
        assert_eq!((status, code.as_str()), (400, "invalid_argument"), "{request}");
        assert!(message.contains(words), "{request}: {message}");
    }
    let many = json!({"keys": [], "calendar": day, "window": "60s"});
    assert_eq!(post(&world, &path("GetWindowMany"), many).await.error().0, 400);
    for (request, words) in [
        (json!({"calendar": day, "start": "2026-03-01T00:00:00Z"}), "`calendar` and `start`"),
        (json!({"calendar": day, "window": "60s"}), "`window` and `calendar`"),
        (json!({"calendar": {"months": 0}}), "`calendar` needs"),
    ] {
        let mut request = request;
        request["pipeline"] = json!("stock");
        request["key"] = json!(["7", "tea", "0"]);
        let (status, _, message) = post(&world, "/murmur.v1.QueryService/Query", request).await.error();
        assert_eq!(status, 400);
        assert!(message.contains(words), "{message}");
    }
}

/// What older clients send does not have the field, and what they do not know does not reach them.
#[tokio::test]
async fn a_request_without_the_field_is_what_it_was() {
    use prost::Message;

    use crate::grpc::messages::GetWindowRequest;
    let request = GetWindowRequest { key: Some(tea()), window: Some(Span::from_seconds(60)), ..Default::default() };
    let bytes = request.encode_to_vec();
    let key = 2 + prost::Message::encoded_len(&tea());
    assert_eq!(bytes[key..], [0x12, 2, 0x08, 60], "the window is field 2, and nothing follows");
}

#[tokio::test]
async fn no_more_units_can_be_asked_for_than_the_calendar_has() {
    let world = world().await;
    let key = json!({"shop": 7, "sku": "tea", "shelf": -2});
    for (units, most) in [("days", 3_652_059u64), ("weeks", 521_722), ("months", 119_988)] {
        let ask = async |count: u64| {
            let error = post(&world, &path("GetWindow"), json!({"key": key, "calendar": {units: count}})).await.json();
            let field = error["details"][1]["debug"]["fieldViolations"][0]["field"].as_str().unwrap().to_owned();
            (field, error["message"].as_str().unwrap().to_owned())
        };
        // As many as there are would be possible, if they were kept.
        let (field, message) = ask(most).await;
        assert!(field == "calendar" && message.contains("`calendar` asks for"), "{message}");
        for count in [most + 1, u32::MAX.into()] {
            let (field, message) = ask(count).await;
            assert_eq!(field, format!("calendar.{units}"));
            assert!(
                message.contains(&format!("is {count}, and all of the years 1 to 9999 have {most} {units}")),
                "{message}"
            );
        }
    }
}
