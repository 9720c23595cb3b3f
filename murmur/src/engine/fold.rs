use std::borrow::Cow;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use smallvec::SmallVec;

use super::partition::Owned;
use crate::aggregate::{Form, Monoid, envelope};
use crate::event::Event;
use crate::pipeline::{Emissions, Pipeline, Refusal};
use crate::source::Offset;
use crate::store::{Applied, Item, Table, TileId, Write};
use crate::time::{Slot, Tile, TimeRange, Timestamp};
use crate::{Error, Result};

/// Where an event stands: the place of its partition among the owned ones, and its offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) partition: u16,
    pub(super) offset: Offset,
    /// An earlier owner may have written this event already: look before folding.
    pub(super) catching_up: bool,
}

/// What [`Fold::fold`] did with the emissions of one event.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Folded {
    pub(super) expired: u64,
    pub(super) already_applied: u64,
}

/// An earlier write overlaps the unflushed delta: someone else writes these partitions.
#[derive(Debug)]
pub(super) struct Overlap;

/// The fold table of one pipeline, for a worker that knows only the event.
pub(super) trait Fold<E>: Send + Sync {
    fn pipeline(&self) -> &'static str;

    fn table(&self) -> &Table;

    /// Take in one event. When catching up it is held until [`settle`](Self::settle).
    fn fold(&mut self, event: &E, at: At, now: Timestamp) -> std::result::Result<Folded, Refusal>;

    /// Whether events wait for [`settle`](Self::settle).
    fn is_holding(&self) -> bool;

    /// The tiles that held events need to be compared with, each once.
    fn wanted(&mut self, owned: &[Owned]) -> Vec<TileId>;

    /// Compare the held events with the items of [`wanted`](Self::wanted), in its order, and fold those that are not
    /// in them.
    fn settle(&mut self, items: Vec<Option<Item>>, owned: &[Owned]) -> Result<Folded>;

    /// Form B: the tiles whose stored fold is needed before the next flush.
    fn baseless(&mut self, owned: &[Owned]) -> Vec<TileId>;

    /// Form B: put the deltas on top of the items of [`baseless`](Self::baseless), in its order.
    fn rebase(&mut self, items: Vec<Option<Item>>) -> Result<std::result::Result<(), Overlap>>;

    /// The writes that make everything folded so far durable. They are taken out of the table: either all of them
    /// end up durable, or the table must be cleared.
    fn writes(&mut self, owned: &[Owned]) -> Vec<Write>;

    /// Tiles that have something to write.
    fn dirty(&self) -> usize;

    /// Approximate bytes held.
    fn bytes(&self) -> usize;

    /// Forget everything.
    fn clear(&mut self);
}

/// A tile under way. With Form A it holds a delta of all partitions; with Form B the fold of one partition.
///
/// Each event touches one of these at random, so it is kept to few cache lines, and most keys lie within.
struct Entry<A> {
    hash: u64,
    key: SmallVec<[u8; 24]>,
    tile: Tile,
    /// Form B: whose fold this is.
    partition: Option<u16>,
    slots: SmallVec<[(Slot, A); 1]>,
    spans: SmallVec<[Span; 1]>,
    dirty: bool,
    /// Form B: whether `slots` is the absolute fold; otherwise it is a delta on a base not yet read.
    absolute: bool,
    /// Form B: hash of the bytes last known to be stored.
    stored: Option<u64>,
    /// Form B: how many bytes those were, which is about what the value takes here.
    stored_bytes: u32,
}

/// What a tile holds of one partition.
struct Span {
    partition: u16,
    /// Whether anything was folded since the last flush; from `first` to `last`.
    pending: bool,
    first: Offset,
    last: Offset,
    /// How far the store had applied the partition to the tile when it was asked; `None` when it was not. Rarely
    /// there, so it lies elsewhere.
    floor: Option<Box<Option<Offset>>>,
}

/// An emission that waits until its tile is compared with the store.
struct Held<A> {
    entry: u32,
    slot: Slot,
    value: A,
    partition: u16,
    offset: Offset,
}

pub(super) struct FoldTable<P: Pipeline> {
    table: Table,
    tiling: crate::time::Tiling,
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    entries: Vec<Entry<P::Aggregate>>,
    dirty: usize,
    key_bytes: usize,
    /// Sum of all `stored_bytes`.
    value_bytes: usize,
    emissions: Emissions<P::Aggregate>,
    held: Vec<Held<P::Aggregate>>,
    /// The entries that the last question to the store was about, in its order.
    asked: Vec<u32>,
    /// The tile of the last event: most events fall into the same one.
    recent: Option<(Tile, TimeRange)>,
}

