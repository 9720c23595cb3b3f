use std::path::PathBuf;

use crate::Result;
use crate::location::{ByteSize, Location};

/// Where the store is and how much memory it may take.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The folder.
    pub path: PathBuf,
    /// Make the store when it is not there; otherwise that is an error.
    pub create: bool,
    /// Memory for pages.
    pub cache: ByteSize,
}

impl EmbeddedConfig {
    /// The store in this folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true, cache: ByteSize(128 << 20) }
    }

    /// From `embedded://PATH?cache=SIZE` or a plain path.
    pub fn parse(url: &str) -> Result<Self> {
        let options = url.parse::<Location>()?.take("embedded", &["cache"])?;
        let config = Self::new(&options.path);
        Ok(Self { cache: options.get("cache", config.cache)?, ..config })
    }
}
