//! How large an item is, as DynamoDB counts: names and values of all attributes.

use super::{Item, TileId};
use crate::aggregate::Number;

/// What DynamoDB counts an item as, give or take a few bytes: the sizes of its numbers are rounded, and how often it was
/// written is not known here. Other stores have the same items in forms of their own, so that this compares them.
pub(crate) fn stored_bytes(id: &TileId, item: &Item) -> usize {
    // `pk` and `sk`, the letter of the level with its `#`, and a time to the second.
    let key = 2 + id.key.len() + 2 + 2 + 19 + id.part.as_ref().map_or(0, |part| 1 + part.as_str().len());
    let offsets = item.offsets.iter().map(|(partition, offset)| {
        let mut bytes = Vec::with_capacity(33);
        offset.encode(&mut bytes);
        1 + partition.as_str().len() + bytes.len()
    });
    let numbers = item.numbers.iter().map(|((slot, column), number)| {
        let part = if column.part == 0 { 0 } else { 1 + digits(u128::from(column.part)) };
        2 + digits(u128::from(column.field)) + part + digits(u128::from(slot.0)) + number_bytes(*number)
    });
    let values = item.values.iter().map(|(slot, value)| 1 + digits(u128::from(slot.0)) + value.len());
    let rolled = item.rolled.iter().map(|slot| 1 + whole(digits(u128::from(slot.0))));
    let rolled = if item.rolled.is_empty() { 0 } else { 4 + rolled.sum::<usize>() };
    let expires = item.expires.map_or(0, |at| 1 + whole(digits(u128::from(at.floor_seconds().unsigned_abs()))));
    // What Form A and rolling count their writes in.
    let writes = if item.numbers.is_empty() && item.rolled.is_empty() { 0 } else { 1 + whole(1) };
    key + offsets.sum::<usize>() + numbers.sum::<usize>() + values.sum::<usize>() + rolled + expires + writes
}

fn number_bytes(number: Number) -> usize {
    match number {
        Number::Int(number) => whole(digits(number.unsigned_abs()) + usize::from(number < 0)),
        Number::Float { sum, rest } => {
            3 + [sum, rest].map(|float| 1 + whole(format!("{float:e}").len())).iter().sum::<usize>()
        }
    }
}

/// Two digits a byte, the exponent, and the sign.
fn whole(digits: usize) -> usize {
    digits / 2 + 2
}

fn digits(number: u128) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
