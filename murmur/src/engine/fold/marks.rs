//! Which slots are to be marked as unrolled: those above what is written of partitions that are, or were, retired.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::store::{TileId, Write};
use crate::time::{Slot, Tile, Tiling, Window};

/// Slots of the levels that rolling writes which may lack events below them; see `engine/retirement.rs`.
#[derive(Debug, Default)]
pub(super) struct Marks {
    slots: HashSet<(Arc<str>, Tile, Slot)>,
    /// Of the keys in them.
    key_bytes: usize,
}

impl Marks {
    /// All that lie above this tile of the finest level, or none above a twin: what is late is not rolled.
    pub(super) fn add(&mut self, tiling: &Tiling, key: &str, tile: Tile) {
        if tile.level != tiling.finest() {
            return;
        }
        let key: Arc<str> = key.into();
        let mut is_kept = false;
        for level in tiling.parents() {
            let parent = tiling.tile_of(*level, tile.start);
            is_kept |= self.slots.insert((key.clone(), parent, tiling.slot_in(parent, tile.start)));
        }
        self.key_bytes += if is_kept { key.len() } else { 0 };
    }

    /// Take all of them, in order.
    pub(super) fn take(&mut self, tiling: &Tiling, window: &Window) -> Vec<Write> {
        let mut marks: Vec<_> = std::mem::take(self).slots.into_iter().collect();
        marks.sort_unstable();
        let write = |(key, tile, slot)| {
            let expires = tiling.expiry(tile, window);
            Write::unroll(TileId { key, tile, part: None }, slot, expires)
        };
        marks.into_iter().map(write).collect()
    }

    /// Approximate bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(Arc<str>, Tile, Slot)>() + self.key_bytes
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
