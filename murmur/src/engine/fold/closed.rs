use hashbrown::HashMap;

use crate::source::{Offset, PartitionId};
use crate::time::Tile;

/// Tiles that are known to be [closed](Offset::closed), and to whom.
///
/// It saves what would otherwise find it out: a write whose condition fails, and a rewind. So it may forget.
#[derive(Debug, Default)]
pub(super) struct Closed {
    tiles: HashMap<Tile, HashMap<Box<str>, Marks>>,
    count: usize,
}

/// What the item of a tile says of each partition that it is closed to.
type Marks = Vec<(PartitionId, Offset)>;

/// Most tiles that are remembered.
const MOST: usize = 10_000;

impl Closed {
    pub(super) fn is_empty(&self) -> bool {
        self.tiles.is_empty()
    }

    /// The offsets that the tile is closed with, by partition.
    pub(super) fn of(&self, key: &str, tile: Tile) -> &[(PartitionId, Offset)] {
        self.tiles.get(&tile).and_then(|keys| keys.get(key)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn note(&mut self, key: &str, tile: Tile, partition: &PartitionId, closed: Offset) {
        if self.count >= MOST {
            *self = Self::default();
        }
        let partitions = self.tiles.entry(tile).or_default().entry(key.into()).or_insert_with(|| {
            self.count += 1;
            Marks::new()
        });
        match partitions.iter_mut().find(|(known, _)| known == partition) {
            Some((_, known)) => *known = closed,
            None => partitions.push((partition.clone(), closed)),
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
        for n in 0..3 * MOST {
            closed.note(&n.to_string(), tile, &partition, Offset::from_u64(7).closed());
            assert!(closed.tiles.values().map(HashMap::len).sum::<usize>() <= MOST);
            assert_eq!(closed.of(&n.to_string(), tile), [(partition.clone(), Offset::from_u64(7).closed())]);
        }
        assert!(closed.of("none", tile).is_empty());
    }
}
