//! Numbers of few bytes, and what has one before it.

use bytes::Buf;

/// Seven bits a byte, the lowest first; the high bit says that more follow.
pub(super) fn push_varint(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn take_varint(rest: &mut &[u8]) -> Option<u128> {
    let mut number = 0u128;
    for shift in (0..128).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        let bits = u128::from(byte & 0x7f);
        // The nineteenth byte has room for two bits only.
        if (bits << shift) >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_varint(out, bytes.len() as u128);
    out.extend_from_slice(bytes);
}

pub(super) fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_varint(rest)?.try_into().ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

/// A number of elements. Each takes at least so many bytes, which bounds what a wrong count can make a reader reserve.
pub(super) fn take_count(rest: &mut &[u8], least: usize) -> Option<usize> {
    let count: usize = take_varint(rest)?.try_into().ok()?;
    (count <= rest.len() / least).then_some(count)
}
