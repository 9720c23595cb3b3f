#![doc = include_str!("docs.md")]

mod config;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod head;
mod lines;
mod listing;
mod manifest;
mod moved;
mod packing;
mod reader;
mod source;
mod stdin;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{Broken, Input, JsonlConfig};
use source::FileSource;
use stdin::StdinSource;

use super::{Records, Source};

/// The source that a configuration names. `records` keeps what must survive the process; give it the store that the
/// pipeline's tiles are in, so that positions and what they mean stay together.
pub fn open(config: JsonlConfig, records: Arc<dyn Records>) -> Box<dyn Source> {
    match &config.input {
        Input::Stdin => Box::new(StdinSource::new(&config, records, std::io::stdin())),
        Input::Path(path) => Box::new(FileSource::new(path.clone(), config, records)),
    }
}
