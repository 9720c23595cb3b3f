//! What stands in a table.
//!
//! ```text
//! tile     pk         S  the key; `#k` before one that is empty or begins with `#`, which no key of a pipeline does
//!          sk         S  <letter of the level>#<start>[#<partition>], the start in RFC 3339 without its `Z`
//!          o<p>       B  how far partition p was applied (`Offset::encode`, whose bytes compare as the offsets do)
//!          n<f>s<s>   N  number of field f in slot s; n<f>p<i>s<s> is its further number i
//!                     L  a float: [sum, rest], each N, or S where it lies outside the range of an N
//!          b<s>       B  the encoded fold of slot s
//!          r          NS the slots that are rolled; absent when there are none
//!          x          N  when the item expires: seconds since 1970, rounded up
//!          y          N  microseconds that `x` is too late; absent when 0
//!          v          N  how often numbers were added or slots rolled, see `write`
//! record   pk         S  #record
//!          sk         S  # and its name
//!          r          B  its bytes
//!          v          N  its version
//! ```
//!
//! Sort keys compare as bytes, in the order level, start, partition: a tile comes before its parts (`#`), those before
//! the fractions of the same second (`.`), and these before the next one.

use std::collections::HashMap;
use std::fmt::Write;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;

use super::number::{decode_number, decode_whole, encode_number};
use crate::aggregate::Column;
use crate::key::Mark;
use crate::source::{Offset, PartitionId, Record, Version};
use crate::store::{Item, TileId};
use crate::time::{Level, Slot, Tile, Timestamp};
use crate::{Error, ErrorKind, Result};

/// An item as the API has it.
pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) const PARTITION_KEY: &str = "pk";
pub(super) const SORT_KEY: &str = "sk";
pub(super) const EXPIRES: &str = "x";
pub(super) const EARLIER: &str = "y";
pub(super) const VERSION: &str = "v";
pub(super) const ROLLED: &str = "r";
const BYTES: &str = "r";

/// Partition key of the records of a table.
pub(super) const RECORD: &str = "#record";
const ESCAPE: &str = "#k";

pub(super) fn encode_key(key: &str) -> String {
    if key.is_empty() || key.starts_with('#') { format!("{ESCAPE}{key}") } else { key.to_owned() }
}

/// Read what [`encode_key`] wrote; `None` for what is no tile's.
fn decode_key(text: &str) -> Option<&str> {
    if text.starts_with('#') { text.strip_prefix(ESCAPE) } else { Some(text) }
}

pub(super) fn encode_place(id: &TileId) -> String {
    let mut out = encode_start(id.tile.level, id.tile.start);
    if let Some(part) = &id.part {
        out.push('#');
        out.push_str(part.as_str());
    }
    out
}

/// The sort key of a tile without parts.
fn encode_start(level: Level, start: Timestamp) -> String {
    let mut out = format!("{}#{start}", level.letter());
    // The `Z` comes after what may follow.
    out.pop();
    out
}

/// The first and the last sort key that a tile or part may have which starts in `start..end`.
pub(super) fn encode_range(level: Level, start: Timestamp, end: Timestamp) -> (String, String) {
    let mut last = encode_start(level, Timestamp::from_micros(end.as_micros() - 1));
    // Just above the `#` before the name of a part.
    last.push('$');
    (encode_start(level, start), last)
}

fn decode_place(text: &str) -> Option<(Tile, Option<PartitionId>)> {
    let (level, rest) = text.split_once('#')?;
    let mut letters = level.chars();
    let level = Level::from_letter(letters.next().filter(|_| letters.next().is_none())?)?;
    let (start, part) = match rest.split_once('#') {
        Some((start, part)) => (start, Some(PartitionId::new(part))),
        None => (rest, None),
    };
    let start = format!("{start}Z").parse().ok()?;
    Some((Tile { level, start }, part))
}

/// The primary key of a tile.
pub(super) fn tile_key(id: &TileId) -> Attributes {
    key(encode_key(&id.key), encode_place(id))
}

/// The primary key of a record.
pub(super) fn record_key(name: &str) -> Attributes {
    key(RECORD.to_owned(), record_place(name))
}

pub(super) fn record_place(name: &str) -> String {
    format!("#{name}")
}

fn key(partition: String, sort: String) -> Attributes {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(partition)),
        (SORT_KEY.to_owned(), AttributeValue::S(sort)),
    ])
}

