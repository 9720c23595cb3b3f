//! From what is folded to what is written.

use std::hash::BuildHasher;

use bytes::Bytes;

use super::FoldTable;
use crate::aggregate::{Monoid, Refused, envelope, stored_numbers};
use crate::engine::fold::entry::Entry;
use crate::engine::partition::Owned;
use crate::pipeline::Pipeline;
use crate::store::{Applied, TileId, Write};
use crate::time::Slot;

impl<P: Pipeline> FoldTable<P> {
    /// Forget all tiles but these.
    pub(super) fn keep(&mut self, these: impl Fn(&Entry<P::Aggregate>) -> bool) {
        self.entries.keep(these);
        self.asked.clear();
    }

    /// What the last question to the store was about.
    pub(super) fn asked_ids(&self, owned: &[Owned]) -> Vec<TileId> {
        let ids = self.asked.iter().map(|at| self.id(&self.entries.list[*at as usize], owned));
        ids.collect()
    }

    /// Form A: the delta of a tile, with the offsets that it was folded from.
    pub(super) fn add(&self, entry: &Entry<P::Aggregate>, owned: &[Owned]) -> Write {
        // With the capacity that nearly all need: there are as many of these as there are tiles in a flush.
        let mut numbers = Vec::with_capacity(entry.slots.len());
        for (slot, value) in &entry.slots {
            stored_numbers(value, |column, number| numbers.push(((*slot, column), number)));
        }
        let mut applied = Vec::with_capacity(entry.spans.len());
        applied.extend(entry.spans.iter().filter(|span| span.pending).map(|span| Applied {
            partition: owned[usize::from(span.partition)].id.clone(),
            first: span.first,
            last: span.last,
        }));
        applied.sort_by(|a, b| a.partition.cmp(&b.partition));
        Write::Add {
            numbers,
            applied,
            expires: self.tiling.expiry(entry.tile, &P::SPEC.window),
            id: self.id(entry, owned),
        }
    }

    /// Whether a fold that came to the same bytes had them all the way: then what an earlier owner writes of any event
    /// between has these bytes too, whatever stands in the item, and there is nothing to write. A sum comes back to what it
    /// was by way of others.
    const ONLY_GROWS: bool = P::Aggregate::IDEMPOTENT && P::Aggregate::COMMUTATIVE;

    /// Form B: the fold of a tile as a whole; nothing when the events since the last write changed nothing.
    pub(super) fn put(&mut self, entry: &mut Entry<P::Aggregate>, owned: &[Owned]) -> Option<Write> {
        let span = entry.spans.first_mut().filter(|span| span.pending)?;
        span.pending = false;
        let (mut first, last) = (span.first, span.last);
        if let Some(refused) = &mut entry.refused {
            // When the fold is too large no item tells of these, so the tile is closed to them as well.
            first = first.min(refused.first.take().unwrap_or(first));
        }
        let none = Refused::default();
        let seal = |(slot, value): &(Slot, P::Aggregate)| {
            let refused = entry.refused.as_ref().and_then(|refused| refused.of(*slot)).unwrap_or(&none);
            (*slot, Bytes::from(envelope::seal_with(value, refused)))
        };
        let values: Vec<(Slot, Bytes)> = entry.slots.iter().map(seal).collect();
        let bytes: usize = values.iter().map(|(_, value)| value.len()).sum();
        self.value_bytes = self.value_bytes.saturating_add_signed(entry.weigh(bytes));
        if Self::ONLY_GROWS {
            let hash = self.hasher.hash_one(&values);
            if entry.sent.replace(Box::new(hash)).is_some_and(|before| *before == hash) {
                return None;
            }
        }
        Some(Write::Put {
            id: self.id(entry, owned),
            values,
            first,
            last,
            expires: self.tiling.expiry(entry.tile, &P::SPEC.window),
        })
    }
}
