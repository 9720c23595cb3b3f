use std::ops::Range;

use super::Batch;
use crate::time::Timestamp;

/// What stands beside a payload at its source, as places in the [`Batch`]'s buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// The key.
    pub key: Option<Range<usize>>,
    /// Names and values of the headers.
    pub headers: Vec<(Range<usize>, Option<Range<usize>>)>,
    /// When the source took the payload in, by the source's clock.
    pub stamped: Option<Timestamp>,
}

/// What stands beside a payload at its source: [`Beside`] with its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// Names and values of the headers, in their order; a name can stand there more than once.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// When the source took the payload in, by the source's clock.
    pub stamped: Option<Timestamp>,
}

/// What stands beside one payload, in its batch.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    buffer: &'a [u8],
    beside: Option<&'a Beside>,
}

impl Envelope<'_> {
    /// The key.
    pub fn key(&self) -> Option<&[u8]> {
        self.bytes(self.beside?.key.as_ref()?)
    }

    /// The last header of this name; `Some(None)` when it has no value.
    pub fn header(&self, name: &str) -> Option<Option<&[u8]>> {
        let mut headers = self.beside?.headers.iter().rev();
        let (_, value) = headers.find(|(found, _)| self.bytes(found) == Some(name.as_bytes()))?;
        Some(value.as_ref().and_then(|value| self.bytes(value)))
    }

    /// When the source took the payload in, by the source's clock.
    pub fn stamped(&self) -> Option<Timestamp> {
        self.beside?.stamped
    }

    fn bytes(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.buffer.get(range.clone())
    }
}

impl Batch {
    /// What stands beside the payload with this index; nothing when the source was not asked for it.
    pub fn envelope(&self, index: usize) -> Envelope<'_> {
        Envelope { buffer: &self.buffer, beside: self.beside.get(index) }
    }

    /// The same as [`envelope`](Self::envelope), to keep.
    pub fn metadata(&self, index: usize) -> Metadata {
        let Some(beside) = self.beside.get(index) else { return Metadata::default() };
        let bytes = |range: &Range<usize>| self.buffer[range.clone()].to_vec();
        let header = |(name, value): &(Range<usize>, Option<Range<usize>>)| {
            (String::from_utf8_lossy(&self.buffer[name.clone()]).into_owned(), value.as_ref().map(bytes))
        };
        Metadata {
            key: beside.key.as_ref().map(bytes),
            headers: beside.headers.iter().map(header).collect(),
            stamped: beside.stamped,
        }
    }
}
