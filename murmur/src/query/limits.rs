use crate::{Error, ErrorKind, Result};

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys of one Many call.
    pub keys: usize,
    /// Items read for one request, and points of one series.
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
            ));
        }
        Ok(())
    }

    /// Refuse to have read more than [`items`](Self::items).
    pub fn check_items(&self, read: usize) -> Result<()> {
        if read > self.items {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the request needs more than {} stored items; ask for a shorter interval or fewer keys",
                    self.items
                ),
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
            ));
        }
        Ok(())
    }
}
