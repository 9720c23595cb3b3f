use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use crate::aggregate::{Form, Monoid, Refused};
use crate::engine::panicked::guarded;
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
    /// Its last write is still under way, so there must be no other.
    pub(super) held_back: bool,
    /// Form B: values folded since the last write.
    folded: u32,
    /// Form B: bytes of all values, encoded, when they were last looked at; about what they take here.
    pub(super) weight: usize,
    pub(super) slots: Slots<A>,
    pub(super) spans: SmallVec<[Span; 1]>,
    /// Form B, of values that only grow: a hash of the bytes that were sent last. Rarely asked for, so it lies elsewhere.
    pub(super) sent: Option<Box<u64>>,
    /// Form B: which events were refused. Rarely there, so it lies elsewhere.
    pub(super) refused: Option<Box<Refusals>>,
}

/// The events that a tile refused.
#[derive(Default)]
pub(super) struct Refusals {
    slots: Vec<(Slot, Refused)>,
    /// The first one that no write has told of.
    pub(super) first: Option<Offset>,
}

impl Refusals {
    pub(super) fn of(&self, slot: Slot) -> Option<&Refused> {
        self.slots.iter().find(|(at, _)| *at == slot).map(|(_, refused)| refused)
    }

    fn of_mut(&mut self, slot: Slot) -> &mut Refused {
        let at = self.slots.iter().position(|(at, _)| *at == slot).unwrap_or_else(|| {
            self.slots.push((slot, Refused::default()));
            self.slots.len() - 1
        });
        &mut self.slots[at].1
    }
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
        let at = self.span_at(partition);
        &mut self.spans[at]
    }

    /// Bytes of slots and spans where there are more than lie within: of a tile that many partitions write, or in which
    /// many slots are under way. Not what the values hold elsewhere.
    #[inline]
    pub(super) fn beside(&self) -> usize {
        let outside = |count: usize, size: usize| if count > 1 { count * size } else { 0 };
        outside(self.slots.len(), size_of::<(Slot, A)>()) + outside(self.spans.len(), size_of::<Span>())
    }

    /// [`beside`](Self::beside), and what the store has said of its partitions. That is counted only where it changes, as
    /// counting it for each event would cost too much.
    pub(super) fn outside(&self) -> usize {
        let floors = self.spans.iter().filter(|span| span.floor.is_some()).count();
        self.beside() + floors * size_of::<Option<Offset>>()
    }

    #[inline]
    fn span_at(&mut self, partition: u16) -> usize {
        self.spans.iter().position(|span| span.partition == partition).unwrap_or_else(|| {
            self.spans.push(Span { partition, pending: false, first: Offset::ZERO, last: Offset::ZERO, floor: None });
            self.spans.len() - 1
        })
    }
}

/// Bytes of a value that are counted with its entry, or guessed.
pub(super) const SMALL: usize = 256;

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    Folded,
    /// The store holds it already.
    Held,
    /// The tile is closed to it, from this offset on.
    Closed(Offset),
    /// The value in the tile does not take it, for this reason.
    Refused(String),
}

