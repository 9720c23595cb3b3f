//! What stands on disk.
//!
//! ```text
//! PATH/lock         locked while open, holds the process id
//! PATH/tiles.redb   one redb database:
//!   meta            "format" -> 3
//!   sources         name -> record
//!   tiles/<table>   row  -> item
//!   records/<table> name -> record
//!   expiry/<table>  instant of expiry (8 bytes, order-preserving) | row -> nothing
//!
//! record version (8 bytes, little endian) | bytes | crc32 of all before (4 bytes, little endian)
//! row    key, with 00 written 00 FF | 00 00 | letter of the level | start (8 bytes, order-preserving)
//!        | nothing, or 01 and the name of the part
//! item   02 | 00, or 01 and instant of expiry (8 bytes, little endian)
//!        | varint n, n times: varint length, name of the partition, offset (`Offset::encode`)
//!        | varint n, n times: varint slot step, varint field, varint part * 2 + float?, zigzag varint or two doubles
//!        | varint n, n times: varint slot step, varint length, bytes
//!        | varint n, n times: varint slot step of a slot that is rolled
//!        | crc32 of all before (4 bytes, little endian)
//! ```
//!
//! Rows compare as bytes, in the order key, level, start, part; so the tiles of a key that lie one after the other in
//! time are one range. A slot step is the distance from the slot before. An hour of minute counters from one
//! partition takes about 300 bytes. Everything here is redb's own page format underneath, which carries checksums of
//! its own for what a crash tears; the crc32 is for what happens to a value on its way through memory and disk.

use bytes::{Buf, BufMut, Bytes};
use hashbrown::HashSet;
use redb::TableDefinition;

use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId, Record, Shelf, Version};
use crate::store::{Item, Table, TileId};
use crate::time::{Level, Slot, Tile, Timestamp};
use crate::{Error, ErrorKind, Result};

pub(super) const FORMAT: u64 = 3;
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Rows to items, and instants with rows to nothing.
pub(super) type Rows<'a, V> = TableDefinition<'a, &'static [u8], V>;

/// Names of the redb tables of a table of tiles.
pub(super) struct Names {
    tiles: String,
    expiry: String,
}

impl Names {
    pub(super) fn of(table: &Table) -> Self {
        Self { tiles: format!("tiles/{}", table.as_str()), expiry: format!("expiry/{}", table.as_str()) }
    }

    pub(super) fn tiles(&self) -> Rows<'_, &'static [u8]> {
        TableDefinition::new(&self.tiles)
    }

    pub(super) fn expiry(&self) -> Rows<'_, ()> {
        TableDefinition::new(&self.expiry)
    }
}

/// Name of the redb table of the records of a shelf.
pub(super) struct ShelfName(String);

impl ShelfName {
    pub(super) fn of(shelf: &Shelf) -> Self {
        Self(match shelf {
            Shelf::Table(table) => format!("records/{table}"),
            Shelf::Sources => "sources".to_owned(),
        })
    }

    pub(super) fn records(&self) -> TableDefinition<'_, &'static str, &'static [u8]> {
        TableDefinition::new(&self.0)
    }
}

/// The version byte of an item.
const ITEM: u8 = 2;
const CHECKSUM: usize = 4;

pub(super) fn encode_row(id: &TileId) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.key.len() + 24);
    push_row(id, &mut out);
    out
}

/// Append the row of a tile.
pub(super) fn push_row(id: &TileId, out: &mut Vec<u8>) {
    push_prefix(&id.key, id.tile.level, out);
    out.put_u64(ordered(id.tile.start));
    if let Some(part) = &id.part {
        out.push(1);
        out.extend_from_slice(part.as_str().as_bytes());
    }
}

/// The row of the first tile of this key and level that starts at `start` or later.
pub(super) fn encode_bound(key: &str, level: Level, start: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 24);
    push_prefix(key, level, &mut out);
    out.put_u64(ordered(start));
    out
}

fn push_prefix(key: &str, level: Level, out: &mut Vec<u8>) {
    for (n, part) in key.as_bytes().split(|byte| *byte == 0).enumerate() {
        if n > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0, 0, level.letter() as u8]);
}

