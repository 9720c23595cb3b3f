#![doc = include_str!("docs.md")]

mod client;
mod clock;
mod config;
mod connect;
mod expression;
mod failure;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod keys;
mod limiter;
mod meter;
mod number;
mod rate;
mod read;
mod records;
mod size;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod wire;
mod write;

pub use config::DynamoConfig;
pub use store::DynamoStore;