impl<A: Monoid> Entry<A> {
    /// Fold one value in, unless the store holds it already, or never will.
    #[inline]
    pub(super) fn take(&mut self, slot: Slot, value: A, partition: u16, offset: Offset) -> Taken {
        let at = self.span_at(partition);
        if let Some(floor) = self.spans[at].floor.as_ref().and_then(|floor| **floor)
            && offset <= floor
        {
            return match floor.closed_from() {
                Some(from) if offset >= from => Taken::Closed(from),
                _ => self.refused_before(slot, offset).map_or(Taken::Held, Taken::Refused),
            };
        }
        if A::FORM == Form::Put
            && let Some((_, held)) = self.slots.iter().rev().find(|(at, _)| *at == slot)
            && let Some(why) = held.refuses(&value)
        {
            return self.refuse(slot, why, offset);
        }
        let span = &mut self.spans[at];
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

    /// [`take`](Self::take), by a value that may panic at it: then the tile refuses the event, and is as it was.
    pub(super) fn take_with_care(&mut self, slot: Slot, value: A, partition: u16, offset: Offset) -> Taken {
        let at = self.span_at(partition);
        let Span { pending, first, last, .. } = self.spans[at];
        let before = self.slots.iter().find(|(at, _)| *at == slot).map(|(_, value)| value.clone());
        guarded("what puts values together", || self.take(slot, value, partition, offset)).unwrap_or_else(|why| {
            self.slots.retain(|(at, _)| *at != slot);
            if let Some(before) = before {
                let at = self.slots.partition_point(|(at, _)| *at < slot);
                self.slots.insert(at, (slot, before));
            }
            let span = &mut self.spans[at];
            (span.pending, span.first, span.last) = (pending, first, last);
            self.refuse(slot, why, offset)
        })
    }

    fn refuse(&mut self, slot: Slot, why: String, offset: Offset) -> Taken {
        let refusals = self.refused.get_or_insert_default();
        refusals.of_mut(slot).note(&why, offset);
        refusals.first.get_or_insert(offset);
        Taken::Refused(why)
    }

    /// Why this event, which lies before the offset of the stored fold, is not in it.
    fn refused_before(&self, slot: Slot, offset: Offset) -> Option<String> {
        self.refused.as_ref()?.of(slot)?.why(offset).map(str::to_owned)
    }

    /// Form B: a value was folded in; look how large all of them are when there are twice as many as at the last look. So
    /// a fold of many events is encoded a few times more, and what is not looked at is as much again at most, where
    /// events are alike. How many bytes more it is.
    pub(super) fn grow(&mut self, scratch: &mut Vec<u8>) -> isize {
        self.folded = self.folded.saturating_add(1);
        // What cannot be large, or is about as large as it can get, is not worth it.
        let most = A::MAX_BYTES.saturating_mul(self.slots.len());
        if A::MAX_BYTES <= SMALL || self.weight > most / 2 || !self.folded.is_power_of_two() {
            return 0;
        }
        scratch.clear();
        self.slots.iter().for_each(|(_, value)| value.encode(scratch));
        let before = std::mem::replace(&mut self.weight, scratch.len());
        self.weight as isize - before as isize
    }

    /// Form B: the values are written, and were found to be so large. How many bytes more it is.
    pub(super) fn weigh(&mut self, bytes: usize) -> isize {
        self.folded = 0;
        bytes as isize - std::mem::replace(&mut self.weight, bytes) as isize
    }

    /// Form B: go on from what the store holds. Nothing was folded here yet.
    pub(super) fn base_on(&mut self, base: Slots<A>, refused: Vec<(Slot, Refused)>) {
        self.slots = base;
        if !refused.is_empty() {
            self.refused = Some(Box::new(Refusals { slots: refused, first: None }));
        }
    }
}

/// The tiles under way, each found by its key, its place in time and, with Form B, its partition.
pub(super) struct Entries<A> {
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    pub(super) list: Vec<Entry<A>>,
    key_bytes: usize,
    /// What all entries have [outside](Entry::outside) of them.
    pub(super) outside: usize,
}

impl<A> Entries<A> {
    pub(super) fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            list: Vec::new(),
            key_bytes: 0,
            outside: 0,
        }
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
            held_back: false,
            folded: 0,
            weight: 0,
            slots: SmallVec::new(),
            spans: SmallVec::new(),
            sent: None,
            refused: None,
        });
        self.key_bytes += key.len();
        let list = &self.list;
        self.index.insert_unique(hash, at, |at| list[*at as usize].hash);
        at
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.list.clear();
        (self.key_bytes, self.outside) = (0, 0);
    }

    /// Keep only these. They move.
    pub(super) fn keep(&mut self, these: impl Fn(&Entry<A>) -> bool) {
        self.list.retain(these);
        self.index.clear();
        (self.key_bytes, self.outside) = (0, 0);
        let list = &self.list;
        for (at, entry) in list.iter().enumerate() {
            self.index.insert_unique(entry.hash, at as u32, |at| list[*at as usize].hash);
            self.key_bytes += entry.key.len();
            self.outside += entry.outside();
        }
    }

    /// Approximate bytes held, without what the values hold elsewhere.
    pub(super) fn bytes(&self) -> usize {
        self.list.len() * size_of::<Entry<A>>() + self.key_bytes + self.outside
    }
}
