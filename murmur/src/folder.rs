//! Folders that belong to one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// Locked while a process has the folder; holds that process's id for the message.
const LOCK: &str = "lock";

/// A folder held by this process, until the value is dropped or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Take a folder that is there. `what` it holds and the way out are for the message.
    pub(crate) fn take(folder: &Path, what: &str, way_out: &str) -> Result<Self> {
        let name = folder.display();
        let failed = |error: io::Error| {
            Error::new(ErrorKind::Io, format!("cannot lock the {what} in `{name}`")).with_source(error)
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(LOCK)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let holder = match file.read_to_string(&mut holder) {
                    Ok(bytes) if bytes > 0 => format!("process {}", holder.trim()),
                    _ => "another process".to_owned(),
                };
                let context =
                    format!("{holder} has the folder `{name}` of the {what}; stop that process, or {way_out}");
                return Err(Error::new(ErrorKind::Conflict, context));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing would not do: a process that another thread is starting just now has our files open too, until it
        // becomes its own program. An error leaves that for the end of the process.
        drop(self.file.unlock());
    }
}

/// A new or renamed file is durable only when its folder is.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_at_once_even_when_a_child_still_has_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let take = || FolderLock::take(folder.path(), "things", "share it");
        let lock = take().unwrap();
        let refused = take().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let who = format!("process {} has the folder `{}` of the things", std::process::id(), folder.path().display());
        assert_eq!(refused.to_string(), format!("{who}; stop that process, or share it"));
        let inherited = lock.file.try_clone().unwrap();
        drop(lock);
        take().unwrap();
        drop(inherited);
    }
}
