use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::item::{Item, TileId};
use crate::aggregate::{Column, Number};
use crate::source::{Offset, PartitionId};
use crate::time::{Slot, Timestamp};

/// The offsets of one partition that a delta was folded from, first and last *for this tile*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which partition.
    pub partition: PartitionId,
    /// Offset of the first event in the delta.
    pub first: Offset,
    /// Offset of the last event in the delta.
    pub last: Offset,
}

/// A write of one tile, under a condition wherever it matters who writes first.
///
/// No partition, number or slot stands twice in one write; their order does not matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// **Form A.** Add to numbers.
    ///
    /// ```text
    /// ADD  number += delta              for each number
    /// SET  o<p> = last<p>               for each p in `applied`
    /// IF   o<p> is absent OR o<p> < first<p>
    /// ```
    ///
    /// Without numbers it only says how far: see [`closing`](Self::closing).
    Add {
        /// Which tile; `part` is `None`, unless there are no numbers.
        id: TileId,
        /// What is added.
        numbers: Vec<((Slot, Column), Number)>,
        /// From which offsets; at least one partition.
        applied: Vec<Applied>,
        /// When the tile expires; `None` leaves what the item says.
        expires: Option<Timestamp>,
    },
    /// **Form B.** Put the absolute fold of one partition's events.
    ///
    /// ```text
    /// PUT  values, o = last
    /// IF   o is absent OR o < last
    /// ```
    Put {
        /// Which tile; `part` is the partition.
        id: TileId,
        /// All slots of the tile that are not empty.
        values: Vec<(Slot, Bytes)>,
        /// Offset of the first event in the fold that no earlier write had. No condition: from there on the tile is
        /// closed when this fold is too large.
        first: Offset,
        /// Offset of the last event in the fold.
        last: Offset,
        /// When the tile expires.
        expires: Option<Timestamp>,
    },
    /// **Roll.** Set slots of a parent tile, each to the fold of a child that cannot change any more.
    ///
    /// ```text
    /// SET  numbers, values of these slots
    /// ADD  the slots to the set of those that are rolled
    /// ```
    ///
    /// Without a condition: whoever rolls a slot writes the same into it, so it may be repeated, and by several at
    /// once. A slot is never seen as rolled without all that was written with it. Always
    /// [`Applied`](Outcome::Applied), or an error.
    Roll {
        /// Which tile; `part` is `None`.
        id: TileId,
        /// The slots that are rolled, those whose child holds nothing too; at least one.
        slots: Vec<Slot>,
        /// Numbers of these slots. They take the place of what stands under the same slot and column.
        numbers: Vec<((Slot, Column), Number)>,
        /// Encoded folds of these slots. They take the place of what stands there.
        values: Vec<(Slot, Bytes)>,
        /// When the tile expires; `None` leaves what the item says.
        expires: Option<Timestamp>,
    },
}

impl Write {
    /// Which item it writes.
    pub fn id(&self) -> &TileId {
        match self {
            Self::Add { id, .. } | Self::Put { id, .. } | Self::Roll { id, .. } => id,
        }
    }

    /// The write that marks a slot of a tile that rolling writes as [unrolled](Item::is_unrolled). It may be sent again, and
    /// by several at once: it is refused by an item that says so already.
    ///
    /// ```text
    /// SET  o<mark> = 0
    /// IF   o<mark> is absent
    /// ```
    pub fn unroll(id: TileId, slot: Slot, expires: Option<Timestamp>) -> Self {
        let mark = Applied { partition: Item::mark(slot), first: Offset::ZERO, last: Offset::ZERO };
        Self::Add { id, numbers: Vec::new(), applied: vec![mark], expires }
    }

    /// The write to send after this one was refused as [`Oversize`](crate::ErrorKind::Oversize) or
    /// [`Overflow`](crate::ErrorKind::Overflow): it closes the tile to the partitions of this one, from their first events
    /// in it on. `None` when this is such a write itself, or a roll, without which no event is lost.
    ///
    /// ```text
    /// SET  o<p> = first<p>.closed()    for each p
    /// IF   o<p> is absent OR o<p> < first<p>
    /// ```
    ///
    /// From then on the conditions of all other writes from these partitions fail, of late copies too, and the item
    /// says which events it lacks: none of them is ever both in the tile and somewhere else.
    pub fn closing(&self) -> Option<Self> {
        let (applied, expires) = match self {
            Self::Add { applied, .. } if applied.iter().any(|a| a.last.closed_from().is_some()) => return None,
            Self::Add { applied, expires, .. } => {
                (applied.iter().map(|a| Applied { last: a.first.closed(), ..a.clone() }).collect(), *expires)
            }
            Self::Put { id, first, expires, .. } => {
                (vec![Applied { partition: id.part.clone()?, first: *first, last: first.closed() }], *expires)
            }
            Self::Roll { .. } => return None,
        };
        Some(Self::Add { id: self.id().clone(), numbers: Vec::new(), applied, expires })
    }
}

/// Writes of one call. Clones share them.
#[derive(Clone, Debug)]
pub struct Writes(Arc<Vec<Write>>);

impl Deref for Writes {
    type Target = [Write];

    fn deref(&self) -> &[Write] {
        &self.0
    }
}

impl From<Vec<Write>> for Writes {
    fn from(writes: Vec<Write>) -> Self {
        Self(Arc::new(writes))
    }
}

impl From<Write> for Writes {
    fn from(write: Write) -> Self {
        vec![write].into()
    }
}

impl<const N: usize> From<[Write; N]> for Writes {
    fn from(writes: [Write; N]) -> Self {
        Vec::from(writes).into()
    }
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is durable.
    Applied,
    /// Its condition did not hold; this is the item as it stands (`ALL_OLD`).
    Refused(Item),
}
