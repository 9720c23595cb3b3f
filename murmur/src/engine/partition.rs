use std::time::Duration;

use tokio::time::Instant;

use crate::source::{Among, Offset, PartitionId, Start};
use crate::time::Timestamp;

use super::age::Age;
use super::dedup::Memory;
use super::record::Standing;

/// What is known of one pipeline's progress in an owned partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ledger {
    /// What the store has on record, as far as this owner knows.
    pub(super) standing: Standing,
    /// Everything up to and including it was durable when the partition was taken.
    pub(super) durable: Option<Offset>,
    /// Everything up to and including it is durable now.
    pub(super) commit: Option<Offset>,
    /// The newest event time in the log up to the last event read, or its floor: what decides which events are late.
    pub(super) front: Option<Timestamp>,
    /// What an earlier owner may have written ends here. What this owner raises is not in it.
    inherited: Option<Offset>,
}

impl Ledger {
    /// Whether an earlier owner may have written what lies at `offset`.
    pub(super) fn catching_up(&self, offset: Offset) -> bool {
        self.inherited.is_some_and(|horizon| offset <= horizon)
    }
}

/// An owned partition, from taking it to giving it up.
#[derive(Debug)]
pub(super) struct Owned {
    pub(super) id: PartitionId,
    /// Where a pipeline begins that has no record of it.
    pub(super) start: Start,
    /// Where others may be added beside it.
    pub(super) among: Option<Among>,
    /// One per pipeline, in their order.
    pub(super) ledgers: Vec<Ledger>,
    /// Everything up to and including it was read and folded, refused or filtered.
    pub(super) read: Option<Offset>,
    /// It was read up to here before it was begun again; what is missing of it was dropped.
    pub(super) met: Option<Offset>,
    /// Newest event time in the log up to `read`.
    pub(super) watermark: Option<Timestamp>,
    pub(super) lag: Option<u64>,
    /// When it has last delivered something; before it has, when it was taken.
    pub(super) delivered: Instant,
    /// When the source took in what was read last.
    pub(super) stamped: Option<Timestamp>,
    /// Of what waits to become durable, per pipeline.
    pub(super) ages: Vec<Age>,
    /// The identities of its events, where a pipeline asks for them.
    pub(super) memory: Option<Memory>,
}

impl Owned {
    /// Taken with these records. Reading starts where the pipeline that is furthest behind has its commit. What the
    /// source has as its own is no position: it says nothing about these tables, which may be other ones, newer ones, or
    /// restored to an older state.
    pub(super) fn new(id: PartitionId, start: Start, records: Vec<Standing>) -> Self {
        let ledgers: Vec<Ledger> = records
            .into_iter()
            .map(|standing| {
                let record = &standing.record;
                let (durable, inherited) = (record.commit, record.horizon);
                Ledger { standing, durable, commit: durable, front: record.reached(), inherited }
            })
            .collect();
        let watermark = ledgers.iter().map(|ledger| ledger.standing.record.watermark).min().flatten();
        let mut owned = Self {
            id,
            start,
            among: None,
            ages: ledgers.iter().map(|_| Age::new()).collect(),
            ledgers,
            read: None,
            met: None,
            watermark,
            lag: None,
            delivered: Instant::now(),
            stamped: None,
            memory: None,
        };
        owned.read = owned.commit();
        owned
    }

    /// Everything up to and including it is durable in every pipeline.
    pub(super) fn commit(&self) -> Option<Offset> {
        self.ledgers.iter().map(|ledger| ledger.commit).min().flatten()
    }

    /// How much waits that may be read soon: what has delivered nothing for so long while others did, by the `newest` of them,
    /// may not deliver for as long again. A pause of less than a second says nothing.
    pub(super) fn waiting(&self, newest: Instant, within: Duration) -> u64 {
        let delivers = newest.duration_since(self.delivered) < within.max(Duration::from_secs(1));
        self.lag.filter(|_| delivers).unwrap_or(0)
    }

    /// Up to where it was read, now or before it was begun again, where that is not durable.
    pub(super) fn met(&self) -> Option<Offset> {
        self.met.max(self.read).filter(|met| Some(*met) > self.commit())
    }

    /// Note how far it is, and since when each pipeline waits for what.
    pub(super) fn note_ages(&mut self, now: Timestamp) {
        for (age, ledger) in self.ages.iter_mut().zip(&self.ledgers) {
            age.note(self.read, ledger.commit, now);
        }
    }

    /// Whether anything was read beyond the commit.
    pub(super) fn has_uncommitted(&self) -> bool {
        self.read > self.commit()
    }
}
