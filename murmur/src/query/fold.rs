use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use super::plan::Step;
use super::points::Points;
use crate::aggregate::{DecodeError, Form, Monoid, envelope};
use crate::store::{Item, Table, TileId};
use crate::time::{Level, Slot, Tile, Tiling};
use crate::{Error, ErrorKind, Result};

/// Folds the items of one key into one value, or into one per point of a series.
///
/// What came late is folded apart, and behind all that came in time: so a value does not depend on whether finished tiles
/// have been rolled, in which what came late is not.
pub(super) struct Fold<A> {
    table: Table,
    tiling: Tiling,
    points: Option<Points>,
    values: Values<A>,
    late: Values<A>,
    known: bool,
}

/// One value per point, which is one unless it is a series.
pub(super) type Values<A> = SmallVec<[Option<A>; 1]>;

/// What the fold of one key came to.
pub(super) struct Folded<A> {
    /// One value per point; `None` where no slot was.
    pub(super) values: Values<A>,
    /// Whether any item of the key was seen.
    pub(super) known: bool,
}

impl<A: Monoid> Fold<A> {
    pub(super) fn new(table: &Table, tiling: Tiling, points: Option<Points>) -> Self {
        let count = points.as_ref().map_or(1, |points| points.count() as usize);
        let values = (0..count).map(|_| None).collect();
        Self { table: table.clone(), tiling, points, values, late: Values::new(), known: false }
    }

    /// Take in consecutive slots of a tile that were rolled.
    pub(super) fn take_rolled(&mut self, id: &TileId, rolled: &Range<u16>, item: &Item) -> Result<()> {
        let mut slots: Slots<A> = SmallVec::new();
        let taken = match A::FORM {
            Form::Add => numbers(item, |at| rolled.contains(&at.0), &mut slots),
            Form::Put => values(&item.values, |at| rolled.contains(&at.0), &mut slots),
        };
        taken.map_err(|(slot, error)| self.corrupt(id, slot, &error))?;
        // An empty one says nothing about the key.
        self.known |= !slots.is_empty();
        slots.into_iter().for_each(|(slot, value)| self.add(id.tile, slot, value));
        Ok(())
    }

    fn add(&mut self, tile: Tile, slot: Slot, value: A) {
        let at = match &self.points {
            Some(points) => points.index(self.tiling.slot_range(tile, slot).start),
            None => 0,
        };
        let values = if tile.level == Level::Late {
            self.late.resize(self.values.len(), None);
            &mut self.late
        } else {
            &mut self.values
        };
        match &mut values[at] {
            Some(held) => held.combine(value),
            empty => *empty = Some(value),
        }
    }

    /// Take in tiles in the order of time, each with all of its parts.
    pub(super) fn take(&mut self, step: &Step, items: &[(TileId, Item)]) -> Result<()> {
        self.known |= !items.is_empty();
        for parts in items.chunk_by(|a, b| a.0.tile == b.0.tile) {
            self.tile(step, parts)?;
        }
        Ok(())
    }

    fn tile(&mut self, step: &Step, parts: &[(TileId, Item)]) -> Result<()> {
        let mut slots: Slots<A> = SmallVec::new();
        for (id, item) in parts {
            let inside = |slot: Slot| step.slots.contains(self.tiling.slot_range(id.tile, slot).start);
            let taken = match A::FORM {
                Form::Add => numbers(item, inside, &mut slots),
                Form::Put => values(&item.values, inside, &mut slots),
            };
            taken.map_err(|(slot, error)| self.corrupt(id, slot, &error))?;
        }
        if parts.len() > 1 {
            // Stable: within a slot the parts stay in the order of their partitions.
            slots.sort_by_key(|(slot, _)| *slot);
        }
        let Some(((id, _), _)) = parts.split_first() else { return Ok(()) };
        slots.into_iter().for_each(|(slot, value)| self.add(id.tile, slot, value));
        Ok(())
    }

    fn corrupt(&self, id: &TileId, slot: Slot, error: &DecodeError) -> Error {
        let context = format!("table `{}`, {id}, slot {}: {error}", self.table.as_str(), slot.0);
        Error::new(ErrorKind::Corrupt, context)
    }

    pub(super) fn finish(mut self) -> Folded<A> {
        for (value, late) in self.values.iter_mut().zip(self.late) {
            match (value, late) {
                (Some(value), Some(late)) => value.combine(late),
                (value @ None, late) => *value = late,
                (Some(_), None) => {}
            }
        }
        Folded { values: self.values, known: self.known }
    }
}

type Slots<A> = SmallVec<[(Slot, A); 4]>;

fn numbers<A: Monoid>(
    item: &Item,
    inside: impl Fn(Slot) -> bool,
    out: &mut Slots<A>,
) -> Result<(), (Slot, DecodeError)> {
    for of_slot in item.numbers.chunk_by(|a, b| a.0.0 == b.0.0) {
        let slot = of_slot[0].0.0;
        if !inside(slot) {
            continue;
        }
        let mut value = A::identity();
        for ((_, column), number) in of_slot {
            value.add_number(0, *column, *number).map_err(|error| (slot, error))?;
        }
        out.push((slot, value));
    }
    Ok(())
}

fn values<A: Monoid>(
    stored: &[(Slot, Bytes)],
    inside: impl Fn(Slot) -> bool,
    out: &mut Slots<A>,
) -> Result<(), (Slot, DecodeError)> {
    for (slot, bytes) in stored.iter().filter(|(slot, _)| inside(*slot)) {
        let value = envelope::unseal(bytes).and_then(A::decode).map_err(|error| (*slot, error))?;
        out.push((*slot, value));
    }
    Ok(())
}
