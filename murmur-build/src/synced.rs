use std::fs;
use std::path::Path;

use crate::write::below;

/// A test that the committed contracts are those of the source:
///
/// ```ignore
/// #[test]
/// fn contracts_are_synced() {
///     murmur_build::assert_synced!();
/// }
/// ```
///
/// It compares `proto/` and `schema/` of the package with what its build script made, and names the files that differ.
#[macro_export]
macro_rules! assert_synced {
    () => {
        if let ::core::result::Result::Err(message) =
            $crate::check_synced(::core::env!("OUT_DIR"), ::core::env!("CARGO_MANIFEST_DIR"))
        {
            ::core::panic!("{message}");
        }
    };
}

/// Compares what the build script made below `out_dir` with the package in `dir`.
pub fn check_synced(out_dir: &str, dir: &str) -> Result<(), String> {
    let made = Path::new(out_dir).join("murmur");
    let mut behind = Vec::new();
    for folder in ["proto", "schema"] {
        let files = below(&made.join(folder)).map_err(|error| format!("cannot read {}: {error}", made.display()))?;
        for file in files {
            let Ok(relative) = file.strip_prefix(&made) else { continue };
            if fs::read(&file).ok() != fs::read(Path::new(dir).join(relative)).ok() {
                behind.push(relative.display().to_string());
            }
        }
    }
    if !made.join("descriptor.binpb").is_file() {
        return Err("no contracts were made; add `fn main() { murmur_build::run() }` as `build.rs`".into());
    }
    if behind.is_empty() {
        return Ok(());
    }
    Err(format!("not up to date: {}; run `cargo murmur sync` and commit the result", behind.join(", ")))
}
