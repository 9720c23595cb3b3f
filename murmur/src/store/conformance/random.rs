use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;

use super::expiry::at;
use super::model::{Model, Tile};
use super::subject::{Subject, must, place};
use crate::aggregate::Number;
use crate::source::{Offset, PartitionId};
use crate::store::{Applied, Outcome, TileId, Write};
use crate::time::{Level, Slot, TimeRange, Timestamp};

const STEPS: usize = 40;

/// One random sequence; a difference panics with the seed.
pub(super) async fn sequence(subject: Subject, seed: u64) {
    let run = AssertUnwindSafe(steps(&subject, seed)).catch_unwind().await;
    if run.is_err() {
        panic!("store and model differ, as said above; it was seed {seed}");
    }
}

async fn steps(subject: &Subject, seed: u64) {
    let mut dice = Dice(seed);
    let mut model = Model::default();
    for _ in 0..STEPS {
        match dice.below(10) {
            0..7 => write(subject, &mut model, &mut dice).await,
            7 => read(subject, &model, &mut dice).await,
            8 => scan(subject, &model, &mut dice).await,
            _ => expire(subject, &mut model, &mut dice).await,
        }
    }
    scan(subject, &model, &mut dice).await;
}

async fn write(subject: &Subject, model: &mut Model, dice: &mut Dice) {
    let mut writes = Vec::new();
    let mut taken = BTreeSet::new();
    for _ in 0..1 + dice.below(6) {
        let write = dice.write();
        if taken.insert(write.id().clone()) {
            writes.push(write);
        }
    }
    let before: Vec<Tile> = writes.iter().map(|w| model.tiles.get(w.id()).cloned().unwrap_or_default()).collect();
    let outcomes = subject.write_all(&writes).await;
    for ((write, before), outcome) in writes.iter().zip(before).zip(outcomes) {
        match must(outcome) {
            Outcome::Applied => assert!(model.write(write), "applied where the condition does not hold: {write:?}"),
            Outcome::Refused(item) => {
                assert!(!model.write(write), "refused where the condition holds: {write:?}");
                assert_eq!(Tile::of(&item), before, "the image of a refusal is what stood there: {write:?}");
            }
        }
    }
}

async fn read(subject: &Subject, model: &Model, dice: &mut Dice) {
    let ids: Vec<TileId> = (0..dice.below(8)).map(|_| dice.write().id().clone()).collect();
    for (id, item) in ids.iter().zip(subject.get_all(&ids).await) {
        assert_eq!(item.as_ref().map(Tile::of).as_ref(), model.tiles.get(id), "{id}");
    }
    let (key, level, limit) = (dice.key(), dice.level(), dice.below(12) as usize);
    let starts = TimeRange::new(dice.start(), dice.start());
    let found = subject.range(key, level, starts, limit).await;
    let inside = |id: &TileId| *id.key == *key && id.tile.level == level && starts.contains(id.tile.start);
    let expected: Vec<_> = model.tiles.iter().filter(|(id, _)| inside(id)).take(limit).collect();
    assert_same(&found, &expected);
}

async fn scan(subject: &Subject, model: &Model, dice: &mut Dice) {
    let mut found = subject.scan(1 + dice.below(20) as usize).await;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_same(&found, &model.tiles.iter().collect::<Vec<_>>());
}

async fn expire(subject: &Subject, model: &mut Model, dice: &mut Dice) {
    let now = dice.expiry();
    let removed = must(subject.store.remove_expired(&subject.table, now, usize::MAX).await);
    // Stores that expire items by themselves remove nothing here.
    if removed > 0 {
        assert_eq!(removed, model.remove_expired(now), "what has expired by {now}");
    }
}

fn assert_same(found: &[(TileId, crate::store::Item)], expected: &[(&TileId, &Tile)]) {
    let found: Vec<(&TileId, Tile)> = found.iter().map(|(id, item)| (id, Tile::of(item))).collect();
    let found: Vec<(&TileId, &Tile)> = found.iter().map(|(id, tile)| (*id, tile)).collect();
    assert_eq!(found, expected);
}

