use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::key::Mark;
use crate::source::{Offset, PartitionId, Shelf};
use crate::time::{Slot, Tile, Timestamp};

use crate::aggregate::{Column, Number};

/// The table of one pipeline and generation: `<pipeline>_v<generation>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(Arc<str>);

impl Table {
    /// The table of a pipeline's generation.
    pub fn new(pipeline: &str, generation: u32) -> Self {
        Self(format!("{pipeline}_v{generation}").into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where records about its tiles lie.
    pub fn shelf(&self) -> Shelf {
        Shelf::Table(self.0.clone())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The primary key of an item: `pk` = key, `sk` = `<level>#<start>[#<partition>]`.
///
/// Shown, it has a [`Mark`] in place of its key: this is what logs and errors name a tile by. Dead letters, which have
/// the key anyhow, say [`in_full`](Self::in_full).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// The encoded key, see [`KeyBuf`](crate::key::KeyBuf).
    pub key: Arc<str>,
    /// Its place in time.
    pub tile: Tile,
    /// Form B only: the partition whose fold this item is.
    pub part: Option<PartitionId>,
}

impl TileId {
    /// With its key, without the control characters between its fields, in front.
    pub fn in_full(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| write!(f, "`{}`, {self}", self.key.escape_debug()))
    }
}

impl fmt::Display for TileId {
    /// The mark of the key, and the sort key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile {} {}#{}", Mark::of(&*self.key), self.tile.level.letter(), self.tile.start)?;
        match &self.part {
            Some(part) => write!(f, "#{part}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is stored under a [`TileId`]. The vectors are sorted by their first element, without repeats.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Item {
    /// How far each partition has been applied; [`closed`](Offset::closed) when the item is full. Of a parent tile: which
    /// slots are [unrolled](Self::is_unrolled).
    pub offsets: Vec<(PartitionId, Offset)>,
    /// Form A: numbers by slot and column.
    pub numbers: Vec<((Slot, Column), Number)>,
    /// Form B: the encoded fold of each slot, with version byte and checksum.
    pub values: Vec<(Slot, Bytes)>,
    /// Of a parent tile: the slots that hold the fold of their child, those of a child without anything too.
    pub rolled: Vec<Slot>,
    /// When it expires; `None` never.
    pub expires: Option<Timestamp>,
}

/// How the name of a mark begins.
const MARK: &str = "unrolled:";

impl Item {
    /// Whether the vectors are sorted, without repeats: what everything here goes by.
    #[cfg_attr(
        not(any(feature = "embedded", feature = "dynamodb")),
        allow(dead_code, reason = "two stores have bytes that can say otherwise")
    )]
    pub(super) fn is_ordered(&self) -> bool {
        self.offsets.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.numbers.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.values.is_sorted_by(|(a, _), (b, _)| a < b)
            && self.rolled.is_sorted_by(|a, b| a < b)
    }

    /// How far `partition` has been applied; `None` when nothing of it has.
    pub fn offset(&self, partition: &PartitionId) -> Option<Offset> {
        self.offsets.binary_search_by(|(p, _)| p.cmp(partition)).ok().map(|at| self.offsets[at].1)
    }

    /// Whether everything of `partition` that concerns this tile up to `last` has been applied to it; for a `last` that
    /// is [`closed`](Offset::closed), whether the item is closed from just there.
    pub fn holds(&self, partition: &PartitionId, last: Offset) -> bool {
        let Some(stands) = self.offset(partition) else { return false };
        match (stands.closed_from(), last.closed_from()) {
            (Some(from), None) => last < from,
            (_, Some(_)) => stands == last,
            (None, None) => stands >= last,
        }
    }

    /// Set how far `partition` has been applied.
    pub fn set_offset(&mut self, partition: &PartitionId, offset: Offset) {
        match self.offsets.binary_search_by(|(p, _)| p.cmp(partition)) {
            Ok(at) => self.offsets[at].1 = offset,
            Err(at) => self.offsets.insert(at, (partition.clone(), offset)),
        }
    }

    /// One number of the item; `None` when nothing was added to it yet.
    pub fn number(&self, slot: Slot, column: Column) -> Option<Number> {
        self.numbers.binary_search_by(|(at, _)| at.cmp(&(slot, column))).ok().map(|at| self.numbers[at].1)
    }

    /// Set a number, whatever stands there.
    pub fn set_number(&mut self, slot: Slot, column: Column, number: Number) {
        match self.numbers.binary_search_by(|(at, _)| at.cmp(&(slot, column))) {
            Ok(at) => self.numbers[at].1 = number,
            Err(at) => self.numbers.insert(at, ((slot, column), number)),
        }
    }

    /// Set the encoded fold of a slot, whatever stands there.
    pub fn set_value(&mut self, slot: Slot, value: Bytes) {
        match self.values.binary_search_by_key(&slot, |(at, _)| *at) {
            Ok(at) => self.values[at].1 = value,
            Err(at) => self.values.insert(at, (slot, value)),
        }
    }

    /// Whether a slot holds the fold of its child.
    pub fn is_rolled(&self, slot: Slot) -> bool {
        self.rolled.binary_search(&slot).is_ok() && !self.is_unrolled(slot)
    }

    /// Whether all of these slots, which follow one another, hold the folds of their children.
    pub(crate) fn are_rolled(&self, slots: &Range<u16>) -> bool {
        let Some(count) = usize::from(slots.end).checked_sub(usize::from(slots.start) + 1) else { return true };
        if !self.offsets.is_empty() {
            return slots.clone().all(|slot| self.is_rolled(Slot(slot)));
        }
        // Sorted, without repeats: as many places lie between two slots as there are slots.
        let first = self.rolled.binary_search(&Slot(slots.start));
        first.is_ok_and(|first| self.rolled.get(first + count) == Some(&Slot(slots.end - 1)))
    }

    /// Whether a slot is marked for good: whatever was rolled into it may lack something of its child, and is passed over.
    pub fn is_unrolled(&self, slot: Slot) -> bool {
        // Tiles that are rolled have no other offsets, and nearly none has a mark.
        !self.offsets.is_empty() && self.offset(&Self::mark(slot)).is_some()
    }

    /// What the mark is: a partition that has been applied.
    pub(super) fn mark(slot: Slot) -> PartitionId {
        PartitionId::new(format!("{MARK}{}", slot.0))
    }

    /// Whether a partition that has been applied is no partition, but the mark of a slot.
    pub fn is_mark(partition: &PartitionId) -> bool {
        partition.as_str().starts_with(MARK)
    }

    /// Mark a slot as one that holds the fold of its child.
    pub fn set_rolled(&mut self, slot: Slot) {
        if let Err(at) = self.rolled.binary_search(&slot) {
            self.rolled.insert(at, slot);
        }
    }

    /// Add to a number; an absent one is zero. `None` when the number would leave its range; nothing changed then.
    #[must_use]
    pub fn add(&mut self, slot: Slot, column: Column, delta: Number) -> Option<()> {
        match self.numbers.binary_search_by(|(at, _)| at.cmp(&(slot, column))) {
            Ok(at) => self.numbers[at].1 = self.numbers[at].1.checked_add(delta)?,
            Err(at) => self.numbers.insert(at, ((slot, column), delta)),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_rolled_when_each_of_them_is() {
        let mut item = Item::default();
        for slot in [0, 1, 2, 5, 6] {
            item.set_rolled(Slot(slot));
        }
        for _ in ["as it was rolled", "with a mark"] {
            for slots in (0..8).flat_map(|start| (start..9).map(move |end| start..end)) {
                let each = slots.clone().all(|slot| item.is_rolled(Slot(slot)));
                assert_eq!(item.are_rolled(&slots), each, "{slots:?}");
            }
            let mark = Item::mark(Slot(1));
            assert!(Item::is_mark(&mark));
            item.set_offset(&mark, Offset::ZERO);
        }
    }
}
