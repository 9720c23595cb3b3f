//! What readers answer in a simulation, and what they are to answer; rolls, which must change nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use murmur::ErrorKind;
use murmur::aggregate::{Monoid, Question};
use murmur::engine::Clock;
use murmur::key::Key;
use murmur::pipeline::Pipeline;
use murmur::query::Reader;
use murmur::store::{Consistency, MemoryStore, Store};
use murmur::time::{Level, Span, TimeRange, Timestamp};

use crate::oracle::{Kept, scan};

/// From when to when, in minutes after the first thing that happened: everything, and pieces at odd minutes and at edges.
/// Those of more than four hours are answered from the level above where they can be.
const PIECES: [(u64, u64); 5] = [(0, 420), (37, 397), (60, 180), (121, 150), (0, 119)];

/// Roll something of one key, chosen by `rng` among those that are stored; nothing when there is none yet.
pub(super) async fn roll<P: Pipeline>(
    store: Arc<dyn Store>,
    stored: &MemoryStore,
    clock: Arc<dyn Clock>,
    range: TimeRange,
    rng: &std::sync::Mutex<fastrand::Rng>,
) -> Option<BoxFuture<'static, murmur::Result<u64>>> {
    let keys: BTreeSet<_> = scan::<P>(stored).await.ok()?.into_iter().map(|(id, _)| id.key).collect();
    let at = super::log::lock(rng).usize(..keys.len().max(1));
    let key = P::Key::decode(keys.iter().nth(at)?).ok()?;
    let reader = Reader::<P>::new(store, 1).clock(clock);
    Some(Box::pin(async move { reader.roll(&key, range).await }))
}

/// Compare what a reader answers about every key with the fold of what is kept; `begin` is when things began to happen.
pub(super) async fn check<P: Pipeline>(
    store: &Arc<MemoryStore>,
    kept: &Kept<P>,
    begin: Timestamp,
    clock: Arc<dyn Clock>,
) -> Result<(), String> {
    let tiling = P::tiling();
    if tiling.finest() == Level::Forever {
        return Ok(());
    }
    let reader = Reader::<P>::new(store.clone(), 1).clock(clock.clone());
    let minute = |n: u64| begin.saturating_add(Span::from_seconds(60 * n));
    let keys: BTreeSet<&str> = kept.keys().map(|(key, ..)| key.as_str()).collect();
    for key in keys {
        let id = P::Key::decode(key)?;
        for (from, to) in PIECES {
            let range = TimeRange::new(tiling.floor_slot(minute(from)), tiling.ceil_slot(minute(to)));
            // By time, and what came late behind all that came in time.
            let mut parts = BTreeMap::new();
            for (place, value) in kept.iter().filter(|((of, ..), _)| of == key) {
                let (_, tile, slot, part) = place;
                let start = tiling.slot_range(*tile, *slot).start;
                if range.contains(start) {
                    parts.insert((tile.level == Level::Late, start, part), value.clone());
                }
            }
            let mut expected = P::Aggregate::identity();
            let present = !parts.is_empty();
            parts.into_values().for_each(|value| expected.combine(value));
            let question = Question { as_of: range.end.min(clock.now()), ..Question::default() };
            match (reader.range(&id, range, Consistency::Strong).await, expected.reply(&question)) {
                // The window is shorter than this piece.
                (Err(error), _) if error.kind() == ErrorKind::InvalidArgument => {}
                (Err(_), Err(_)) => {}
                (Ok(answer), Ok(expected)) if answer.value == expected && answer.is_present() == present => {}
                (answer, expected) => {
                    return Err(format!(
                        "`{}` of {id:?} over {range:?}: {answer:?} and not {expected:?}",
                        P::SPEC.name
                    ));
                }
            }
        }
    }
    Ok(())
}
