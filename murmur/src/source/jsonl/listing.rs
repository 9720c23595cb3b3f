use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::packing::Packing;
use crate::{Error, ErrorKind, Result};

/// Where the files are, in the file system.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The full path as given by the user's file system, for the manifest to remember.
    pub(super) root: String,
    /// The folder that paths in the manifest start from.
    base: PathBuf,
    /// The one file, when it is no folder.
    only: Option<String>,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// From the base, with `/`.
    pub(super) path: String,
    pub(super) size: u64,
    /// Which file it is, whatever its name, and when it was written to last: a number is given again.
    pub(super) identity: Identity,
}

/// Inode, and time of the last change in seconds and nanoseconds.
pub(super) type Identity = (u64, i64, i64);

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

impl Place {
    /// Resolve what the user wrote. An error when nothing is there.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
            Error::new(kind, format!("cannot read `{}`; name a file or a folder that is there", path.display()))
                .with_source(error)
        };
        // Before the path is resolved: that of a shell's `<(...)` leads to no name in the file system.
        let metadata = fs::metadata(path).map_err(failed)?;
        let is_folder = metadata.is_dir();
        if !is_folder && !metadata.is_file() {
            // It cannot be read twice, and has no size: as a file it would be an empty one.
            let context =
                format!("`{}` is neither a file nor a folder; give it to standard input and read `-`", path.display());
            return Err(Error::new(ErrorKind::Configuration, context));
        }
        let full = path.canonicalize().map_err(failed)?;
        let root = text(&full)?;
        if is_folder {
            return Ok(Self { root, base: full, only: None });
        }
        let base = full.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = full.file_name().map(Path::new).unwrap_or(&full);
        Ok(Self { root, base, only: Some(text(name)?) })
    }

    /// A file's path in the file system.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// All files of lines, in the order of their paths.
    pub(super) fn list(&self) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        match &self.only {
            Some(name) => match fs::metadata(self.path(name)) {
                Ok(metadata) => {
                    found.push(Found { path: name.clone(), size: metadata.len(), identity: identity(&metadata) })
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&self.path(name), error)),
            },
            None => self.list_folder(&self.base, &mut found)?,
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn list_folder(&self, folder: &Path, found: &mut Vec<Found>) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            let entry = entry.map_err(|error| unreadable(folder, error))?;
            let path = entry.path();
            let name = text(Path::new(&entry.file_name()))?;
            if name.starts_with('.') {
                continue;
            }
            let kind = entry.file_type().map_err(|error| unreadable(&path, error))?;
            // A link to a folder could lead round in a circle.
            if kind.is_dir() {
                self.list_folder(&path, found)?;
            } else if is_lines(&name) {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        let relative = path.strip_prefix(&self.base).unwrap_or(&path);
                        let path = text(relative)?.replace(std::path::MAIN_SEPARATOR, "/");
                        found.push(Found { path, size: metadata.len(), identity: identity(&metadata) });
                    }
                    // Gone between listing and looking, or a link to something else.
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unreadable(&path, error)),
                }
            }
        }
        Ok(())
    }
}

/// Whether a name in a folder is one of a file of lines.
fn is_lines(name: &str) -> bool {
    let inner = Packing::unpacked(name).unwrap_or(name);
    [".jsonl", ".ndjson", ".json"].iter().any(|ending| inner.ends_with(ending))
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let context = format!("`{}` is not a path in UTF-8; rename it", path.display());
        Error::new(ErrorKind::Configuration, context)
    })
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
    Error::new(kind, format!("cannot read `{}`", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_only_once_is_no_file() {
        let refused = Place::resolve(Path::new("/dev/null")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration);
        assert!(refused.to_string().contains("neither a file nor a folder"), "{refused}");
    }
}
