//! Those who watch.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{SelectAll, Stream, StreamExt};
use murmur::grpc::Client;
use murmur::grpc::messages::WatchManyResponse;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tonic::transport::Endpoint;

use super::{OF_CONNECTION, Result, now, page};
use crate::views::{Views, ViewsKey};

/// The values of a stream as they come, each with its place among all that is watched.
type Values = Pin<Box<dyn Stream<Item = murmur::Result<Vec<(usize, u64)>>> + Send>>;

/// How many streams, and how many keys each of them watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) count: usize,
    pub(super) keys: usize,
}

/// Streams of one process. Neither they nor their connections are read but while one of the methods runs: between those they
/// are readers that have stopped.
pub(super) struct Readers {
    runtime: Runtime,
    streams: SelectAll<Values>,
    /// The last value of each key of each stream.
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
    pub(super) fn connect(url: &str, streams: Streams, keys: u64, ahead: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let opened = runtime.block_on(async {
            let mut opened = SelectAll::new();
            while opened.len() < streams.count {
                let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
                let channel = endpoint.initial_stream_window_size(ahead).connect().await;
                let client = Client::<Views>::new(channel.map_err(|error| error.to_string())?);
                for _ in 0..OF_CONNECTION.min(streams.count - opened.len()) {
                    let from = opened.len() * streams.keys;
                    let mut values =
                        watch(&client, from..from + streams.keys, keys).await.map_err(|e| e.to_string())?;
                    let first = values.next().await.ok_or("a stream without a snapshot")?;
                    first.map_err(|error| error.to_string())?;
                    opened.push(values);
                }
            }
            Ok::<_, String>(opened)
        })?;
        Ok(Self {
            runtime,
            streams: opened,
            last: vec![0; streams.count * streams.keys],
            received: 0,
            keys,
            delays: Vec::new(),
        })
    }

    /// Read until everything is written. A value is the time at which it was written.
    pub(super) fn read(&mut self, ended: &AtomicBool) -> Result<()> {
        let Self { runtime, streams, last, received, delays, .. } = self;
        runtime.block_on(async {
            let mut look = tokio::time::interval(Duration::from_millis(50));
            while !ended.load(Ordering::Acquire) {
                tokio::select! {
                    values = streams.next() => {
                        let values = values.ok_or("all streams have ended")?.map_err(|error| error.to_string())?;
                        for (place, value) in values {
                            delays.push(Duration::from_micros(now().saturating_sub(value)));
                            last[place] = value;
                            *received += 1;
                        }
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
        let wanted = |place: usize| wanted.get(&page(place as u64, *keys)).copied().unwrap_or_default();
        let mut missing = (0..last.len()).filter(|place| last[*place] != wanted(*place)).count();
        let end = Instant::now() + PATIENCE;
        runtime.block_on(async {
            while missing > 0 {
                let Ok(values) = tokio::time::timeout_at(end, streams.next()).await else { break };
                for (place, value) in values.ok_or("all streams have ended")?.map_err(|error| error.to_string())? {
                    let before = std::mem::replace(&mut last[place], value);
                    *received += 1;
                    missing += usize::from(before == wanted(place));
                    missing -= usize::from(value == wanted(place));
                }
            }
            Ok::<_, String>(())
        })?;
        self.delays.sort_unstable();
        Ok(Seen { delays: self.delays, received: self.received, is_right: missing == 0 })
    }
}

/// Watch what has these places: one key by `Watch`, several by `WatchMany`.
async fn watch(client: &Client<Views>, places: Range<usize>, keys: u64) -> murmur::Result<Values> {
    let key = |place| ViewsKey { page_id: page(place as u64, keys) };
    if places.len() == 1 {
        let place = places.start;
        let replies = client.watch(key(place), None).await?;
        return Ok(replies.map(move |reply| reply.map(|reply| vec![(place, reply.value)])).boxed());
    }
    let asked: Vec<ViewsKey> = places.clone().map(key).collect();
    let replies = client.watch_many(asked.clone(), None).await?;
    let values = move |(key, value): (Option<ViewsKey>, u64)| {
        let is_asked = |at: &usize| key.as_ref() == Some(&asked[*at]);
        (0..asked.len()).filter(is_asked).map(|at| (places.start + at, value)).collect::<Vec<_>>()
    };
    let changed = move |reply: WatchManyResponse<ViewsKey, u64>| {
        reply.entries.into_iter().flat_map(|entry| values((entry.key, entry.value))).collect()
    };
    Ok(replies.map(move |reply| reply.map(&changed)).boxed())
}