impl<P: Pipeline> FoldTable<P> {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            table: Table::new(P::SPEC.name, generation),
            tiling: P::tiling(),
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            entries: Vec::new(),
            dirty: 0,
            key_bytes: 0,
            value_bytes: 0,
            emissions: Emissions::default(),
            held: Vec::new(),
            asked: Vec::new(),
            recent: None,
        }
    }

    fn locate(&mut self, at: Timestamp) -> (Tile, Slot) {
        if let Some((tile, range)) = self.recent
            && range.contains(at)
        {
            return (tile, self.tiling.slot_in(tile, at));
        }
        let (tile, slot) = self.tiling.locate(at);
        self.recent = Some((tile, self.tiling.tile_range(tile)));
        (tile, slot)
    }

    fn id(&self, entry: &Entry<P::Aggregate>, owned: &[Owned]) -> TileId {
        let part = entry.partition.map(|p| owned[usize::from(p)].id.clone());
        TileId { key: entry.text().into(), tile: entry.tile, part }
    }
}

/// The entry of a tile, made when there is none.
fn entry_of<A>(
    index: &mut HashTable<u32>,
    entries: &mut Vec<Entry<A>>,
    hasher: &DefaultHashBuilder,
    key_bytes: &mut usize,
    key: &str,
    tile: Tile,
    partition: Option<u16>,
) -> u32 {
    let hash = hasher.hash_one((key, tile.start.as_micros(), partition));
    let same = |at: &u32| {
        let entry = &entries[*at as usize];
        entry.hash == hash && entry.tile == tile && entry.partition == partition && *entry.key == *key.as_bytes()
    };
    if let Some(at) = index.find(hash, same) {
        return *at;
    }
    let at = entries.len() as u32;
    entries.push(Entry {
        hash,
        key: SmallVec::from_slice(key.as_bytes()),
        tile,
        partition,
        slots: SmallVec::new(),
        spans: SmallVec::new(),
        dirty: false,
        absolute: false,
        stored: None,
        stored_bytes: 0,
    });
    *key_bytes += key.len();
    index.insert_unique(hash, at, |at| entries[*at as usize].hash);
    at
}

impl<A> Entry<A> {
    /// The encoded key.
    fn text(&self) -> Cow<'_, str> {
        // It was copied from a string.
        String::from_utf8_lossy(&self.key)
    }
}

impl<A: Monoid> Entry<A> {
    fn span(&mut self, partition: u16) -> &mut Span {
        let at = self.spans.iter().position(|span| span.partition == partition).unwrap_or_else(|| {
            self.spans.push(Span { partition, pending: false, first: Offset::ZERO, last: Offset::ZERO, floor: None });
            self.spans.len() - 1
        });
        &mut self.spans[at]
    }

