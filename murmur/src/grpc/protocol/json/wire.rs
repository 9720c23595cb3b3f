//! Fields of a message as they stand in its bytes.

/// The value of a field, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// What is left of a message.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field: the bytes from it on, its number and its value. The outer `None` is for bytes that are no message.
    pub(super) fn next(&mut self) -> Option<Option<(&'a [u8], u32, Wire<'a>)>> {
        let rest = self.0;
        if rest.is_empty() {
            return Some(None);
        }
        let tag = u32::try_from(varint(&mut self.0)?).ok()?;
        let kind = match tag & 7 {
            0 => Wire::Varint(0),
            1 => Wire::Fixed64(0),
            2 => Wire::Bytes(&[]),
            5 => Wire::Fixed32(0),
            // Groups, which nobody writes any more.
            _ => return None,
        };
        let number = tag >> 3;
        (number > 0).then_some(())?;
        Some(Some((rest, number, kind.read(&mut self.0)?)))
    }
}

impl Wire<'_> {
    /// A value of the same wire type, taken off the bytes.
    pub(super) fn read<'a>(self, bytes: &mut &'a [u8]) -> Option<Wire<'a>> {
        Some(match self {
            Self::Varint(_) => Wire::Varint(varint(bytes)?),
            Self::Fixed64(_) => Wire::Fixed64(u64::from_le_bytes(*take(bytes)?)),
            Self::Fixed32(_) => Wire::Fixed32(u32::from_le_bytes(*take(bytes)?)),
            Self::Bytes(_) => {
                let length = usize::try_from(varint(bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                *bytes = rest;
                Wire::Bytes(value)
            }
        })
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}
