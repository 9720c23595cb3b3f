//! What events are read from.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;
use serde::{Deserialize, Serialize};

use super::schema::DESCRIPTORS;
use super::{bounded, must};
use crate::engine::{Confluent, Decoder, Described, Description, Format, Json};
use crate::event::Event;
use crate::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Color {
    #[serde(rename = "COLOR_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "COLOR_RED")]
    Red,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    sku: String,
    count: u32,
    #[serde(default)]
    parts: Vec<Line>,
}

/// An event with a field of each kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    order_id: String,
    cents: u64,
    balance: i64,
    // What is lost on the way through a text is none of our decoders' doing.
    #[serde(default, skip_serializing)]
    ratio: f64,
    #[serde(default, skip_serializing)]
    weight: f32,
    paid: bool,
    token: Vec<u8>,
    color: Color,
    placed_at: Timestamp,
    took: Option<Duration>,
    note: Option<String>,
    discount: Option<u64>,
    lines: Vec<Line>,
    by_shelf: BTreeMap<u32, i64>,
    card: Option<String>,
    voucher: Option<Line>,
    #[serde(default)]
    seen: Vec<i32>,
    seal: Option<Vec<u8>>,
}

impl Event for Order {
    const NAME: &'static str = "Order";
    const FIELDS: &'static [&'static str] = &[
        "order_id",
        "cents",
        "balance",
        "ratio",
        "weight",
        "paid",
        "token",
        "color",
        "placed_at",
        "took",
        "note",
        "discount",
        "lines",
        "by_shelf",
        "card",
        "voucher",
        "seen",
        "seal",
    ];

    fn time(&self) -> Option<Timestamp> {
        Some(self.placed_at)
    }
}

#[derive(Debug)]
enum Shop {}

impl Description for Shop {
    const DESCRIPTORS: &'static [u8] = DESCRIPTORS;
    const MESSAGE: &'static str = "shop.v1.Order";
}

/// Bytes that an event may take for each byte of its payload: an empty message of two bytes is a tree of its own.
const PER_BYTE: usize = 400;

/// The decoder of a format, made once.
fn with<F: Format<Order>, T>(work: impl FnOnce(&Decoder<Order>) -> T) -> T {
    let leak = || -> &'static Decoder<Order> { Box::leak(Box::new(must(F::decoder(), "a decoder"))) };
    MADE.with_borrow_mut(|made| {
        let of = std::any::TypeId::of::<F>();
        work(made.entry(of).or_insert_with(leak))
    })
}

thread_local! {
    static MADE: std::cell::RefCell<std::collections::HashMap<std::any::TypeId, &'static Decoder<Order>>> =
        std::cell::RefCell::default();
}

pub(super) fn json(bytes: &[u8]) {
    if let Ok(order) = bounded(bytes, PER_BYTE, || crate::engine::json::<Order>(bytes)) {
        let plain = Order { ratio: 0.0, weight: 0.0, ..order };
        let again = must(serde_json::to_vec(&plain), "an event that was read");
        assert_eq!(crate::engine::json::<Order>(&again).as_ref(), Ok(&plain));
    }
}

pub(super) fn texts() -> Vec<Vec<u8>> {
    let text = r#"{"order_id":"o-1","cents":18446744073709551615,"balance":-9,"ratio":0.1,"weight":1.5,"paid":true,
        "token":[0,255],"color":"COLOR_RED","placed_at":"2026-05-16T12:00:00.25Z","took":{"secs":3,"nanos":5},
        "note":"h\u00e9\n","discount":null,"lines":[{"sku":"a","count":4294967295,"parts":[{"sku":"","count":0}]}],
        "by_shelf":{"7":-5},"card":null,"voucher":{"sku":"v","count":1},"unknown":[{"a":[1e3,false]}]}"#;
    vec![text.as_bytes().to_vec(), text.replace("\"2026-05-16T12:00:00.25Z\"", "1778932800250").into_bytes()]
}

pub(super) fn described(bytes: &[u8]) {
    let read = with::<Described<Shop>, _>(|decode| bounded(bytes, PER_BYTE, || decode(bytes)));
    // Behind a prefix it is the same event: number 7 in the registry, the first message.
    let framed = [&[0, 0, 0, 0, 7, 0], bytes].concat();
    let behind = with::<Confluent<Described<Shop>>, _>(|decode| decode(&framed));
    match (read, behind) {
        (Ok(read), Ok(behind)) => assert_eq!(format!("{read:?}"), format!("{behind:?}")),
        (Err(read), Err(behind)) => assert_eq!(read, behind),
        (read, behind) => panic!("{read:?} without a prefix, {behind:?} behind one"),
    }
}

/// The payload of a message written in JSON.
fn payload(json: &str) -> Vec<u8> {
    let pool = must(prost_reflect::DescriptorPool::decode(DESCRIPTORS), "the descriptors");
    let message = must(pool.get_message_by_name(Shop::MESSAGE).ok_or(()), "the message");
    let mut reader = serde_json::Deserializer::from_str(json);
    must(DynamicMessage::deserialize(message, &mut reader), "a message").encode_to_vec()
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let full = r#"{"orderId":"o-1","cents":"18446744073709551615","balance":"-9","ratio":0.1,"paid":true,"token":"AP8=",
        "color":"COLOR_RED","placedAt":"2026-05-16T12:00:00.250Z","took":"3.5s","note":"hi","discount":"0",
        "lines":[{"sku":"a","count":4294967295,"parts":[{}]},{}],"byShelf":{"7":"-5"},"voucher":{"sku":"v"},
        "seen":["COLOR_RED"],"seal":"AQI=","weight":1.5}"#;
    vec![payload(full), payload(r#"{"placedAt":"1970-01-01T00:00:00Z","card":"c"}"#)]
}

pub(super) fn confluent(bytes: &[u8]) {
    // What is read is what is read without the prefix, which has five bytes and, for protobuf, indexes.
    if let Ok(order) = with::<Confluent<Json>, _>(|decode| bounded(bytes, PER_BYTE, || decode(bytes))) {
        let plain = must(bytes.get(5..).ok_or(()), "a prefix");
        assert_eq!(Ok(order), crate::engine::json::<Order>(plain));
    }
    // The reason of an error is all there is to it.
    let _ = with::<Confluent<Described<Shop>>, _>(|decode| bounded(bytes, PER_BYTE, || decode(bytes)));
}

pub(super) fn prefixed() -> Vec<Vec<u8>> {
    let messages = messages();
    let texts = texts().into_iter().map(|text| [b"\0\0\0\0\x07", text.as_slice()].concat());
    let first = messages.iter().map(|message| [b"\0\0\0\0\x07\0", message.as_slice()].concat());
    let nested = messages.iter().map(|message| [b"\0\0\0\0\x07\x04\x02\x80\x01", message.as_slice()].concat());
    texts.chain(first).chain(nested).collect()
}
