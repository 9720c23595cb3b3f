use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::server::ServerBuilder;

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
    /// Keys that are watched, each as often as streams watch it, and once more for each KiB of what is asked of it; more are refused.
    pub(crate) watched: usize,
    /// Bytes of them and their answers that are kept, as replies have them, each once for all streams that watch it.
    pub(crate) watched_bytes: usize,
    /// How long a stream stands whose reader takes nothing.
    pub(crate) stall: Duration,
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
            watched_bytes: 128 << 20,
            stall: Duration::from_secs(300),
            age: None,
            idle: Duration::from_secs(300),
        }
    }
}

/// Places of which there are so many.
pub(super) fn places(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

/// What the port takes and gives at most.
impl ServerBuilder {
    /// Most bytes of the message of a request, decompressed; 1 MiB by default.
    #[must_use]
    pub fn max_request(mut self, bytes: usize) -> Self {
        // Frames say a length of four bytes.
        self.limits.request = bytes.min(u32::MAX as usize);
        self
    }

    /// Most bytes of the headers of a request: names and values, and 32 for each; 16 KiB by default. More are answered with the
    /// status 431.
    #[must_use]
    pub fn max_headers(mut self, bytes: usize) -> Self {
        self.limits.headers = bytes;
        self
    }

    /// Most streams that a connection by HTTP/2 may have open, calls with one reply among them; 256 by default. Clients are told,
    /// and wait or open another connection; who does not gets `REFUSED_STREAM`.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.limits.streams = streams;
        self
    }

    /// Most connections at a time; 1,024 by default. More wait until one of them ends.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.connections = connections;
        self
    }

    /// Most calls that are answered at the same time, and half as many of one caller who is [known](ServerBuilder::access); 1,024 by
    /// default. More wait, with the body of their request, and get `UNAVAILABLE`
    /// when there was no place within their deadline. A stream of replies is one until it has begun.
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.limits.calls = calls;
        self
    }

    /// Most keys that are watched at a time, each as often as streams watch it, and once more for each KiB of what is asked of it (the
    /// elements to look up); 100,000 by default. A stream that would be over it is refused with `RESOURCE_EXHAUSTED`, and so is one by
    /// which a caller that is known ([`access`](Self::access)) would watch more than it leaves free for others.
    #[must_use]
    pub fn max_watched(mut self, keys: usize) -> Self {
        self.limits.watched = keys;
        self
    }

    /// Most bytes of watched keys and their answers that are kept, as replies have them, each once for all streams that watch it, and the
    /// partitions that they name once for all answers that name the same; 128 MiB by default. They take up to about three times as much
    /// memory: as a key and a value, and in a reply of `Watch` and one of `WatchMany` where somebody has asked for these. A stream whose
    /// answer there is no room for, when it begins or when the value grows, ends with
    /// `RESOURCE_EXHAUSTED`; a caller that is known has no more than it leaves free for others, as of the keys.
    #[must_use]
    pub fn max_watched_bytes(mut self, bytes: usize) -> Self {
        self.limits.watched_bytes = bytes;
        self
    }

    /// How long a stream stands whose reader takes nothing of what there is for it; 5 minutes by default. Then it ends with `UNAVAILABLE`,
    /// and gives back what it holds; `Watch` can be resumed.
    #[must_use]
    pub fn max_stream_stall(mut self, stall: Duration) -> Self {
        self.limits.stall = stall;
        self
    }

    /// How old a connection gets, give or take a tenth: then its client is told (`GOAWAY`) to begin another one, as it may be one of a
    /// server that was not there before. Calls that have begun have 30 seconds to end, and streams are cut off after that. As old as
    /// its client likes by default.
    #[must_use]
    pub fn max_connection_age(mut self, age: Duration) -> Self {
        self.limits.age = Some(age);
        self
    }

    /// How long a connection is there that nothing is asked by; 5 minutes by default. Its client is told, and begins another one when
    /// it needs it. By HTTP/1.1 only an answer can say so: one that is asked for within ten seconds more. With [`access`](ServerBuilder::access), what a stranger asks is as nothing, health too.
    #[must_use]
    pub fn max_connection_idle(mut self, idle: Duration) -> Self {
        self.limits.idle = idle;
        self
    }

    #[cfg(feature = "app")]
    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
