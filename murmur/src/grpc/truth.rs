//! What an answer says about itself, as messages.

use std::cell::RefCell;
use std::sync::Arc;

use crate::query::{self, LevelReads};
use crate::wire::types::{self, Answer, AsOf, Edges, Explanation, NotRolled, PartitionProgress, Presence};

pub(super) fn truth(
    presence: query::Presence,
    interval: query::Interval,
    as_of: query::AsOf,
    explanation: Option<query::Explanation>,
) -> Answer {
    let presence = match presence {
        query::Presence::Present => Presence::Present,
        query::Presence::Absent => Presence::Absent,
        query::Presence::Empty => Presence::Empty,
        query::Presence::OutOfRetention => Presence::OutOfRetention,
    };
    let partitions = partitions(&as_of.partitions);
    let query::Interval { start, end, start_exact, end_exact } = interval;
    let as_of = AsOf { watermark: as_of.watermark, freshness: as_of.freshness, partitions };
    let explanation = explanation.map(explained);
    Answer { presence, start, end, start_exact, end_exact, as_of: Some(as_of), explanation, ..Answer::default() }
}

/// The messages of partitions. All answers of about a second have the same ones.
fn partitions(of: &Arc<[query::PartitionProgress]>) -> Arc<Vec<PartitionProgress>> {
    type Last = (Arc<[query::PartitionProgress]>, Arc<Vec<PartitionProgress>>);
    thread_local! {
        static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, made)) = last.as_ref().filter(|(known, _)| Arc::ptr_eq(known, of)) {
            return made.clone();
        }
        let made = of.iter().map(|known| PartitionProgress {
            partition: known.partition.as_str().into(),
            watermark: known.watermark,
            offset: known.offset.map(|offset| offset.to_string()).unwrap_or_default(),
        });
        let made = Arc::new(made.collect::<Vec<_>>());
        *last = Some((of.clone(), made.clone()));
        made
    })
}

fn explained(explanation: query::Explanation) -> Explanation {
    let query::Explanation { levels, read_units, consumed_units, requests, round_trips, not_rolled } = explanation;
    let levels = levels.into_iter().map(|LevelReads { level, reads, items, bytes, kept }| {
        let level = level.map_or("records", |level| level.name()).to_owned();
        types::LevelReads { level, reads, items, bytes, kept }
    });
    let not_rolled = not_rolled.into_iter().map(|(level, slots)| NotRolled {
        level: level.name().to_owned(),
        start: Some(slots.start),
        end: Some(slots.end),
    });
    let (levels, not_rolled) = (levels.collect(), not_rolled.collect());
    Explanation { levels, read_units, consumed_units, requests, round_trips, not_rolled }
}

impl From<Edges> for query::Edges {
    fn from(edges: Edges) -> Self {
        match edges {
            Edges::Unspecified | Edges::Exact => Self::Exact,
            Edges::Sawtooth => Self::Sawtooth,
        }
    }
}

impl From<query::Edges> for Edges {
    fn from(edges: query::Edges) -> Self {
        match edges {
            query::Edges::Exact => Self::Exact,
            query::Edges::Sawtooth => Self::Sawtooth,
        }
    }
}