    /// Fold one value in, unless the store holds it already.
    fn take(&mut self, slot: Slot, value: A, partition: u16, offset: Offset) -> bool {
        let span = self.span(partition);
        if span.floor.as_ref().is_some_and(|floor| Some(offset) <= **floor) {
            return false;
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
        true
    }

    /// Put what the store holds before what was folded here.
    fn base_on(&mut self, base: SmallVec<[(Slot, A); 1]>) {
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

fn decode_slots<A: Monoid>(entry: &Entry<A>, item: &Item) -> Result<SmallVec<[(Slot, A); 1]>> {
    item.values
        .iter()
        .map(|(slot, bytes)| {
            let value = envelope::unseal(bytes).and_then(A::decode);
            value.map(|value| (*slot, value)).map_err(|error| {
                Error::new(
                    crate::ErrorKind::Corrupt,
                    format!("tile {:?} of key {:?}, slot {}: {error}", entry.tile, entry.text(), slot.0),
                )
            })
        })
        .collect()
}

impl<P: Pipeline> Fold<P::Event> for FoldTable<P> {
    fn pipeline(&self) -> &'static str {
        P::SPEC.name
    }

    fn table(&self) -> &Table {
        &self.table
    }

    fn fold(&mut self, event: &P::Event, at: At, now: Timestamp) -> std::result::Result<Folded, Refusal> {
        self.emissions.clear();
        // A defect of the user's function costs its event, not the worker: the payload is kept with the reason.
        if catch_unwind(AssertUnwindSafe(|| P::apply(event, &mut self.emissions))).is_err() {
            self.emissions = Emissions::default();
            return Err(Refusal("the aggregate function panicked".into()));
        }
        if let Some(refusal) = self.emissions.refusal() {
            return Err(refusal.clone());
        }
        let (tile, slot) = self.locate(event.time().unwrap_or(Timestamp::EPOCH));
        let mut folded = Folded::default();
        if self.tiling.expiry(tile, &P::SPEC.window).is_some_and(|expiry| expiry <= now) {
            folded.expired = self.emissions.drain().count() as u64;
            return Ok(folded);
        }
        let partition = (P::Aggregate::FORM == Form::Put).then_some(at.partition);
        for (key, value) in self.emissions.drain() {
            let entry =
                entry_of(&mut self.index, &mut self.entries, &self.hasher, &mut self.key_bytes, key, tile, partition);
            if at.catching_up {
                self.held.push(Held { entry, slot, value, partition: at.partition, offset: at.offset });
                continue;
            }
            let entry = &mut self.entries[entry as usize];
            if !entry.take(slot, value, at.partition, at.offset) {
                folded.already_applied += 1;
            } else if !entry.dirty {
                entry.dirty = true;
                self.dirty += 1;
            }
        }
        Ok(folded)
    }

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn wanted(&mut self, owned: &[Owned]) -> Vec<TileId> {
        self.asked.clear();
        for held in &self.held {
            let entry = &self.entries[held.entry as usize];
            if !entry.spans.iter().any(|span| span.partition == held.partition && span.floor.is_some()) {
                self.asked.push(held.entry);
            }
        }
        self.asked.sort_unstable();
        self.asked.dedup();
        self.asked_ids(owned)
    }

    fn settle(&mut self, items: Vec<Option<Item>>, owned: &[Owned]) -> Result<Folded> {
        for (&at, item) in self.asked.iter().zip(items) {
            let entry = &mut self.entries[at as usize];
            match entry.partition {
                Some(partition) => {
                    let floor = item.as_ref().and_then(|item| item.offset(&owned[usize::from(partition)].id));
                    if let Some(item) = &item {
                        entry.base_on(decode_slots(entry, item)?);
                    }
                    entry.absolute = true;
                    entry.span(partition).floor = Some(Box::new(floor));
                }
                // Form A: the item tells of all partitions at once.
                None => {
                    for (partition, owner) in owned.iter().enumerate() {
                        let floor = item.as_ref().and_then(|item| item.offset(&owner.id));
                        let span = entry.span(partition as u16);
                        // What is pending here lies beyond what was loaded before; its floor stays.
                        if !span.pending {
                            span.floor = Some(Box::new(floor));
                        }
                    }
                }
            }
        }
        let mut folded = Folded::default();
        for held in self.held.drain(..) {
            let entry = &mut self.entries[held.entry as usize];
            if !entry.take(held.slot, held.value, held.partition, held.offset) {
                folded.already_applied += 1;
            } else if !entry.dirty {
                entry.dirty = true;
                self.dirty += 1;
            }
        }
        Ok(folded)
    }

    fn baseless(&mut self, owned: &[Owned]) -> Vec<TileId> {
        self.asked.clear();
        if P::Aggregate::FORM == Form::Put {
            let without = self.entries.iter().enumerate().filter(|(_, entry)| entry.dirty && !entry.absolute);
            self.asked.extend(without.map(|(at, _)| at as u32));
        }
        self.asked_ids(owned)
    }

    fn rebase(&mut self, items: Vec<Option<Item>>) -> Result<std::result::Result<(), Overlap>> {
        for (&at, item) in self.asked.iter().zip(items) {
            let entry = &mut self.entries[at as usize];
            let Some(item) = item else {
                entry.absolute = true;
                continue;
            };
            let base = decode_slots(entry, &item)?;
            let stored = item.offsets.first().map(|(_, offset)| *offset);
            let span = &mut entry.spans[0];
            span.floor = Some(Box::new(stored));
            if span.pending && stored >= Some(span.last) {
                // The delta is in there already, all of it.
                span.pending = false;
                entry.slots = base;
                entry.absolute = true;
                entry.dirty = false;
                self.dirty -= 1;
            } else if span.pending && stored >= Some(span.first) {
                return Ok(Err(Overlap));
            } else {
                entry.base_on(base);
            }
        }
        Ok(Ok(()))
    }

    fn writes(&mut self, owned: &[Owned]) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.dirty);
        match P::Aggregate::FORM {
            Form::Add => {
                let dirty = self.entries.iter().filter(|entry| entry.dirty);
                writes.extend(dirty.map(|entry| self.add(entry, owned)));
                self.entries.clear();
                self.index.clear();
                self.key_bytes = 0;
            }
            Form::Put => {
                let mut entries = std::mem::take(&mut self.entries);
                for entry in entries.iter_mut().filter(|entry| entry.dirty) {
                    entry.dirty = false;
                    writes.extend(self.put(entry, owned));
                }
                self.entries = entries;
                // What is clean only saves a read later.
                if self.bytes() > RESIDENT_BYTES {
                    self.clear();
                }
            }
        }
        self.dirty = 0;
        writes
    }

