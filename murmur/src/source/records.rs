use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::Result;

/// The version of a durable [`Record`]: goes up by one at each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Where a [`Record`] lies: with what it is backed up and restored together.
///
/// What is said about the tiles of a table lies with them, or a table that was restored would have the progress of a
/// later one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shelf {
    /// With the tiles of the table of this name.
    Table(Arc<str>),
    /// With what is known of sources, whichever pipelines read them.
    Sources,
}

impl Shelf {
    /// In one word: the name of the table.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Table(name) => name,
            Self::Sources => "sources",
        }
    }
}

impl fmt::Display for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => write!(f, "table `{name}`"),
            Self::Sources => f.write_str("the sources"),
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A small named value that survives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub bytes: Vec<u8>,
    /// Its version.
    pub version: Version,
}

/// What became of a conditional write of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Written; this is its version now.
    Written(Version),
    /// Not written: the version was another one. This is what stands there.
    Refused(Option<Record>),
}

/// Small durable records with compare-and-set: partition records, manifests, ownership.
///
/// Every store is one. The trait stands here because sources need it (the manifest of a folder) and stores stand above them.
pub trait Records: Send + Sync {
    /// The record of this name, read strongly.
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>>;

    /// Write a record if its version is `expected` (`None`: if there is none yet). Durable when it returns.
    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>>;

    /// All records of a shelf whose names begin with `prefix`, in the order of their names, read strongly.
    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>>;
}
