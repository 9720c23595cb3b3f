use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use serde::Deserialize;

use super::*;
use crate::engine::Confluent;
use crate::time::Timestamp;

const PROTO: &str = r#"
    syntax = "proto3";
    package shop.v1;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/wrappers.proto";

    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
    message Line { string sku = 1; uint32 count = 2; }
    message Order {
        string order_id = 1;
        uint64 cents = 2;
        sint64 balance = 3;
        double ratio = 4;
        float weight = 5;
        bool paid = 6;
        bytes token = 7;
        Color color = 8;
        google.protobuf.Timestamp placed_at = 9;
        google.protobuf.Duration took = 10;
        google.protobuf.StringValue note = 11;
        google.protobuf.BytesValue seal = 12;
        optional uint64 discount = 13;
        repeated Line lines = 14;
        map<uint32, sfixed64> by_shelf = 15;
        map<string, Color> colors = 16;
        oneof payment { string card = 17; Line voucher = 18; }
        repeated Color seen = 19;
        Line first = 20;
    }
"#;

/// The descriptors of the text above.
fn descriptors() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.proto");
    std::fs::write(&file, PROTO).unwrap();
    protox::compile([&file], [folder.path()]).unwrap().encode_to_vec()
}

/// The payload of a message written in JSON.
fn payload(json: &str) -> Vec<u8> {
    let message = message(&descriptors(), "shop.v1.Order").unwrap();
    DynamicMessage::deserialize(message, &mut serde_json::Deserializer::from_str(json)).unwrap().encode_to_vec()
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let message = message(&descriptors(), "shop.v1.Order").unwrap();
    let read = DynamicMessage::decode(message, payload(json).as_slice()).unwrap();
    T::deserialize(value::Message(&read)).map_err(|error| error.to_string())
}

#[derive(Debug, PartialEq, Deserialize)]
enum Color {
    #[serde(rename = "COLOR_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "COLOR_RED")]
    Red,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Sku(String);

#[derive(Debug, PartialEq, Deserialize)]
struct Line {
    sku: Sku,
    count: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Order {
    order_id: String,
    cents: u64,
    balance: i64,
    ratio: f64,
    weight: f32,
    paid: bool,
    token: Vec<u8>,
    color: Color,
    placed_at: Timestamp,
    took: Duration,
    note: Option<String>,
    seal: Option<Vec<u8>>,
    discount: Option<u64>,
    lines: Vec<Line>,
    by_shelf: HashMap<u32, i64>,
    colors: BTreeMap<String, Color>,
    card: Option<String>,
    voucher: Option<Line>,
    seen: Vec<Color>,
    first: Line,
}

#[test]
fn every_kind_of_field_is_read() {
    let order: Order = read(
        r#"{
            "orderId": "o-1", "cents": "18446744073709551615", "balance": "-9223372036854775808", "ratio": 0.1,
            "weight": 1.5, "paid": true, "token": "AP8=", "color": "COLOR_RED", "placedAt": "2026-05-16T12:00:00.250Z",
            "took": "3.5s", "note": "hi", "seal": "AQI=", "discount": "0", "lines": [{"sku": "a", "count": 4294967295},
            {}], "byShelf": {"7": "-5"}, "colors": {"x": "COLOR_RED"}, "voucher": {"sku": "v"}, "seen": ["COLOR_RED",
            "COLOR_UNSPECIFIED"], "first": {"sku": "f", "count": 1}
        }"#,
    )
    .unwrap();
    let line = |sku: &str, count| Line { sku: Sku(sku.to_owned()), count };
    let want = Order {
        order_id: "o-1".to_owned(),
        cents: u64::MAX,
        balance: i64::MIN,
        ratio: 0.1,
        weight: 1.5,
        paid: true,
        token: vec![0, 255],
        color: Color::Red,
        placed_at: "2026-05-16T12:00:00.250Z".parse().unwrap(),
        took: Duration::from_millis(3_500),
        note: Some("hi".to_owned()),
        seal: Some(vec![1, 2]),
        discount: Some(0),
        lines: vec![line("a", u32::MAX), line("", 0)],
        by_shelf: [(7, -5)].into(),
        colors: [("x".to_owned(), Color::Red)].into(),
        card: None,
        voucher: Some(line("v", 0)),
        seen: vec![Color::Red, Color::Unspecified],
        first: line("f", 1),
    };
    assert_eq!(order, want);
}

#[test]
fn what_was_not_written_is_zero_or_absent() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Bare {
        order_id: String,
        cents: Option<u64>,
        token: Vec<u8>,
        color: i32,
        lines: Vec<Line>,
        note: Option<String>,
        discount: Option<u64>,
        placed_at: Option<Timestamp>,
        #[serde(default)]
        first: Option<Line>,
        // Of no field of the message.
        elsewhere: Option<u64>,
    }
    let want = Bare {
        order_id: String::new(),
        cents: Some(0),
        token: Vec::new(),
        color: 0,
        lines: Vec::new(),
        note: None,
        discount: None,
        placed_at: None,
        first: None,
        elsewhere: None,
    };
    assert_eq!(read::<Bare>("{}"), Ok(want));
}

