//! Readings of meters, by a key that has a field of each type: what `end_to_end/clients/meters.rs` has counted, and asks about in
//! each language.

use murmur::prelude::*;

/// Somebody looked at a meter.
#[murmur::event]
#[derive(serde::Deserialize)]
pub struct Reading {
    /// The number on the meter.
    pub serial: u64,
    /// Below the ground it is negative.
    pub floor: i64,
    /// Whether it is under a roof.
    pub indoors: bool,
    /// When it was built in.
    pub since: Timestamp,
    /// What the place is called.
    pub place: String,
    /// Who looked.
    pub reader: String,
    /// When.
    #[murmur(time)]
    pub at: Timestamp,
    /// What has flown since the last time.
    pub flow: u64,
    /// How warm it was.
    pub degrees: i64,
}

/// Who looked at a meter, how often, and what was seen.
#[murmur::aggregate]
pub struct Readings {
    /// How often.
    pub readings: Count,
    /// Who did.
    pub readers: DistinctSet,
    // From here on unknown to clients of the first contract.
    /// All that has flown.
    pub flow: Sum<u64>,
    /// The most at once.
    pub most: Max<u64>,
    /// All degrees together.
    pub degrees: Sum<i64>,
    /// How warm it was at the coldest.
    pub coldest: Min<i64>,
}

/// Readings per meter, over any window of up to 35 days.
#[murmur::pipeline(key = (serial, floor, indoors, since, place), window = sliding("35d", slot = "1m"))]
pub fn by_meter(reading: &Reading) -> Readings {
    Readings {
        readings: Count::one(),
        readers: DistinctSet::of(&reading.reader),
        // From here on unknown to clients of the first contract.
        flow: Sum::of(reading.flow),
        most: Max::of(reading.flow),
        degrees: Sum::of(reading.degrees),
        coldest: Min::of(reading.degrees),
    }
}

murmur::main!(by_meter);
