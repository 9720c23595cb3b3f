use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Write files below a folder: only those whose bytes differ, so that nothing downstream looks newer than it is, and
/// remove what an earlier run left.
pub(crate) fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let mut wanted = BTreeSet::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if fs::read(&path).ok().as_deref() != Some(bytes) {
            fs::write(&path, bytes)?;
        }
        wanted.insert(path);
    }
    for path in below(folder)? {
        if !wanted.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// All files below a folder; none when it does not exist.
pub(crate) fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() { open.push(entry.path()) } else { out.push(entry.path()) }
        }
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_not_written_and_old_files_go() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("a/b.txt".to_owned(), b"one".to_vec()), ("c.txt".to_owned(), b"two".to_vec())];
        write_all(folder.path(), &files).unwrap();
        let kept = folder.path().join("a/b.txt");
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&kept).unwrap().set_modified(old).unwrap();

        write_all(folder.path(), &files[..1]).unwrap();
        assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), old);
        assert_eq!(below(folder.path()).unwrap(), [kept]);
    }
}
