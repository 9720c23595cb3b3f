use std::collections::HashMap;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use smallvec::SmallVec;

use super::tally::Tally;
use crate::store::{Consistency, Item, Store, Table, TileId, spent};
use crate::time::{Level, TimeRange};
use crate::{Error, Result};

/// One read of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Read {
    /// A single tile without parts.
    Tile(TileId),
    /// The tiles of a key that start within an interval, at most `limit` items.
    Tiles { key: Arc<str>, level: Level, starts: TimeRange, limit: usize },
}

impl Read {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Tile(id) => id.tile.level,
            Self::Tiles { level, .. } => *level,
        }
    }
}

/// The items that a [`Read`] found, in the order of time and parts. Most reads are of one tile.
pub(super) type Items = SmallVec<[(TileId, Item); 1]>;

/// Lets reads of the same thing that run at the same time share one call of the store.
///
/// A call can be joined from when it waits; of two that begin at the same instant on two threads, each may read.
///
/// What is shared is the read of a tile or of a range of tiles, never a request as a whole, so that each caller keeps
/// its own order of keys. A call lives as long as one caller waits for it: a caller that goes away takes nothing from
/// the others, and when all have gone the call is dropped.
///
/// A call is joined only by those who looked at the records before it began: their answer says that it contains what the
/// records said, and an older call may have passed by that. Strong reads are not shared: a call under way may have passed
/// by a write that was acknowledged since. Nor are those of a request that is to be explained, so that what it is told they
/// cost is its own.
pub(super) struct Coalesce {
    store: Arc<dyn Store>,
    table: Table,
    calls: Arc<Calls>,
}

/// The calls under way, with the place of each read in the call's result.
#[derive(Default)]
struct Calls {
    by_read: Mutex<HashMap<Read, Joined>>,
    order: Order,
}

struct Joined {
    call: WeakShared<Call>,
    place: usize,
    began: Turn,
}

/// What comes before what of a reader's looks at the records and calls of the store.
#[derive(Default, Clone)]
pub(super) struct Order(Arc<AtomicU64>);

/// A place in it; no two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

impl Order {
    /// For what ends now, or begins behind this: later than all that were given.
    pub(super) fn next(&self) -> Turn {
        // Whoever has a later one sees what was done before an earlier one was taken.
        Turn(self.0.fetch_add(1, Ordering::AcqRel))
    }
}

/// What a read must not pass by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Whatever was acknowledged before it began.
    Everything,
    /// What was there when the records were looked at.
    Look(Turn),
}

impl After {
    fn consistency(self) -> Consistency {
        match self {
            Self::Everything => Consistency::Strong,
            Self::Look(_) => Consistency::Eventual,
        }
    }
}

type Call = BoxFuture<'static, Outcome>;
type Outcome = Result<Arc<Vec<Items>>, Arc<Error>>;

impl Calls {
    fn by_read(&self) -> MutexGuard<'_, HashMap<Read, Joined>> {
        // Nothing between lock and unlock can leave the map half changed.
        self.by_read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the reads of a call out of the map when it ends, and when it is dropped unfinished.
struct Listed {
    calls: Arc<Calls>,
    reads: Arc<Vec<Read>>,
    began: Turn,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut by_read = self.calls.by_read();
        for read in self.reads.iter() {
            if by_read.get(read).is_some_and(|joined| joined.began == self.began) {
                by_read.remove(read);
            }
        }
    }
}

/// The result of one read, inside the result of its call; or one item of it.
#[derive(Clone)]
pub(super) struct Found {
    call: Arc<Vec<Items>>,
    place: usize,
    /// Which items of that place.
    items: Range<usize>,
}

impl Found {
    /// What a read of this tile alone would have found.
    pub(super) fn alone(id: TileId, item: Item) -> Self {
        Self::at(&Arc::new(vec![Items::from_buf([(id, item)])]), 0)
    }

    fn at(call: &Arc<Vec<Items>>, place: usize) -> Self {
        let items = 0..call.get(place).map_or(0, |items| items.len());
        Self { call: call.clone(), place, items }
    }

    /// The results of a call of so many reads.
    fn all(call: &Arc<Vec<Items>>, reads: usize) -> Vec<Self> {
        (0..reads).map(|place| Self::at(call, place)).collect()
    }

    /// Each item by itself.
    pub(super) fn each(&self) -> impl Iterator<Item = Self> {
        self.items.clone().map(|at| Self { call: self.call.clone(), place: self.place, items: at..at + 1 })
    }
}

impl std::ops::Deref for Found {
    type Target = [(TileId, Item)];

    fn deref(&self) -> &Self::Target {
        &self.call[self.place][self.items.clone()]
    }
}

impl Coalesce {
    pub(super) fn new(store: Arc<dyn Store>, table: Table) -> Self {
        Self { store, table, calls: Arc::default() }
    }

    /// The order that its calls are in.
    pub(super) fn order(&self) -> Order {
        self.calls.order.clone()
    }

