//! What is stored around an encoded value.
//!
//! ```text
//! 1 byte   version: 1, or 2 when events were refused
//! n bytes  version 2: which (`Refused`)
//! n bytes  the value's own encoding
//! 4 bytes  crc32 of all before, little-endian
//! ```

use super::{DecodeError, Monoid, Refused};

const PLAIN: u8 = 1;
const WITH_REFUSED: u8 = 2;

/// The stored form of a value.
pub fn seal<M: Monoid>(value: &M) -> Vec<u8> {
    seal_with(value, &Refused::default())
}

/// The stored form of a value, and of which events are not in it though they lie before its offset.
pub fn seal_with<M: Monoid>(value: &M, refused: &Refused) -> Vec<u8> {
    let mut out = Vec::new();
    if refused.is_empty() {
        out.push(PLAIN);
    } else {
        out.push(WITH_REFUSED);
        refused.encode(&mut out);
    }
    value.encode(&mut out);
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The value's own bytes in a stored form.
pub fn unseal(stored: &[u8]) -> Result<&[u8], DecodeError> {
    unseal_with(stored).map(|(value, _)| value)
}

/// The value's own bytes in a stored form, and the events that are not in it.
pub fn unseal_with(stored: &[u8]) -> Result<(&[u8], Refused), DecodeError> {
    let (body, sum) = stored.split_last_chunk::<4>().ok_or_else(|| DecodeError("a stored value was cut off".into()))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(DecodeError("a stored value does not match its checksum".into()));
    }
    match body.split_first() {
        Some((&PLAIN, value)) => Ok((value, Refused::default())),
        Some((&WITH_REFUSED, mut value)) => {
            let refused = Refused::decode(&mut value)?;
            Ok((value, refused))
        }
        Some((version, _)) => Err(DecodeError(format!(
            "a stored value has version {version}; this release reads versions {PLAIN} and {WITH_REFUSED}"
        ))),
        None => Err(DecodeError("a stored value is empty".into())),
    }
}
