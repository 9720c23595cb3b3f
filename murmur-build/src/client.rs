use std::path::{Path, PathBuf};

/// Make Rust clients from a `.proto` alone, for those who call a Murmur service and do not have its source.
///
/// ```no_run
/// // build.rs
/// fn main() {
///     murmur_build::client("proto/page_traffic/v1/page_traffic.proto").unwrap();
/// }
/// ```
/// ```ignore
/// // src/lib.rs
/// tonic::include_proto!("client");
///
/// use page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient;
/// ```
///
/// The root of imports is the nearest folder above the file that its package fits into: `proto/` here. No `protoc` is
/// needed: protox reads the file, and tonic's generator writes the code to `OUT_DIR`. The crate itself depends on
/// `tonic`, `tonic-prost`, `prost` and `prost-types`.
pub fn client(proto: impl AsRef<Path>) -> Result<(), Box<dyn std::error::Error>> {
    let proto = proto.as_ref();
    let root = root_of(proto)?;
    let descriptors = protox::compile([proto], [&root])?;
    watch(&root);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(true)
        .include_file("client.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

/// The folder that the imports of a file are relative to.
fn root_of(proto: &Path) -> Result<PathBuf, String> {
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
fn watch(root: &Path) {
    println!("cargo::rerun-if-changed={}", root.display());
}
