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
