//! Files of protobuf that are not ours.

use std::path::{Path, PathBuf};

/// The folder that the imports of a file are relative to.
pub(crate) fn root_of(proto: &Path) -> Result<PathBuf, String> {
    let text = std::fs::read_to_string(proto).map_err(|error| format!("cannot read {}: {error}", proto.display()))?;
    let package = text.lines().find_map(|line| line.trim().strip_prefix("package ")?.split(';').next());
    let package = package.ok_or_else(|| format!("{} has no `package ...;`", proto.display()))?;
    let folder = proto.parent().unwrap_or(Path::new(""));
    let depth = package.trim().split('.').count();
    let tail: PathBuf = package.trim().split('.').collect();
    if !folder.ends_with(&tail) {
        return Err(format!(
            "{} is of package `{package}`, so it belongs into a folder `{}`",
            proto.display(),
            tail.display()
        ));
    }
    Ok(folder.ancestors().nth(depth).unwrap_or(Path::new("")).to_owned())
}

#[allow(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]
pub(crate) fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
