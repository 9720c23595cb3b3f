#![doc = include_str!("docs.md")]

mod config;
mod failure;
mod folder;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use config::EmbeddedConfig;
pub use store::EmbeddedStore;
