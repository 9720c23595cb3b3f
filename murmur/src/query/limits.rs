use crate::{Error, ErrorKind, Result};

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys of one Many call.
    pub keys: usize,
    /// Items read for one request, of all its keys together, and points of one series. A key that is asked for twice
    /// counts once. They are read a page at a time, so it bounds the work of the store and not only memory.
    pub items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keys: 1_000, items: 20_000 }
    }
}

impl Limits {
    /// Refuse a Many call of more than [`keys`](Self::keys).
    pub fn check_keys(&self, asked: usize) -> Result<()> {
        if asked > self.keys {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("`keys` has {asked} keys; at most {} are possible, so split the call", self.keys),
            )
            .of_field("keys"));
        }
        Ok(())
    }

    /// Refuse to have read more than [`items`](Self::items) for so many different keys.
    pub fn check_items(&self, read: usize, keys: usize) -> Result<()> {
        if read > self.items {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                match keys {
                    1 => format!(
                        "the request needs more than {} stored items of one key, the most that one request may read; ask \
                         for a shorter interval",
                        self.items
                    ),
                    _ => format!(
                        "the request needs more than {} stored items of its {keys} keys together, the most that one \
                         request may read; split `keys` over several requests, or ask for a shorter interval",
                        self.items
                    ),
                },
            ));
        }
        Ok(())
    }

    /// Refuse a series of more than [`items`](Self::items) points.
    pub fn check_points(&self, points: u64) -> Result<()> {
        if points > self.items as u64 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("`step` makes {points} points; at most {} are possible, so take a longer step", self.items),
            )
            .of_field("step"));
        }
        Ok(())
    }
}
