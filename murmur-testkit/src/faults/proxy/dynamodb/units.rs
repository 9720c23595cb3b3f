//! Write units: who has some left, and what was used.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use serde_json::Value;

use super::{Shared, lock};

/// The same write may come with its fields in another order.
pub(super) fn count_throttle(shared: &Shared, request: &Value, is_tile: bool) {
    let mut hasher = DefaultHasher::new();
    request.to_string().hash(&mut hasher);
    let mut throttles = lock(&shared.throttles);
    let times = throttles.entry(hasher.finish()).or_default();
    *times += 1;
    let mut tally = lock(&shared.tally);
    tally.most_of_one = tally.most_of_one.max(*times);
    tally.throttled_tiles += u64::from(is_tile);
}

/// The bucket of all tiles together; no key is empty.
pub(super) const ALL: &str = "";

/// Whether a partition key has write units left for this second. What a write costs is known after it, so a key may go
/// into debt by one write.
pub(super) fn has_units(shared: &Shared, key: &str, units: f64) -> bool {
    let mut buckets = lock(&shared.buckets);
    let (left, since) = buckets.entry(key.to_owned()).or_insert((units, Instant::now()));
    *left = (*left + since.elapsed().as_secs_f64() * units).min(units);
    *since = Instant::now();
    *left > 0.0
}

/// `is_other` when it is none of the keys that are short of units.
pub(super) fn charge(shared: &Shared, key: String, is_other: bool, reply: &[u8]) {
    let used = serde_json::from_slice::<Value>(reply).ok();
    // A write whose condition failed does not say what it cost: one unit at least.
    let used = used.and_then(|reply| reply["ConsumedCapacity"]["CapacityUnits"].as_f64()).unwrap_or(1.0);
    let mut buckets = lock(&shared.buckets);
    let all = (key != "#record").then_some(ALL);
    for of in all.into_iter().chain([key.as_str()]) {
        if let Some((left, _)) = buckets.get_mut(of) {
            *left -= used;
        }
    }
    drop(buckets);
    let mut without_units = lock(&shared.without_units);
    without_units.remove(&key);
    let is_beside = is_other && !without_units.is_empty();
    drop(without_units);
    let mut tally = lock(&shared.tally);
    tally.beside += u64::from(is_beside);
    tally.writes += 1;
    tally.units += used;
    *tally.units_by_key.entry(key).or_default() += used;
}
