use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::{Error, ErrorKind};

/// What can go wrong between the store and its database: the database, or a value in it.
pub(super) enum Failure {
    Database(redb::Error),
    Value(Error),
}

impl Failure {
    /// As the caller of the store in `folder` reads it.
    pub(super) fn of(self, folder: &Path) -> Error {
        let error = match self {
            Self::Value(error) => return error,
            Self::Database(error) => error,
        };
        let kind = match &error {
            redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_) | redb::Error::TableTypeMismatch { .. } => {
                ErrorKind::Corrupt
            }
            redb::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => ErrorKind::Corrupt,
            redb::Error::Io(_) | redb::Error::PreviousIo => ErrorKind::Io,
            redb::Error::ValueTooLarge(_) => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Error::new(kind, format!("the store in `{}` failed", folder.display())).with_source(error)
    }
}

/// Read from the database of the store in `folder`. It panics at pages that make no sense, which is what a damaged file
/// has; for whoever asked, that is an error like others.
pub(super) fn guarded<T>(folder: &Path, read: impl FnOnce() -> Result<T, Failure>) -> Result<T, Error> {
    // What is read from is used again as it is: reading does not change it.
    catch_unwind(AssertUnwindSafe(read)).map_or_else(
        |_| {
            let context = format!(
                "the store in `{}` is damaged; restore it from a copy, or count the source again into a new one",
                folder.display()
            );
            Err(Error::new(ErrorKind::Corrupt, context))
        },
        |read| read.map_err(|failure| failure.of(folder)),
    )
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Value(error)
    }
}

macro_rules! from_database {
    ($($error:ident)*) => {$(
        impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Self::Database(error.into())
            }
        }
    )*};
}

from_database!(DatabaseError TransactionError TableError StorageError CommitError);