/// Which tile an item is; `None` for a record.
pub(super) fn decode_id(attributes: &Attributes) -> Result<Option<TileId>> {
    let text = |name| attributes.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    let (partition, sort) = (text(PARTITION_KEY).unwrap_or_default(), text(SORT_KEY).unwrap_or_default());
    if partition == RECORD {
        return Ok(None);
    }
    let id = decode_key(partition).zip(decode_place(sort));
    let id = id.map(|(key, (tile, part))| TileId { key: key.into(), tile, part });
    let of = || format!("the item {} `{}`", Mark::of(partition), sort.escape_debug());
    id.map(Some).ok_or_else(|| corrupt(&of(), "this is no key of a tile"))
}

pub(super) fn offset_name(partition: &PartitionId) -> String {
    format!("o{partition}")
}

pub(super) fn encode_offset(offset: Offset) -> AttributeValue {
    let mut bytes = Vec::with_capacity(33);
    offset.encode(&mut bytes);
    AttributeValue::B(Blob::new(bytes))
}

pub(super) fn value_name(slot: Slot) -> String {
    format!("b{}", slot.0)
}

pub(super) fn encode_value(value: &Bytes) -> AttributeValue {
    AttributeValue::B(Blob::new(value.to_vec()))
}

/// A set; DynamoDB has none without elements.
pub(super) fn encode_slots(slots: &[Slot]) -> AttributeValue {
    AttributeValue::Ns(slots.iter().map(|slot| slot.0.to_string()).collect())
}

/// Append the name of a number.
pub(super) fn push_number_name(out: &mut String, slot: Slot, column: Column) {
    // Writing to a string cannot fail.
    let _ = match column.part {
        0 => write!(out, "n{}s{}", column.field, slot.0),
        part => write!(out, "n{}p{part}s{}", column.field, slot.0),
    };
}

fn decode_number_name(name: &str) -> Option<(Slot, Column)> {
    let (column, slot) = name.split_once('s')?;
    let (field, part) = match column.split_once('p') {
        // The first number has no `p`.
        Some((field, part)) => (field, decode_part(part).filter(|part| *part > 0)?),
        None => (column, 0),
    };
    Some((Slot(decode_part(slot)?), Column { field: decode_part(field)?, part }))
}

/// A number in a name, in the one spelling it has: two names of one number would be two of them.
fn decode_part<T: std::str::FromStr>(text: &str) -> Option<T> {
    (text == "0" || !text.starts_with(['0', '+'])).then(|| text.parse().ok()).flatten()
}

/// Seconds, rounded up, and the microseconds that this is too late.
pub(super) fn encode_expiry(at: Timestamp) -> (AttributeValue, Option<AttributeValue>) {
    let micros = at.as_micros();
    let seconds = micros.div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) > 0);
    let earlier = seconds * 1_000_000 - micros;
    let number = |n: i64| AttributeValue::N(n.to_string());
    (number(seconds), (earlier > 0).then(|| number(earlier)))
}

/// An item under its primary key, with the number of its writes.
pub(super) fn encode_item(id: &TileId, item: &Item, writes: Option<u64>) -> Attributes {
    let mut out = tile_key(id);
    for (partition, offset) in &item.offsets {
        out.insert(offset_name(partition), encode_offset(*offset));
    }
    for ((slot, column), number) in &item.numbers {
        let mut name = String::new();
        push_number_name(&mut name, *slot, *column);
        out.insert(name, encode_number(*number));
    }
    for (slot, value) in &item.values {
        out.insert(value_name(*slot), encode_value(value));
    }
    if !item.rolled.is_empty() {
        out.insert(ROLLED.to_owned(), encode_slots(&item.rolled));
    }
    if let Some(at) = item.expires {
        let (seconds, earlier) = encode_expiry(at);
        out.insert(EXPIRES.to_owned(), seconds);
        if let Some(earlier) = earlier {
            out.insert(EARLIER.to_owned(), earlier);
        }
    }
    if let Some(writes) = writes {
        out.insert(VERSION.to_owned(), AttributeValue::N(writes.to_string()));
    }
    out
}

/// Read what [`encode_item`] wrote for this tile, and the number of its writes.
pub(super) fn decode_item(id: &TileId, attributes: Attributes) -> Result<(Item, u64)> {
    let mut item = Item::default();
    let (mut writes, mut seconds, mut earlier) = (0, None, 0);
    for (name, value) in attributes {
        let read = match (name.as_str(), value) {
            (PARTITION_KEY | SORT_KEY, _) => Some(()),
            (VERSION, value) => take(&value).map(|number| writes = number),
            (EXPIRES, value) => take(&value).map(|number: i64| seconds = Some(number)),
            (ROLLED, AttributeValue::Ns(slots)) => decode_slots(&slots).map(|slots| item.rolled = slots),
            (EARLIER, value) => take(&value).map(|number: i64| earlier = number),
            (other, value) => attribute(&mut item, other, value),
        };
        read.ok_or_else(|| corrupt(&id.to_string(), &format!("attribute `{}`", name.escape_debug())))?;
    }
    item.expires =
        seconds.map(|seconds| Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_sub(earlier)));
    item.offsets.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    item.numbers.sort_unstable_by_key(|(place, _)| *place);
    item.values.sort_unstable_by_key(|(slot, _)| *slot);
    item.rolled.sort_unstable();
    if !item.is_ordered() {
        return Err(corrupt(&id.to_string(), &format!("attribute `{ROLLED}` names a slot twice")));
    }
    Ok((item, writes))
}

