//! Items.

use bytes::{Buf, BufMut, Bytes};
use hashbrown::HashSet;

use super::varint::{push_bytes, push_varint, take_bytes, take_count, take_varint};
use super::{corrupt, seal, unseal};
use crate::Result;
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId};
use crate::store::{Item, TileId};
use crate::time::{Slot, Timestamp};

/// The version byte of an item.
pub(super) const ITEM: u8 = 2;

/// Write an item into `out`, which is emptied first.
pub(in crate::store::embedded) fn encode_item(item: &Item, out: &mut Vec<u8>) {
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
pub(in crate::store::embedded) fn decode_item(id: &TileId, bytes: &[u8], names: &mut PartitionNames) -> Result<Item> {
    item_parts(bytes, names).ok_or_else(|| corrupt(&id.to_string()))
}

pub(super) fn item_parts(bytes: &[u8], names: &mut PartitionNames) -> Option<Item> {
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

/// Partitions' names that were met before: every tile repeats the same few.
#[derive(Default)]
pub(in crate::store::embedded) struct PartitionNames(HashSet<PartitionId>);

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
