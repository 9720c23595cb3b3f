//! What [`fuzzing`](crate::fuzzing) gives the formats of this store.

use super::format::{PartitionNames, decode_item, decode_record, decode_row, encode_item, encode_record, encode_row};
use crate::aggregate::{Column, Number};
use crate::fuzzing::{bounded, must};
use crate::source::{Offset, PartitionId, Version};
use crate::store::{Item, TileId};
use crate::time::{Level, Slot, Tile, Timestamp};

fn tile(key: &str, level: Level, part: Option<&str>) -> TileId {
    TileId { key: key.into(), tile: Tile { level, start: Timestamp::EPOCH }, part: part.map(PartitionId::new) }
}

/// Errors name the row by its mark, in a text that doubles as it grows.
const PER_BYTE_OF_ROW: usize = 32;
/// A number takes four bytes and becomes 64; nothing else grows as much.
const PER_BYTE_OF_ITEM: usize = 48;

pub(crate) fn row(bytes: &[u8]) {
    if let Ok(id) = bounded(bytes, PER_BYTE_OF_ROW, || decode_row(bytes)) {
        assert_eq!(encode_row(&id), bytes, "{id} has two rows");
    }
}

pub(crate) fn rows() -> Vec<Vec<u8>> {
    let ids = [
        tile("", Level::Forever, None),
        tile("a\0b", Level::Hour, Some("k:3")),
        tile("=\u{ff}", Level::Slot, Some("")),
    ];
    ids.iter().map(encode_row).collect()
}

/// With its checksum, and with one that fits.
pub(crate) fn item(bytes: &[u8]) {
    for stored in [bytes.to_vec(), crate::fuzzing::summed(bytes)] {
        let read = |bytes: &[u8]| decode_item(&tile("key", Level::Hour, None), bytes, &mut PartitionNames::default());
        let Ok(item) = bounded(&stored, PER_BYTE_OF_ITEM, || read(&stored)) else { continue };
        assert!(item.is_ordered(), "{item:?} is not in order");
        let mut once = Vec::new();
        encode_item(&item, &mut once);
        let mut again = Vec::new();
        encode_item(&must(read(&once), "its own bytes are refused"), &mut again);
        assert_eq!(again, once, "{item:?} has two spellings");
    }
}

pub(crate) fn items() -> Vec<Vec<u8>> {
    let place = |slot, field, part| (Slot(slot), Column { field, part });
    let float = Number::Float { sum: 0.1, rest: 1e-20 };
    let offsets = [("f:0a1b2c3d:1", Offset::from_pair(1, 7)), ("k:3", Offset::from_u64(9).closed())];
    let offsets = offsets.map(|(name, offset)| (PartitionId::new(name), offset)).to_vec();
    let counts = Item {
        offsets: offsets.clone(),
        numbers: vec![(place(0, 1, 0), Number::Int(-3)), (place(0, 2, 0), float), (place(700, 2, 1), Number::Int(1))],
        rolled: vec![Slot(0), Slot(7), Slot(700)],
        expires: Some(Timestamp::MAX),
        ..Item::default()
    };
    let values = vec![(Slot(3), vec![1, 2, 3].into()), (Slot(300), Vec::new().into())];
    let folds = Item { offsets, values, ..Item::default() };
    let stored = [Item::default(), counts, folds].map(|item| {
        let mut out = Vec::new();
        encode_item(&item, &mut out);
        out
    });
    let bodies = stored.iter().map(|stored| stored[..stored.len() - 4].to_vec());
    bodies.chain(stored.clone()).collect()
}

/// With its checksum, and with one that fits.
pub(crate) fn record(bytes: &[u8]) {
    for stored in [bytes.to_vec(), crate::fuzzing::summed(bytes)] {
        if let Ok(record) = bounded(&stored, 2, || decode_record("name", &stored)) {
            assert_eq!(encode_record(&record.bytes, record.version), stored, "{record:?} has two spellings");
        }
    }
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    vec![encode_record(b"bytes", Version(7)), encode_record(b"", Version(0)), b"12345678bytes".to_vec()]
}
