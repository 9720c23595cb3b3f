//! What a write does to the item that stands there.
//!
//! One piece for every store that carries out its own writes, so that they cannot differ.

use std::collections::BTreeSet;

use super::item::Item;
use super::write::{Applied, Outcome, Write};
use crate::aggregate::{Column, Number};
use crate::time::Slot;
use crate::{Error, ErrorKind, Result};

/// Carry out `write` on `item`, where an absent item is the default one. When the outcome is not
/// [`Applied`](Outcome::Applied), `item` is unchanged.
///
/// Errors leave the item unchanged too: a write that makes no sense is [`InvalidArgument`](ErrorKind::InvalidArgument),
/// a number that would leave its range [`Overflow`](ErrorKind::Overflow), one of another kind than what stands there
/// [`Foreign`](ErrorKind::Foreign).
pub(super) fn apply(write: &Write, item: &mut Item) -> Result<Outcome> {
    check(write)?;
    match write {
        Write::Add { numbers, applied, expires, .. } => {
            let fits = |a: &Applied| item.offset(&a.partition).is_none_or(|stands| stands < a.first);
            if !applied.iter().all(fits) {
                return Ok(Outcome::Refused(item.clone()));
            }
            // All sums are tried before the first one is kept.
            for ((slot, column), delta) in numbers {
                if let Some(stands) = item.number(*slot, *column) {
                    stands.checked_add(*delta).ok_or_else(|| unsummable(write, stands, *delta))?;
                }
            }
            if item.offsets.is_empty() {
                // Most tiles of a long tail are written once, so a new item takes no more room than it needs.
                item.numbers.reserve_exact(numbers.len());
                item.offsets.reserve_exact(applied.len());
            }
            for ((slot, column), delta) in numbers {
                item.add(*slot, *column, *delta).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, format!("{} changed between check and write", write.id()))
                })?;
            }
            for Applied { partition, last, .. } in applied {
                item.set_offset(partition, *last);
            }
            if expires.is_some() {
                item.expires = *expires;
            }
        }
        Write::Put { id, values, last, expires, .. } => {
            // `check` has seen that there is a part.
            let Some(part) = &id.part else { return Err(senseless(write, "a fold without its partition")) };
            if item.offset(part).is_some_and(|stands| stands >= *last) {
                return Ok(Outcome::Refused(item.clone()));
            }
            let mut values = values.clone();
            values.sort_by_key(|(slot, _)| *slot);
            let offsets = vec![(part.clone(), *last)];
            *item = Item { offsets, values, expires: *expires, ..Item::default() };
        }
        Write::Roll { slots, numbers, values, expires, .. } => {
            numbers.iter().for_each(|((slot, column), number)| item.set_number(*slot, *column, *number));
            values.iter().for_each(|(slot, value)| item.set_value(*slot, value.clone()));
            slots.iter().for_each(|slot| item.set_rolled(*slot));
            if expires.is_some() {
                item.expires = *expires;
            }
        }
    }
    Ok(Outcome::Applied)
}

/// Whether a write can be carried out at all, by any store.
pub(super) fn check(write: &Write) -> Result<()> {
    match write {
        Write::Add { id, numbers, applied, .. } => {
            if id.part.is_some() && !numbers.is_empty() {
                return Err(senseless(write, "an addition to the fold of one partition"));
            }
            if applied.is_empty() {
                return Err(senseless(write, "an addition without its offsets, which could be applied twice"));
            }
            if applied.iter().any(|a| a.last < a.first) {
                return Err(senseless(write, "a delta whose last offset lies before its first"));
            }
            if repeats(applied, |a| &a.partition) {
                return Err(senseless(write, "a delta that names one partition twice"));
            }
            if repeats(numbers, |(place, _)| place) {
                return Err(senseless(write, "a delta that names one number twice"));
            }
            check_range(write, numbers)?;
        }
        Write::Put { id, values, .. } => {
            if id.part.is_none() {
                return Err(senseless(write, "a fold without its partition"));
            }
            if repeats(values, |(slot, _)| slot) {
                return Err(senseless(write, "a fold that names one slot twice"));
            }
        }
        Write::Roll { id, slots, numbers, values, .. } => {
            if id.part.is_some() {
                return Err(senseless(write, "a roll into the fold of one partition"));
            }
            if slots.is_empty() {
                return Err(senseless(write, "a roll of no slots"));
            }
            if repeats(slots, |slot| slot) || repeats(numbers, |(place, _)| place) || repeats(values, |(slot, _)| slot)
            {
                return Err(senseless(write, "a roll that names one slot or number twice"));
            }
            let rolled: BTreeSet<Slot> = slots.iter().copied().collect();
            let mut filled = numbers.iter().map(|((slot, _), _)| slot).chain(values.iter().map(|(slot, _)| slot));
            if !filled.all(|slot| rolled.contains(slot)) {
                return Err(senseless(write, "a roll that fills a slot which it does not name"));
            }
            check_range(write, numbers)?;
        }
    }
    Ok(())
}

fn check_range(write: &Write, numbers: &[((Slot, Column), Number)]) -> Result<()> {
    match numbers.iter().map(|(_, number)| number).find(|number| !number.is_in_range()) {
        Some(Number::Float { sum, rest }) if sum.is_nan() || rest.is_nan() => {
            Err(senseless(write, "a number that is none"))
        }
        Some(_) => Err(overflow(write)),
        None => Ok(()),
    }
}

/// Whether two elements have the same key. Sorted input, which is the usual one, costs one pass.
fn repeats<T, K: Ord>(elements: &[T], key: impl Fn(&T) -> &K) -> bool {
    if elements.is_sorted_by(|a, b| key(a) < key(b)) {
        return false;
    }
    let mut keys: Vec<&K> = elements.iter().map(key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

fn senseless(write: &Write, what: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("cannot write {}: {what}", write.id()))
}

fn unsummable(write: &Write, stands: Number, delta: Number) -> Error {
    match (stands, delta) {
        (Number::Int(_), Number::Int(_)) | (Number::Float { .. }, Number::Float { .. }) => overflow(write),
        _ => {
            let what = "a whole number and a float cannot be added; a changed type needs a new generation";
            Error::new(ErrorKind::Foreign, format!("cannot add to {}: {what}", write.id()))
        }
    }
}

fn overflow(write: &Write) -> Error {
    Error::new(ErrorKind::Overflow, format!("cannot write {}: a number would leave its range", write.id()))
}
