mod writes;

use hashbrown::DefaultHashBuilder;

use super::closed::Closed;
use super::entry::{Entries, Entry, SMALL, Slots, Taken};
use super::marks::Marks;
use super::{At, Broken, Fate, Fold, Settled, Staged};
use crate::aggregate::{Form, Monoid, envelope};
use crate::engine::dedup::Seen;
use crate::engine::ownership::Ownership;
use crate::engine::panicked::guarded;
use crate::engine::partition::Owned;
use crate::event::Event;
use crate::pipeline::{Emissions, Pipeline, Refusal};
use crate::source::Offset;
use crate::store::{Item, Table, TileId, Write};
use crate::time::{Slot, Tile, Tiling, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

pub(in crate::engine) struct FoldTable<P: Pipeline> {
    table: Table,
    generation: u32,
    tiling: Tiling,
    entries: Entries<P::Aggregate>,
    closed: Closed,
    marks: Marks,
    /// Tiles with something to write that are not held back.
    dirty: usize,
    /// Tiles that are held back.
    held_back: usize,
    /// Form B: bytes of all values.
    value_bytes: usize,
    /// Form B: bytes above which the clean tiles are dropped at the next flush, to be read again when touched.
    resident: usize,
    /// To look how large values are.
    scratch: Vec<u8>,
    /// What the events of the batch emit.
    emissions: Emissions<P::Aggregate>,
    /// Where each of the emissions goes.
    staged: Vec<Place>,
    /// Whether something staged may have been written by an earlier owner.
    catching_up: bool,
    /// The entries that the last question to the store was about, in its order.
    asked: Vec<u32>,
    /// The tile of the last event, what it covers and when it closes: most events fall into the same one.
    recent: Option<(Tile, TimeRange, Option<Timestamp>)>,
    /// Form B: putting values together has panicked before, so that each is kept until the next event is in it.
    is_careful: bool,
    /// Tells stored bytes apart.
    hasher: DefaultHashBuilder,
}

/// Where an emission goes.
struct Place {
    hash: u64,
    /// Where its entry lies, once that is known.
    entry: Option<u32>,
    tile: Tile,
    slot: Slot,
    at: At,
}

impl<P: Pipeline> FoldTable<P> {
    /// Of a pipeline that does not wait for the interval at so many bytes.
    pub(in crate::engine) fn new(generation: u32, flush_bytes: usize) -> Self {
        Self {
            table: Table::new(P::SPEC.name, generation),
            generation,
            tiling: P::tiling(),
            entries: Entries::new(),
            closed: Closed::default(),
            marks: Marks::default(),
            dirty: 0,
            held_back: 0,
            value_bytes: 0,
            // With more than this, what is new would have less than half of the room, and flushes would become small.
            resident: flush_bytes / 2,
            scratch: Vec::new(),
            emissions: Emissions::default(),
            staged: Vec::new(),
            catching_up: false,
            asked: Vec::new(),
            recent: None,
            is_careful: false,
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The place of an event before which the partition's newest one was at `front`: the twin of its tile when it is late,
    /// and whether it is.
    fn locate(&mut self, at: Timestamp, front: Option<Timestamp>) -> (Tile, Slot, bool) {
        let (tile, slot, closes) = match self.recent {
            Some((tile, range, closes)) if range.contains(at) => (tile, self.tiling.slot_in(tile, at), closes),
            _ => {
                let (tile, slot) = self.tiling.locate(at);
                let closes = self.tiling.closes(tile);
                self.recent = Some((tile, self.tiling.tile_range(tile), closes));
                (tile, slot, closes)
            }
        };
        let is_late = closes.is_some_and(|closes| front >= Some(closes));
        (if is_late { self.tiling.late(tile) } else { tile }, slot, is_late)
    }

    /// Add what an event emits; nothing when it is refused.
    fn apply(&mut self, event: &P::Event) -> std::result::Result<(), Refusal> {
        let before = self.emissions.len();
        let applied = guarded("the aggregate function", || P::apply(event, &mut self.emissions));
        let refusal = applied.map_or_else(|panic| Some(Refusal(panic)), |()| self.emissions.refusal().cloned());
        refusal.map_or(Ok(()), |refusal| {
            self.emissions.truncate(before);
            Err(refusal)
        })
    }

    fn repeats(event: &P::Event, seen: &mut Seen, position: u64) -> std::result::Result<bool, Refusal> {
        let Some(dedup) = P::DEDUP else { return Ok(false) };
        guarded("what makes out its identity", || seen.repeats(event, dedup.identify, position)).map_err(Refusal)
    }

    /// Form B keeps the fold of each partition apart.
    fn part(at: At) -> Option<u16> {
        (P::Aggregate::FORM == Form::Put).then_some(at.partition)
    }

    /// Putting the values of this event together has panicked, so that a value may be half of two. From now on each is
    /// folded with care. Form A has no way to tell others that an event is left out of a tile, and what has panicked in
    /// spite of all care would do so for ever.
    fn take_care(&mut self, at: At, owned: &[Owned]) -> Result<Broken> {
        let partition = owned[usize::from(at.partition)].id.clone();
        if P::Aggregate::FORM == Form::Add || self.is_careful {
            let context = format!(
                "the aggregate of `{}` panicked at offset {} of `{partition}`, and the event cannot be left out; see the log for where; \
                 what `combine` does not take has to be refused by `refusal` or `refuses`",
                P::SPEC.name,
                at.offset
            );
            return Err(Error::new(ErrorKind::Internal, context));
        }
        self.is_careful = true;
        Ok(Broken { partition, offset: at.offset })
    }

    /// Find the entries of everything staged, and make those that are missing.
    fn place(&mut self) {
        // Nothing in this loop waits for the round before, so the misses of many rounds overlap.
        for staged in &mut self.staged {
            staged.entry = self.entries.likely(staged.hash);
        }
        for (n, staged) in self.staged.iter_mut().enumerate() {
            let key = self.emissions.key(n);
            let part = Self::part(staged.at);
            staged.entry = Some(self.entries.of(staged.hash, staged.entry, key, staged.tile, part));
        }
    }

    /// Tell the entries that are new in this batch which partitions their tiles are closed to.
    fn recall_closed(&mut self, owned: &[Owned]) {
        // Form B reads every tile that is new here: only its item knows which events were refused before it was closed.
        if self.closed.is_empty() || P::Aggregate::FORM == Form::Put {
            return;
        }
        for at in self.staged.iter().filter_map(|staged| staged.entry) {
            let entry = &mut self.entries.list[at as usize];
            if !entry.spans.is_empty() {
                continue;
            }
            let before = entry.outside();
            for (partition, closed) in self.closed.of(&entry.text(), entry.tile) {
                let place = owned.iter().position(|owned| owned.id == *partition).map(|place| place as u16);
                if let Some(place) = place {
                    entry.span(place).floor = Some(Box::new(Some(*closed)));
                }
            }
            self.entries.outside = self.entries.outside + entry.outside() - before;
        }
    }

    /// Remember what the store says of tiles that are closed.
    fn note_closed(&mut self, at: u32, owned: &[Owned]) {
        if P::Aggregate::FORM == Form::Put {
            return;
        }
        let entry = &self.entries.list[at as usize];
        for span in &entry.spans {
            if let Some(closed) = span.floor.as_ref().and_then(|floor| **floor)
                && closed.closed_from().is_some()
            {
                self.closed.note(&entry.text(), entry.tile, &owned[usize::from(span.partition)].id, closed);
            }
        }
    }

    /// Why an emission into this entry is not counted.
    fn shut_out(&self, entry: &Entry<P::Aggregate>, why: &ShutOut, owned: &[Owned]) -> String {
        let id = self.id(entry, owned);
        let id = id.in_full();
        let why = match why {
            ShutOut::Closed(from) => {
                format!(
                    "is closed to this partition from offset {from} on, as it was full or a number in it would have left \
                     its range"
                )
            }
            ShutOut::Refused(why) => format!("does not take the event: {why}"),
        };
        format!("`{}`: {id} {why}; what the event adds to other tiles is counted", P::SPEC.name)
    }

    fn id(&self, entry: &Entry<P::Aggregate>, owned: &[Owned]) -> TileId {
        let part = entry.partition.map(|p| owned[usize::from(p)].id.clone());
        TileId { key: entry.text().into(), tile: entry.tile, part }
    }
}

/// Why an emission belongs to the dead letters.
enum ShutOut {
    Closed(Offset),
    Refused(String),
}

/// Form B: go on from what the store holds.
fn base<A: Monoid>(entry: &mut Entry<A>, item: &Item, table: &Table) -> Result<()> {
    let (mut slots, mut all_refused) = (Slots::new(), Vec::new());
    for (slot, bytes) in &item.values {
        let opened = envelope::unseal_with(bytes).and_then(|(value, refused)| Ok((A::decode(value)?, refused)));
        let (value, refused) = opened.map_err(|error| {
            let id = TileId { key: entry.text().into(), tile: entry.tile, part: None };
            Error::new(ErrorKind::Corrupt, format!("table `{}`, {id}, slot {}: {error}", table.as_str(), slot.0))
        })?;
        slots.push((*slot, value));
        if !refused.is_empty() {
            all_refused.push((*slot, refused));
        }
    }
    entry.base_on(slots, all_refused);
    Ok(())
}

impl<P: Pipeline> Fold<P::Event> for FoldTable<P> {
    fn pipeline(&self) -> &'static str {
        P::SPEC.name
    }

    fn table(&self) -> &Table {
        &self.table
    }

    fn ownership(&self) -> Ownership {
        Ownership::of::<P>(self.generation)
    }

    fn within(&self) -> Option<u64> {
        P::DEDUP.map(|dedup| dedup.within)
    }

    fn meet(&mut self, event: &P::Event, seen: &mut Seen, position: u64) {
        let before = self.emissions.len();
        if self.apply(event).is_ok() {
            self.emissions.truncate(before);
            // One that has none is refused wherever it counts.
            let _ = Self::repeats(event, seen, position);
        }
    }

    fn stage(
        &mut self,
        event: &P::Event,
        at: At,
        now: Timestamp,
        seen: Option<(&mut Seen, u64)>,
    ) -> std::result::Result<Fate, Refusal> {
        let before = self.emissions.len();
        self.apply(event)?;
        let repeats = seen.map_or(Ok(false), |(seen, position)| Self::repeats(event, seen, position));
        if !matches!(repeats, Ok(false)) {
            self.emissions.truncate(before);
            return repeats.map(|_| Fate::Repeated);
        }
        let emitted = (self.emissions.len() - before) as u64;
        let (tile, slot, is_late) = self.locate(event.time().unwrap_or(Timestamp::EPOCH), at.front);
        if self.tiling.expiry(tile, &P::SPEC.window).is_some_and(|expiry| expiry <= now) {
            self.emissions.truncate(before);
            return Ok(Fate::Staged(Staged { filtered: emitted == 0, expired: emitted, late: 0 }));
        }
        for n in before..self.emissions.len() {
            let hash = self.entries.hash(self.emissions.key(n), tile, Self::part(at));
            self.staged.push(Place { hash, entry: None, tile, slot, at });
        }
        self.catching_up |= at.catching_up;
        Ok(Fate::Staged(Staged { filtered: emitted == 0, expired: 0, late: if is_late { emitted } else { 0 } }))
    }

    fn wanted(&mut self, owned: &[Owned]) -> Vec<TileId> {
        self.place();
        self.recall_closed(owned);
        self.asked.clear();
        // Form B folds onto what is there from the first event on, since it depends on that whether an event is taken.
        let is_put = P::Aggregate::FORM == Form::Put;
        if is_put || self.catching_up {
            let behind = self.staged.iter().filter(|staged| is_put || staged.at.catching_up);
            let unknown = behind.filter_map(|staged| {
                let at = staged.entry?;
                (!self.entries.list[at as usize].is_compared(staged.at.partition)).then_some(at)
            });
            self.asked.extend(unknown);
            self.asked.sort_unstable();
            self.asked.dedup();
        }
        self.asked_ids(owned)
    }

    fn settle(&mut self, items: Vec<Option<Item>>, owned: &[Owned]) -> Result<Settled> {
        let asked = std::mem::take(&mut self.asked);
        for (&at, item) in asked.iter().zip(items) {
            let entry = &mut self.entries.list[at as usize];
            let before = entry.outside();
            match entry.partition {
                Some(partition) => {
                    let floor = item.as_ref().and_then(|item| item.offset(&owned[usize::from(partition)].id));
                    if let Some(item) = &item {
                        base(entry, item, &self.table)?;
                        let bytes = item.values.iter().map(|(_, value)| value.len()).sum();
                        self.value_bytes = self.value_bytes.saturating_add_signed(entry.weigh(bytes));
                    }
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
            self.entries.outside = self.entries.outside + entry.outside() - before;
            self.note_closed(at, owned);
        }
        let mut settled = Settled::default();
        let mut shut_out: Vec<(u32, At, ShutOut)> = Vec::new();
        let mut current = None;
        let folded = guarded("what puts values together", || {
            for (Place { entry: place, slot, at, .. }, (_, value)) in self.staged.drain(..).zip(self.emissions.drain())
            {
                let Some(place) = place else { continue };
                current = Some(at);
                let entry = &mut self.entries.list[place as usize];
                if at.needs_marks {
                    self.marks.add(&self.tiling, &entry.text(), entry.tile);
                }
                let before = entry.beside();
                let taken = if self.is_careful {
                    entry.take_with_care(slot, value, at.partition, at.offset)
                } else {
                    entry.take(slot, value, at.partition, at.offset)
                };
                self.entries.outside = self.entries.outside + entry.beside() - before;
                match taken {
                    Taken::Folded => {
                        if !entry.dirty {
                            entry.dirty = true;
                            self.dirty += usize::from(!entry.held_back);
                        }
                        if P::Aggregate::FORM == Form::Put {
                            let more = entry.grow(&mut self.scratch);
                            self.value_bytes = self.value_bytes.saturating_add_signed(more);
                        }
                    }
                    Taken::Held => settled.already_applied += 1,
                    Taken::Closed(from) => shut_out.push((place, at, ShutOut::Closed(from))),
                    Taken::Refused(why) => shut_out.push((place, at, ShutOut::Refused(why))),
                }
            }
        });
        if let Some(at) = current.filter(|_| folded.is_err()) {
            return Ok(Settled { broken: Some(self.take_care(at, owned)?), ..Settled::default() });
        }
        for (place, at, why) in shut_out {
            let why = self.shut_out(&self.entries.list[place as usize], &why, owned);
            match settled.shut_out.last_mut() {
                Some((offset, all)) if *offset == at.offset => {
                    // An event that adds to one tile twice says so once.
                    if !all.contains(&why) {
                        all.push_str("; ");
                        all.push_str(&why);
                    }
                }
                _ => settled.shut_out.push((at.offset, why)),
            }
        }
        self.asked = asked;
        self.emissions.clear();
        self.catching_up = false;
        Ok(settled)
    }

    fn writes(&mut self, owned: &[Owned]) -> Vec<Write> {
        let mut writes = Vec::with_capacity(self.dirty);
        match P::Aggregate::FORM {
            Form::Add => {
                let dirty = self.entries.list.iter().filter(|entry| entry.dirty && !entry.held_back);
                writes.extend(dirty.map(|entry| self.add(entry, owned)));
                if self.held_back == 0 {
                    self.entries.clear();
                } else {
                    self.keep(|entry| entry.held_back);
                }
            }
            Form::Put => {
                // What is clean only saves a read. A read would not show what is still being written, so that stays; all
                // other writes are durable by now.
                if self.bytes() > self.resident {
                    self.keep(|entry| entry.dirty || entry.held_back);
                    self.value_bytes = self.entries.list.iter().map(|entry| entry.weight).sum();
                }
                let mut entries = std::mem::take(&mut self.entries.list);
                for entry in entries.iter_mut().filter(|entry| entry.dirty && !entry.held_back) {
                    entry.dirty = false;
                    writes.extend(self.put(entry, owned));
                }
                self.entries.list = entries;
            }
        }
        self.dirty = 0;
        writes
    }

    fn hold_back(&mut self, writes: &[Write], owned: &[Owned]) {
        for id in writes.iter().map(Write::id) {
            let part = id.part.as_ref();
            let part = part.and_then(|part| owned.iter().position(|owned| owned.id == *part)).map(|place| place as u16);
            let hash = self.entries.hash(&id.key, id.tile, part);
            let at = self.entries.of(hash, None, &id.key, id.tile, part);
            let entry = &mut self.entries.list[at as usize];
            if !std::mem::replace(&mut entry.held_back, true) {
                self.held_back += 1;
                self.dirty -= usize::from(entry.dirty);
            }
        }
    }

    fn let_go(&mut self) {
        self.held_back = 0;
        for entry in self.entries.list.iter_mut().filter(|entry| entry.held_back) {
            entry.held_back = false;
            self.dirty += usize::from(entry.dirty);
        }
    }

    fn holds_back(&self) -> bool {
        self.held_back > 0
    }

    fn marks(&mut self) -> Vec<Write> {
        self.marks.take(&self.tiling, &P::SPEC.window)
    }

    fn dirty(&self) -> usize {
        self.dirty
    }

    fn bytes(&self) -> usize {
        // What is small lies in the entries for the most part.
        let small = P::Aggregate::FORM == Form::Put && P::Aggregate::MAX_BYTES <= SMALL;
        let fresh = if small { self.dirty * P::Aggregate::MAX_BYTES } else { 0 };
        self.entries.bytes() + self.value_bytes + fresh + self.marks.bytes()
    }

    fn is_heavy(&self) -> bool {
        P::Aggregate::FORM == Form::Put && P::Aggregate::MAX_BYTES > SMALL && self.staged.len() >= MOST_BASES
    }

    fn clear(&mut self) {
        self.marks.clear();
        self.entries.clear();
        self.emissions.clear();
        self.staged.clear();
        self.catching_up = false;
        self.asked.clear();
        self.dirty = 0;
        self.held_back = 0;
        self.value_bytes = 0;
    }
}

/// Form B: emissions staged at which it is time to settle: each may load a tile, and no tile is small for sure.
const MOST_BASES: usize = 512;
