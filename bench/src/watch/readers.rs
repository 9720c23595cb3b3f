//! Those who watch.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{SelectAll, Stream, StreamExt};
use murmur::grpc::Client;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tonic::transport::Endpoint;

use super::{OF_CONNECTION, Result, now, page};
use crate::views::{Views, ViewsKey};

/// The values of a stream, with its number.
type Values = Pin<Box<dyn Stream<Item = (usize, murmur::Result<u64>)> + Send>>;

/// Streams of one process. Neither they nor their connections are read but while one of the methods runs: between those they
/// are readers that have stopped.
pub(super) struct Readers {
    runtime: Runtime,
    streams: SelectAll<Values>,
    /// The last value of each stream.
    last: Vec<u64>,
    /// How many values there were, the snapshots not among them.
    received: usize,
    keys: u64,
    delays: Vec<Duration>,
}

/// What the readers of some streams had.
pub(super) struct Seen {
    /// From a write to its value, while there were writes, in order.
    pub(super) delays: Vec<Duration>,
    /// How many values.
    pub(super) received: usize,
    /// Whether each stream had what was written last.
    pub(super) is_right: bool,
}

/// How long readers may take to have what was written last.
const PATIENCE: Duration = Duration::from_secs(60);

impl Readers {
    /// Open so many streams, and read the snapshot of each. Of each stream the server may send so many bytes ahead of who
    /// reads it.
    pub(super) fn connect(url: &str, streams: usize, keys: u64, ahead: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let opened = runtime.block_on(async {
            let mut opened = SelectAll::new();
            while opened.len() < streams {
                let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
                let channel = endpoint.initial_stream_window_size(ahead).connect().await;
                let client = Client::<Views>::new(channel.map_err(|error| error.to_string())?);
                for _ in 0..OF_CONNECTION.min(streams - opened.len()) {
                    let number = opened.len();
                    let key = ViewsKey { page_id: page(number as u64, keys) };
                    let replies = client.watch(key, None).await.map_err(|error| error.to_string())?;
                    let mut values: Values = replies.map(move |reply| (number, reply.map(|reply| reply.value))).boxed();
                    let (_, first) = values.next().await.ok_or("a stream without a snapshot")?;
                    first.map_err(|error| error.to_string())?;
                    opened.push(values);
                }
            }
            Ok::<_, String>(opened)
        })?;
        Ok(Self { runtime, streams: opened, last: vec![0; streams], received: 0, keys, delays: Vec::new() })
    }

    /// Read until everything is written. A value is the time at which it was written.
    pub(super) fn read(&mut self, ended: &AtomicBool) -> Result<()> {
        let Self { runtime, streams, last, received, delays, .. } = self;
        runtime.block_on(async {
            let mut look = tokio::time::interval(Duration::from_millis(50));
            while !ended.load(Ordering::Acquire) {
                tokio::select! {
                    value = streams.next() => {
                        let (number, value) = value.ok_or("all streams have ended")?;
                        let value = value.map_err(|error| error.to_string())?;
                        delays.push(Duration::from_micros(now().saturating_sub(value)));
                        last[number] = value;
                        *received += 1;
                    }
                    _ = look.tick() => {}
                }
            }
            Ok(())
        })
    }

    /// Read until each has what was written last.
    pub(super) fn end(mut self, wanted: &HashMap<String, u64>) -> Result<Seen> {
        let Self { runtime, streams, last, received, keys, .. } = &mut self;
        let wanted = |number: usize| wanted.get(&page(number as u64, *keys)).copied().unwrap_or_default();
        let mut missing = (0..last.len()).filter(|number| last[*number] != wanted(*number)).count();
        let end = Instant::now() + PATIENCE;
        runtime.block_on(async {
            while missing > 0 {
                let Ok(value) = tokio::time::timeout_at(end, streams.next()).await else { break };
                let (number, value) = value.ok_or("all streams have ended")?;
                let value = value.map_err(|error| error.to_string())?;
                let before = std::mem::replace(&mut last[number], value);
                *received += 1;
                missing += usize::from(before == wanted(number));
                missing -= usize::from(value == wanted(number));
            }
            Ok::<_, String>(())
        })?;
        self.delays.sort_unstable();
        Ok(Seen { delays: self.delays, received: self.received, is_right: missing == 0 })
    }
}
