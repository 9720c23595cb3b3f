use std::collections::HashSet;

use super::DecodeError;
use crate::source::Offset;

/// The events that a fold of Form B [refused](super::Monoid::refuses): where each stands, and why.
///
/// Whoever reads an item that is further than an event cannot tell any more whether the event is in it, so the item says
/// that itself, for good: with this too it is a function of the log up to its offset, whoever writes it.
///
/// ```text
/// varint n, n times:  varint length, why
///                     varint m, m offsets (`Offset::encode`), ascending
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused(Vec<(String, Vec<Offset>)>);

impl Refused {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remember an event, which lies behind all others or is one of them.
    pub fn note(&mut self, why: &str, offset: Offset) {
        let at = self.0.iter().position(|(known, _)| known == why).unwrap_or_else(|| {
            self.0.push((why.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        let offsets = &mut self.0[at].1;
        if offsets.last() < Some(&offset) {
            offsets.push(offset);
        }
    }

    /// Why the event at this offset was refused; `None` when it was not.
    pub fn why(&self, offset: Offset) -> Option<&str> {
        let of = self.0.iter().find(|(_, offsets)| offsets.binary_search(&offset).is_ok());
        of.map(|(why, _)| why.as_str())
    }

    /// Append the stored form.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let number = |n: usize, out: &mut Vec<u8>| prost::encoding::encode_varint(n as u64, out);
        number(self.0.len(), out);
        for (why, offsets) in &self.0 {
            number(why.len(), out);
            out.extend_from_slice(why.as_bytes());
            number(offsets.len(), out);
            offsets.iter().for_each(|offset| offset.encode(out));
        }
    }

    /// Read what [`encode`](Self::encode) wrote, from the front of `bytes`.
    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let all = *bytes;
        let refused = Self::read(bytes).filter(|refused| {
            let mut again = Vec::new();
            refused.encode(&mut again);
            refused.is_written() && all.strip_suffix(*bytes) == Some(&again)
        });
        refused.ok_or_else(|| DecodeError("a list of refused events is cut off or damaged".into()))
    }

    /// Whether it is one that [`note`](Self::note) makes: what is looked for in it is found.
    fn is_written(&self) -> bool {
        let mut known = HashSet::new();
        !self.is_empty()
            && self
                .0
                .iter()
                .all(|(why, offsets)| known.insert(why) && !offsets.is_empty() && offsets.is_sorted_by(|a, b| a < b))
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let number = |bytes: &mut &[u8]| usize::try_from(prost::encoding::decode_varint(bytes).ok()?).ok();
        let mut refused = Vec::new();
        for _ in 0..number(bytes)? {
            let length = number(bytes)?;
            let (why, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            let mut offsets = Vec::new();
            for _ in 0..number(bytes)? {
                let (offset, length) = Offset::decode(bytes)?;
                *bytes = bytes.get(length..)?;
                offsets.push(offset);
            }
            refused.push((String::from_utf8(why.to_vec()).ok()?, offsets));
        }
        Some(Self(refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Refused> {
        let mut rest = bytes;
        Refused::decode(&mut rest).ok().filter(|_| rest.is_empty())
    }

    #[test]
    fn what_is_not_written_is_not_read() {
        let mut refused = Refused::default();
        refused.note("why", Offset::from_u64(7));
        refused.note("", Offset::from_u64(8));
        refused.note("", Offset::from_u64(9));
        let mut bytes = Vec::new();
        refused.encode(&mut bytes);
        assert_eq!(bytes, b"\x02\x03why\x01\x01\x07\x00\x02\x01\x08\x01\x09");
        assert_eq!(read(&bytes), Some(refused));
        // No reason; one without an offset; out of order, where a search would miss; twice; a number in two bytes.
        let others: [&[u8]; 6] = [
            b"\0",
            b"\x01\x00\x00",
            b"\x01\x00\x02\x01\x09\x01\x08",
            b"\x01\x00\x02\x01\x08\x01\x08",
            b"\x02\x00\x01\x01\x07\x00\x01\x01\x08",
            b"\x81\x00\x00\x01\x01\x07",
        ];
        for bytes in others {
            assert_eq!(read(bytes), None, "{}", bytes.escape_ascii());
        }
        assert!(read(b"\x01\x00\x01\x01\x07").is_some());
    }
}
