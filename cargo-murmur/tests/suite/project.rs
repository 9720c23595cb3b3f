use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// How a command ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub(crate) fn murmur(dir: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-murmur"));
    command.arg("murmur").args(arguments).current_dir(dir).env_remove("MURMUR_PATH");
    command.output().unwrap().into()
}

/// The workspace that these tests belong to.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A new project with the checkout's Murmur.
pub(crate) fn new_project() -> (TempDir, PathBuf) {
    named_project("page-traffic")
}

/// The same with a name of its own: in a shared target folder, Cargo tells packages apart by their names.
pub(crate) fn named_project(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let made = murmur(folder.path(), &["new", name, "--path", checkout().to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.err);
    let project = folder.path().join(name);
    (folder, project)
}

/// Replace a text in the project's `src/main.rs`.
pub(crate) fn edit(project: &Path, from: &str, to: &str) {
    edit_file(&project.join("src/main.rs"), from, to);
}

/// Replace a text in a file.
pub(crate) fn edit_file(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}
