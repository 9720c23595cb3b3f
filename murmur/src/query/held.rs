//! What holds rolling up: the partition that is furthest behind the others, most often as it gets no events any more.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

use super::life::Named;
use crate::engine::PartitionRecord;
use crate::metrics::catalogue::ROLL_HELD;
use crate::source::PartitionId;
use crate::time::{Span, TimeRange, Timestamp};

/// From here on it is worth a word: a day of what rolling would have spared is read, by each window that covers it.
const FAR: Span = Span::from_seconds(86_400);
/// How long a partition has to stand still before that is said: one that catches up does not.
const STILL: Duration = Duration::from_secs(600);
/// Between two such lines of the log.
const AGAIN: Duration = Duration::from_secs(600);

/// The partition that all others wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    partition: PartitionId,
    /// What it has reached: what closes later is not rolled.
    reached: Timestamp,
    /// The newest event of any partition.
    newest: Timestamp,
}

impl Held {
    /// By the records of all partitions; `None` without an event.
    pub(super) fn of(records: &[Named]) -> Option<Self> {
        let newest = records.iter().filter_map(|(.., record)| record.watermark).max()?;
        let holding = records.iter().filter(|(.., record)| !record.is_movable() && record.holds_rolling());
        let (name, _, record) = holding.min_by_key(|(.., record)| record.reached())?;
        let partition = PartitionId::new(PartitionRecord::partition(name));
        Some(Self { partition, reached: record.reached().unwrap_or(Timestamp::MIN), newest })
    }

    /// How far it is behind.
    fn behind(&self) -> Span {
        self.newest.since(self.reached)
    }

    /// Whether much of what is asked about cannot be rolled because of it.
    pub(super) fn concerns(&self, slots: TimeRange) -> bool {
        slots.end.min(self.newest).since(slots.start.max(self.reached)) >= FAR
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, reached, newest } = self;
        write!(f, "partition `{partition}` of the source ")?;
        match *reached {
            Timestamp::MIN => f.write_str("has had no event with a time")?,
            at => write!(f, "has had no event later than {at}")?,
        }
        write!(
            f,
            ", and holds rolling up, while others are at {newest}: give it one of now (the pipeline may filter it out), \
             or let `partition retire` have nobody wait for it"
        )
    }
}

/// Measures and says of one pipeline what holds its rolling up.
pub(super) struct Watch {
    pipeline: &'static str,
    gauge: OnceLock<Gauge>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Which partition it was, where that stood, and since when.
    standing: Option<(PartitionId, Timestamp, Instant)>,
    said: Option<Instant>,
}

impl Watch {
    pub(super) fn new(pipeline: &'static str) -> Self {
        Self { pipeline, gauge: OnceLock::new(), seen: Mutex::default() }
    }

    /// The records of all partitions were just read; what they say.
    pub(super) fn note(&self, records: &[Named]) -> Option<Arc<Held>> {
        let Some(held) = Held::of(records) else {
            // Nothing does any more.
            if let Some(gauge) = self.gauge.get() {
                gauge.set(0.0);
            }
            return None;
        };
        self.gauge.get_or_init(|| ROLL_HELD.gauge([self.pipeline])).set(held.behind().as_seconds_f64());
        if self.is_to_be_said(&held, Instant::now()) {
            tracing::warn!(pipeline = self.pipeline, "{held}");
        }
        Some(Arc::new(held))
    }

    fn is_to_be_said(&self, held: &Held, now: Instant) -> bool {
        // Nothing between lock and unlock can leave it half changed.
        let Seen { standing, said } = &mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match standing {
            Some((partition, reached, since)) if *partition == held.partition && *reached == held.reached => *since,
            _ => standing.insert((held.partition.clone(), held.reached, now)).2,
        };
        let is_due = held.behind() >= FAR
            && now.duration_since(since) >= STILL
            && said.is_none_or(|said| now.duration_since(said) >= AGAIN);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Retirement;
    use crate::source::{Offset, Version};

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_seconds(days * DAY)
    }

    /// A partition that has read so many days.
    fn record(name: &str, days: i64) -> Named {
        let (commit, time) = (Some(Offset::from_u64(7)), Some(at(days)));
        let floor = Some(Timestamp::MIN);
        let record =
            PartitionRecord { commit, horizon: commit, watermark: time, front: time, floor, ..Default::default() };
        (format!("partition/{name}"), Version(1), record)
    }

    #[test]
    fn the_partition_that_is_furthest_behind_holds_rolling_up_unless_it_is_retired_or_never_began() {
        let mut records = vec![record("a", 9), record("b", 3), record("c", 5)];
        let held = |records: &[Named]| Held::of(records).map(|held| (held.partition.to_string(), held.behind()));
        let days = |n: u64| Span::from_seconds(n * DAY as u64);
        assert_eq!(held(&records), Some(("b".to_owned(), days(6))));
        records[1].2.retirement = Retirement::Retired;
        assert_eq!(held(&records), Some(("c".to_owned(), days(4))));
        records[2].2 = PartitionRecord { floor: Some(Timestamp::MIN), ..Default::default() };
        assert_eq!(held(&records), Some(("a".to_owned(), days(0))));
        assert_eq!(held(&[]), None);
        // It has said that it would flush, and what it read had no time.
        records[2].2.horizon = Some(Offset::ZERO);
        let held = Held::of(&records).unwrap();
        assert!(held.to_string().contains("partition `c` of the source has had no event with a time"), "{held}");
    }

    #[test]
    fn what_is_asked_about_suffers_where_a_day_of_it_cannot_be_rolled() {
        let held = Held::of(&[record("a", 30), record("b", 10)]).unwrap();
        let concerns = |from, to| held.concerns(TimeRange::new(at(from), at(to)));
        assert!(concerns(0, 11) && concerns(29, 40) && concerns(12, 13));
        assert!(
            !concerns(0, 10) && !concerns(30, 40),
            "what all have passed can be rolled, and what nobody has reached cannot"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_in_a_while_and_only_of_a_partition_that_stands_still() {
        let watch = Watch::new("test");
        let said =
            |days| watch.is_to_be_said(&Held::of(&[record("a", 30), record("b", days)]).unwrap(), Instant::now());
        let mut times = 0;
        // It catches up.
        for days in 0..20 {
            times += usize::from(said(days));
            tokio::time::advance(Duration::from_secs(300)).await;
        }
        assert_eq!(times, 0);
        for _ in 0..=60 {
            times += usize::from(said(20));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(times, 6, "an hour of looks, ten minutes apart");
        // It is less than a day behind.
        for _ in 0..60 {
            times += usize::from(said(30));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        assert_eq!(times, 6);
    }
}
