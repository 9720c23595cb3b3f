//! Where tiles live, and the conditional writes that make counting exact.
//!
//! A tile carries, beside its value, how far each source partition has been applied to it, and every write is
//! conditional on that. Nothing else is needed: no transactions of the source, no leases, no second table, no clocks.

use futures_util::future::BoxFuture;

mod condition;
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "embedded")]
pub mod embedded;
mod item;
mod memory;
mod size;
pub(crate) mod spent;
#[cfg(feature = "grpc")]
mod touched;
mod write;

#[cfg(feature = "dynamodb")]
pub use dynamodb::{DynamoConfig, DynamoStore};
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedConfig, EmbeddedStore};
pub use item::{Item, Table, TileId};
pub use memory::MemoryStore;
pub(crate) use size::stored_bytes;
#[cfg(feature = "grpc")]
pub(crate) use touched::Listen;
#[cfg(feature = "grpc")]
pub use touched::Touched;
pub use write::{Applied, Outcome, Write, Writes};

use crate::Result;
pub use crate::aggregate::{Column, Number};
use crate::source::{Records, Shelf};
use crate::time::{Level, TimeRange};

/// How a read may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// Whatever is cheapest; may miss the latest writes.
    #[default]
    Eventual,
    /// Everything acknowledged before the call.
    Strong,
}

/// What [`Store::ensure`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ensured {
    /// Whether there was no table before.
    pub created: bool,
    /// What could not be set.
    pub unset: Vec<Unset>,
}

/// Something about a table that could not be set; the table can be used all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unset {
    /// What: the time to live, tags.
    pub what: String,
    /// Why not, as the server says it.
    pub why: String,
}

/// A store of tiles. Implementations hold the same items under the same conditions, shown by one conformance suite.
///
/// Errors: [`Ambiguous`](crate::ErrorKind::Ambiguous) means that the write may or may not have happened, and the
/// *same* write is to be sent again; its condition makes the second one harmless.
/// [`Oversize`](crate::ErrorKind::Oversize) means that nothing was written, and that the item has no room for it; a store
/// keeps enough room for [`Write::closing`], where it can tell.
pub trait Store: Records + 'static {
    /// Carry out writes; one result per write, in their order. Writes of one call are independent:
    /// some may be applied and others not; each is of another tile. What is `Ok` is durable when the future completes.
    ///
    /// They are shared, as a store may carry them out in another thread, and who asks keeps them for another try.
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>>;

    /// Read single items; one result per id, in their order, `None` when there is no such item.
    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>>;

    /// All items of one key and level whose tile starts within `starts`, every part of them, ordered by start and
    /// part. At most `limit` items; a full answer of `limit` items may be cut.
    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        starts: TimeRange,
        limit: usize,
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>>;

    /// A page of the whole table in an order of the store's own, beginning after `after`; empty at the end.
    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>>;

    /// Remove what has expired by `now`, at most `limit` items; how many went. Stores that expire by themselves do
    /// nothing.
    fn remove_expired<'a>(
        &'a self,
        table: &'a Table,
        now: crate::time::Timestamp,
        limit: usize,
    ) -> BoxFuture<'a, Result<usize>>;

    /// Make the table of a shelf where it is not there yet, and bring it up to its definition where it is; `tags` are
    /// put on it. Can be repeated. Stores that make tables by themselves do nothing.
    fn ensure<'a>(&'a self, shelf: &'a Shelf, tags: &'a [(String, String)]) -> BoxFuture<'a, Result<Ensured>> {
        let _ = (shelf, tags);
        Box::pin(async { Ok(Ensured::default()) })
    }
}
