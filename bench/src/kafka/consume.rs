//! Plain consumers, as one would write them without Murmur: what reading alone costs, and reading with a count in a map.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Deserialize;
use serde_json::Map;

use super::stream::{PARTITIONS, Stream, text};
use super::{Found, Result};
use crate::resources::Meter;

/// Poll every message and look at its length.
pub(super) fn bare(stream: &Stream) -> Result<Found> {
    let mut bytes = 0u64;
    let (used, events) = each(stream, |payload| {
        bytes += payload.len() as u64;
        Ok(())
    })?;
    let mut more = Map::new();
    more.insert("bytes_per_event".into(), (bytes / events.max(1)).into());
    Ok(Found { used, events, exact: events == stream.events, more })
}

#[derive(Deserialize)]
struct View<'a> {
    page_id: &'a str,
    viewed_at: i64,
}

/// Decode, and count in a map of the standard library.
pub(super) fn decode(stream: &Stream) -> Result<Found> {
    let mut counts: HashMap<(String, i64), u64> = HashMap::new();
    let (used, events) = each(stream, |payload| {
        let view: View<'_> = serde_json::from_slice(payload).map_err(text)?;
        let hour = view.viewed_at - view.viewed_at % 3_600_000;
        *counts.entry((view.page_id.to_owned(), hour * 1_000)).or_insert(0) += 1;
        Ok(())
    })?;
    Ok(Found { used, events, exact: counts == stream.expected(), more: Map::new() })
}

fn each(stream: &Stream, mut see: impl FnMut(&[u8]) -> Result<()>) -> Result<(crate::resources::Used, u64)> {
    let mut config = stream.config();
    config.set("group.id", "bench").set("enable.auto.commit", "false").set("fetch.queue.backoff.ms", "1");
    let consumer: BaseConsumer = config.create().map_err(text)?;
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from.add_partition_offset(&stream.topic, partition, Offset::Beginning).map_err(text)?;
    }
    consumer.assign(&from).map_err(text)?;
    let meter = Meter::start();
    let mut events = 0;
    while events < stream.events {
        match consumer.poll(Duration::from_secs(20)) {
            Some(Ok(message)) => see(message.payload().unwrap_or_default())?,
            Some(Err(error)) => return Err(text(error)),
            None => return Err(format!("only {events} of {} events came", stream.events)),
        }
        events += 1;
    }
    Ok((meter.used(), events))
}
