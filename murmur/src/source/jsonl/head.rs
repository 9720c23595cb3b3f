use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

/// How an input begins: enough of it to tell another input from the same one grown longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many bytes were looked at.
    pub(super) length: usize,
    crc: u32,
}

impl Head {
    /// As many bytes as are ever looked at.
    pub(super) const MOST: usize = 4096;

    /// Of an input that begins with these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(Self::MOST)];
        Self { length: bytes.len(), crc: crc32fast::hash(bytes) }
    }

    /// Of an input, by reading its beginning.
    pub(super) fn read(input: impl Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(Self::MOST);
        input.take(Self::MOST as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// How an input ends at byte `at`, as far as it is looked at from there backwards.
    pub(super) fn ending(input: &mut (impl Read + Seek), at: u64) -> io::Result<Self> {
        let start = at.saturating_sub(Self::MOST as u64);
        input.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(Self::MOST);
        input.take(at - start).read_to_end(&mut bytes)?;
        Ok(Self::of(&bytes))
    }

    /// Whether an input that begins with `bytes` may be this one, grown longer.
    pub(super) fn fits(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.length).is_some_and(|bytes| crc32fast::hash(bytes) == self.crc)
    }
}
