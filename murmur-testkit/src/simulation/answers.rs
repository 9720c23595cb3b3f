//! What readers answer in a simulation, and what they are to answer; rolls, which must change nothing about it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use murmur::ErrorKind;
use murmur::aggregate::{Monoid, Question};
use murmur::engine::Clock;
use murmur::key::Key;
use murmur::pipeline::Pipeline;
use murmur::query::{Answer, Reader, TileCache};
use murmur::store::{Consistency, MemoryStore, Store};
use murmur::time::{Level, TimeRange};
use murmur::wire::WireField;

use super::alike::alike;
use super::course::Course;
use crate::oracle::{Kept, scan};

/// From when to when, in minutes of a [`Course`]: everything, and pieces at odd minutes and at edges. Those of more than
/// four tiles are answered from the levels above where they can be.
const PIECES: [(i64, i64); 5] = [(0, 420), (37, 397), (60, 180), (121, 150), (0, 119)];

/// A reader of each pipeline that lives as long as the schedule, and keeps the tiles that cannot change any more.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    cache: TileCache,
    by_pipeline: Arc<Mutex<HashMap<&'static str, Box<dyn Any + Send>>>>,
    /// The first answer that was another one without the cache.
    wrong: Arc<Mutex<Option<String>>>,
}

impl Keeping {
    pub(super) fn new() -> Self {
        Self { cache: TileCache::new(1 << 20), by_pipeline: Arc::default(), wrong: Arc::default() }
    }

    /// `store` is the same each time.
    fn reader<P: Pipeline>(&self, store: &Arc<MemoryStore>, course: Course) -> Option<Reader<P>> {
        let mut by_pipeline = super::log::lock(&self.by_pipeline);
        let reader = by_pipeline
            .entry(P::SPEC.name)
            .or_insert_with(|| Box::new(fresh::<P>(store.clone(), course).caching(&self.cache)));
        reader.downcast_ref().cloned()
    }

    /// Roll whatever can be and ask about everything, of every key, so that tiles are kept; how many were. What is answered
    /// is compared with what a new reader answers, and the end by [`check`] with what it is to be.
    pub(super) async fn ask<P: Pipeline>(&self, store: &Arc<MemoryStore>, course: Course) -> murmur::Result<u64> {
        let Some(reader) = self.reader::<P>(store, course).filter(|_| P::tiling().finest() != Level::Forever) else {
            return Ok(0);
        };
        let fresh = fresh::<P>(store.clone(), course);
        let reader = reader.explaining();
        let keys: BTreeSet<_> = scan::<P>(&**store).await?.into_iter().map(|(id, _)| id.key).collect();
        let mut kept = 0;
        for key in keys {
            let Ok(key) = P::Key::decode(&key) else { continue };
            let everything = piece::<P>(course, PIECES[0]);
            reader.roll(&key, everything).await?;
            let answer = reader.range(&key, everything, Consistency::Eventual).await;
            if !agree(&answer, &fresh.range(&key, everything, Consistency::Eventual).await) {
                // It may be of a table that was put back less than a second ago; a strong answer has the records read again.
                drop(reader.range(&key, everything, Consistency::Strong).await);
                let again = reader.range(&key, everything, Consistency::Eventual).await;
                let right = fresh.range(&key, everything, Consistency::Strong).await;
                if !agree(&again, &right) {
                    let what = format!("`{}` of {key:?}: kept {again:?} and not {right:?}", P::SPEC.name);
                    super::log::lock(&self.wrong).get_or_insert(what);
                }
            }
            let explanation = answer.ok().and_then(|answer| answer.explanation).unwrap_or_default();
            kept += explanation.levels.iter().map(|reads| reads.kept).sum::<u64>();
        }
        Ok(kept)
    }
}

/// Whether two answers say the same, or both have none.
fn agree<R: WireField>(a: &murmur::Result<Answer<R>>, b: &murmur::Result<Answer<R>>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => alike(&a.value, &b.value) && a.is_present() == b.is_present(),
        (a, b) => a.is_err() && b.is_err(),
    }
}

/// A reader that knows nothing yet.
fn fresh<P: Pipeline>(store: Arc<dyn Store>, course: Course) -> Reader<P> {
    Reader::new(store, 1).clock(Arc::new(course.clock()))
}

/// From one minute to another, at edges of slots.
fn piece<P: Pipeline>(course: Course, (from, to): (i64, i64)) -> TimeRange {
    TimeRange::new(P::tiling().floor_slot(course.minute(from)), P::tiling().ceil_slot(course.minute(to)))
}

/// Roll something of one key, chosen by `rng` among those that are stored; nothing when there is none yet.
pub(super) async fn roll<P: Pipeline>(
    store: Arc<dyn Store>,
    stored: &MemoryStore,
    course: Course,
    range: TimeRange,
    rng: &std::sync::Mutex<fastrand::Rng>,
) -> Option<BoxFuture<'static, murmur::Result<u64>>> {
    let keys: BTreeSet<_> = scan::<P>(stored).await.ok()?.into_iter().map(|(id, _)| id.key).collect();
    let at = super::log::lock(rng).usize(..keys.len().max(1));
    let key = P::Key::decode(keys.iter().nth(at)?).ok()?;
    let reader = fresh::<P>(store, course);
    Some(Box::pin(async move { reader.roll(&key, range).await }))
}

/// Compare what readers answer about every key with the fold of what is kept: one that is new, and where there is one
/// one that has been there all the time and keeps tiles.
pub(super) async fn check<P: Pipeline>(
    store: &Arc<MemoryStore>,
    keeping: Option<&Keeping>,
    kept: &Kept<P>,
    course: Course,
) -> Result<(), String> {
    let tiling = P::tiling();
    if tiling.finest() == Level::Forever {
        return Ok(());
    }
    if let Some(wrong) = keeping.and_then(|keeping| super::log::lock(&keeping.wrong).clone()) {
        return Err(wrong);
    }
    let mut readers = vec![(fresh::<P>(store.clone(), course), Consistency::Strong)];
    if let Some(keeping) = keeping.and_then(|keeping| keeping.reader::<P>(store, course)) {
        // What it has read of the records is good for a second; a strong answer has it read again.
        readers.extend([(keeping.clone(), Consistency::Strong), (keeping, Consistency::Eventual)]);
    }
    let keys: BTreeSet<&str> = kept.keys().map(|(key, ..)| key.as_str()).collect();
    for key in keys {
        let id = P::Key::decode(key)?;
        for range in PIECES.map(|minutes| piece::<P>(course, minutes)) {
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
            let question = Question { as_of: range.end.min(course.clock().now()), ..Question::default() };
            for (reader, consistency) in &readers {
                match (reader.range(&id, range, *consistency).await, expected.reply(&question)) {
                    // The window is shorter than this piece.
                    (Err(error), _) if error.kind() == ErrorKind::InvalidArgument => {}
                    (Err(_), Err(_)) => {}
                    (Ok(answer), Ok(expected)) if alike(&answer.value, &expected) && answer.is_present() == present => {
                    }
                    (answer, expected) => {
                        return Err(format!(
                            "`{}` of {id:?} over {range:?}, {consistency:?}: {answer:?} and not {expected:?}",
                            P::SPEC.name
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}
