use std::fs;
use std::path::{Path, PathBuf};

use crate::proto;

/// Compile a `.proto` into a descriptor of its messages, for payloads that are written so and have no Rust types.
///
/// ```no_run
/// // build.rs
/// fn main() {
///     murmur_build::run();
///     murmur_build::descriptor("proto/shop/v1/page_view.proto").unwrap();
/// }
/// ```
/// ```ignore
/// // src/main.rs
/// murmur::main!(
///     page_traffic: descriptor(include_bytes!(concat!(env!("OUT_DIR"), "/page_view.bin")), "shop.v1.PageView")
/// );
/// ```
///
/// The file in `OUT_DIR` has the name of the `.proto` with `.bin`, and all imports inside. Their root is the nearest
/// folder above the file that its package fits into (`proto/` here), or the file's own folder when none does. No `protoc`
/// is needed.
pub fn descriptor(path: impl AsRef<Path>) -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::var_os("OUT_DIR").ok_or("`OUT_DIR` is not set; call `descriptor` from `build.rs`")?;
    write(path.as_ref(), Path::new(&out))?;
    Ok(())
}

fn write(path: &Path, out: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let root = match proto::root_of(path) {
        Ok(root) => root,
        // What cannot be read has no folder either.
        Err(_) if path.is_file() => match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        },
        Err(error) => return Err(error.into()),
    };
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).open_file(path)?;
    let name = path.file_stem().ok_or_else(|| format!("{} is no file", path.display()))?;
    let written = out.join(name).with_extension("bin");
    fs::write(&written, compiler.encode_file_descriptor_set())?;
    // Not the root, which may be the package with its target folder.
    compiler.files().filter_map(|file| file.path()).for_each(proto::watch);
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_has_the_imports_wherever_the_file_lies() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("proto/shop/v1")).unwrap();
        fs::create_dir(at("flat")).unwrap();
        let view = "syntax = \"proto3\"; package shop.v1; import \"PATHpage.proto\"; \
                    import \"google/protobuf/timestamp.proto\"; message View { Page page = 1; }";
        let page = "syntax = \"proto3\";\npackage shop.v1;\nmessage Page { string id = 1; }";
        for (folder, path) in [("proto/shop/v1", "shop/v1/"), ("flat", "")] {
            fs::write(at(folder).join("view.proto"), view.replace("PATH", path).replace("; ", ";\n")).unwrap();
            fs::write(at(folder).join("page.proto"), page).unwrap();
            let written = write(&at(folder).join("view.proto"), &at(folder)).unwrap();
            assert_eq!(written, at(folder).join("view.bin"));
            let bytes = fs::read(written).unwrap();
            let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(has("View") && has("Page") && has("seconds"), "{folder}");
        }
        let error = write(&at("flat/none.proto"), &at("flat")).unwrap_err().to_string();
        assert!(error.contains("none.proto"), "{error}");
    }
}
