//! Tiles that are kept in memory, since what was read of them cannot change any more.
//!
//! Kept are the tiles that rolling writes, and of them the slots that were rolled for good, see `life.rs`: such a slot is
//! the fold of a finished child, and whoever rolls it again writes the same. So it does not matter how old the copy is, nor
//! whether the store has answered with an earlier state of the tile. What came late lies beside, and is always asked for.
//! Tiles of the finest level are not kept: see `docs/decisions/rolled-tiles-are-kept.md`.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;

use metrics::{Counter, Gauge};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::coalesce::Found;
use super::life::{Life, Seal};
use crate::metrics::{PLAIN, catalogue};
use crate::store::{Item, TileId};
use crate::time::{Tiling, TimeRange, Timestamp};

/// Room for tiles that cannot change any more, shared by the readers that are given it.
#[derive(Clone)]
pub struct TileCache(Arc<Kept>);

struct Kept {
    tiles: Cache<Place, Found, Weigh, RandomState, DefaultLifecycle<Place, Found>>,
    bytes: Gauge,
}

/// Tiles of an earlier life of their table are never found again, and make room in time.
type Place = (Life, TileId);

/// What a tile in the cache costs besides its parts: its own vectors and counts of references, and places in the cache's
/// tables, which may be half empty.
const OVERHEAD: usize = 448;

/// Bytes of a part of the cache with a lock of its own; it holds no tile that is larger.
const SHARD: u64 = 1 << 20;

/// Bytes of memory that a tile takes, give or take what the allocator adds.
#[derive(Clone)]
struct Weigh;

impl Weighter<Place, Found> for Weigh {
    fn weight(&self, (_, id): &Place, found: &Found) -> u64 {
        let tiles = found.iter().map(|(_, item)| bytes(item)).sum::<usize>();
        (OVERHEAD + id.key.len() + tiles) as u64
    }
}

/// What an item takes besides itself.
pub(super) fn bytes(item: &Item) -> usize {
    let Item { offsets, numbers, values, rolled, expires: _ } = item;
    let values = values.iter().map(|value| size_of_val(value) + value.1.len()).sum::<usize>();
    size_of_val(&offsets[..]) + size_of_val(&numbers[..]) + values + size_of_val(&rolled[..])
}

impl TileCache {
    /// At most `bytes` of memory, give or take what the allocator adds. A tile that is larger than half a megabyte, or
    /// than all of that, may not be kept.
    #[allow(clippy::expect_used, reason = "building fails where one of these two is not set")]
    pub fn new(bytes: u64) -> Self {
        // Their number is rounded up to a power of two.
        let shards = (bytes / SHARD).clamp(1, 32) as usize;
        let mut options = OptionsBuilder::new();
        options.estimated_items_capacity((bytes / 4_096) as usize).weight_capacity(bytes).shards(shards);
        let options = options.build().expect("a capacity");
        let tiles = Cache::with_options(options, Weigh, RandomState::new(), DefaultLifecycle::default());
        Self(Arc::new(Kept { tiles, bytes: catalogue::TILE_CACHE_BYTES.gauge(PLAIN) }))
    }

    /// Bytes of the tiles that are kept.
    pub fn bytes(&self) -> u64 {
        self.0.tiles.weight()
    }
}

impl fmt::Debug for TileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// The cache of a reader, and how often it helped.
#[derive(Clone)]
pub(super) struct Keeping {
    cache: TileCache,
    hits: Counter,
    misses: Counter,
}

impl Keeping {
    pub(super) fn new(cache: &TileCache, pipeline: &'static str) -> Self {
        let [hits, misses] = [catalogue::TILE_CACHE_HITS, catalogue::TILE_CACHE_MISSES];
        Self { cache: cache.clone(), hits: hits.counter([pipeline]), misses: misses.counter([pipeline]) }
    }

    /// For a request that goes by this seal.
    pub(super) fn sealed(&self, seal: Seal, now: Timestamp) -> Sealed<'_> {
        Sealed { keeping: self, seal, now }
    }
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cache.fmt(f)
    }
}

/// The cache as one request may use it.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    keeping: &'a Keeping,
    seal: Seal,
    now: Timestamp,
}

impl Sealed<'_> {
    /// A tile of a level that rolling writes, where all of these slots are known to be rolled for good.
    pub(super) fn find(&self, tiling: &Tiling, id: &TileId, slots: TimeRange) -> Option<Found> {
        let found = self.keeping.cache.0.tiles.get(&(self.seal.life, id.clone()));
        // A store may have removed what has expired.
        let stands =
            |item: &Item| is_rolled(item, tiling, id, slots) && item.expires.is_none_or(|expires| expires > self.now);
        let found = found.filter(|found| found.first().is_some_and(|(_, item)| stands(item)));
        if found.is_some() {
            self.keeping.hits.increment(1)
        } else {
            self.keeping.misses.increment(1)
        }
        found
    }

    /// Keep a tile of a level that rolling writes, as it was read: the slots that were rolled for good. Those that were
    /// rolled since the records were looked at are as good as not.
    pub(super) fn keep(&self, tiling: &Tiling, found: &Found) {
        let Some((id, item)) = found.first().filter(|(_, item)| !item.rolled.is_empty()) else { return };
        let mut item = item.clone();
        item.rolled.retain(|slot| self.seal.covers(tiling, tiling.slot_range(id.tile, *slot)));
        if item.rolled.is_empty() {
            return;
        }
        let Kept { tiles, bytes } = &*self.keeping.cache.0;
        tiles.insert((self.seal.life, id.clone()), Found::alone(id.clone(), item));
        bytes.set(tiles.weight() as f64);
    }
}

/// Whether all slots of a tile that lie in `slots` are rolled.
fn is_rolled(item: &Item, tiling: &Tiling, id: &TileId, slots: TimeRange) -> bool {
    let (from, end) = (id.tile.start.max(slots.start), tiling.tile_range(id.tile).end.min(slots.end));
    item.are_rolled(&tiling.slots_between(id.tile, from, end))
}
