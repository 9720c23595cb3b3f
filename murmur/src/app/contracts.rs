/// What the build step made of a package's definitions.
#[derive(Debug, Clone, Copy)]
pub struct Contracts {
    /// A serialized `google.protobuf.FileDescriptorSet`: the package's own file and everything it imports.
    pub descriptor: &'static [u8],
    /// Every contract as a text, under the path that `cargo murmur sync` writes it to: `proto/.../x.proto`,
    /// `schema/dynamodb/<table>.json`, `schema/cloudformation.json`, `schema/terraform/<table>.tf.json`.
    pub files: &'static [(&'static str, &'static str)],
}

/// What `OUT_DIR/murmur/contracts.rs` is an expression of, which `murmur::main!` includes.
impl From<(&'static [u8], &'static [(&'static str, &'static str)])> for Contracts {
    fn from((descriptor, files): (&'static [u8], &'static [(&'static str, &'static str)])) -> Self {
        Self { descriptor, files }
    }
}
