use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::aggregate::{Column, Number};
use crate::store::{Item, TileId, Write};
use crate::time::{Slot, Timestamp};

/// A store in the fewest words: maps of small numbers. It shares nothing with the stores but the types of the trait.
///
/// Offsets are plain numbers; floats are quarters, whose sums are exact.
#[derive(Default)]
pub(super) struct Model {
    pub(super) tiles: BTreeMap<TileId, Tile>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tile {
    offsets: BTreeMap<String, [u64; 4]>,
    whole: BTreeMap<(Slot, Column), i128>,
    float: BTreeMap<(Slot, Column), f64>,
    values: BTreeMap<Slot, Vec<u8>>,
    rolled: BTreeSet<Slot>,
    expires: Option<Timestamp>,
}

impl Tile {
    /// What a store's item says, in the model's words.
    pub(super) fn of(item: &Item) -> Self {
        let mut tile = Self { expires: item.expires, ..Self::default() };
        tile.offsets = item.offsets.iter().map(|(p, o)| (p.to_string(), o.words())).collect();
        tile.values = item.values.iter().map(|(slot, bytes)| (*slot, bytes.to_vec())).collect();
        tile.rolled = item.rolled.iter().copied().collect();
        for (place, number) in &item.numbers {
            tile.set(*place, *number);
        }
        tile
    }

    fn set(&mut self, place: (Slot, Column), number: Number) {
        match number {
            Number::Int(whole) => drop(self.whole.insert(place, whole)),
            Number::Float { sum, rest } => drop(self.float.insert(place, sum + rest)),
        }
    }
}

impl Model {
    /// Whether the write is applied.
    pub(super) fn write(&mut self, write: &Write) -> bool {
        let stands = self.tiles.get(write.id()).cloned().unwrap_or_default();
        let next = match write {
            Write::Add { numbers, applied, expires, .. } => {
                let mut next = stands.clone();
                for delta in applied {
                    let words = stands.offsets.get(delta.partition.as_str());
                    if words.is_some_and(|words| *words >= delta.first.words()) {
                        return false;
                    }
                    next.offsets.insert(delta.partition.to_string(), delta.last.words());
                }
                for (place, number) in numbers {
                    match number {
                        Number::Int(whole) => *next.whole.entry(*place).or_default() += whole,
                        Number::Float { sum, .. } => *next.float.entry(*place).or_default() += sum,
                    }
                }
                next.expires = expires.or(stands.expires);
                next
            }
            Write::Put { id, values, last, expires, .. } => {
                let part = id.part.as_ref().map(ToString::to_string).unwrap_or_default();
                if stands.offsets.get(&part).is_some_and(|words| *words >= last.words()) {
                    return false;
                }
                Tile {
                    offsets: HashMap::from([(part, last.words())]).into_iter().collect(),
                    values: values.iter().map(|(slot, bytes)| (*slot, bytes.to_vec())).collect(),
                    expires: *expires,
                    ..Tile::default()
                }
            }
            Write::Roll { slots, numbers, values, expires, .. } => {
                let mut next = stands.clone();
                for (place, number) in numbers {
                    next.whole.remove(place);
                    next.float.remove(place);
                    next.set(*place, *number);
                }
                next.values.extend(values.iter().map(|(slot, bytes)| (*slot, bytes.to_vec())));
                next.rolled.extend(slots);
                next.expires = expires.or(stands.expires);
                next
            }
        };
        self.tiles.insert(write.id().clone(), next);
        true
    }

    /// Remove what has expired by `now`; how many went.
    pub(super) fn remove_expired(&mut self, now: Timestamp) -> usize {
        let before = self.tiles.len();
        self.tiles.retain(|_, tile| tile.expires.is_none_or(|at| at > now));
        before - self.tiles.len()
    }
}
