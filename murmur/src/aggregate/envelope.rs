//! What is stored around an encoded value.
//!
//! ```text
//! 1 byte   version = 1
//! n bytes  the value's own encoding
//! 4 bytes  crc32 of all before, little-endian
//! ```

use super::{DecodeError, Monoid};

const VERSION: u8 = 1;

/// The stored form of a value.
pub fn seal<M: Monoid>(value: &M) -> Vec<u8> {
    let mut out = vec![VERSION];
    value.encode(&mut out);
    let sum = crc32fast::hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The value's own bytes in a stored form.
pub fn unseal(stored: &[u8]) -> Result<&[u8], DecodeError> {
    let (body, sum) = stored.split_last_chunk::<4>().ok_or_else(|| DecodeError("a stored value was cut off".into()))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(DecodeError("a stored value does not match its checksum".into()));
    }
    match body.split_first() {
        Some((&VERSION, value)) => Ok(value),
        Some((version, _)) => {
            Err(DecodeError(format!("a stored value has version {version}; this release reads version {VERSION}")))
        }
        None => Err(DecodeError("a stored value is empty".into())),
    }
}
