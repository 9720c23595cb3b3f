use bytes::Bytes;
use proptest::prelude::*;

use super::item::{ITEM, item_parts};
use super::row::row_parts;
use super::*;
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId};
use crate::store::{Item, TileId};
use crate::time::{Level, Slot, Tile, Timestamp};

fn ids() -> impl Strategy<Value = TileId> {
    let key = prop_oneof![Just("\0".to_owned()), "[a\0\u{1}=\u{ff}]{0,6}", ".*"];
    let level = prop::sample::select(vec![Level::Slot, Level::Hour, Level::Forever]);
    let part = prop::option::of("[a\0]{0,3}|.*");
    (key, level, any::<i64>(), part).prop_map(|(key, level, start, part)| TileId {
        key: key.into(),
        tile: Tile { level, start: Timestamp::from_micros(start) },
        part: part.map(PartitionId::new),
    })
}

fn items() -> impl Strategy<Value = Item> {
    let number = prop_oneof![
        any::<i128>().prop_map(Number::Int),
        (-1000i128..1000).prop_map(Number::Int),
        (-1e300..1e300, -1.0..1.0).prop_map(|(sum, rest)| Number::Float { sum, rest }),
    ];
    let column = (any::<u32>(), any::<u8>()).prop_map(|(field, part)| Column { field, part });
    let numbers = prop::collection::btree_map((any::<u16>().prop_map(Slot), column), number, 0..20);
    let offset = prop_oneof![any::<[u64; 4]>(), any::<u64>().prop_map(|n| [0, 0, 0, n])];
    let offsets = prop::collection::btree_map(".*", offset, 0..5);
    let value = prop::collection::vec(any::<u8>(), 0..300);
    let values = prop::collection::btree_map(any::<u16>(), value, 0..5);
    let rolled = prop::collection::btree_set(prop_oneof![0u16..60, any::<u16>()], 0..70);
    let parts = (offsets, numbers, values, rolled, prop::option::of(any::<i64>()));
    parts.prop_map(|(offsets, numbers, values, rolled, expires)| Item {
        offsets: offsets.into_iter().map(|(p, o)| (PartitionId::new(p), Offset::from_words(o))).collect(),
        numbers: numbers.into_iter().collect(),
        values: values.into_iter().map(|(slot, value)| (Slot(slot), value.into())).collect(),
        rolled: rolled.into_iter().map(Slot).collect(),
        expires: expires.map(Timestamp::from_micros),
    })
}

fn encoded(item: &Item) -> Vec<u8> {
    let mut out = b"left over".to_vec();
    encode_item(item, &mut out);
    out
}

fn decoded(bytes: &[u8]) -> Option<Item> {
    item_parts(bytes, &mut PartitionNames::default())
}

proptest! {
    #[test]
    fn rows_come_back_and_order_as_ids_do(a in ids(), b in ids()) {
        let (row_a, row_b) = (encode_row(&a), encode_row(&b));
        prop_assert_eq!(row_parts(&row_a), Some(a.clone()));
        if a.tile.level == b.tile.level {
            prop_assert_eq!(row_a.cmp(&row_b), a.cmp(&b));
        } else {
            prop_assert_ne!(row_a, row_b);
        }
    }

    #[test]
    fn items_come_back(item in items()) {
        let bytes = encoded(&item);
        prop_assert_eq!(decoded(&bytes), Some(item));
    }

    #[test]
    fn a_changed_byte_is_noticed(item in items(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = encoded(&item);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(decoded(&bytes), None);
        bytes[at] ^= flip;
        bytes.truncate(at);
        prop_assert_eq!(decoded(&bytes), None);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        row_parts(&bytes);
        // With a good checksum, so that the parts behind it are reached.
        bytes.insert(0, ITEM);
        seal(&mut bytes);
        decoded(&bytes);
    }

    #[test]
    fn records_come_back(bytes in prop::collection::vec(any::<u8>(), 0..100), version in any::<u64>()) {
        let stored = encode_record(&bytes, Version(version));
        prop_assert_eq!(decode_record("a", &stored).unwrap(), Record { bytes, version: Version(version) });
        prop_assert!(decode_record("a", &stored[1..]).is_err());
    }
}

#[test]
fn a_row_outside_of_time_is_no_row() {
    let id = |start| TileId { key: "a".into(), tile: Tile { level: Level::Hour, start }, part: None };
    let mut row = encode_row(&id(Timestamp::MAX));
    assert_eq!(row_parts(&row), Some(id(Timestamp::MAX)));
    let end = row.len();
    row[end - 8..].fill(0xff);
    assert_eq!(row_parts(&row), None);
}

#[test]
fn an_item_out_of_order_or_with_repeats_is_no_item() {
    let number = |slot| ((Slot(slot), Column { field: 1, part: 0 }), Number::Int(1));
    let part = |name| (PartitionId::new(name), Offset::ZERO);
    for item in [
        Item { numbers: vec![number(3), number(3)], ..Item::default() },
        Item { values: vec![(Slot(3), Bytes::new()), (Slot(3), Bytes::new())], ..Item::default() },
        Item { offsets: vec![part("b"), part("a")], ..Item::default() },
    ] {
        assert_eq!(decoded(&encoded(&item)), None, "{item:?}");
    }
}

#[test]
fn a_counter_tile_is_small() {
    let numbers = (0..60).map(|slot| ((Slot(slot), Column { field: 1, part: 0 }), Number::Int(1_000)));
    let item = Item {
        numbers: numbers.collect(),
        offsets: vec![(PartitionId::new("f:0a1b2c3d:1"), Offset::from_pair(1, 1_000_000))],
        expires: Some(Timestamp::EPOCH),
        ..Item::default()
    };
    assert!(encoded(&item).len() <= 341, "{} bytes", encoded(&item).len());
}
