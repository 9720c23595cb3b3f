use hashbrown::HashMap;

use crate::source::{Offset, PartitionId};
use crate::time::Tile;

/// Tiles that are known to be [closed](Offset::closed), and to whom.
///
/// It saves what would otherwise find it out: a write whose condition fails, and a rewind. So it may forget.
#[derive(Debug, Default)]
pub(super) struct Closed {
    tiles: HashMap<Tile, HashMap<Box<str>, Marks>>,
    /// What the keys in it take, about.
    bytes: usize,
}

/// What the item of a tile says of each partition that it is closed to.
type Marks = Vec<(PartitionId, Offset)>;

/// Bytes of tiles that are remembered at most: some 5,000 of short keys.
const MOST: usize = 1 << 20;
/// What a tile takes beside its key, and beside its partitions: two maps that are half full.
const BESIDE_KEY: usize = 150;

impl Closed {
    pub(super) fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The offsets that the tile is closed with, by partition.
    pub(super) fn of(&self, key: &str, tile: Tile) -> &[(PartitionId, Offset)] {
        self.tiles.get(&tile).and_then(|keys| keys.get(key)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn note(&mut self, key: &str, tile: Tile, partition: &PartitionId, closed: Offset) {
        if self.bytes + key.len() + BESIDE_KEY + size_of::<(PartitionId, Offset)>() > MOST {
            *self = Self::default();
        }
        let partitions = self.tiles.entry(tile).or_default().entry(key.into()).or_insert_with(|| {
            self.bytes += key.len() + BESIDE_KEY;
            Marks::new()
        });
        match partitions.iter_mut().find(|(known, _)| known == partition) {
            Some((_, known)) => *known = closed,
            None => {
                partitions.push((partition.clone(), closed));
                self.bytes += size_of::<(PartitionId, Offset)>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Level, Timestamp};

    #[test]
    fn what_is_remembered_is_bounded() {
        let tile = Tile { level: Level::Forever, start: Timestamp::EPOCH };
        let (mut closed, partition) = (Closed::default(), PartitionId::new("p"));
        for n in 0..3 * MOST / (1_000 + BESIDE_KEY) {
            let key = format!("{n:0>1000}");
            closed.note(&key, tile, &partition, Offset::from_u64(7).closed());
            assert!(closed.tiles.values().map(HashMap::len).sum::<usize>() * key.len() <= MOST);
            assert_eq!(closed.of(&key, tile), [(partition.clone(), Offset::from_u64(7).closed())]);
        }
        assert!(closed.of("none", tile).is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_where_many_partitions_write_a_few_tiles() {
        let tile = Tile { level: Level::Forever, start: Timestamp::EPOCH };
        let (mut closed, keys) = (Closed::default(), ["a", "b", "c", "d"].map(|key| key.repeat(8)));
        let size = size_of::<(PartitionId, Offset)>();
        for n in 0..2 * MOST / size {
            let (key, partition) = (&keys[n % 64 % keys.len()], PartitionId::new(format!("{}", n / 4 % 8_000)));
            closed.note(key, tile, &partition, Offset::from_u64(7).closed());
            assert!(keys.iter().map(|key| closed.of(key, tile).len()).sum::<usize>() * size <= MOST);
        }
    }
}
