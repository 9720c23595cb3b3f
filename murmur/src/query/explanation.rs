use crate::time::{Level, TimeRange};

/// What it took to answer a request: what was read, and what that cost.
///
/// What the answer covers, whether its sides were moved and how fresh it is stand in the answer itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explanation {
    /// What was read, by level.
    pub levels: Vec<LevelReads>,
    /// Read units by DynamoDB's rule, whatever the store is: of each tile that is asked for by its name, and of each range of
    /// tiles, the bytes in units of 4 KiB, begun ones counted, and one when nothing is there; half of that for
    /// [eventual](crate::store::Consistency::Eventual) reads.
    pub read_units: f64,
    /// What the store's server says that the reads cost; `None` where it says nothing.
    pub consumed_units: Option<f64>,
    /// Requests that the store's server has answered; calls of the store where that says nothing.
    pub requests: u64,
    /// How often the request had to wait for the store. What does not depend on one another is asked for at the same time,
    /// and counts once.
    pub round_trips: u64,
    /// Finished slots of a level that nobody has rolled yet, or that were [unrolled](crate::store::Item::is_unrolled), so that
    /// they were read from the levels below, in order.
    pub not_rolled: Vec<(Level, TimeRange)>,
}

impl Explanation {
    /// Items that were read, records not among them.
    pub fn items(&self) -> u64 {
        self.tiles().map(|reads| reads.items).sum()
    }

    /// Their size.
    pub fn bytes(&self) -> u64 {
        self.tiles().map(|reads| reads.bytes).sum()
    }

    fn tiles(&self) -> impl Iterator<Item = &LevelReads> {
        self.levels.iter().filter(|reads| reads.level.is_some())
    }
}

/// What was read of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelReads {
    /// Which; `None` for the records of the partitions, which say how far the stream is contained. They are read once a
    /// second at most, and not for each request.
    pub level: Option<Level>,
    /// Tiles that were asked for by their names, and pages of ranges.
    pub reads: u64,
    /// Items that were found.
    pub items: u64,
    /// Their size, as DynamoDB counts it, give or take a few bytes.
    pub bytes: u64,
    /// Tiles beside them that came from the [cache](super::TileCache), and were not read.
    pub kept: u64,
}
