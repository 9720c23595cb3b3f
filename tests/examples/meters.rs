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
}

/// Who looked at a meter, and how often.
#[murmur::aggregate]
pub struct Readings {
    /// How often.
    pub readings: Count,
    /// Who did.
    pub readers: DistinctSet,
}

/// Readings per meter, over any window of up to 35 days.
#[murmur::pipeline(key = (serial, floor, indoors, since, place), window = sliding("35d", slot = "1m"))]
pub fn by_meter(reading: &Reading) -> Readings {
    Readings { readings: Count::one(), readers: DistinctSet::of(&reading.reader) }
}

murmur::main!(by_meter);
