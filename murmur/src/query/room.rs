//! How large an answer may be: its values are added up while they are made, so that nobody makes what is too large to be sent.

use crate::wire::WireField;
use crate::{Error, ErrorKind, Result};

/// Bytes that are left for the values of an answer, and for the partitions that it names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    most: usize,
    taken: usize,
    /// How many of those are for partitions.
    partitions: usize,
}

impl Default for Room {
    /// For an answer that nobody sends.
    fn default() -> Self {
        Self::of(usize::MAX)
    }
}

impl Room {
    pub(super) fn of(most: usize) -> Self {
        Self { most, taken: 0, partitions: 0 }
    }

    /// Take the room of partitions that `as_of` names with so many bytes, which a message does once: before anything is read.
    pub(super) fn take_partitions(&mut self, bytes: usize) -> Result<()> {
        self.partitions = bytes;
        self.add(bytes)
    }

    /// Take the room of a value that the answer has so many times. What else stands beside it in a message is not counted here.
    pub(super) fn take(&mut self, value: &impl WireField, times: usize) -> Result<()> {
        self.add(value.field_len(1).saturating_mul(times))
    }

    fn add(&mut self, bytes: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(bytes);
        let Self { most, taken, partitions } = *self;
        if taken <= most {
            return Ok(());
        }
        let of_them = match partitions {
            // Not what it is about.
            few if few < most / 8 => String::new(),
            bytes => format!(", {bytes} of them for the partitions that `as_of` names"),
        };
        let context = format!(
            "the reply would have more than {most} bytes{of_them}; ask for fewer keys or a longer step, or look up fewer elements"
        );
        Err(Error::new(ErrorKind::Oversize, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_partitions_have_the_room_of_a_message_together() {
        let value = "x".repeat(98);
        let mut room = Room::of(1_000);
        room.take_partitions(500).unwrap();
        room.take(&value, 5).unwrap();
        let error = room.take(&1u64, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Oversize);
        assert!(error.to_string().contains("500 of them for the partitions"), "{error}");
        let error = Room::of(1_000).take_partitions(1_001).unwrap_err();
        assert!(error.to_string().contains("1001 of them for the partitions"), "{error}");
    }
}
