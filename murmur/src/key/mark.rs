use std::fmt;

use crate::aggregate::xxhash;

/// What stands for a key in logs and errors, where the key itself must not: `key~` and the XXH64 of its stored text, in
/// hexadecimal.
///
/// Whoever knows a key, from a call that failed or from a dead letter, finds its lines by it. It is not a secret: whoever
/// can guess the key can find out that it was this one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Of a key as it is stored, or of what stands in the place of one.
    pub fn of(key: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        Self(xxhash::hash(key.as_ref(), 0))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key~{:016x}", self.0)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s =/home | xxhsum -H64`.
    #[test]
    fn a_mark_is_what_xxhsum_says_of_the_stored_key() {
        assert_eq!(Mark::of("=/home").to_string(), "key~2cfb4509e0bede1c");
        assert_eq!(format!("{:?}", Mark::of("")), "key~ef46db3751d8e999");
    }
}
