//! Where JSON is written: a buffer that takes no more than it may.

use std::io;
use std::ops::Range;

/// JSON so far, behind whatever was in the buffer before it.
pub(in super::super) struct Out {
    bytes: Vec<u8>,
    /// Most bytes of the buffer.
    most: usize,
    is_full: bool,
}

impl Out {
    /// Behind what is in this buffer, which has at most so many bytes then.
    pub(in super::super) fn behind(bytes: Vec<u8>, most: usize) -> Self {
        Self { bytes, most, is_full: false }
    }

    /// Whether something was left out, as there was no room for it.
    pub(in super::super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(in super::super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Append a byte; `None` when there is no room for it. So it is of the others.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) -> Option<()> {
        self.has_room_for(1)?;
        self.bytes.push(byte);
        Some(())
    }

    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Option<()> {
        self.has_room_for(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Some(())
    }

    /// Append what was written there before.
    pub(super) fn again(&mut self, written: Range<usize>) -> Option<()> {
        self.has_room_for(written.len())?;
        self.bytes.extend_from_within(written);
        Some(())
    }

    #[inline]
    fn has_room_for(&mut self, more: usize) -> Option<()> {
        let length = self.bytes.len().saturating_add(more);
        if length > self.bytes.capacity() {
            return self.grow(length);
        }
        self.is_within(length)
    }

    fn is_within(&mut self, length: usize) -> Option<()> {
        self.is_full |= length > self.most;
        (!self.is_full).then_some(())
    }

    /// As a vector grows, but not beyond what may be in it.
    fn grow(&mut self, length: usize) -> Option<()> {
        self.is_within(length)?;
        let capacity = self.bytes.capacity().saturating_mul(2).min(self.most).max(length);
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Some(())
    }
}

impl io::Write for Out {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend(bytes).ok_or_else(|| io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_what_it_may_and_not_one_byte_more_nor_memory_for_more() {
        for most in 0..200 {
            let mut out = Out::behind(Vec::new(), most);
            let written = (0..most).take_while(|n| if n % 2 == 0 { out.push(7) } else { out.extend(&[7]) }.is_some());
            assert_eq!((written.count(), out.is_full()), (most, false));
            assert!(out.bytes.capacity() <= most, "{most}: {}", out.bytes.capacity());
            assert!(out.again(0..0).is_some() && !out.is_full());
            assert!(out.push(7).is_none() && out.is_full());
            // What is full stays so: what fits by chance would be JSON with a gap.
            assert!(out.extend(&[]).is_none() && out.len() == most);
        }
    }
}
