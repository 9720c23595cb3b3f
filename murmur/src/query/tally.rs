use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::coalesce::{Items, Read};
use super::explanation::{Explanation, LevelReads};
use crate::store::spent::Spent;
use crate::store::{Consistency, stored_bytes};
use crate::time::{Level, TimeRange, Timestamp};

/// Bytes of a read unit.
const UNIT: u64 = 4_096;

/// Adds up what a request reads.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    levels: BTreeMap<Option<Level>, LevelReads>,
    /// Half read units, by the rule.
    halves: u64,
    consumed: Option<f64>,
    requests: u64,
    round_trips: u64,
    not_rolled: BTreeSet<(Timestamp, Timestamp, Level)>,
}

impl State {
    fn level(&mut self, level: Option<Level>) -> &mut LevelReads {
        self.levels.entry(level).or_insert(LevelReads { level, reads: 0, items: 0, bytes: 0, kept: 0 })
    }

    fn reads(&mut self, level: Option<Level>, items: usize, bytes: u64, consistency: Consistency) {
        let reads = self.level(level);
        reads.reads += 1;
        reads.items += items as u64;
        reads.bytes += bytes;
        let halves = if consistency == Consistency::Strong { 2 } else { 1 };
        self.halves += halves * bytes.div_ceil(UNIT).max(1);
    }

    /// Calls of the store, and what it says of them.
    fn spent(&mut self, calls: u64, spent: Option<Spent>) {
        self.requests += spent.map_or(calls, |spent| spent.requests);
        if let Some(spent) = spent {
            *self.consumed.get_or_insert_default() += spent.read_units;
        }
    }
}

impl Tally {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These reads have found this: single tiles by one call of the store, each range by one of its own.
    pub(super) fn tiles(&self, reads: &[Read], found: &[Items], consistency: Consistency, spent: Option<Spent>) {
        let mut state = self.state();
        let ranges = reads.iter().filter(|read| matches!(read, Read::Tiles { .. })).count();
        let calls = ranges as u64 + u64::from(ranges < reads.len());
        for (read, items) in reads.iter().zip(found) {
            let bytes = items.iter().map(|(id, item)| stored_bytes(id, item) as u64).sum();
            state.reads(Some(read.level()), items.len(), bytes, consistency);
        }
        state.spent(calls, spent);
    }

    /// The records of the partitions were read, strongly as always.
    pub(super) fn records(&self, records: usize, bytes: u64, spent: Option<Spent>) {
        let mut state = self.state();
        state.reads(None, records, bytes, Consistency::Strong);
        state.spent(1, spent);
        state.round_trips += 1;
    }

    /// A tile of this level was not read, as it is kept.
    pub(super) fn kept(&self, level: Level) {
        self.state().level(Some(level)).kept += 1;
    }

    /// The request waits for the store, so often one after the other.
    pub(super) fn wait(&self, times: u64) {
        self.state().round_trips += times;
    }

    /// Slots of a level are not rolled.
    pub(super) fn not_rolled(&self, level: Level, slots: TimeRange) {
        self.state().not_rolled.insert((slots.start, slots.end, level));
    }

    pub(super) fn explain(&self) -> Explanation {
        let state = self.state();
        let not_rolled = state.not_rolled.iter().map(|&(start, end, level)| (level, TimeRange::new(start, end)));
        Explanation {
            levels: state.levels.values().copied().collect(),
            read_units: state.halves as f64 / 2.0,
            consumed_units: state.consumed,
            requests: state.requests,
            round_trips: state.round_trips,
            not_rolled: not_rolled.collect(),
        }
    }
}
