//! Reads of the 30 days of every page: what they cost, and whether they are right.

use std::sync::Arc;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use murmur::query::{Limits, Reader};
use murmur::store::{Consistency, Store};
use murmur::time::{Span, TimeRange};

use super::stream::{Stream, Truth};
use super::{AT_ONCE, Rolled};

/// Of so many pages a part of the days is read as well, and reads are repeated that had the records of the partitions in
/// them, which is so once a second at most. Of more pages that hardly shows, and a quiet page that nobody has rolled takes
/// hundreds of requests.
const CLOSELY: u32 = 100;
/// How often a read is repeated at most.
const TRIES: usize = 3;

/// What the 30 days cost, on average over the pages.
pub(super) struct Reads {
    pub(super) items: f64,
    /// Read units of an eventual read, by DynamoDB's rule.
    pub(super) units: f64,
    /// Whether every page had what is true of it.
    pub(super) right: bool,
}

impl Reads {
    pub(super) async fn of<P: Rolled>(store: &Arc<dyn Store>, stream: &Stream) -> murmur::Result<Self> {
        // A busy page that nobody has rolled has more than a request may read.
        let limits = Limits { items: usize::MAX, ..Limits::default() };
        let reader = Reader::<P>::new(store.clone(), 1).limits(limits).explaining();
        let (days, part) = (stream.days, part(stream.days));
        let truths = [stream.truths(days), stream.truths(part)];
        let (reader, truths, nothing) = (&reader, &truths, &Truth::default());
        let one = async |page: u32| {
            let key = P::key(page);
            let [in_days, in_part] = truths.each_ref().map(|truths| truths.get(&page).unwrap_or(nothing));
            let (mut right, mut cost, closely) = (true, (0, 0.0), page < CLOSELY);
            if closely {
                right &= P::is_right(&reader.range(&key, part, Consistency::Strong).await?.value, in_part);
            }
            for _ in 0..if closely { TRIES } else { 1 } {
                let answer = reader.range(&key, days, Consistency::Eventual).await?;
                right &= P::is_right(&answer.value, in_days);
                right &= answer.interval.start_exact && answer.interval.end_exact;
                let Some(explanation) = answer.explanation else { continue };
                cost = (explanation.items(), explanation.read_units);
                if explanation.levels.iter().all(|reads| reads.level.is_some()) {
                    break;
                }
            }
            Ok::<_, murmur::Error>((cost, right))
        };
        let all = iter(0..stream.pages)
            .map(one)
            .buffer_unordered(AT_ONCE)
            .try_fold((0, 0.0, true), async |(items, units, right), ((more, cost), also)| {
                Ok((items + more, units + cost, right && also))
            });
        let (items, units, right) = all.await?;
        let mean = |sum: f64| (sum / f64::from(stream.pages) * 10.0).round() / 10.0;
        Ok(Self { items: mean(items as f64), units: mean(units), right })
    }
}

/// What is left without a week and some minutes at either side.
fn part(days: TimeRange) -> TimeRange {
    let inset = Span::from_seconds(7 * 86_400 + 13 * 60);
    TimeRange::new(days.start.saturating_add(inset), days.end.saturating_sub(inset))
}
