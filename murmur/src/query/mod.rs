//! What is it now, over the last days, between two instants: from a request to tiles to an answer.
//!
//! ```text
//! request -> plan (which tiles, cut at which slots) -> read (coalesced) -> fold -> answer
//! ```
//!
//! - Intervals are cut exactly at slots: a side that does not lie on a slot's edge is moved outwards to the next one,
//!   and the [`Answer`] says so. Nothing is approximated. Days, weeks and months of a time zone become such an interval
//!   before anything is planned; whoever prefers fewer reads has it cut at whole hours or days, see [`Edges`].
//! - Slots are folded in the order of time, and within a slot the partitions in the order of their names.
//! - Absent, empty and out of retention are three different answers, see [`Presence`].
//! - Reads of the same tile that run at the same time share one call of the store, once that waits; none of them can fail
//!   another. The keys of one request are read together.
//! - What cannot change any more may be kept in memory, see [`TileCache`]; answers are the same with it.
//! - What an answer took is told on request, see [`Explanation`].

mod answer;
mod budget;
mod coalesce;
mod cover;
mod edges;
mod explanation;
mod fold;
mod gap;
mod gather;
mod held;
mod life;
mod limits;
mod plan;
mod points;
mod progress;
mod reader;
mod reads;
mod roll;
mod roll_busy;
mod room;
mod sealed;
mod sets;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Answer, AsOf, Interval, PartitionProgress, Point, Presence, Series};
pub use edges::Edges;
pub use explanation::{Explanation, LevelReads};
pub use limits::Limits;
pub use plan::{Ask, Plan, Step};
pub use points::Every;
pub use reader::Reader;
#[cfg(feature = "grpc")]
pub(crate) use reader::{encode_all, nth, only, unfit};
pub use sealed::TileCache;
#[cfg(feature = "grpc")]
pub(crate) use sets::operand;
pub use sets::{Combined, SetOperation};
