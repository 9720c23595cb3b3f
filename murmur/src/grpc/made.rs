/// What the build step made of a package's definitions. [`ServerBuilder::contracts`](super::ServerBuilder::contracts) takes it, and
/// `murmur::main!` does so by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contracts {
    /// A serialized `google.protobuf.FileDescriptorSet`: the package's own file and everything it imports.
    pub descriptor: &'static [u8],
    /// Every contract as a text, under the path that `cargo murmur sync` writes it to: `proto/.../x.proto`,
    /// `schema/dynamodb/<table>.json`, `schema/cloudformation.json`, `schema/terraform/<table>.tf.json`,
    /// `schema/openapi.json`.
    pub files: &'static [(&'static str, &'static str)],
    /// The revision of Murmur's own messages.
    pub revision: u32,
    /// The full name of each service, and the fingerprints of the contracts whose clients it answers, the present one last.
    pub served: &'static [(&'static str, &'static [&'static str])],
}

/// What the build step writes.
type Written =
    (&'static [u8], &'static [(&'static str, &'static str)], u32, &'static [(&'static str, &'static [&'static str])]);

/// What `OUT_DIR/murmur/contracts.rs` is an expression of, which `murmur::main!` includes.
impl From<Written> for Contracts {
    fn from((descriptor, files, revision, served): Written) -> Self {
        Self { descriptor, files, revision, served }
    }
}
