//! What an answer says about itself, as messages.

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
    let partitions = as_of.partitions.iter().map(|known| PartitionProgress {
        partition: known.partition.as_str().into(),
        watermark: known.watermark,
        offset: known.offset.map(|offset| offset.to_string()).unwrap_or_default(),
    });
    let query::Interval { start, end, start_exact, end_exact } = interval;
    let as_of = AsOf { watermark: as_of.watermark, freshness: as_of.freshness, partitions: partitions.collect() };
    let explanation = explanation.map(explained);
    Answer { presence, start, end, start_exact, end_exact, as_of: Some(as_of), explanation, ..Answer::default() }
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
