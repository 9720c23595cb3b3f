//! The values of keys now, and again whenever they change.
//!
//! ```text
//! stream --+                      +-- due: by the interval, by a write, by a new stream
//! stream --+--> entry (key, how) -+
//! stream --+      newest reply    +-- looked at with the others that are due, up to 1,000 keys a call
//! ```
//!
//! - Streams that ask the same of the same key share an [entry](hub): one look at the store serves them all, and one
//!   encoded value. The [partitions] that answers name are kept once for all of them.
//! - An entry keeps the newest reply only. A stream takes it when its reader has room, and misses those between: nothing is
//!   kept for a reader that is slow, and nobody waits for one that has stopped.
//! - A look that finds the same value, presence and [problem](crate::query::Answer::problem) sends nothing.
//! - A look that fails ends the streams of its own entry, see [`look`]. Those that come after begin with a new one.
//! - Turns for looks go round between [callers](due), and there is [room](room) for each of them, and for their answers.
//! - Nothing runs while nobody watches, and nothing is left behind by the last stream.

mod due;
mod entry;
mod how;
mod hub;
mod look;
mod measures;
mod partitions;
mod replies;
mod resume;
mod room;
mod state;

use std::sync::Arc;
use std::time::Duration;

pub(super) use how::How;
pub(super) use hub::Hub;
pub(super) use replies::{of_many, of_one};

use super::drain::Drain;
use super::limits::Limits;
use crate::store::Touched;
use room::Room;

/// A caller by its name; none where nobody is known, and for what several of them ask.
pub(super) type Who = Option<Arc<str>>;

/// When watched keys are looked at again.
#[derive(Debug, Clone)]
pub struct Watching {
    every: Duration,
    told: Option<Touched>,
}

impl Default for Watching {
    /// Every second.
    fn default() -> Self {
        Self::every(Self::INTERVAL)
    }
}

impl Watching {
    /// The interval where nobody says another one.
    pub const INTERVAL: Duration = Duration::from_secs(1);

    /// Look at intervals of this length.
    pub fn every(every: Duration) -> Self {
        Self { every, told: None }
    }

    /// Look at a key also when it was written by a worker in the same process. The intervals stay: other processes write
    /// too, windows move with time, and a read that was under way already may have passed by the write.
    #[must_use]
    pub fn told_by(mut self, touched: &Touched) -> Self {
        self.told = Some(touched.clone());
        self
    }
}

/// What the pipelines of a server have in common for watching.
#[derive(Clone)]
pub(super) struct Shared {
    watching: Watching,
    room: Arc<Room>,
    drain: Drain,
}

impl Shared {
    pub(super) fn new(watching: Watching, limits: &Limits, drain: Drain) -> Self {
        Self { watching, room: Room::new(limits.watched, limits.watched_bytes), drain }
    }
}