/// Read what [`encode_row`] wrote.
pub(super) fn decode_row(row: &[u8]) -> Result<TileId> {
    row_parts(row).ok_or_else(|| corrupt(&format!("the row `{}`", row.escape_ascii())))
}

fn row_parts(row: &[u8]) -> Option<TileId> {
    let mut key = Vec::with_capacity(row.len());
    let mut rest = row;
    loop {
        match rest {
            [0, 0xff, after @ ..] => {
                key.push(0);
                rest = after;
            }
            [0, 0, after @ ..] => {
                rest = after;
                break;
            }
            [0, ..] | [] => return None,
            [byte, after @ ..] => {
                key.push(*byte);
                rest = after;
            }
        }
    }
    let key = String::from_utf8(key).ok()?.into();
    let level = Level::from_letter(char::from(rest.try_get_u8().ok()?))?;
    let start = Timestamp::exactly(unordered(rest.try_get_u64().ok()?))?;
    let part = match rest {
        [] => None,
        [1, name @ ..] => Some(PartitionId::new(std::str::from_utf8(name).ok()?)),
        _ => return None,
    };
    Some(TileId { key, tile: Tile { level, start }, part })
}

/// The row in the index of what expires.
pub(super) fn encode_expiry(expires: Timestamp, row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + row.len());
    out.put_u64(ordered(expires));
    out.extend_from_slice(row);
    out
}

/// The row that an entry of that index names.
pub(super) fn row_of_expiry(entry: &[u8]) -> &[u8] {
    entry.get(8..).unwrap_or_default()
}

/// What all entries of that index lie before that have expired by `now`.
pub(super) fn expiry_bound(now: Timestamp) -> [u8; 8] {
    (ordered(now) + 1).to_be_bytes()
}

/// With the sign moved, so that the big-endian bytes compare as the instants do. Never the largest number.
fn ordered(at: Timestamp) -> u64 {
    at.as_micros() as u64 ^ (1 << 63)
}

fn unordered(ordered: u64) -> i64 {
    (ordered ^ (1 << 63)) as i64
}

/// Write an item into `out`, which is emptied first.
pub(super) fn encode_item(item: &Item, out: &mut Vec<u8>) {
    out.clear();
    out.push(ITEM);
    match item.expires {
        None => out.push(0),
        Some(at) => {
            out.push(1);
            out.put_i64_le(at.as_micros());
        }
    }
    push_varint(out, item.offsets.len() as u128);
    for (partition, offset) in &item.offsets {
        push_bytes(out, partition.as_str().as_bytes());
        offset.encode(out);
    }
    push_varint(out, item.numbers.len() as u128);
    let mut before = 0;
    for ((slot, column), number) in &item.numbers {
        push_varint(out, u128::from(slot.0 - before));
        before = slot.0;
        push_varint(out, u128::from(column.field));
        let part = u128::from(column.part) << 1;
        match number {
            Number::Int(whole) => {
                push_varint(out, part);
                push_varint(out, ((whole << 1) ^ (whole >> 127)) as u128);
            }
            Number::Float { sum, rest } => {
                push_varint(out, part | 1);
                out.put_f64_le(*sum);
                out.put_f64_le(*rest);
            }
        }
    }
    push_varint(out, item.values.len() as u128);
    let mut before = 0;
    for (slot, value) in &item.values {
        push_varint(out, u128::from(slot.0 - before));
        before = slot.0;
        push_bytes(out, value);
    }
    push_varint(out, item.rolled.len() as u128);
    let mut before = 0;
    for slot in &item.rolled {
        push_varint(out, u128::from(slot.0 - before));
        before = slot.0;
    }
    seal(out);
}

/// Read what [`encode_item`] wrote for this tile. `names` lends the partitions' names that were met before.
pub(super) fn decode_item(id: &TileId, bytes: &[u8], names: &mut PartitionNames) -> Result<Item> {
    item_parts(bytes, names).ok_or_else(|| corrupt(&id.to_string()))
}