#[test]
fn times_and_enums_are_read_as_what_is_wanted() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        placed_at: SystemTime,
        color: u64,
        seen: Vec<String>,
        first: serde_json::Value,
    }
    let wanted = read::<Wanted>(
        r#"{"placedAt": "1970-01-01T00:00:07.000000001Z", "color": "COLOR_RED", "seen": [1, 9], "first": {"count": 3}}"#,
    );
    assert_eq!(wanted.unwrap_err(), "`seen`: invalid type: integer `9`, expected a string");
    let wanted = read::<Wanted>(
        r#"{"placedAt": "1970-01-01T00:00:07.000000001Z", "color": "COLOR_RED", "seen": [1], "first": {"count": 3}}"#,
    )
    .unwrap();
    assert_eq!(wanted.placed_at, UNIX_EPOCH + Duration::new(7, 1));
    assert_eq!((wanted.color, wanted.seen), (1, vec!["COLOR_RED".to_owned()]));
    assert_eq!(wanted.first, serde_json::json!({"sku": "", "count": 3}));
}

#[test]
fn a_field_that_does_not_fit_is_named() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only its errors are looked at")]
    struct Narrow {
        lines: Vec<Narrower>,
        placed_at: Timestamp,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only its errors are looked at")]
    struct Narrower {
        count: u8,
    }
    let error = read::<Narrow>(r#"{"lines": [{"count": 256}], "placedAt": "2026-05-16T12:00:00Z"}"#).unwrap_err();
    assert_eq!(error, "`lines`: `count`: invalid value: integer `256`, expected u8");
    assert_eq!(read::<Narrow>("{}").unwrap_err(), "missing field `placed_at`");
    let error = read::<HashMap<String, SystemTime>>(r#"{"placedAt": "1969-12-31T23:59:59Z"}"#).unwrap_err();
    assert!(error.contains("expected"), "{error}");
    let error = read::<Before>(r#"{"placedAt": "1969-12-31T23:59:59Z"}"#).unwrap_err();
    assert_eq!(error, "`placed_at`: -1 s and 0 ns lie before what the field can be");
    let error = read::<Enum>(r#"{"color": 9}"#).unwrap_err();
    assert_eq!(error, "`color`: 9 is no value of `shop.v1.Color`");
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only its errors are looked at")]
struct Before {
    placed_at: SystemTime,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only its errors are looked at")]
struct Enum {
    color: Color,
}

/// An event for the format itself.
#[derive(Debug, PartialEq, Deserialize)]
struct Placed {
    cents: u64,
}

impl Event for Placed {
    const NAME: &'static str = "Placed";
    const FIELDS: &'static [&'static str] = &["cents"];

    fn time(&self) -> Option<Timestamp> {
        None
    }
}

/// Only `cents`, as `protoc` would describe it.
struct Orders;

impl Description for Orders {
    // file { name: "p", package: "shop.v1", message { name: "Placed", field { name: "cents", number: 2, label: optional,
    // type: uint64 } }, syntax: "proto3" }
    const DESCRIPTORS: &'static [u8] =
        b"\x0a\x2d\x0a\x01p\x12\x07shop.v1\x22\x17\x0a\x06Placed\x12\x0d\x0a\x05cents\x18\x02 \x01(\x04b\x06proto3";
    const MESSAGE: &'static str = "shop.v1.Placed";
}

struct Typo;

impl Description for Typo {
    const DESCRIPTORS: &'static [u8] = Orders::DESCRIPTORS;
    const MESSAGE: &'static str = "shop.v1.Plaecd";
}

struct Torn;

impl Description for Torn {
    const DESCRIPTORS: &'static [u8] = b"\x0a\x2e\x0a\x01p";
    const MESSAGE: &'static str = Orders::MESSAGE;
}

#[test]
fn a_format_decodes_or_says_why_not() {
    let decode = <Described<Orders> as Format<Placed>>::decoder().unwrap();
    let payload = payload(r#"{"orderId": "not described", "cents": "7"}"#);
    assert_eq!(decode(&payload), Ok(Placed { cents: 7 }));
    let torn = decode(&payload[..3]).unwrap_err().to_string();
    assert!(torn.starts_with("not a `Placed` in protobuf: "), "{torn}");

    let decode = <Confluent<Described<Orders>> as Format<Placed>>::decoder().unwrap();
    assert_eq!(decode(&[&[0, 0, 0, 0, 9, 0], payload.as_slice()].concat()), Ok(Placed { cents: 7 }));
    let error = decode(&payload).unwrap_err();
    assert_eq!(error.to_string(), "not a `Placed` behind a prefix of Confluent: it does not begin with a zero byte");
}

#[test]
fn what_cannot_describe_the_message_is_an_error_at_the_start() {
    let refused = |decoder: Result<Decoder<Placed>>| {
        let error = decoder.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    };
    let error = refused(<Described<Typo> as Format<Placed>>::decoder());
    let want = "finding out how `Placed` is written: the descriptors have no message `shop.v1.Plaecd`; there are: `shop.v1.Placed`";
    assert_eq!(error, want);
    let error = refused(<Described<Torn> as Format<Placed>>::decoder());
    assert!(error.contains("descriptors of `shop.v1.Placed` are no `FileDescriptorSet`"), "{error}");
    // A wrapped format says it too.
    refused(<Confluent<Described<Typo>> as Format<Placed>>::decoder());
}
