//! What a worker remembers of what it wrote: which keys were busy, and when, so that it can roll them once that is over.
//!
//! It is not stored, and nothing depends on it: what a worker forgets, as it ends or has no room for it, is rolled when a
//! read asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::store::Write;
use crate::time::{Level, Span, TimeRange, Timestamp};

/// What a write unit of DynamoDB pays for, in bytes.
pub(crate) const UNIT: u64 = 1_024;

/// What was written of a key in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Written {
    /// Write units of DynamoDB, or less: additions do not know how large their item is.
    units: u64,
    /// Bytes of the values that were put.
    bytes: u64,
}

/// What rolling a key in a stretch of time is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Write units that it may cost.
    pub(crate) units: u64,
    /// Bytes of the values that were put there.
    pub(crate) bytes: u64,
}

impl Written {
    fn add(&mut self, write: &Write) {
        self.units += 1;
        if let Write::Put { values, .. } = write {
            let bytes = values.iter().map(|(_, value)| value.len() as u64).sum::<u64>();
            self.units += bytes / UNIT;
            self.bytes += bytes;
        }
    }
}

/// The keys of a stretch of time.
type Keys = HashMap<Arc<str>, Written>;

/// What remembering a key takes beside its text: the header of what is shared, and its place in a table that is half full.
const BESIDE_KEY: usize = 100;

/// Bytes that a key takes in one stretch.
fn bytes_of(key: &str) -> usize {
    key.len() + BESIDE_KEY
}

/// A stretch that is over, and what of it is still to be rolled.
type Over = (TimeRange, Vec<(Arc<str>, Worth)>);

/// The keys that a pipeline wrote, by stretches of event time of the same length.
#[derive(Debug)]
pub(super) struct Busy {
    every: Span,
    /// Rolling may cost one write unit for so many that were written.
    share: u64,
    /// Bytes of keys that are remembered, each counted once for every stretch.
    most: usize,
    open: BTreeMap<Timestamp, Keys>,
    /// The stretch that is being rolled, and what is left of it, in the order of keys from some key on.
    over: Option<Over>,
    /// Bytes of all of them.
    held: usize,
}

impl Busy {
    pub(super) fn new(every: Span, share: u64, most: usize) -> Self {
        Self { every, share: share.max(1), most, open: BTreeMap::new(), over: None, held: 0 }
    }

    /// These are about to be written.
    pub(super) fn note(&mut self, writes: &[Write]) {
        for write in writes {
            let id = write.id();
            // What is late lies beside the tiles, and is never rolled.
            if id.tile.level == Level::Late {
                continue;
            }
            let start = self.stretch(id.tile.start).start;
            if let Some(written) = self.open.get_mut(&start).and_then(|keys| keys.get_mut(&*id.key)) {
                written.add(write);
                continue;
            }
            let bytes = bytes_of(&id.key);
            if bytes > self.most {
                continue;
            }
            if self.held + bytes > self.most {
                self.forget_the_least_busy();
            }
            if self.held + bytes <= self.most {
                self.open.entry(start).or_default().entry(id.key.clone()).or_default().add(write);
                self.held += bytes;
            }
        }
    }

    fn stretch(&self, at: Timestamp) -> TimeRange {
        let every = self.every.as_micros();
        let start = Timestamp::from_micros(at.as_micros().div_euclid(every) * every);
        TimeRange::new(start, start.saturating_add(self.every))
    }

    /// Keep the busier half of what is not being rolled.
    fn forget_the_least_busy(&mut self) {
        let mut units: Vec<u64> = self.open.values().flat_map(HashMap::values).map(|written| written.units).collect();
        if units.is_empty() {
            return;
        }
        let half = units.len() / 2;
        let (_, median, _) = units.select_nth_unstable(half);
        let median = *median;
        let mut room = half - units.iter().filter(|units| **units > median).count().min(half);
        let held = &mut self.held;
        self.open.retain(|_, keys| {
            keys.retain(|key, written| {
                let fits = written.units == median && room > 0;
                room -= usize::from(fits);
                let stays = fits || written.units > median;
                *held -= if stays { 0 } else { bytes_of(key) };
                stays
            });
            !keys.is_empty()
        });
    }

