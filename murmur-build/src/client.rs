use std::path::Path;

use crate::proto;

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
pub fn client(path: impl AsRef<Path>) -> Result<(), Box<dyn std::error::Error>> {
    let path = path.as_ref();
    let root = proto::root_of(path)?;
    let descriptors = protox::compile([path], [&root])?;
    proto::watch(&root);
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(true)
        .include_file("client.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