fn item_parts(bytes: &[u8], names: &mut PartitionNames) -> Option<Item> {
    let mut rest = unseal(bytes)?;
    if rest.try_get_u8().ok()? != ITEM {
        return None;
    }
    let expires = match rest.try_get_u8().ok()? {
        0 => None,
        1 => Some(Timestamp::from_micros(rest.try_get_i64_le().ok()?)),
        _ => return None,
    };
    let count = take_count(&mut rest, 2)?;
    let mut offsets = Vec::with_capacity(count);
    for _ in 0..count {
        let partition = names.get(std::str::from_utf8(take_bytes(&mut rest)?).ok()?);
        let (offset, length) = Offset::decode(rest)?;
        rest.advance(length);
        offsets.push((partition, offset));
    }
    let count = take_count(&mut rest, 2)?;
    let mut numbers = Vec::with_capacity(count);
    let mut slot = 0u16;
    for _ in 0..count {
        slot = slot.checked_add(take_varint(&mut rest)?.try_into().ok()?)?;
        let field = take_varint(&mut rest)?.try_into().ok()?;
        let part = take_varint(&mut rest)?;
        let number = if part & 1 == 0 {
            let zigzag = take_varint(&mut rest)?;
            Number::Int((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
        } else {
            Number::Float { sum: rest.try_get_f64_le().ok()?, rest: rest.try_get_f64_le().ok()? }
        };
        numbers.push(((Slot(slot), Column { field, part: (part >> 1).try_into().ok()? }), number));
    }
    let count = take_count(&mut rest, 2)?;
    let mut values = Vec::with_capacity(count);
    let mut slot = 0u16;
    for _ in 0..count {
        slot = slot.checked_add(take_varint(&mut rest)?.try_into().ok()?)?;
        values.push((Slot(slot), Bytes::copy_from_slice(take_bytes(&mut rest)?)));
    }
    let count = take_count(&mut rest, 1)?;
    let mut rolled = Vec::with_capacity(count);
    let mut slot = 0u16;
    for _ in 0..count {
        slot = slot.checked_add(take_varint(&mut rest)?.try_into().ok()?)?;
        rolled.push(Slot(slot));
    }
    let item = Item { offsets, numbers, values, rolled, expires };
    (rest.is_empty() && item.is_ordered()).then_some(item)
}

pub(super) fn encode_record(bytes: &[u8], version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + bytes.len() + CHECKSUM);
    out.put_u64_le(version.0);
    out.extend_from_slice(bytes);
    seal(&mut out);
    out
}

/// Read what [`encode_record`] wrote.
pub(super) fn decode_record(name: &str, bytes: &[u8]) -> Result<Record> {
    let record = || {
        let mut rest = unseal(bytes)?;
        let version = Version(rest.try_get_u64_le().ok()?);
        Some(Record { bytes: rest.to_vec(), version })
    };
    record().ok_or_else(|| corrupt(&format!("record `{}`", name.escape_debug())))
}

fn corrupt(what: &str) -> Error {
    let context = format!(
        "the stored bytes of {what} do not decode, and are left as they are; restore the store from a copy, or \
         replay the source into a new generation"
    );
    Error::new(ErrorKind::Corrupt, context)
}

fn seal(out: &mut Vec<u8>) {
    out.put_u32_le(crc32fast::hash(out));
}

fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
    (crc32fast::hash(body) == u32::from_le_bytes(*checksum)).then_some(body)
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn push_varint(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u128> {
    let mut number = 0u128;
    for shift in (0..128).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        let bits = u128::from(byte & 0x7f);
        // The nineteenth byte has room for two bits only.
        if (bits << shift) >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u128);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_varint(rest)?.try_into().ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// A number of elements. Each takes at least so many bytes, which bounds what a wrong count can make a reader reserve.
fn take_count(rest: &mut &[u8], least: usize) -> Option<usize> {
    let count: usize = take_varint(rest)?.try_into().ok()?;
    (count <= rest.len() / least).then_some(count)
}

/// Partitions' names that were met before: every tile repeats the same few.
#[derive(Default)]
pub(super) struct PartitionNames(HashSet<PartitionId>);

impl PartitionNames {
    /// A pipeline has some hundred partitions; what is far beyond that is not worth keeping.
    const MOST: usize = 10_000;

    fn get(&mut self, name: &str) -> PartitionId {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        let new = PartitionId::new(name);
        self.0.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
}