    /// The oldest stretch.
    pub(super) fn oldest(&self) -> Option<TimeRange> {
        let over = self.over.as_ref().map(|(stretch, _)| *stretch);
        over.or_else(|| self.open.first_key_value().map(|(start, _)| self.stretch(*start)))
    }

    /// This stretch is over; nothing happens if it is not the oldest one any more. Those of its keys that are worth it come
    /// in their order, from one on that `random` chooses: several workers that have the same keys should not meet at each of
    /// them.
    pub(super) fn close(&mut self, stretch: TimeRange, random: u64) {
        if self.over.is_some() || self.oldest() != Some(stretch) {
            return;
        }
        let Some((_, written)) = self.open.pop_first() else { return };
        self.held -= written.keys().map(|key| bytes_of(key)).sum::<usize>();
        let worth = |Written { units, bytes }| Worth { units: units / self.share, bytes };
        let keys = written.into_iter().map(|(key, written)| (key, worth(written)));
        let mut keys: Vec<_> = keys.filter(|(_, worth)| worth.units > 0).collect();
        if keys.is_empty() {
            return;
        }
        self.held += keys.iter().map(|(key, _)| bytes_of(key)).sum::<usize>();
        keys.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let from = (random % keys.len().max(1) as u64) as usize;
        keys.rotate_left(from);
        self.over = Some((stretch, keys));
    }

    /// A key of the stretch that is over.
    pub(super) fn next(&self) -> Option<(TimeRange, Arc<str>, Worth)> {
        let (stretch, keys) = self.over.as_ref()?;
        keys.last().map(|(key, worth)| (*stretch, key.clone(), *worth))
    }

    /// That key is done with.
    pub(super) fn done(&mut self) {
        let Some((_, keys)) = &mut self.over else { return };
        self.held -= keys.pop().map_or(0, |(key, _)| bytes_of(&key));
        if keys.is_empty() {
            self.over = None;
        }
    }

    /// The stretch that is over is left alone.
    pub(super) fn give_up(&mut self) {
        let over = self.over.take();
        self.held -= over.iter().flat_map(|(_, keys)| keys).map(|(key, _)| bytes_of(key)).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Offset, PartitionId};
    use crate::store::TileId;
    use crate::time::{Slot, Tile};

    const HOUR: i64 = 3_600;

    fn put(key: &str, hour: i64, bytes: usize) -> Write {
        let tile = Tile { level: Level::Slot, start: Timestamp::from_seconds(hour * HOUR) };
        let part = Some(PartitionId::new("p"));
        let values = vec![(Slot(0), vec![7; bytes].into())];
        let (first, last) = (Offset::ZERO, Offset::ZERO);
        Write::Put { id: TileId { key: key.into(), tile, part }, values, first, last, expires: None }
    }

    fn days() -> Busy {
        Busy::new(Span::from_seconds(24 * HOUR as u64), 1, usize::MAX)
    }

    /// The oldest stretch is over.
    fn close(busy: &mut Busy, random: u64) {
        busy.close(busy.oldest().unwrap(), random);
    }

    /// What is left of the stretch that is over.
    fn rest(busy: &mut Busy) -> Vec<(String, Worth)> {
        let mut rest = Vec::new();
        while let Some((_, key, worth)) = busy.next() {
            rest.push((key.to_string(), worth));
            busy.done();
        }
        rest
    }

