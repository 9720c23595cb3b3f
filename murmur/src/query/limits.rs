use std::fmt;

use crate::{Error, ErrorKind, Result};

/// How much one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Keys of one Many call, and sets that are combined by one.
    pub keys: usize,
    /// Items read for one request, of all its keys together, and points of one series. A key that is asked for twice
    /// counts once. They are read a page at a time, so it bounds the work of the store and not only memory.
    pub items: usize,
    /// Tiles that are looked for for one request by their names, and ranges of tiles, of all its keys together, whether anything
    /// is there or not; and items that are read and turn out to be too many to be used.
    pub lookups: usize,
    /// Bytes of the items, as they are in memory. What is read by calls that run at the same time, of a page each, is there
    /// before it is counted.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keys: 1_000, items: 20_000, lookups: 100_000, bytes: 512 << 20 }
    }
}

/// Of what a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// So many different keys.
    Keys(usize),
    /// So many sets, which are combined.
    Sets(usize),
}

impl Of {
    /// What helps who asks for too much.
    const fn advice(self) -> &'static str {
        match self {
            Self::Keys(1) => "ask for a shorter interval",
            Self::Keys(_) => "split `keys` over several requests, or ask for a shorter interval",
            Self::Sets(_) => "combine fewer of `sets`, or sets of shorter intervals",
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(1) => f.write_str("one key"),
            Self::Keys(keys) => write!(f, "its {keys} keys together"),
            Self::Sets(sets) => write!(f, "its {sets} sets together"),
        }
    }
}

impl Limits {
    /// Refuse a Many call of more than [`keys`](Self::keys).
    pub fn check_keys(&self, asked: usize) -> Result<()> {
        if asked > self.keys {
            let most = self.keys;
            let why = format!("`keys` has {asked} keys; at most {most} are possible, so split the call");
            return Err(Error::new(ErrorKind::InvalidArgument, why).of_field("keys"));
        }
        Ok(())
    }

    /// The same of more sets.
    pub(super) fn check_sets(&self, asked: usize) -> Result<()> {
        if asked > self.keys {
            let why = format!("`sets` has {asked} sets; at most {} can be combined", self.keys);
            return Err(Error::new(ErrorKind::InvalidArgument, why).of_field("sets"));
        }
        Ok(())
    }

    /// Refuse to have read more than [`items`](Self::items).
    pub(super) fn check_items(&self, read: usize, of: Of) -> Result<()> {
        refuse(read, self.items, "stored items", of)
    }

    /// Refuse to have read more than [`bytes`](Self::bytes).
    pub(super) fn check_bytes(&self, read: usize, of: Of) -> Result<()> {
        refuse(read, self.bytes, "bytes of stored items", of)
    }

    /// Refuse to have made more than so many [`lookups`](Self::lookups).
    pub(super) fn check_lookups(&self, made: usize, of: Of) -> Result<()> {
        refuse(made, self.lookups, "look-ups in the store", of)
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

fn refuse(asked: usize, most: usize, what: &str, of: Of) -> Result<()> {
    if asked > most {
        let advice = of.advice();
        let why =
            format!("the request needs more than {most} {what} of {of}, the most that one request may read; {advice}");
        return Err(Error::new(ErrorKind::ResourceExhausted, why));
    }
    Ok(())
}
