//! The build step of Murmur.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     murmur_build::run()
//! }
//! ```
//!
//! It reads the crate's sources as rustc would, writes the contracts and what the macros need to know to
//! `OUT_DIR/murmur/`, and nothing outside it. What is wrong with a field is said by the macro, on the field; only what
//! no macro can say fails the build script.
//!
//! The crates that are read are the library, `src/main.rs`, and the binaries and examples that `Cargo.toml` spells
//! out. Others are named there, as is the protobuf package when it is not `<crate>.v1`:
//!
//! ```toml
//! [package.metadata.murmur]
//! package = "shop.orders.v1"
//! roots = ["examples/orders.rs"]
//! ```

#![allow(clippy::needless_doctest_main, reason = "the example is a whole build script")]

mod cfg;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "descriptor")]
mod descriptor;
mod manifest;
mod project;
#[cfg(any(feature = "client", feature = "descriptor"))]
mod proto;
mod report;
mod run;
mod scan;
mod sync;
mod synced;
mod walk;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

#[cfg(feature = "client")]
pub use client::client;
#[cfg(feature = "descriptor")]
pub use descriptor::descriptor;
pub use manifest::About;
pub use project::{Project, Root};
pub use report::{Finding, Report, Spot, Unparsed, Unreadable};
pub use sync::{Behind, How, Refused};
#[doc(hidden)]
pub use synced::check_synced;

/// The whole of a `build.rs`.
pub fn run() {
    Config::new().run();
}

/// The build step with other places than Cargo's, for tests.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Config {
    dir: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Config {
    /// As [`run`] does it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Read the package in this folder instead of the one whose build script is running.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Write here instead of `OUT_DIR/murmur`.
    pub fn out(mut self, out: impl AsRef<Path>) -> Self {
        self.out = Some(out.as_ref().to_owned());
        self
    }

    /// Read, write, and tell Cargo.
    #[allow(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]
    pub fn run(self) {
        let project = match &self.dir {
            Some(dir) => Project::open(dir),
            None => Project::of_build_script(),
        };
        let Some(out) = self.out.or_else(run::out_dir) else {
            println!("cargo::error=murmur: `OUT_DIR` is not set; call `murmur_build::run()` from `build.rs`");
            return;
        };
        let locked = std::env::var(run::LOCKED).is_ok_and(|value| value == "1");
        for line in run::run(project, &out, locked).0 {
            println!("{line}");
        }
    }
}
