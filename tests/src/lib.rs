//! What the end-to-end tests share: the examples as processes, the addresses of the real services, and an oracle that
//! computes the answers from the input alone, without any code of Murmur.

pub mod certificates;
pub mod forward;
pub mod http;
pub mod kafka;
pub mod kafka_secured;
pub mod oracle;
pub mod process;
pub mod random;
pub mod services;
pub mod tools;

use std::path::PathBuf;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap_or_else(|_| PathBuf::from(".."))
}