    #[test]
    fn writes_are_counted_by_key_and_stretch_and_the_oldest_comes_first() {
        let mut busy = days();
        busy.note(&[put("a", 25, 10), put("a", 26, 3_000), put("b", 47, 0), put("a", -1, 5), put("a", 48, 5)]);
        let mut late = put("a", 30, 9);
        if let Write::Put { id, .. } = &mut late {
            id.tile.level = Level::Late;
        }
        busy.note(&[late]);
        let day = |n: i64| {
            let start = Timestamp::from_seconds(n * 24 * HOUR);
            TimeRange::new(start, start.saturating_add(Span::from_seconds(24 * HOUR as u64)))
        };
        assert_eq!(busy.oldest(), Some(day(-1)));
        close(&mut busy, 0);
        assert_eq!(rest(&mut busy), [("a".to_owned(), Worth { units: 1, bytes: 5 })]);
        assert_eq!(busy.oldest(), Some(day(1)));
        close(&mut busy, 5);
        // Once more while it is being rolled: it is another stretch then.
        busy.note(&[put("a", 25, 1)]);
        close(&mut busy, 0);
        let (a, b) = (Worth { units: 4, bytes: 3_010 }, Worth { units: 1, bytes: 0 });
        assert_eq!(rest(&mut busy), [("a".to_owned(), a), ("b".to_owned(), b)]);
        assert_eq!(busy.oldest(), Some(day(1)));
        close(&mut busy, 0);
        busy.give_up();
        assert_eq!((busy.oldest(), busy.held), (Some(day(2)), bytes_of("a")));
    }

    #[test]
    fn what_is_not_worth_it_is_dropped_when_a_stretch_is_over_and_another_stretch_is_not_closed_in_its_place() {
        let mut busy = Busy::new(Span::from_seconds(24 * HOUR as u64), 10, usize::MAX);
        busy.note(&[put("a", 0, 20 * 1_024), put("b", 0, 5 * 1_024), put("a", 24, 0)]);
        let first = busy.oldest().unwrap();
        busy.close(first, 0);
        assert_eq!(busy.held, 2 * bytes_of("a"));
        assert_eq!(rest(&mut busy), [("a".to_owned(), Worth { units: 2, bytes: 20 * 1_024 })]);
        busy.close(first, 0);
        assert_eq!(busy.next(), None, "it was closed before");
        close(&mut busy, 0);
        assert_eq!((busy.next(), busy.oldest(), busy.held), (None, None, 0));
    }

    #[test]
    fn the_least_busy_are_forgotten_first_and_no_more_are_kept_than_there_is_room_for() {
        let mut busy = Busy { most: 8 * bytes_of("busy0"), ..days() };
        for n in 0..4 {
            busy.note(&[put(&format!("busy{n}"), 0, 9_000), put(&format!("idle{n}"), 24, 0)]);
        }
        busy.note(&[put("new", 24, 0)]);
        close(&mut busy, 0);
        let kept: Vec<_> = rest(&mut busy).into_iter().map(|(key, _)| key).collect();
        assert_eq!(kept, ["busy3", "busy2", "busy1", "busy0"]);
        close(&mut busy, 0);
        assert_eq!(rest(&mut busy).len(), 1);
        assert_eq!(busy.held, 0);

        let most = 8 * bytes_of("0");
        let mut alike = Busy { most, ..days() };
        for n in 0..9 {
            alike.note(&[put(&format!("{n}"), 0, 0)]);
        }
        assert_eq!(alike.held, 5 * bytes_of("0"), "half of those that are as busy as the others are kept");
        close(&mut alike, 0);
        for n in 0..100 {
            alike.note(&[put(&format!("{n}"), 24, 0)]);
            assert!(alike.held <= most, "those that are being rolled count too");
        }
    }

    #[test]
    fn long_keys_take_as_much_room_as_they_have_bytes() {
        let most = 100_000;
        let mut busy = Busy { most, ..days() };
        for n in 0..1_000 {
            busy.note(&[put(&format!("{n:0>1000}"), n % 100, 0)]);
            assert!(busy.held <= most);
        }
        let stretches = busy.open.values().flat_map(HashMap::keys);
        assert_eq!(stretches.map(|key| bytes_of(key)).sum::<usize>(), busy.held);
        let held = busy.held;
        busy.note(&[put(&"x".repeat(most), 0, 0)]);
        assert_eq!(busy.held, held, "one that has no room is left out, and takes nobody else's");
    }
}
