//! What a worker says of itself as it goes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::assignment::Waiting;
use super::partition::Owned;
use super::progress::{Contact, PartitionStatus, PipelineStatus, Progress, ahead, waiting};
use super::worker::Worker;
use crate::event::Event;
use crate::source::{Ends, Offset, PartitionId};
use crate::time::Timestamp;

impl<E: Event> Worker<E> {
    pub(super) fn publish(&mut self) {
        self.progress.partitions.clear();
        self.progress.pipelines.clear();
        self.progress.pipelines.extend(self.lanes.iter().map(|lane| PipelineStatus::of(lane.fold.pipeline())));
        let now = self.clock.now();
        // What was read and dropped is not durable either.
        for waiting in &self.waiting {
            for (pipeline, age) in self.progress.pipelines.iter_mut().zip(&waiting.ages) {
                pipeline.wait_since(age.oldest());
            }
        }
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for owned in &mut self.owned {
            let lag = waiting(owned.read, owned.lag, ends.get(&owned.id));
            let lanes = owned.ages.iter_mut().zip(&owned.ledgers);
            for (pipeline, (age, ledger)) in self.progress.pipelines.iter_mut().zip(lanes) {
                pipeline.wait_since(age.note(owned.read, ledger.commit, now));
                pipeline.ahead += ahead(owned.read, ledger.commit).min(lag.unwrap_or(0));
            }
            self.progress.partitions.push(PartitionStatus {
                partition: owned.id.clone(),
                commit: owned.commit(),
                read: owned.read,
                lag,
                durable: reached(owned),
                taken_in: owned.stamped.or(owned.watermark),
            });
        }
        drop(ends);
        // How many wait there is known once it has begun.
        self.progress.partitions.extend(self.waiting.iter().map(|Waiting { id, reached, .. }| PartitionStatus {
            partition: id.clone(),
            commit: None,
            read: None,
            lag: None,
            durable: *reached,
            taken_in: None,
        }));
        self.progress.rolled = self.rolling.rolled();
        self.progress.sum_lags();
        self.note_unknown_lag(now);
        self.meter.show(&self.progress, self.lanes.iter().map(|lane| lane.tally), now);
        self.watch.send_replace(self.progress.clone());
    }

    /// Since when nobody knows how much waits. Whoever looks beside the work says in the gauge when it was known again.
    fn note_unknown_lag(&mut self, now: Timestamp) {
        let is_to_be_known = self.can_tell_ends && self.progress.contact <= Contact::Lost;
        let since = self.watch.borrow().lag_unknown_since.unwrap_or(now);
        self.progress.lag_unknown_since = (is_to_be_known && self.progress.lag.is_none()).then_some(since);
    }
}

/// The newest event time that is durable in every pipeline.
pub(super) fn reached(owned: &Owned) -> Option<Timestamp> {
    owned.ledgers.iter().map(|ledger| ledger.standing.record.watermark).min().flatten()
}

/// Between two looks where partitions end.
const LOOK: Duration = Duration::from_secs(5);

/// Where partitions end, as far as anyone has looked.
pub(super) type KnownEnds = Arc<Mutex<HashMap<PartitionId, Option<Offset>>>>;

/// Have what waits shown while nothing is read: batches tell of it, and who waits for a store gets none. It never ends.
pub(super) async fn look_ahead(look: Option<Ends>, known: KnownEnds, gauge: watch::Sender<Progress>) -> Infallible {
    let Some(look) = look else { return std::future::pending().await };
    loop {
        tokio::time::sleep(LOOK).await;
        let found = look().await;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(found);
        gauge.send_modify(|progress| progress.see(&known));
    }
}
