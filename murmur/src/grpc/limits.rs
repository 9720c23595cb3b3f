use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// What a port takes and gives at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of the message of a request, decompressed.
    pub(crate) request: usize,
    /// Bytes of the headers of a request: of names and values, and 32 for each field, as HTTP/2 counts them.
    pub(crate) headers: usize,
    /// Streams that one connection by HTTP/2 may have open.
    pub(crate) streams: u32,
    /// Connections; more wait.
    pub(crate) connections: usize,
    /// Calls that are answered at the same time; more wait.
    pub(crate) calls: usize,
    /// Keys that are watched, each as often as streams watch it; more are refused.
    pub(crate) watched: usize,
    /// How old a connection gets, give or take a tenth; as old as its client likes without.
    pub(crate) age: Option<Duration>,
    /// How long a connection is there that nothing is asked by.
    pub(crate) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: 1 << 20,
            headers: 16 << 10,
            streams: 256,
            connections: 1_024,
            calls: 1_024,
            watched: 100_000,
            age: None,
            idle: Duration::from_secs(300),
        }
    }
}

/// Places of which there are so many.
pub(super) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
