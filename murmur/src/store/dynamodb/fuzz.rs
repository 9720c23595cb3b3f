//! What [`fuzzing`](crate::fuzzing) gives the format of this store: an item in the JSON of DynamoDB's protocol, or, as
//! changed JSON is seldom JSON, in lines.
//!
//! ```text
//! pk=Sa                 an attribute a line: name, `=`, type, value
//! n1s0=N3
//! n2s0=L0.1,1e-20       a list of numbers
//! r=R1,7                a set of numbers
//! o1=B\1\7
//! ```

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::Expression;
use super::format::{Attributes, decode_id, decode_item, decode_record, encode_item, encode_record};
use super::size::size;
use super::wire::{Refusal, Request, read_done};
use crate::aggregate::{Column, Number};
use crate::fuzzing::{bounded, must};
use crate::source::{Offset, PartitionId, Version};
use crate::store::{Item, TileId};
use crate::time::{Level, Slot, Tile, Timestamp};

/// A list of numbers takes two bytes for each, and becomes a tree of JSON and one of attributes.
const PER_BYTE: usize = 250;

/// The attributes that stand in a server's reply.
fn read(json: &[u8]) -> Option<Attributes> {
    Refusal::read(400, &[b"{\"Item\":", json, b"}"].concat()).into_item()
}

/// The attributes that stand in lines.
fn read_lines(bytes: &[u8]) -> Option<Attributes> {
    let attribute = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b'=')?;
        let name = String::from_utf8(line[..at].to_vec()).ok()?;
        let (tag, value) = line[at + 1..].split_first()?;
        let text = || String::from_utf8(value.to_vec()).ok();
        let value = match tag {
            b'S' => AttributeValue::S(text()?),
            b'N' => AttributeValue::N(text()?),
            b'B' => AttributeValue::B(Blob::new(value)),
            b'R' => AttributeValue::Ns(text()?.split(',').map(str::to_owned).collect()),
            b'L' => AttributeValue::L(text()?.split(',').map(|n| AttributeValue::N(n.to_owned())).collect()),
            _ => return None,
        };
        Some((name, value))
    };
    bytes.split(|byte| *byte == b'\n').map(attribute).collect()
}

/// An item as it stands in a request.
fn written(attributes: &Attributes) -> Vec<u8> {
    let request = Request::put("table", attributes, &Expression::default()).into_bytes();
    let refusal = Refusal::read(400, &request);
    assert_eq!(refusal.into_item().as_ref(), Some(attributes), "what is sent is read as something else");
    request
}

pub(crate) fn item(bytes: &[u8]) {
    // What a write cost: a number, or nothing.
    let _ = bounded(bytes, PER_BYTE, || read_done(bytes));
    let read = || if bytes.starts_with(b"{") { read(bytes) } else { read_lines(bytes) };
    let Some(attributes) = bounded(bytes, PER_BYTE, read) else { return };
    size(&attributes);
    match decode_id(&attributes) {
        Ok(Some(id)) => tile(bytes, &id, attributes),
        Ok(None) => {
            if let Ok((name, record)) = decode_record(attributes) {
                let again = encode_record(&name, record.bytes.clone(), record.version);
                written(&again);
                assert_eq!(must(decode_record(again), "its own record is refused"), (name, record));
            }
        }
        Err(_) => {}
    }
}

fn tile(bytes: &[u8], id: &TileId, attributes: Attributes) {
    let Ok((item, writes)) = bounded(bytes, PER_BYTE, || decode_item(id, attributes)) else { return };
    assert!(item.is_ordered(), "{item:?} is not in order");
    assert!(
        item.numbers.iter().all(|(_, number)| number.is_in_range()),
        "{item:?} has a number that no table can hold"
    );
    let again = encode_item(id, &item, Some(writes));
    written(&again);
    assert_eq!(must(decode_id(&again), "its own key is refused").as_ref(), Some(id));
    assert_eq!(must(decode_item(id, again), "its own item is refused"), (item, writes));
}

pub(crate) fn items() -> Vec<Vec<u8>> {
    let start = Timestamp::from_micros(1_778_932_800_250_000);
    let id = |key: &str, level, part: Option<&str>| TileId {
        key: key.into(),
        tile: Tile { level, start },
        part: part.map(PartitionId::new),
    };
    let place = |slot, field, part| (Slot(slot), Column { field, part });
    let float = Number::Float { sum: 0.1, rest: -1e-140 };
    let offsets = [("f:0a1b2c3d:1", Offset::from_pair(1, 7)), ("k:3", Offset::from_u64(9).closed())];
    let counts = Item {
        offsets: offsets.map(|(name, offset)| (PartitionId::new(name), offset)).to_vec(),
        numbers: vec![(place(0, 1, 0), Number::Int(-3)), (place(0, 2, 0), float), (place(700, 2, 1), Number::Int(1))],
        rolled: vec![Slot(0), Slot(7)],
        expires: Some(start),
        ..Item::default()
    };
    let fold = Item { values: vec![(Slot(3), vec![1, 2, 3].into())], ..Item::default() };
    let items = [
        encode_item(&id("=b42\0tea", Level::Hour, None), &counts, Some(7)),
        encode_item(&id("", Level::Forever, Some("k:3")), &fold, None),
        encode_record("partition/k:3", vec![1, 2], Version(3)),
    ];
    let texts = items.iter().map(|item| {
        let request = written(item);
        let json: serde_json::Value = must(serde_json::from_slice(&request), "a request");
        json["Item"].to_string().into_bytes()
    });
    let exponents = br##"{"pk":{"S":"#k"},"sk":{"S":"h#2026-05-16T12:00:00"},"n1s0":{"N":"1.50E+2"},"x":{"N":"12"},"y":{"N":"3"}}"##;
    let start = "pk=Sa\nsk=Sh#2026-05-16T12:00:00";
    let lines = [
        "#k:3\nn1s0=N-3\nn2s0=L0.1,-1e-140\nn2p1s700=N150e2\no1=B\x01\x07\no2=B\0\nr=R0,7e0,700\nx=N12\ny=N500000\nv=N9",
        "#p\nb3=B123\nb30=B\no2=B\0",
    ];
    let lines = lines.map(|more| format!("{start}{more}").into_bytes());
    texts.chain([exponents.to_vec()]).chain(lines).chain([b"pk=S#record\nsk=S#name\nr=B123\nv=N7".to_vec()]).collect()
}