    fn dirty(&self) -> usize {
        self.dirty
    }

    fn bytes(&self) -> usize {
        // What was folded since the last flush is small as long as it is young; a guess does for it.
        let fresh = if P::Aggregate::FORM == Form::Put { self.dirty * P::Aggregate::MAX_BYTES.min(256) } else { 0 };
        self.entries.len() * size_of::<Entry<P::Aggregate>>() + self.key_bytes + self.value_bytes + fresh
    }

    fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.held.clear();
        self.asked.clear();
        self.dirty = 0;
        self.key_bytes = 0;
        self.value_bytes = 0;
    }
}

/// Bytes of clean Form B tiles above which they are dropped after a flush, to be read again when touched.
const RESIDENT_BYTES: usize = 256 << 20;

impl<P: Pipeline> FoldTable<P> {
    fn asked_ids(&self, owned: &[Owned]) -> Vec<TileId> {
        let ids = self.asked.iter().map(|at| self.id(&self.entries[*at as usize], owned));
        ids.collect()
    }

    /// Form A: the delta of a tile, with the offsets that it was folded from.
    fn add(&self, entry: &Entry<P::Aggregate>, owned: &[Owned]) -> Write {
        let mut numbers = Vec::new();
        for (slot, value) in &entry.slots {
            let before = numbers.len();
            let mut first = None;
            value.numbers(0, &mut |column, number| {
                first.get_or_insert(((*slot, column), number));
                if !number.is_zero() {
                    numbers.push(((*slot, column), number));
                }
            });
            // A slot whose events sum to zero has events: one zero says so.
            if numbers.len() == before {
                numbers.extend(first);
            }
        }
        let mut applied: Vec<Applied> = entry
            .spans
            .iter()
            .filter(|span| span.pending)
            .map(|span| Applied {
                partition: owned[usize::from(span.partition)].id.clone(),
                first: span.first,
                last: span.last,
            })
            .collect();
        applied.sort_by(|a, b| a.partition.cmp(&b.partition));
        Write::Add {
            numbers,
            applied,
            expires: self.tiling.expiry(entry.tile, &P::SPEC.window),
            id: self.id(entry, owned),
        }
    }

    /// Form B: the fold of a tile as a whole; nothing when the store holds the same bytes.
    fn put(&mut self, entry: &mut Entry<P::Aggregate>, owned: &[Owned]) -> Option<Write> {
        let span = entry.spans.first_mut().filter(|span| span.pending)?;
        span.pending = false;
        let last = span.last;
        let values: Vec<(Slot, Bytes)> =
            entry.slots.iter().map(|(slot, value)| (*slot, Bytes::from(envelope::seal(value)))).collect();
        let bytes: usize = values.iter().map(|(_, value)| value.len()).sum();
        self.value_bytes = self.value_bytes + bytes - entry.stored_bytes as usize;
        entry.stored_bytes = bytes as u32;
        let hash = self.hasher.hash_one(&values);
        // Events that changed nothing need no write: whoever folds them again onto the same bytes comes to the same.
        if entry.stored.replace(hash) == Some(hash) {
            return None;
        }
        Some(Write::Put {
            id: self.id(entry, owned),
            values,
            last,
            expires: self.tiling.expiry(entry.tile, &P::SPEC.window),
        })
    }
}