/// An attribute with a name that carries something; `None` when it is none of ours.
fn attribute(item: &mut Item, name: &str, value: AttributeValue) -> Option<()> {
    match (name.split_at_checked(1)?, value) {
        (("o", partition), AttributeValue::B(bytes)) => {
            let (offset, length) = Offset::decode(bytes.as_ref())?;
            item.offsets.push((PartitionId::new(partition), offset));
            (length == bytes.as_ref().len()).then_some(())
        }
        (("n", place), value) => {
            item.numbers.push((decode_number_name(place)?, decode_number(&value)?));
            Some(())
        }
        (("b", slot), AttributeValue::B(bytes)) => {
            item.values.push((Slot(decode_part(slot)?), Bytes::from(bytes.into_inner())));
            Some(())
        }
        _ => None,
    }
}

fn decode_slots(slots: &[String]) -> Option<Vec<Slot>> {
    slots.iter().map(|slot| decode_whole(slot)?.try_into().ok().map(Slot)).collect()
}

fn take<T: std::str::FromStr>(value: &AttributeValue) -> Option<T> {
    value.as_n().ok()?.parse().ok()
}

pub(super) fn encode_record(name: &str, bytes: Vec<u8>, version: Version) -> Attributes {
    let mut out = record_key(name);
    out.insert(BYTES.to_owned(), AttributeValue::B(Blob::new(bytes)));
    out.insert(VERSION.to_owned(), AttributeValue::N(version.0.to_string()));
    out
}

/// Read what [`encode_record`] wrote: the record and its name.
pub(super) fn decode_record(mut attributes: Attributes) -> Result<(String, Record)> {
    let place = match attributes.remove(SORT_KEY) {
        Some(AttributeValue::S(place)) => place,
        _ => String::new(),
    };
    let name = place.strip_prefix('#').unwrap_or(&place);
    match (attributes.remove(BYTES), attributes.get(VERSION).and_then(take)) {
        (Some(AttributeValue::B(bytes)), Some(version)) => {
            Ok((name.to_owned(), Record { bytes: bytes.into_inner(), version: Version(version) }))
        }
        _ => Err(corrupt(&format!("record `{}`", name.escape_debug()), "its bytes or its version are not there")),
    }
}

