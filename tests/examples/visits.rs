//! Visits by the minute, in numbers that a store adds: what `end_to_end/rolled_days.rs` has counted, and asks about.

use murmur::prelude::*;

/// A visit to a page.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Visit {
    /// Which page.
    pub page: String,
    /// The number of the visitor.
    pub who: u64,
    /// When.
    #[murmur(time)]
    pub at: Timestamp,
}

/// Visits, and what the numbers of the visitors sum up to.
#[murmur::aggregate]
pub struct Visits {
    /// How many.
    pub visits: Count,
    /// The sum of the numbers.
    pub sum: Sum<u64>,
}

/// Visits per page, over any window of up to 35 days.
#[murmur::pipeline(key = page, window = sliding("35d", slot = "1m"))]
pub fn by_minute(visit: &Visit) -> Visits {
    Visits { visits: Count::one(), sum: Sum::of(visit.who) }
}

murmur::main!(by_minute);
