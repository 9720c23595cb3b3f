//! What clients of other languages are generated from: the contract's own `.proto`, with the messages that all pipelines
//! share moved below its package.
//!
//! ```text
//! page_traffic/v1/page_traffic.proto      package page_traffic.v1
//! page_traffic/v1/murmur/types.proto      package page_traffic.v1.murmur; murmur.v1 in the contract
//! ```
//!
//! Several languages know one message of a name in a process, and end it, or take any of two, when there is another one:
//! clients of two programs, each with its `murmur.v1`, could not be used together. Names of messages are no part of what
//! is sent, so a server sees no difference.

use super::file::{File, Value};
use super::{Output, contract, descriptor, text};
use crate::diff::Review;
use crate::names;

/// The messages that move.
const SHARED: &str = "murmur/v1/types.proto";

/// The `.proto` files of a client.
pub struct Client {
    files: Vec<File>,
}

impl Client {
    /// Those of a package. `crate_name` names its file.
    pub fn of(review: &Review, crate_name: &str) -> Self {
        let package = &review.schema.package;
        let moved = format!("{package}.murmur");
        let moved_path = format!("{}/types.proto", moved.replace('.', "/"));
        let mut files = contract::fixed();
        files.retain(|file| file.path.starts_with("google/") || file.path == SHARED);
        files.push(contract::package(&review.schema, &review.lock, &names::file(package, crate_name)));
        for file in files.iter_mut().filter(|file| !file.path.starts_with("google/")) {
            if file.path == SHARED {
                file.path.clone_from(&moved_path);
                file.package.clone_from(&moved);
            }
            for field in file.messages.iter_mut().flat_map(|message| &mut message.fields) {
                if let Some(name) = field.ty.strip_prefix("murmur.v1.") {
                    field.ty = format!("{moved}.{name}");
                }
            }
            file.imports.iter_mut().filter(|path| *path == SHARED).for_each(|path| path.clone_from(&moved_path));
            // A file for each class is what users of Java expect.
            file.options.push(("java_multiple_files".into(), Value::Bool(true)));
        }
        Self { files }
    }

    /// The files that no compiler brings itself, relative to the root of imports, each after those it imports.
    pub fn protos(&self) -> Vec<Output> {
        let own = self.files.iter().filter(|file| !file.path.starts_with("google/"));
        own.map(|file| Output { path: file.path.clone(), text: text::text(file) }).collect()
    }

    /// A serialized `google.protobuf.compiler.CodeGeneratorRequest`: what protoc hands to a plugin, comments included.
    pub fn request(&self, parameter: &str) -> Vec<u8> {
        descriptor::request(&self.files, parameter)
    }
}
