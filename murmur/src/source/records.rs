use futures_util::future::BoxFuture;

use crate::Result;

/// The version of a durable [`Record`]: goes up by one at each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

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
/// Every store is one. It stands here because sources need it (the manifest of a folder) and stores stand above them.
pub trait Records: Send + Sync {
    /// The record of this name, read strongly.
    fn record<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>>;

    /// Write a record if its version is `expected` (`None`: if there is none yet). Durable when it returns.
    fn put_record<'a>(
        &'a self,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>>;

    /// Names of all records that begin with `prefix`, sorted.
    fn record_names<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>>>;
}
