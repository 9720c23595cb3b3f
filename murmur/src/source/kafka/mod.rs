#![doc = include_str!("docs.md")]

mod beginning;
mod binding;
mod config;
mod ending;
mod failure;
mod group;
mod held;
mod identity;
mod orphans;
mod properties;
mod queue;
mod report;
mod source;
mod taking;
mod topics;

pub use config::{Begin, Gap, Isolation, KafkaConfig, Rebalance};
pub(in crate::source) use failure::Failure;
pub(in crate::source) use identity::Place;
pub(in crate::source) use properties::{PREFIX, SECRET_FILES, brokers_and_topics, passed_through};
use source::KafkaSource;

use super::Source;
use crate::Result;

/// A reader of topics, which joins its group at the first poll. A process may have several, one a thread; each is a
/// member of the group.
///
/// Errors: [`Configuration`](crate::ErrorKind::Configuration) for properties that librdkafka does not know.
pub fn open(config: KafkaConfig) -> Result<Box<dyn Source>> {
    Ok(Box::new(KafkaSource::new(config)?))
}
