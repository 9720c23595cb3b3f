//! From URLs to sources and stores.

use std::path::PathBuf;
use std::sync::Arc;

use super::cli::WorkerArgs;
use super::{App, GENERATION};
use crate::engine::Options;
use crate::location::Location;
use crate::source::jsonl::{self, JsonlConfig};
use crate::source::{DeadLetters, FileDeadLetters, Source};
use crate::store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store};
use crate::{Error, ErrorKind, Result};

/// The store at a URL.
pub(super) fn store(location: &Location) -> Result<Arc<dyn Store>> {
    Ok(match location.scheme() {
        _ if is_memory(location) => Arc::new(MemoryStore::new()),
        None | Some("embedded") => Arc::new(EmbeddedStore::open(&EmbeddedConfig::parse(&location.to_string())?)?),
        Some(scheme) => return Err(unknown(location, scheme, "store", "`embedded://FOLDER`, a folder, `memory:`")),
    })
}

fn is_memory(location: &Location) -> bool {
    location.scheme() == Some("memory") || (location.scheme().is_none() && location.path() == "memory:")
}

fn unknown(location: &Location, scheme: &str, what: &str, known: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("`{location}`: there is no {what} `{scheme}`; there are: {known}"))
}

/// The source at a URL, whose positions are kept in `store`.
pub(super) fn source(location: &Location, store: Arc<dyn Store>, until_end: bool) -> Result<Box<dyn Source>> {
    match location.scheme() {
        None | Some("file") => {
            let mut config = JsonlConfig::parse(&location.to_string())?;
            config.follow &= !until_end;
            Ok(jsonl::open(config, store))
        }
        Some(scheme) => Err(unknown(location, scheme, "source", "`file://PATH`, a file, a folder, `-`")),
    }
}

/// Where the dead letters go: where it was said, or beside the state.
pub(super) fn dead_letters(app: &App, args: &WorkerArgs, store: &Location) -> Result<Box<dyn DeadLetters>> {
    let folder = match &args.dead_letters {
        Some(folder) => folder.clone(),
        None if is_memory(store) => PathBuf::from(".murmur").join(app.name).join("dead-letters"),
        None => PathBuf::from(store.path()).join("dead-letters"),
    };
    Ok(Box::new(FileDeadLetters::open(folder)?))
}

/// How a worker goes about it.
pub(super) fn options(args: &WorkerArgs) -> Options {
    Options { flush_interval: args.flush_interval, generation: GENERATION, ..Options::default() }
}