    /// One read.
    pub(super) async fn one(&self, read: Read, after: After, tally: Option<&Tally>) -> Result<Found> {
        let mut found = self.many(vec![read], after, tally).await?;
        found.pop().ok_or_else(|| Error::new(crate::ErrorKind::Internal, "a read without a result"))
    }

    /// Several reads; one result each, in their order. Single tiles that nobody is reading yet go into one call.
    pub(super) async fn many(&self, reads: Vec<Read>, after: After, tally: Option<&Tally>) -> Result<Vec<Found>> {
        let (After::Look(look), None) = (after, tally) else {
            let consistency = after.consistency();
            let (call, spent) = spent::count(fetch(&*self.store, &self.table, &reads, consistency)).await;
            let call = Arc::new(call?);
            if let Some(tally) = tally {
                tally.tiles(&reads, &call, consistency, spent);
            }
            return Ok(Found::all(&call, reads.len()));
        };
        let Some(running) = self.running(&reads, look) else {
            let count = reads.len();
            return Ok(Found::all(&self.begin(reads).await.result().await?, count));
        };
        let fresh: Vec<Read> =
            reads.into_iter().zip(&running).filter(|(_, running)| running.is_none()).map(|(read, _)| read).collect();
        let fresh = match fresh.len() {
            0 => Vec::new(),
            count => {
                let begun = self.begin(fresh).await;
                (0..count).map(|place| (begun.clone(), place)).collect()
            }
        };
        let mut fresh = fresh.into_iter();
        let mut found = Vec::with_capacity(running.len());
        for (begun, place) in running.into_iter().map_while(|running| running.or_else(|| fresh.next())) {
            found.push(Found::at(&begun.result().await?, place));
        }
        Ok(found)
    }

    /// For each read the call under way that carries it out, if there is one that began after this look; `None` when there is
    /// none for any of them.
    fn running(&self, reads: &[Read], look: Turn) -> Option<Vec<Option<(Begun, usize)>>> {
        let by_read = self.calls.by_read();
        if by_read.is_empty() {
            return None;
        }
        // No `Shared` may be dropped under the lock: the last one drops its call, which locks.
        let running = |read| {
            let known = by_read.get(read).filter(|known| known.began > look)?;
            Some((Begun::Runs(known.call.upgrade()?), known.place))
        };
        let running: Vec<_> = reads.iter().map(running).collect();
        drop(by_read);
        running.iter().any(Option::is_some).then_some(running)
    }

    /// Begin a call. Others can join it once it turns out that it has to wait: what a store has at hand is there at once.
    async fn begin(&self, reads: Vec<Read>) -> Begun {
        let (reads, began) = (Arc::new(reads), self.calls.order.next());
        let (store, table, wanted) = (self.store.clone(), self.table.clone(), reads.clone());
        let mut call = async move {
            let result = fetch(&*store, &table, &wanted, Consistency::Eventual).await;
            result.map(Arc::new).map_err(Arc::new)
        }
        .boxed();
        if let Poll::Ready(result) = poll_fn(|context| Poll::Ready(call.poll_unpin(context))).await {
            return Begun::Ended(result);
        }
        let listed = Listed { calls: self.calls.clone(), reads: reads.clone(), began };
        let call = async move {
            let result = call.await;
            drop(listed);
            result
        };
        let call = call.boxed().shared();
        if let Some(weak) = call.downgrade() {
            let mut by_read = self.calls.by_read();
            for (place, read) in reads.iter().enumerate() {
                // More may join the youngest.
                if by_read.get(read).is_none_or(|known| known.began < began) {
                    by_read.insert(read.clone(), Joined { call: weak.clone(), place, began });
                }
            }
        }
        Begun::Runs(call)
    }
}

/// A call that was begun.
#[derive(Clone)]
enum Begun {
    Ended(Outcome),
    Runs(Shared<Call>),
}

impl Begun {
    async fn result(self) -> Result<Arc<Vec<Items>>> {
        let outcome = match self {
            Self::Ended(outcome) => outcome,
            Self::Runs(call) => call.await,
        };
        outcome.map_err(|error| Error::new(error.kind(), error.to_string()))
    }
}

/// Carry out reads: single tiles in one `get`, ranges one by one.
async fn fetch(store: &dyn Store, table: &Table, reads: &[Read], consistency: Consistency) -> Result<Vec<Items>> {
    let ids: Vec<TileId> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Tile(id) => Some(id.clone()),
            Read::Tiles { .. } => None,
        })
        .collect();
    let mut tiles = Vec::new();
    if !ids.is_empty() {
        tiles = store.get(table, &ids, consistency).await?;
    }
    let mut tiles = ids.into_iter().zip(tiles);
    let mut found = Vec::with_capacity(reads.len());
    for read in reads {
        found.push(match read {
            Read::Tile(_) => tiles.next().and_then(|(id, item)| Some((id, item?))).into_iter().collect(),
            Read::Tiles { key, level, starts, limit } => {
                store.range(table, key, *level, *starts, *limit, consistency).await?.into()
            }
        });
    }
    Ok(found)
}
