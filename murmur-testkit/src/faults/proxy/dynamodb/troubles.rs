//! What a proxy is to do, and what it has done.

use std::collections::HashMap;
use std::time::Duration;

/// How much goes wrong. Shares are of all requests, between 0 and 1.
#[derive(Debug, Clone, Default)]
pub struct Troubles {
    /// Refused as too much: `ProvisionedThroughputExceededException` and `ThrottlingException` by turns.
    pub throttled: f32,
    /// Refused with `InternalServerError`, not carried out.
    pub failed: f32,
    /// Carried out, and the connection closed in place of an answer.
    pub unanswered: f32,
    /// The connection closed in place of asking the server.
    pub dropped: f32,
    /// Batches of reads of which half is left out.
    pub unprocessed: f32,
    /// Reads that are not consistent answered as the same read was answered the first time.
    pub stale: f32,
    /// Everything about data is refused with this name, as `ExpiredTokenException`.
    pub denied: Option<&'static str>,
    /// Writes to tables whose names contain this text are refused with `InternalServerError`, not carried out; reads are
    /// answered.
    pub closed: Option<String>,
    /// Values of items whose partition key contains this text come with a bit of them changed.
    pub damaged: Option<String>,
    /// Longest wait before a request goes on.
    pub latency: Duration,
    /// Writes under partition keys that contain this text wait as long.
    pub slow: Option<(String, Duration)>,
    /// Items under partition keys that contain this text hold no more than so many numbers or values: what adds to one
    /// beyond that is refused as too large.
    pub room: Option<(String, usize)>,
    /// Items that expire by this second (since 1970) are removed when someone is about to write to them, as a table with a
    /// time to live may do at any moment.
    pub removed_by: Option<i64>,
    /// Write units that a partition key may use in a second, if it contains this text.
    pub units: Option<(String, f64)>,
    /// Write units that all tiles together may use in a second.
    pub capacity: Option<f64>,
    /// Writes of tiles that are answered as if they had been carried out. No real server does this: it shows that loss is
    /// found.
    pub pretended: f32,
    /// Writes of tiles that are carried out once more without their condition, which shows that doubling is found.
    pub doubled: f32,
}

/// What has happened so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests that came in.
    pub requests: u64,
    /// Writes that the server carried out, conditions that failed included.
    pub writes: u64,
    /// Write units that they used.
    pub units: f64,
    /// Refused as too much.
    pub throttled: u64,
    /// Writes of tiles among them.
    pub throttled_tiles: u64,
    /// How often one and the same write was refused as too much, of all writes the most.
    pub most_of_one: u64,
    /// Failed, dropped.
    pub failed: u64,
    /// Carried out and not answered.
    pub unanswered: u64,
    /// Of them writes of tiles.
    pub unanswered_tiles: u64,
    /// Refused as too large.
    pub too_large: u64,
    /// Items that had expired and were removed.
    pub removed: u64,
    /// Refused for their credentials.
    pub denied: u64,
    /// Answered with something that had been so before.
    pub stale: u64,
    /// Keys that were left out of the answer to a batch of reads.
    pub left_out: u64,
    /// Values that came changed.
    pub damaged: u64,
    /// Writes of tiles that were not carried out, as their condition did not hold.
    pub refused: u64,
    /// Writes of other keys that were carried out while a key waited for units of its own.
    pub beside: u64,
    /// Write units of each partition key.
    pub units_by_key: HashMap<String, f64>,
}
