//! What a worker rolls by itself: the keys that it wrote often, once the time that it wrote is over for good.
//!
//! Reads have rolled what they had to put together from many tiles (`query/roll.rs`); the same code does it here. This only
//! chooses: one key after the other, on the worker's own thread, when nothing else there can go on. It ends with the worker,
//! wherever it is.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::busy::{Busy, Worth};
use super::flush::Patience;
use super::partition::Owned;
use super::record::PartitionRecord;
use crate::pipeline::Pipeline;
use crate::query::Reader;
use crate::store::{Store, Write};
use crate::time::{Span, Tiling, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// How often a key is tried while the store cannot take it: some ten seconds.
const TRIES: u32 = 10;
/// Between two looks what holds rolling up.
const LOOK: Duration = Duration::from_secs(60);
/// Between two looks whether other partitions have come as far, or the store can take it again; each is twice as long as
/// the one before.
const AGAIN: Duration = Duration::from_secs(10);
const RARELY: Duration = Duration::from_secs(600);

/// Rolls for a pipeline that only the reader knows.
trait Roll: Send + Sync {
    /// Whether all partitions have passed this stretch for good.
    fn is_finished(&self, stretch: TimeRange) -> BoxFuture<'_, Result<bool>>;

    /// Roll what of a key is worth it; how many slots that were.
    fn roll<'a>(&'a self, key: &'a Arc<str>, stretch: TimeRange, worth: Worth) -> BoxFuture<'a, Result<u64>>;

    /// Have it measured and said which partition holds rolling up.
    fn look_what_holds(&self) -> BoxFuture<'_, Result<()>>;
}

impl<P: Pipeline> Roll for Reader<P> {
    fn is_finished(&self, stretch: TimeRange) -> BoxFuture<'_, Result<bool>> {
        Reader::is_finished(self, stretch).boxed()
    }

    fn roll<'a>(&'a self, key: &'a Arc<str>, stretch: TimeRange, worth: Worth) -> BoxFuture<'a, Result<u64>> {
        self.roll_busy(key, stretch, worth).boxed()
    }

    fn look_what_holds(&self) -> BoxFuture<'_, Result<()>> {
        Reader::look_what_holds(self).boxed()
    }
}

/// What is rolled of one pipeline.
pub(super) struct Part {
    pipeline: &'static str,
    tiling: Tiling,
    roller: Box<dyn Roll>,
    noted: Mutex<Noted>,
}

struct Noted {
    busy: Busy,
    /// What this worker's own partitions have reached, durably.
    reached: Option<Timestamp>,
}

