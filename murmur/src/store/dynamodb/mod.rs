#![doc = include_str!("docs.md")]

mod config;
mod connect;
mod expression;
mod failure;
mod format;
mod limiter;
mod meter;
mod read;
mod records;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod write;

pub use config::DynamoConfig;
pub use store::DynamoStore;
