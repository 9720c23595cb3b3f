//! Dead letters on their way: held until they are judged, then stored before anything passes them.

use super::failpoint::{self, Point};
use super::worker::Worker;
use crate::Result;
use crate::event::Event;
use crate::source::{Letter, LetterClass};

/// Dead letters on their way to their place: before the next flush, or when they are many.
#[derive(Default)]
pub(super) struct Letters {
    pub(super) waiting: Vec<Letter>,
    pub(super) bytes: usize,
    /// The breaker has let those go that wait now.
    released: bool,
    /// They were held back until they were too many, and only the newest is still here.
    pub(super) spilled: bool,
}

/// Bytes of dead letters that do not wait for the next flush.
pub(super) const LETTER_BYTES: usize = 16 << 20;
/// About what a letter has beside its payload.
const LETTER_OVERHEAD: usize = 256;

impl Letters {
    fn append(&mut self, letters: &mut Vec<Letter>) {
        self.bytes += letters.iter().map(|letter| letter.payload.len() + LETTER_OVERHEAD).sum::<usize>();
        self.released &= letters.is_empty();
        self.waiting.append(letters);
        if self.spilled {
            self.spill();
        }
    }

    /// Keep the newest, so that it is known that some wait.
    pub(super) fn spill(&mut self) {
        self.waiting.drain(..self.waiting.len().saturating_sub(1));
        (self.bytes, self.spilled) = (0, true);
    }
}

impl<E: Event> Worker<E> {
    /// Those of a batch. A pipeline that another one's letters make full flushes a little early.
    pub(super) fn add_letters(&mut self, letters: &mut Vec<Letter>) {
        self.lanes.iter_mut().for_each(|lane| lane.letters += letters.len());
        self.letters.append(letters);
    }

    /// Whether letters wait until it is known that they are not the beginning of the wrong source, and with them all that
    /// would be committed.
    pub(super) fn holds(&self) -> bool {
        !self.letters.waiting.is_empty() && !self.letters.released && self.breaker.holds()
    }

    /// Nothing comes that could say more.
    pub(super) fn judge_at_the_end(&mut self) -> Result<()> {
        self.breaker.check_at_the_end()?;
        self.release();
        Ok(())
    }

    /// Let those go that wait.
    pub(super) fn release(&mut self) {
        self.letters.released = !self.letters.waiting.is_empty();
        self.breaker.release();
    }

    pub(super) async fn sync_letters(&mut self) -> Result<()> {
        if self.letters.waiting.is_empty() {
            return Ok(());
        }
        // Said before, as it may take long.
        self.progress.letters_since = Some(self.clock.now());
        self.publish();
        let letters = std::mem::take(&mut self.letters).waiting;
        let (payloads, classes) = tallied(&letters, self.lanes.iter().map(|lane| lane.fold.pipeline()));
        self.dead_letters.put(letters).await?;
        self.dead_letters.sync().await?;
        self.progress.dead += payloads;
        for (lane, classes) in self.lanes.iter_mut().zip(classes) {
            lane.tally.dead.iter_mut().zip(classes).for_each(|(dead, more)| *dead += more);
        }
        self.progress.letters_since = None;
        failpoint::reach(Point::AfterDeadLetters);
        Ok(())
    }
}

/// Of how many payloads these are, and for each pipeline how many it has of each class. Letters of one payload, which are of
/// different pipelines, stand together.
fn tallied(
    letters: &[Letter],
    pipelines: impl Iterator<Item = &'static str>,
) -> (u64, Vec<[u64; LetterClass::ALL.len()]>) {
    let payloads = letters.chunk_by(|a, b| (&a.partition, a.offset) == (&b.partition, b.offset)).count() as u64;
    let classes = pipelines.map(|pipeline| {
        let of_it =
            |class| letters.iter().filter(|l| l.class == class && l.pipelines.contains(&pipeline)).count() as u64;
        LetterClass::ALL.map(of_it)
    });
    (payloads, classes.collect())
}
