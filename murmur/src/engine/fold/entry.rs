use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::aggregate::Monoid;
use crate::source::Offset;
use crate::time::{Slot, Tile};

/// The slots of a tile that hold something, in order.
pub(super) type Slots<A> = SmallVec<[(Slot, A); 1]>;

/// A tile under way. With Form A it holds a delta of all partitions; with Form B the fold of one partition.
///
/// Each event touches one of these at random, so it is kept to few cache lines, and most keys lie within.
pub(super) struct Entry<A> {
    hash: u64,
    key: SmallVec<[u8; 24]>,
    pub(super) tile: Tile,
    /// Form B: whose fold this is.
    pub(super) partition: Option<u16>,
    pub(super) dirty: bool,
    /// Form B: whether `slots` is the absolute fold; otherwise it is a delta on a base not yet read.
    pub(super) absolute: bool,
    pub(super) slots: Slots<A>,
    pub(super) spans: SmallVec<[Span; 1]>,
    /// Form B: what is known to be stored. Rarely asked for, so it lies elsewhere.
    pub(super) stored: Option<Box<Stored>>,
}

/// The stored form of a fold.
#[derive(Default)]
pub(super) struct Stored {
    /// Hash of its bytes; `None` before the first write.
    pub(super) hash: Option<u64>,
    /// How many bytes, which is about what the value takes here.
    pub(super) bytes: usize,
}

/// What a tile holds of one partition.
pub(super) struct Span {
    pub(super) partition: u16,
    /// Whether anything was folded since the last flush; from `first` to `last`.
    pub(super) pending: bool,
    pub(super) first: Offset,
    pub(super) last: Offset,
    /// How far the store had applied the partition to the tile when it was asked; `None` when it was not. Rarely
    /// there, so it lies elsewhere.
    pub(super) floor: Option<Box<Option<Offset>>>,
}

impl<A> Entry<A> {
    /// The encoded key.
    pub(super) fn text(&self) -> Cow<'_, str> {
        // It was copied from a string.
        String::from_utf8_lossy(&self.key)
    }

    /// Whether it was compared with the store for this partition.
    pub(super) fn is_compared(&self, partition: u16) -> bool {
        self.spans.iter().any(|span| span.partition == partition && span.floor.is_some())
    }

    pub(super) fn span(&mut self, partition: u16) -> &mut Span {
        let at = self.spans.iter().position(|span| span.partition == partition).unwrap_or_else(|| {
            self.spans.push(Span { partition, pending: false, first: Offset::ZERO, last: Offset::ZERO, floor: None });
            self.spans.len() - 1
        });
        &mut self.spans[at]
    }
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Folded,
    /// The store holds it already.
    Held,
    /// The tile is closed to it, from this offset on.
    Closed(Offset),
}

impl<A: Monoid> Entry<A> {
    /// Fold one value in, unless the store holds it already, or never will.
    pub(super) fn take(&mut self, slot: Slot, value: A, partition: u16, offset: Offset) -> Taken {
        let span = self.span(partition);
        if let Some(floor) = span.floor.as_ref().and_then(|floor| **floor)
            && offset <= floor
        {
            return floor.closed_from().filter(|from| offset >= *from).map_or(Taken::Held, Taken::Closed);
        }
        if !span.pending {
            span.pending = true;
            span.first = offset;
        }
        span.last = offset;
        // The newest slot stands last and takes most events.
        match self.slots.iter_mut().rev().find(|(at, _)| *at == slot) {
            Some((_, held)) => held.combine(value),
            None => {
                let at = self.slots.partition_point(|(at, _)| *at < slot);
                self.slots.insert(at, (slot, value));
            }
        }
        Taken::Folded
    }

    /// Put what the store holds before what was folded here.
    pub(super) fn base_on(&mut self, base: Slots<A>) {
        let delta = std::mem::replace(&mut self.slots, base);
        for (slot, value) in delta {
            match self.slots.binary_search_by_key(&slot, |(at, _)| *at) {
                Ok(at) => self.slots[at].1.combine(value),
                Err(at) => self.slots.insert(at, (slot, value)),
            }
        }
        self.absolute = true;
    }
}

/// The tiles under way, each found by its key, its place in time and, with Form B, its partition.
pub(super) struct Entries<A> {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    pub(super) list: Vec<Entry<A>>,
    key_bytes: usize,
}

impl<A> Entries<A> {
    pub(super) fn new() -> Self {
        Self { hasher: DefaultHashBuilder::default(), index: HashTable::new(), list: Vec::new(), key_bytes: 0 }
    }

    pub(super) fn hash(&self, key: &str, tile: Tile, partition: Option<u16>) -> u64 {
        self.hasher.hash_one((key, tile.start.as_micros(), tile.level as u8, partition))
    }

    /// An entry of this hash, which is nearly always the one.
    pub(super) fn likely(&self, hash: u64) -> Option<u32> {
        self.index.find(hash, |at| self.list[*at as usize].hash == hash).copied()
    }

    /// The entry of a tile, made when there is none; `likely` is tried first.
    pub(super) fn of(&mut self, hash: u64, likely: Option<u32>, key: &str, tile: Tile, partition: Option<u16>) -> u32 {
        let list = &self.list;
        let same = |at: &u32| {
            let entry = &list[*at as usize];
            entry.hash == hash && entry.tile == tile && entry.partition == partition && *entry.key == *key.as_bytes()
        };
        if let Some(at) = likely.filter(same).or_else(|| self.index.find(hash, same).copied()) {
            return at;
        }
        let at = self.list.len() as u32;
        self.list.push(Entry {
            hash,
            key: SmallVec::from_slice(key.as_bytes()),
            tile,
            partition,
            dirty: false,
            absolute: false,
            slots: SmallVec::new(),
            spans: SmallVec::new(),
            stored: None,
        });
        self.key_bytes += key.len();
        let list = &self.list;
        self.index.insert_unique(hash, at, |at| list[*at as usize].hash);
        at
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.list.clear();
        self.key_bytes = 0;
    }

    /// Approximate bytes held, without what the values hold elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.list.len() * size_of::<Entry<A>>() + self.key_bytes
    }
}
