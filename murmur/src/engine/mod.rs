//! From a source to tiles, each event exactly once.
//!
//! ```text
//! source -> decode -> apply (key, value) -> fold table -> flush -> store -> partition record -> source's commit
//!              |         |                       ^           |
//!              +---------+-> dead letters        +-- rewind -+  (a condition failed: drop all, start at the commit)
//! ```
//!
//! The guarantee rests on the conditional writes of [`store`](crate::store) alone. What this module adds is what makes
//! them succeed: it commits only below everything that is still pending, sends an ambiguous write again as it was,
//! skips while catching up what an earlier owner has written, and on any conflict drops its unflushed deltas and
//! reads its partitions again from their commits.

mod age;
mod assignment;
mod breaker;
mod builder;
mod busy;
mod clock;
mod confluent;
mod decode;
mod dedup;
#[cfg(feature = "descriptor")]
mod described;
mod drain;
pub(crate) mod failpoint;
mod flight;
mod flush;
mod flushing;
mod fold;
mod frontier;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod growth;
mod intake;
mod lane;
mod letters;
mod links;
mod meter;
mod options;
mod ownership;
mod panicked;
mod partition;
mod progress;
mod publish;
mod record;
mod retirement;
mod rolling;
mod unreadable;
mod worker;

#[cfg(test)]
mod tests;

pub use breaker::DeadLetterLimit;
pub use builder::WorkerBuilder;
pub(crate) use busy::{UNIT, Worth};
#[cfg_attr(not(feature = "dynamodb"), allow(unused_imports, reason = "the store on DynamoDB signs by it"))]
pub(crate) use clock::system_time;
pub use clock::{Clock, SystemClock};
pub use confluent::Confluent;
pub use decode::{Decode, Decoder, Format, Json, Protobuf, json, protobuf};
#[cfg(feature = "descriptor")]
pub use described::{Described, Description};
pub use drain::Stopping;
pub(crate) use frontier::Frontier;
pub use options::Options;
pub use ownership::readable;
pub use progress::{Contact, PartitionStatus, PipelineStatus, Progress, Summary};
pub use record::{PartitionRecord, Standing};
pub use retirement::{Retirement, recall, retire};
pub use unreadable::Unreadable;
pub use worker::Worker;