fn corrupt(what: &str, why: &str) -> Error {
    let context = format!(
        "what is stored of {what} does not decode, and is left as it is: {why}; restore the table from a backup, or \
         replay the source into a new generation"
    );
    Error::new(ErrorKind::Corrupt, context)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::Number;

    fn ids() -> impl Strategy<Value = TileId> {
        let key = prop_oneof![Just(String::new()), "#[k#]{0,3}", "[a\0#=]{0,6}", ".*"];
        let level = prop::sample::select(vec![Level::Slot, Level::Hour, Level::Forever]);
        let start =
            prop_oneof![-3_000_000i64..3_000_000, (-90_000i64..90_000).prop_map(|s| s * 1_000_000), any::<i64>()];
        let part = prop::option::of("[a#\0.]{0,3}|.*");
        (key, level, start, part).prop_map(|(key, level, start, part)| TileId {
            key: key.into(),
            tile: Tile { level, start: Timestamp::from_micros(start) },
            part: part.map(PartitionId::new),
        })
    }

    fn items() -> impl Strategy<Value = Item> {
        let number = prop_oneof![
            (-Number::MAX_INT..=Number::MAX_INT).prop_map(Number::Int),
            (-1000i128..1000).prop_map(Number::Int),
            (any::<f64>(), any::<f64>())
                .prop_filter("finite", |(sum, rest)| sum.is_finite() && rest.is_finite())
                .prop_map(|(sum, rest)| Number::Float { sum, rest }),
        ];
        let column = (any::<u32>(), any::<u8>()).prop_map(|(field, part)| Column { field, part });
        let numbers = prop::collection::btree_map((any::<u16>().prop_map(Slot), column), number, 0..20);
        let offsets = prop::collection::btree_map(".*", any::<[u64; 4]>(), 0..5);
        let values = prop::collection::btree_map(any::<u16>(), prop::collection::vec(any::<u8>(), 0..30), 0..5);
        let rolled = prop::collection::btree_set(any::<u16>(), 0..40);
        let parts = (offsets, numbers, values, rolled, prop::option::of(any::<i64>()));
        parts.prop_map(|(offsets, numbers, values, rolled, expires)| Item {
            offsets: offsets.into_iter().map(|(p, o)| (PartitionId::new(p), Offset::from_words(o))).collect(),
            numbers: numbers.into_iter().collect(),
            values: values.into_iter().map(|(slot, value)| (Slot(slot), value.into())).collect(),
            rolled: rolled.into_iter().map(Slot).collect(),
            expires: expires.map(Timestamp::from_micros),
        })
    }

    proptest! {
        #[test]
        fn keys_come_back_and_order_as_ids_do(a in ids(), b in ids()) {
            let attributes = tile_key(&a);
            prop_assert_eq!(decode_id(&attributes).unwrap(), Some(a.clone()));
            prop_assert!(!encode_key(&a.key).is_empty() && encode_key(&a.key) != RECORD);
            if a.tile.level == b.tile.level {
                let places = encode_place(&a).cmp(&encode_place(&b));
                prop_assert_eq!(places, (a.tile, &a.part).cmp(&(b.tile, &b.part)));
            }
        }

        #[test]
        fn a_range_of_sort_keys_has_what_starts_in_it(id in ids(), from in ids(), to in ids()) {
            let (from, to) = (from.tile.start, to.tile.start);
            prop_assume!(from < to);
            let (first, last) = encode_range(id.tile.level, from, to);
            let inside = (first..=last).contains(&encode_place(&id));
            prop_assert_eq!(inside, from <= id.tile.start && id.tile.start < to);
        }

        #[test]
        fn items_come_back(id in ids(), item in items(), writes in any::<u64>()) {
            let stored = encode_item(&id, &item, Some(writes));
            prop_assert_eq!(decode_item(&id, stored).unwrap(), (item, writes));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_an_error_that_names_the_tile() {
        let id = TileId { key: "=page".into(), tile: Tile { level: Level::Hour, start: Timestamp::EPOCH }, part: None };
        let number = |text: &str| AttributeValue::N(text.to_owned());
        for (name, value) in [
            ("other", number("1")),
            ("n1", number("1")),
            ("n1s1", number("1.5")),
            ("n1s1", number("170141183460469231731687303715884105727")),
            ("n01s1", number("1")),
            ("n1s+1", number("1")),
            ("n1p0s1", number("1")),
            ("b01", AttributeValue::B(Blob::new([1]))),
            ("n1s1", AttributeValue::L(vec![number("1")])),
            ("op", AttributeValue::B(Blob::new([1, 2, 3]))),
            ("b1", number("1")),
            ("v", AttributeValue::S("1".into())),
            ("r", number("1")),
            ("r", AttributeValue::Ns(vec!["1".into(), "-1".into()])),
            ("r", AttributeValue::Ns(vec!["65536".into()])),
            ("r", AttributeValue::Ns(vec!["10".into(), "1e1".into()])),
        ] {
            let mut stored = tile_key(&id);
            stored.insert(name.to_owned(), value);
            let error = decode_item(&id, stored).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
            let said = error.to_string();
            assert!(said.contains(&id.to_string()) && said.contains(name) && !said.contains("=page"), "{said}");
        }
    }

    #[test]
    fn an_expiry_beyond_all_time_is_the_end_of_time() {
        let id = TileId { key: "=page".into(), tile: Tile { level: Level::Hour, start: Timestamp::EPOCH }, part: None };
        let number = |n: i64| AttributeValue::N(n.to_string());
        for (seconds, earlier, expires) in [
            (i64::MIN, i64::MAX, Timestamp::MIN),
            (i64::MAX, i64::MIN, Timestamp::MAX),
            (2, 500_000, Timestamp::from_micros(1_500_000)),
        ] {
            let mut stored = tile_key(&id);
            stored.insert(EXPIRES.to_owned(), number(seconds));
            stored.insert(EARLIER.to_owned(), number(earlier));
            assert_eq!(decode_item(&id, stored).unwrap().0.expires, Some(expires));
        }
    }

    #[test]
    fn names_can_be_read_by_a_person() {
        let start = "2026-05-16T12:00:00Z".parse().unwrap();
        let id = TileId {
            key: "=b42\0tea".into(),
            tile: Tile { level: Level::Hour, start },
            part: Some(PartitionId::new("k:3")),
        };
        assert_eq!(
            (encode_key(&id.key).as_str(), encode_place(&id).as_str()),
            ("=b42\0tea", "h#2026-05-16T12:00:00#k:3")
        );
        let mut name = String::new();
        push_number_name(&mut name, Slot(5), Column { field: 2, part: 1 });
        assert_eq!(name, "n2p1s5");
    }
}
