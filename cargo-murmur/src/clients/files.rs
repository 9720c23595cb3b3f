//! Writes the files of a client, and takes those away that an earlier client had and this one has not.

use std::fs;
use std::io;
use std::path::Path;

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// Relative to the client's folder, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Which files are ours: whatever else lies in the folder is left alone.
const LIST: &str = ".murmur-client";

/// Write them all; equal ones are left as they are, so that builds see no change.
pub(super) fn write(folder: &Path, files: &[Made]) -> io::Result<()> {
    let earlier = fs::read_to_string(folder.join(LIST)).unwrap_or_default();
    // A path that leads out of the folder is not one that was written here.
    let inside = |path: &&str| !path.is_empty() && Path::new(path).components().all(is_name);
    for path in earlier.lines().filter(inside).filter(|path| files.iter().all(|file| file.path != *path)) {
        match fs::remove_file(folder.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let mut list = String::new();
    for Made { path, text } in files {
        put(&folder.join(path), text)?;
        list.push_str(path);
        list.push('\n');
    }
    put(&folder.join(LIST), &list)
}

fn is_name(part: std::path::Component<'_>) -> bool {
    matches!(part, std::path::Component::Normal(_))
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_made_any_more_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let made = |path: &str| Made { path: path.into(), text: path.into() };
        write(folder.path(), &[made("src/a.py"), made("b.py")]).unwrap();
        fs::write(at("mine.py"), "mine").unwrap();
        fs::write(at("../beside.py"), "beside").unwrap();
        let list = fs::read_to_string(at(LIST)).unwrap();
        fs::write(at(LIST), list + "../beside.py\nmine/../../beside.py\n").unwrap();
        write(folder.path(), &[made("b.py")]).unwrap();
        assert!(
            !at("src/a.py").exists() && at("b.py").exists() && at("mine.py").exists() && at("../beside.py").exists()
        );
        fs::remove_file(at("../beside.py")).unwrap();
    }
}
