//! When events come to the table that counts them: key by key, as a reader would see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use murmur::source::{Offset, PartitionId};
use murmur::store::DynamoStore;
use murmur::time::Tile;

use super::Failure;
use super::oracle::applied;
use crate::oracle::{number, scan};
use crate::pipelines::Tallies;

/// What was seen of the table at one look after the other.
pub(super) struct Arrivals {
    store: Arc<DynamoStore>,
    tiles: Vec<Awaited>,
}

/// Events of one tile and one partition.
struct Awaited {
    key: String,
    tile: Tile,
    partition: i32,
    offsets: Vec<u64>,
    /// How many of them, the first ones, are there.
    there: usize,
}

impl Awaited {
    fn next(&self) -> Option<u64> {
        self.offsets.get(self.there).copied()
    }
}

/// An event that was not there at the look before.
pub(super) struct Arrival {
    /// As it is stored.
    pub(super) key: String,
    pub(super) partition: i32,
    pub(super) offset: u64,
}

impl Arrivals {
    /// Of events of which these are to come to each tile, by partition.
    pub(super) fn new(
        store: Arc<DynamoStore>,
        reaches: BTreeMap<(String, Tile), BTreeMap<PartitionId, Vec<Offset>>>,
    ) -> Self {
        let of_tile = |((key, tile), partitions): ((String, Tile), BTreeMap<PartitionId, Vec<Offset>>)| {
            let of_partition = move |(partition, offsets): (PartitionId, Vec<Offset>)| Awaited {
                key: key.clone(),
                tile,
                partition: number(&partition),
                offsets: offsets.into_iter().map(|offset| offset.words()[3]).collect(),
                there: 0,
            };
            partitions.into_iter().map(of_partition)
        };
        Self { store, tiles: reaches.into_iter().flat_map(of_tile).collect() }
    }

    /// What has come since the last look.
    pub(super) async fn look(&mut self) -> Result<Vec<Arrival>, Failure> {
        let items = scan::<Tallies>(&*self.store).await?;
        let up_to = applied(&items);
        let mut arrivals = Vec::new();
        for Awaited { key, tile, partition, offsets, there } in &mut self.tiles {
            let Some(last) = up_to.get(&(key.as_str(), *tile, *partition)) else { continue };
            let last = last.words()[3];
            let come = offsets[*there..].partition_point(|offset| *offset <= last);
            arrivals.extend(offsets[*there..][..come].iter().map(|offset| Arrival {
                key: key.clone(),
                partition: *partition,
                offset: *offset,
            }));
            *there += come;
        }
        Ok(arrivals)
    }

    /// Whether, at the last look, an event of this key was missing in some partition, while all events of other keys before
    /// it were there, and some behind it too. Then nothing from it on may be committed.
    pub(super) fn is_overtaken(&self, key: &str) -> bool {
        let partitions = self.tiles.iter().map(|awaited| awaited.partition).max().map_or(0, |last| last + 1);
        (0..partitions).any(|partition| {
            let (own, others): (Vec<_>, Vec<_>) = self
                .tiles
                .iter()
                .filter(|awaited| awaited.partition == partition)
                .partition(|awaited| awaited.key == key);
            let Some(missing) = own.iter().filter_map(|awaited| awaited.next()).min() else { return false };
            let all_before = others.iter().all(|awaited| awaited.next().is_none_or(|next| next > missing));
            let last = |awaited: &&Awaited| awaited.there.checked_sub(1).map(|last| awaited.offsets[last]);
            all_before && others.iter().filter_map(last).any(|last| last > missing)
        })
    }
}
