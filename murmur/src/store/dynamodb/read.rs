use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::failure::{Intent, failure};
use super::format::{self, Attributes};
use super::limiter::Overload;
use super::store::Inner;
use crate::store::{Consistency, Item, TileId};
use crate::time::{Level, TimeRange, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Keys that one BatchGetItem takes.
const BATCH: usize = 100;
/// Reads of one call that are under way together.
const AT_ONCE: usize = 16;
/// Rounds without any progress after which a batch that the store does not finish is given up.
const STALLED: u32 = 8;

/// What a Query is to find.
pub(super) struct Range {
    pub(super) partition: String,
    /// On `pk = :p` and the sort key.
    pub(super) condition: &'static str,
    pub(super) values: Vec<(&'static str, AttributeValue)>,
}

impl Range {
    /// Tiles of a key and level that start in `starts`, which is not empty, with all their parts.
    fn tiles(key: &str, level: Level, starts: TimeRange) -> Self {
        let (first, last) = format::encode_range(level, starts.start, starts.end);
        Self {
            partition: format::encode_key(key),
            condition: "pk = :p AND sk BETWEEN :a AND :b",
            values: vec![(":a", AttributeValue::S(first)), (":b", AttributeValue::S(last))],
        }
    }
}

/// How single tiles are fetched: one by one in batches, or as a stretch of their key's tiles.
#[derive(Debug, PartialEq, Eq)]
enum Fetch<'a> {
    Batch(Vec<&'a TileId>),
    Stretch(&'a str, Level, TimeRange),
}

impl Inner {
    /// One item, read strongly.
    pub(super) async fn read_one(&self, table: &str, key: Attributes) -> Result<Option<Attributes>> {
        let request = self.clients.reads.get_item().table_name(table).set_key(Some(key)).consistent_read(true);
        let request = request.return_consumed_capacity(Total);
        let answer = request.send().await.map_err(|error| failure(error, Intent::Read, table, &self.place))?;
        self.meter.read(answer.consumed_capacity());
        Ok(answer.item)
    }

    /// Single tiles, in their order.
    pub(super) async fn tiles(
        &self,
        table: &str,
        ids: &[TileId],
        consistency: Consistency,
    ) -> Result<Vec<Option<Item>>> {
        let fetches: Vec<_> = plan(ids).into_iter().map(|fetch| self.fetch(table, fetch, consistency)).collect();
        let found: Vec<Vec<Attributes>> = stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut items: HashMap<TileId, Item> = HashMap::new();
        for attributes in found.into_iter().flatten() {
            if let Some(id) = format::decode_id(&attributes)? {
                let (item, _) = format::decode_item(&id, attributes)?;
                items.insert(id, item);
            }
        }
        Ok(ids.iter().map(|id| items.get(id).cloned()).collect())
    }

    async fn fetch(&self, table: &str, fetch: Fetch<'_>, consistency: Consistency) -> Result<Vec<Attributes>> {
        match fetch {
            Fetch::Batch(ids) => self.batch(table, &ids, consistency).await,
            Fetch::Stretch(key, level, starts) => {
                self.query(table, Range::tiles(key, level, starts), usize::MAX, consistency).await
            }
        }
    }

    /// Up to [`BATCH`] items; DynamoDB answers as many as it likes, and is asked again for the others.
    async fn batch(&self, table: &str, ids: &[&TileId], consistency: Consistency) -> Result<Vec<Attributes>> {
        let mut keys: Vec<Attributes> = ids.iter().map(|id| format::tile_key(id)).collect();
        let mut found = Vec::with_capacity(keys.len());
        let (mut pause, mut stalled) = (Duration::from_millis(10), 0);
        loop {
            let asked = keys.len();
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(consistency == Consistency::Strong)
                .build()
                .map_err(|error| Error::new(ErrorKind::Internal, "a batch without keys").with_source(error))?;
            let answer = self.clients.reads.batch_get_item().request_items(table, wanted);
            let answer = answer.return_consumed_capacity(Total).send().await;
            let answer = answer.map_err(|error| failure(error, Intent::Read, table, &self.place))?;
            answer.consumed_capacity().iter().for_each(|capacity| self.meter.read(Some(capacity)));
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let left = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys);
            keys = left.collect();
            if keys.is_empty() {
                return Ok(found);
            }
            self.limiter.throttled(Overload::Table);
            stalled = if keys.len() < asked { 0 } else { stalled + 1 };
            if stalled == STALLED {
                let context =
                    format!("table `{table}` at {} does not answer {asked} keys: too much just now", self.place);
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// The first `limit` items of a range, in order.
    pub(super) async fn query(
        &self,
        table: &str,
        range: Range,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Vec<Attributes>> {
        let Range { partition, condition, values } = range;
        let mut request = self
            .clients
            .reads
            .query()
            .table_name(table)
            .key_condition_expression(condition)
            .expression_attribute_values(":p", AttributeValue::S(partition))
            .consistent_read(consistency == Consistency::Strong)
            .return_consumed_capacity(Total);
        for (name, value) in values {
            request = request.expression_attribute_values(name, value);
        }
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < limit {
            let page = request.clone().set_limit(page_limit(limit - found.len())).set_exclusive_start_key(after);
            let page = page.send().await.map_err(|error| failure(error, Intent::Read, table, &self.place))?;
            self.meter.read(page.consumed_capacity());
            found.extend(page.items.unwrap_or_default());
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Tiles of a key and level, in order.
    pub(super) async fn stretch(
        &self,
        table: &str,
        (key, level, starts): (&str, Level, TimeRange),
        limit: usize,
        consistency: Consistency,
    ) -> Result<Vec<(TileId, Item)>> {
        if starts.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.query(table, Range::tiles(key, level, starts), limit, consistency).await?;
        found.into_iter().filter_map(|attributes| tile(attributes).transpose()).collect()
    }

    /// The next `limit` tiles of the whole table.
    pub(super) async fn scan_page(
        &self,
        table: &str,
        after: Option<&TileId>,
        limit: usize,
    ) -> Result<Vec<(TileId, Item)>> {
        let (mut found, mut after) = (Vec::new(), after.map(format::tile_key));
        while found.len() < limit {
            let request = self.clients.reads.scan().table_name(table).consistent_read(true);
            let request = request.return_consumed_capacity(Total);
            let page = request.set_limit(page_limit(limit - found.len())).set_exclusive_start_key(after).send().await;
            let page = page.map_err(|error| failure(error, Intent::Read, table, &self.place))?;
            self.meter.read(page.consumed_capacity());
            for attributes in page.items.unwrap_or_default() {
                // Records lie between the tiles.
                found.extend(tile(attributes)?);
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

fn page_limit(limit: usize) -> Option<i32> {
    i32::try_from(limit).ok()
}

fn tile(attributes: Attributes) -> Result<Option<(TileId, Item)>> {
    let Some(id) = format::decode_id(&attributes)? else { return Ok(None) };
    let (item, _) = format::decode_item(&id, attributes)?;
    Ok(Some((id, item)))
}

/// The cheapest way to these tiles, each of them once.
///
/// A batch costs a read unit for each tile, there or not. A stretch costs one for every four kilobytes that lie in it,
/// wanted or not, which is about four tiles of numbers; but it is a request of its own. So it pays for three tiles and
/// more of one key, as long as they are no farther apart than four of their level: what lies at both ends of a window is
/// two stretches. Parts of tiles come from batches: how many partitions a tile has, nobody knows.
fn plan(ids: &[TileId]) -> Vec<Fetch<'_>> {
    let mut sorted: Vec<&TileId> = ids.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let (mut fetches, mut single) = (Vec::new(), Vec::new());
    let same = |a: &&TileId, b: &&TileId| a.key == b.key && a.tile.level == b.tile.level;
    for group in sorted.chunk_by(same) {
        let step = length(group);
        for run in group.chunk_by(|a, b| micros(b) - micros(a) <= 4 * step) {
            match stretch(run) {
                Some(starts) => fetches.push(Fetch::Stretch(&run[0].key, run[0].tile.level, starts)),
                None => single.extend_from_slice(run),
            }
        }
    }
    fetches.extend(single.chunks(BATCH).map(|ids| Fetch::Batch(ids.to_vec())));
    fetches
}

fn micros(id: &TileId) -> i64 {
    id.tile.start.as_micros()
}

/// How far apart tiles of this level are. Where that is up to the pipeline, as far as the nearest of these.
fn length(group: &[&TileId]) -> i64 {
    let nearest = || group.windows(2).map(|pair| micros(pair[1]) - micros(pair[0])).filter(|apart| *apart > 0).min();
    group[0].tile.level.length().or_else(nearest).unwrap_or(0)
}

/// From the first to the last of these tiles of one key, in order, if a request of its own is worth it.
fn stretch(run: &[&TileId]) -> Option<TimeRange> {
    let [first, _, .., last] = run else { return None };
    let end = Timestamp::from_micros(micros(last) + 1);
    run.iter().all(|id| id.part.is_none()).then(|| TimeRange::new(first.tile.start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tile;

    fn hour(key: &str, hour: i64) -> TileId {
        let start = Timestamp::from_seconds(3600 * hour);
        TileId { key: key.into(), tile: Tile { level: Level::Hour, start }, part: None }
    }

    #[test]
    fn dense_tiles_of_a_key_are_a_stretch_and_others_are_batched() {
        let scattered: Vec<TileId> = (0..150).map(|n| hour(&format!("k{n:03}"), 1)).collect();
        let batches = plan(&scattered);
        let sizes = batches.iter().map(|fetch| matches!(fetch, Fetch::Batch(ids) if ids.len() <= BATCH));
        assert!(batches.len() == 2 && sizes.into_iter().all(|fits| fits));

        let dense: Vec<TileId> = [5, 1, 3, 1].map(|n| hour("a", n)).into();
        let stretch = |from, to| {
            let end = Timestamp::from_micros(hour("a", to).tile.start.as_micros() + 1);
            Fetch::Stretch("a", Level::Hour, TimeRange::new(hour("a", from).tile.start, end))
        };
        assert_eq!(plan(&dense), [stretch(1, 5)]);

        // The hours at both ends of a window, the last of them alone.
        let ends: Vec<TileId> = [0, 1, 2, 500, 501, 505, 600].map(|n| hour("a", n)).into();
        assert_eq!(plan(&ends), [stretch(0, 2), stretch(500, 505), Fetch::Batch(vec![&ends[6]])]);
        let daily: Vec<TileId> = [0, 24, 48, 72].map(|n| hour("a", n)).into();
        assert_eq!(plan(&daily), [Fetch::Batch(daily.iter().collect())], "23 others lie between each two");
        let twice = [hour("a", 1), hour("a", 1)];
        assert_eq!(plan(&twice), [Fetch::Batch(vec![&twice[0]])], "DynamoDB refuses a key that stands twice");
        assert_eq!(plan(&[]), []);
    }
}
