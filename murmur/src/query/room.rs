//! How large an answer may be: its values are added up while they are made, so that nobody makes what is too large to be sent.

use crate::wire::WireField;
use crate::{Error, ErrorKind, Result};

/// Bytes that are left for the values of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    most: usize,
    taken: usize,
}

impl Default for Room {
    /// For an answer that nobody sends.
    fn default() -> Self {
        Self::of(usize::MAX)
    }
}

impl Room {
    pub(super) fn of(most: usize) -> Self {
        Self { most, taken: 0 }
    }

    /// Take the room of a value that the answer has so many times. What stands beside it in a message is not counted here.
    pub(super) fn take(&mut self, value: &impl WireField, times: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(value.field_len(1).saturating_mul(times));
        if self.taken > self.most {
            let most = self.most;
            let context = format!(
                "the reply would have more than {most} bytes; ask for fewer keys or a longer step, or look up fewer elements"
            );
            return Err(Error::new(ErrorKind::Oversize, context));
        }
        Ok(())
    }
}
