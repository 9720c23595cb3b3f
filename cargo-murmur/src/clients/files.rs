//! Writes the files of a client, and takes those away that an earlier client had and this one has not.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// Relative to the client's folder, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Which files are ours: whatever else lies in the folder is left alone.
const LIST: &str = ".murmur-client";

/// Files of somebody else that stand where these would: no earlier client has made them, and they are not the same.
pub(super) fn of_others(folder: &Path, files: &[Made]) -> io::Result<Vec<PathBuf>> {
    let earlier = earlier(folder)?;
    let mut others = Vec::new();
    for Made { path, text } in files.iter().filter(|file| earlier.lines().all(|ours| ours != file.path)) {
        let path = folder.join(path);
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Ok(_) | Err(_) => others.push(path),
        }
    }
    Ok(others)
}

/// The list of an earlier client, if there is one.
fn earlier(folder: &Path) -> io::Result<String> {
    match fs::read_to_string(folder.join(LIST)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(String::new())
        }
        read => read,
    }
}

/// Write them all; equal ones are left as they are, so that builds see no change.
pub(super) fn write(folder: &Path, files: &[Made]) -> io::Result<()> {
    let earlier = earlier(folder)?;
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

fn is_name(part: Component<'_>) -> bool {
    matches!(part, Component::Normal(_))
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

    #[test]
    fn what_no_client_has_made_is_of_others_unless_it_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let made = |path: &str| Made { path: path.into(), text: path.into() };
        let others = || of_others(folder.path(), &[made("README.md"), made("src/a.py"), made("b.py")]).unwrap();
        fs::write(at("README.md"), "mine").unwrap();
        fs::write(at("b.py"), "b.py").unwrap();
        assert_eq!(others(), [at("README.md")]);
        fs::remove_file(at("README.md")).unwrap();
        write(folder.path(), &[made("README.md")]).unwrap();
        fs::write(at("README.md"), "changed, and to be made anew").unwrap();
        fs::write(at("src"), "a file in place of a folder").unwrap();
        assert_eq!(others(), Vec::<PathBuf>::new());
        fs::remove_file(at("src")).unwrap();
        fs::create_dir_all(at("src/a.py")).unwrap();
        assert_eq!(others(), [at("src/a.py")]);
    }
}
