//! Folding: from events to what is to be written, tile by tile.
//!
//! The events of a batch are staged first and folded together at its end. So the lookups of a whole batch stand next
//! to each other, where the processor overlaps their cache misses; and a batch that has to be compared with the store
//! asks once.

mod closed;
mod entry;
mod marks;
mod table;
#[cfg(test)]
mod tests;

pub(super) use table::FoldTable;

use super::dedup::Seen;
use super::ownership::Ownership;
use super::partition::Owned;
use crate::Result;
use crate::pipeline::Refusal;
use crate::source::{Offset, PartitionId};
use crate::store::{Item, Table, TileId, Write};
use crate::time::Timestamp;

/// Where an event stands: the place of its partition among the owned ones, and its offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) partition: u16,
    pub(super) offset: Offset,
    /// An earlier owner may have written this event already: look before folding.
    pub(super) catching_up: bool,
    /// The newest event time before it in the log of its partition.
    pub(super) front: Option<Timestamp>,
    /// Its partition is retired, or was: what is rolled above its tile may lack it.
    pub(super) needs_marks: bool,
}

/// What became of an event that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is to be folded, as far as something is left of it.
    Staged(Staged),
    /// It was sent before.
    Repeated,
}

/// What [`Fold::stage`] made of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Staged {
    /// The pipeline's function has emitted nothing.
    pub(super) filtered: bool,
    /// Emissions left out because their tile has expired.
    pub(super) expired: u64,
    /// Emissions into tiles that are closed to events in time.
    pub(super) late: u64,
}

/// What [`Fold::settle`] did not fold.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Emissions that the store holds already.
    pub(super) already_applied: u64,
    /// Events with an emission that no store will ever hold, in their order, each once; and why: its tile is closed, or
    /// refused it.
    pub(super) shut_out: Vec<(Offset, String)>,
    /// The table must be cleared, and everything since the commit staged again.
    pub(super) broken: Option<Broken>,
}

/// An event at which the aggregate panicked. It is refused when it is met again, as is any other at which it does.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) partition: PartitionId,
    pub(super) offset: Offset,
}

/// The fold table of one pipeline, for a worker that knows only the event.
pub(super) trait Fold<E>: Send + Sync {
    fn pipeline(&self) -> &'static str;

    fn table(&self) -> &Table;

    /// What the table's tiles are made of, by this definition.
    fn ownership(&self) -> Ownership;

    /// How far back this pipeline has to know the identities of events; `None` when it does not ask for them.
    fn within(&self) -> Option<u64>;

    /// Take notice of an event at `position` that is counted already, of which a later one may be a repetition. Whoever
    /// asks for identities is to be shown every event, in order, here or by [`stage`](Self::stage). One that the pipeline
    /// refuses leaves no identity behind: it was not counted, and what is sent again may be.
    fn meet(&mut self, event: &E, seen: &mut Seen, position: u64);

    /// Take in one event, to be folded by [`settle`](Self::settle), unless it is one that was sent before.
    fn stage(
        &mut self,
        event: &E,
        at: At,
        now: Timestamp,
        seen: Option<(&mut Seen, u64)>,
    ) -> std::result::Result<Fate, Refusal>;

    /// The tiles that staged events need to be compared with, or to go on from, each once. The answer must show every
    /// write of this worker, as those stay known that may still be under way.
    fn wanted(&mut self, owned: &[Owned]) -> Vec<TileId>;

    /// Fold what is staged, unless the items of [`wanted`](Self::wanted), here in its order, hold it already or are
    /// closed to it.
    fn settle(&mut self, items: Vec<Option<Item>>, owned: &[Owned]) -> Result<Settled>;

    /// The writes that make everything folded so far durable. They are taken out of the table: either all of them
    /// end up durable, or the table must be cleared. Those of the last time must be durable by now, or be
    /// [held back](Self::hold_back).
    fn writes(&mut self, owned: &[Owned]) -> Vec<Write>;

    /// Write the tiles of these writes no more, as they are still being written: what is folded into them stays here until
    /// they are [let go](Self::let_go).
    fn hold_back(&mut self, writes: &[Write], owned: &[Owned]);

    /// All tiles may be written again.
    fn let_go(&mut self);

    /// Whether tiles are held back: something of this pipeline is [behind](super::flight).
    fn holds_back(&self) -> bool;

    /// The marks that have to be durable with those writes: above the tiles of events of a partition that is retired, those
    /// that were written before as well. They are taken out of the table, too.
    fn marks(&mut self) -> Vec<Write>;

    /// Tiles that have something to write, and are not held back.
    fn dirty(&self) -> usize;

    /// Approximate bytes held.
    fn bytes(&self) -> usize;

    /// Whether what is staged may load so much that it should be [settled](Self::settle) before there is more of it.
    fn is_heavy(&self) -> bool;

    /// Forget everything, but which tiles are closed.
    fn clear(&mut self);
}