/// Random numbers from a seed (SplitMix64), over a world so small that everything meets everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn key(&mut self) -> &'static str {
        ["", "a", "a\0", "b"][self.below(4) as usize]
    }

    fn level(&mut self) -> Level {
        [Level::Hour, Level::Forever][self.below(2) as usize]
    }

    fn start(&mut self) -> Timestamp {
        Timestamp::from_seconds(3600 * (self.below(6) as i64 - 3))
    }

    fn expiry(&mut self) -> Timestamp {
        at(self.below(6) as i64 - 3)
    }

    fn partition(&mut self) -> PartitionId {
        PartitionId::new(["p", "q", "r"][self.below(3) as usize])
    }

    fn offset(&mut self) -> Offset {
        Offset::from_pair(self.below(2), self.below(12))
    }

    fn write(&mut self) -> Write {
        let write = self.open_write();
        if self.below(20) == 0 { write.closing().unwrap_or(write) } else { write }
    }

    fn open_write(&mut self) -> Write {
        let tile = crate::time::Tile { level: self.level(), start: self.start() };
        let mut id = TileId { key: self.key().into(), tile, part: None };
        let expires = (self.below(2) == 0).then(|| self.expiry());
        if self.below(3) == 0 {
            id.part = Some(self.partition());
            let slots: BTreeSet<u16> = (0..self.below(4)).map(|_| self.below(60) as u16).collect();
            let values =
                slots.into_iter().map(|slot| (Slot(slot), Bytes::from(vec![slot as u8; self.below(50) as usize])));
            let values = values.collect();
            let last = self.offset();
            return Write::Put { id, values, first: last, last, expires };
        }
        if self.below(4) == 0 {
            return self.roll(id, expires);
        }
        let partitions: BTreeSet<PartitionId> = (0..1 + self.below(3)).map(|_| self.partition()).collect();
        let applied = partitions.into_iter().map(|partition| {
            let (a, b) = (self.offset(), self.offset());
            Applied { partition, first: a.min(b), last: a.max(b) }
        });
        let applied = applied.collect();
        let places: BTreeSet<(u16, u32)> = (0..self.below(5)).map(|_| (self.slot(), self.below(4) as u32)).collect();
        let numbers = places.into_iter().map(|(slot, field)| (place(slot, field, 0), self.number(field))).collect();
        Write::Add { id, numbers, applied, expires }
    }

    /// Often one of a few, so that rolls meet additions and other rolls.
    fn slot(&mut self) -> u16 {
        let most = [3, 60][self.below(2) as usize];
        self.below(most) as u16
    }

    /// Field 2 holds floats, the others whole numbers.
    fn number(&mut self, field: u32) -> Number {
        match (field, self.below(1 << 40)) {
            (2, n) => Number::Float { sum: (n as f64 - 5e11) / 4.0, rest: 0.0 },
            (_, n) => Number::Int(i128::from(n) - (1 << 39)),
        }
    }

    fn roll(&mut self, id: TileId, expires: Option<Timestamp>) -> Write {
        let slots: BTreeSet<u16> = (0..1 + self.below(3)).map(|_| self.slot()).collect();
        let (mut numbers, mut values) = (Vec::new(), Vec::new());
        for slot in &slots {
            let fields: BTreeSet<u32> = (0..self.below(3)).map(|_| self.below(4) as u32).collect();
            numbers.extend(fields.into_iter().map(|field| (place(*slot, field, 0), self.number(field))));
            if self.below(3) == 0 {
                values.push((Slot(*slot), Bytes::from(vec![*slot as u8; self.below(50) as usize])));
            }
        }
        Write::Roll { id, slots: slots.into_iter().map(Slot).collect(), numbers, values, expires }
    }
}