impl Part {
    /// Of a pipeline in stretches of `every`, or of a tile where that is longer, remembering `most` bytes of keys; nothing
    /// where no level lies above its tiles.
    pub(super) fn new<P: Pipeline>(
        store: Arc<dyn Store>,
        generation: u32,
        every: Span,
        share: u64,
        most: usize,
    ) -> Option<Self> {
        let tiling = P::tiling();
        let (tile, _) = tiling.locate(Timestamp::EPOCH);
        let tile = tiling.tile_range(tile);
        let tile = tile.end.since(tile.start).as_micros() as u64;
        if tiling.parents().is_empty() {
            return None;
        }
        let every = Span::from_micros((every.as_micros().max(1) as u64).div_ceil(tile) * tile);
        let noted = Mutex::new(Noted { busy: Busy::new(every, share, most), reached: None });
        let roller = Box::new(Reader::<P>::over(store, generation));
        Some(Self { pipeline: P::SPEC.name, tiling, roller, noted })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Noted) -> T) -> T {
        // Nothing between lock and unlock can leave it half changed.
        work(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The oldest stretch that is over for this worker's own partitions.
    fn due(&self) -> Option<TimeRange> {
        self.with(|Noted { busy, reached }| {
            let stretch = busy.oldest()?;
            let (last, _) = self.tiling.locate(stretch.end.saturating_sub(Span::from_micros(1)));
            self.tiling.closes(last).is_some_and(|closes| *reached >= Some(closes)).then_some(stretch)
        })
    }
}

/// What all pipelines of a worker roll.
pub(super) struct Rolling {
    /// In the order of the pipelines; nothing for those that roll nothing.
    parts: Vec<Option<Part>>,
    patience: Patience,
    wake: Notify,
    rolled: AtomicU64,
    is_denied: AtomicBool,
}

impl Rolling {
    pub(super) fn new(parts: Vec<Option<Part>>, patience: Patience) -> Self {
        Self { parts, patience, wake: Notify::new(), rolled: AtomicU64::new(0), is_denied: AtomicBool::new(false) }
    }

    /// Slots that were rolled.
    pub(super) fn rolled(&self) -> u64 {
        self.rolled.load(Ordering::Relaxed)
    }

    /// A pipeline is about to write these.
    pub(super) fn note(&self, pipeline: usize, writes: &[Write]) {
        if let Some(part) = &self.parts[pipeline] {
            part.with(|noted| noted.busy.note(writes));
        }
    }

    /// What was read of these partitions is durable, as far as their records say.
    pub(super) fn reached(&self, owned: &[Owned]) {
        for (at, part) in self.parts.iter().enumerate() {
            let Some(part) = part else { continue };
            let records = owned.iter().map(|owned| &owned.ledgers[at].standing.record);
            let reached = PartitionRecord::reached_by_all(records);
            part.with(|noted| noted.reached = reached);
            if part.due().is_some() {
                self.wake.notify_one();
            }
        }
    }

    /// Roll what there is to be rolled, beside the worker's work. It never ends.
    pub(super) async fn go(&self) -> Infallible {
        loop {
            self.wake.notified().await;
            let mut pause = AGAIN;
            while self.is_left_over().await {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RARELY);
            }
        }
    }

    /// Look now and then what holds rolling up; the first worker of a process does for all of them. It never ends.
    pub(super) async fn look(&self, worker: u32) -> Infallible {
        if worker > 0 {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            for part in self.parts.iter().flatten() {
                if let Err(error) = part.roller.look_what_holds().await {
                    tracing::debug!(%error, pipeline = part.pipeline, "how far all partitions are cannot be read");
                }
            }
        }
    }

    /// The worker has come to the end of its source: roll what is finished by then.
    pub(super) async fn finish(&self) {
        if self.parts.iter().flatten().any(|part| part.due().is_some()) {
            tracing::info!(
                "all is read and durable; rolling what was busy and is finished, which a stop leaves to reads"
            );
            self.is_left_over().await;
        }
    }

    /// Roll all that is finished; whether something has to wait.
    async fn is_left_over(&self) -> bool {
        let mut waits = false;
        for part in self.parts.iter().flatten() {
            while let Some(stretch) = part.due() {
                if !self.is_done(part, stretch).await {
                    waits = true;
                    break;
                }
            }
        }
        waits
    }

    /// Roll a stretch of a pipeline; whether it is done with.
    async fn is_done(&self, part: &Part, stretch: TimeRange) -> bool {
        match part.roller.is_finished(stretch).await {
            Ok(true) => part.with(|noted| noted.busy.close(stretch, self.patience.random())),
            Ok(false) => return false,
            Err(error) if error.kind() == ErrorKind::Denied => {
                self.refused(part, &error);
                part.with(|noted| {
                    noted.busy.close(stretch, 0);
                    noted.busy.give_up();
                });
                return true;
            }
            Err(error) => {
                tracing::debug!(%error, pipeline = part.pipeline, "how far all partitions are cannot be read");
                return false;
            }
        }
        while let Some((stretch, key, worth)) = part.with(|noted| noted.busy.next()) {
            // Where the store answers at once, the worker's turn comes all the same.
            tokio::task::yield_now().await;
            match self.roll(part, &key, stretch, worth).await {
                Ok(slots) => {
                    self.rolled.fetch_add(slots, Ordering::Relaxed);
                    part.with(|noted| noted.busy.done());
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, pipeline = part.pipeline, "the store cannot take rolls now; they wait");
                    return false;
                }
                Err(error) if error.kind() == ErrorKind::Denied => {
                    self.refused(part, &error);
                    part.with(|noted| noted.busy.give_up());
                }
                Err(error) => {
                    tracing::debug!(%error, pipeline = part.pipeline, "rolling failed; a read asks for it again");
                    part.with(|noted| noted.busy.done());
                }
            }
        }
        true
    }

    /// Said once. Permissions come and go: the next stretch is tried again.
    fn refused(&self, part: &Part, error: &Error) {
        if !self.is_denied.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %error, pipeline = part.pipeline,
                "this worker may not roll what it wrote, and leaves it to reads; `--roll off` has it not try"
            );
        }
    }

    async fn roll(&self, part: &Part, key: &Arc<str>, stretch: TimeRange, worth: Worth) -> Result<u64> {
        let mut backoff = self.patience.backoff();
        for _ in 1..TRIES {
            match part.roller.roll(key, stretch, worth).await {
                Err(error) if error.is_retryable() => backoff.pause().await,
                definite => return definite,
            }
        }
        part.roller.roll(key, stretch, worth).await
    }
}
