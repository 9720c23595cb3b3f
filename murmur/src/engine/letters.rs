//! Dead letters on their way: held until they are judged, then stored before anything passes them.

use super::worker::Worker;
use crate::Result;
use crate::event::Event;
use crate::source::Letter;

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
        self.dead_letters.put(std::mem::take(&mut self.letters).waiting).await?;
        self.dead_letters.sync().await?;
        self.progress.letters_since = None;
        super::failpoint::reach("after_dead_letters");
        Ok(())
    }
}
