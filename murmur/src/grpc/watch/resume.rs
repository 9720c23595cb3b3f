//! Where a stream stands, for whoever resumes it.
//!
//! ```text
//! 1 byte   version
//! 8 bytes  digest of what was sent last, for each key in their order; see `How::digest`
//! ```
//!
//! It says what its holder has, as an entity tag of HTTP does, and is nobody's secret. What is not known by it is sent: a
//! token of another request, of another version, or of nothing at all is one that knows nothing, and never an error.

use std::collections::HashSet;

const VERSION: u8 = 1;
const DIGEST: usize = size_of::<u64>();

/// Bytes of the token of so many keys.
pub(super) fn length(keys: usize) -> usize {
    1 + keys * DIGEST
}

/// The token of what was sent.
pub(super) fn write(sent: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    out.push(VERSION);
    sent.for_each(|digest| out.extend_from_slice(&digest.to_be_bytes()));
}

/// What the holder of a token has, of so many keys at most.
pub(super) fn read(token: &[u8], most: usize) -> HashSet<u64> {
    let Some((&VERSION, digests)) = token.split_first() else { return HashSet::new() };
    let (digests, _) = digests.as_chunks::<DIGEST>();
    digests.iter().take(most).map(|digest| u64::from_be_bytes(*digest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_its_holder_has_and_anything_else_says_nothing() {
        let mut token = Vec::new();
        write([7, u64::MAX, 7].into_iter(), &mut token);
        assert_eq!(token.len(), length(3));
        assert_eq!(read(&token, 3), HashSet::from([7, u64::MAX]));
        // Nobody holds more than can be asked for.
        assert_eq!(read(&token, 1), HashSet::from([7]));
        // Cut off: what is whole counts.
        assert_eq!(read(&token[..10], 3), HashSet::from([7]));
        token[0] = 2;
        for unknown in [&token[..], b"", b"\x01", b"garbage of any length at all"] {
            assert_eq!(read(unknown, 3), HashSet::new(), "{unknown:?}");
        }
    }
}
