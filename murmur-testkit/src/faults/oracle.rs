//! From the log and the store to a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use murmur::engine::{Clock, SystemClock};
use murmur::pipeline::Pipeline;
use murmur::source::{Offset, PartitionId, Ruler};
use murmur::store::{DynamoStore, Item, TileId};
use murmur::time::Timestamp;

use super::feed::Log;
use super::kafka::{Cluster, whole};
use super::{Failure, Verdict};
use crate::oracle::{Closures, Difference, Truth, closures, compare, read, scan};
use crate::pipelines::{Singles, Tallies, Tick, Trails, decode};

/// What must stand in the tables and in the topic of dead letters.
pub(super) struct Oracle {
    tallies: Truth<Tallies>,
    trails: Truth<Trails>,
    /// Where workers keep it.
    singles: Option<Truth<Singles>>,
    log: Log,
    store: Arc<DynamoStore>,
    /// When the log was made: what has expired by then is not sent again to be judged.
    now: Timestamp,
}

fn partition(number: i32) -> PartitionId {
    PartitionId::new(number.to_string())
}

/// `k:<topic>:<number>` is the partition `<number>` here.
fn number(partition: &PartitionId) -> PartitionId {
    PartitionId::new(partition.as_str().rsplit(':').next().unwrap_or_default())
}

impl Oracle {
    pub(super) fn new(log: Log, store: Arc<DynamoStore>, has_singles: bool) -> Self {
        let now = SystemClock.now();
        Self {
            tallies: truth(&log, now, Closures::new()),
            trails: truth(&log, now, Closures::new()),
            singles: has_singles.then(|| truth(&log, now, Closures::new())),
            log,
            store,
            now,
        }
    }

    /// What stands in the table of a pipeline, and what must, where tiles are closed as they say.
    async fn table<P: Pipeline<Event = Tick>>(&self) -> Result<(Vec<(TileId, Item)>, Truth<P>), Failure> {
        let items = scan::<P>(&*self.store).await?;
        let closed = closures(&items, number);
        let truth = truth(&self.log, self.now, closed);
        Ok((items, truth))
    }

    /// The keys of tiles that are closed.
    pub(super) async fn closed(&self) -> Result<Vec<String>, Failure> {
        let mut closed = closures(&scan::<Tallies>(&*self.store).await?, number);
        closed.append(&mut closures(&scan::<Trails>(&*self.store).await?, number));
        Ok(closed.into_keys().map(|(key, ..)| key).collect())
    }

    /// How the tables differ from what must stand there, once everything has been read.
    pub(super) async fn difference(&self) -> Result<Difference, Failure> {
        let mut all = self.compare::<Tallies>(|tally| Some(tally.count)).await?;
        all.add(self.compare::<Trails>(|trail| Some(trail.count)).await?);
        if self.singles.is_some() {
            all.add(self.compare::<Singles>(|trail| Some(trail.count)).await?);
        }
        Ok(all)
    }

    async fn compare<P: Pipeline<Event = Tick>>(
        &self,
        weigh: impl Fn(&P::Aggregate) -> Option<u64>,
    ) -> Result<Difference, Failure> {
        let (items, right) = self.table::<P>().await?;
        Ok(match read::<P>(&items, number) {
            Ok(found) => compare::<P>(&right.kept, &found, weigh),
            Err(error) => Difference { other: 1, first: Some(error), ..Difference::default() },
        })
    }

    /// Nothing is committed that is not in the tables: for every tile, the last event below the commit is applied. The
    /// commits must be older than the reading of the tables.
    pub(super) async fn gap(&self, commits: &BTreeMap<i32, i64>) -> Result<Option<String>, Failure> {
        let tallies = scan::<Tallies>(&*self.store).await?;
        let trails = scan::<Trails>(&*self.store).await?;
        let gap = gap_in(&self.tallies, &tallies, commits).or_else(|| gap_in(&self.trails, &trails, commits));
        Ok(match &self.singles {
            Some(truth) if gap.is_none() => gap_in(truth, &scan::<Singles>(&*self.store).await?, commits),
            _ => gap,
        })
    }

    /// Whether exactly what cannot be counted lies in the topic, with its payload; how many, each once for each pipeline.
    pub(super) async fn letters(&self, cluster: &Cluster, topic: &str) -> Result<Result<u64, String>, Failure> {
        let mut right = self.refused::<Tallies>().await?;
        right.append(&mut self.refused::<Trails>().await?);
        if self.singles.is_some() {
            right.append(&mut self.refused::<Singles>().await?);
        }
        let mut found = BTreeSet::new();
        for message in cluster.messages(topic)? {
            let (payload, headers) = whole(&message);
            let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
            let (at, offset) = (header("murmur-source-partition"), header("murmur-source-offset"));
            let (Ok(at), Ok(offset)) = (at.parse::<i32>(), offset.parse::<u64>()) else {
                return Ok(Err(format!("a dead letter does not say where it was: {headers:?}")));
            };
            let sent = self.log.get(at as usize).and_then(|log| log.get(offset as usize));
            if sent != Some(&payload) {
                return Ok(Err(format!("the dead letter {at}@{offset} is not what was sent")));
            }
            for pipeline in header("murmur-pipelines").split(',') {
                found.insert((partition(at), Offset::from_u64(offset), pipeline.to_owned()));
            }
        }
        Ok(match (right.difference(&found).next(), found.difference(&right).next()) {
            (None, None) => Ok(found.len() as u64),
            (Some(missing), _) => Err(format!("no dead letter for {missing:?}")),
            (_, Some(extra)) => Err(format!("a dead letter that could be counted: {extra:?}")),
        })
    }

    /// What is to be a dead letter of a pipeline.
    async fn refused<P: Pipeline<Event = Tick>>(&self) -> Result<BTreeSet<(PartitionId, Offset, String)>, Failure> {
        let refused = self.table::<P>().await?.1.refused;
        Ok(refused.into_iter().map(|(partition, offset)| (partition, offset, P::SPEC.name.to_owned())).collect())
    }

    /// How many emissions had expired, in both pipelines.
    pub(super) fn expired(&self) -> u64 {
        self.tallies.expired + self.trails.expired
    }

    /// How many events were sent before.
    pub(super) fn repeated(&self) -> u64 {
        self.singles.as_ref().map_or(0, |truth| truth.repeated)
    }

    /// How many messages cannot be counted in at least one pipeline.
    pub(super) fn bad(&self) -> u64 {
        self.tallies.refused.union(&self.trails.refused).count() as u64
    }

    /// How many messages there are.
    pub(super) fn sent(&self) -> u64 {
        self.log.iter().map(|payloads| payloads.len() as u64).sum()
    }
}

/// What the log gives, with tiles closed as these are.
fn truth<P: Pipeline<Event = Tick>>(log: &Log, now: Timestamp, closed: Closures) -> Truth<P> {
    let mut truth = Truth::new(decode, Ruler::Offsets, now, closed);
    for (at, payloads) in log.iter().enumerate() {
        let partition = partition(at as i32);
        for (offset, payload) in payloads.iter().enumerate() {
            truth.take(&partition, Offset::from_u64(offset as u64), payload);
        }
    }
    truth
}

fn gap_in<P: Pipeline>(truth: &Truth<P>, items: &[(TileId, Item)], commits: &BTreeMap<i32, i64>) -> Option<String> {
    let mut applied: BTreeMap<(&str, murmur::time::Tile, PartitionId), Offset> = BTreeMap::new();
    for (id, item) in items {
        for (partition, offset) in &item.offsets {
            applied.insert((&id.key, id.tile, number(partition)), *offset);
        }
    }
    for ((key, tile), partitions) in &truth.reaches {
        for (at, offsets) in partitions {
            let commit = at.as_str().parse().ok().and_then(|at: i32| commits.get(&at)).copied().unwrap_or(0);
            let commit = Offset::from_u64(commit.cast_unsigned());
            let below = offsets.partition_point(|offset| *offset < commit);
            let Some(last) = below.checked_sub(1).map(|last| offsets[last]) else { continue };
            if applied.get(&(key.as_str(), *tile, at.clone())).is_none_or(|applied| *applied < last) {
                let name = P::SPEC.name;
                return Some(format!("{commit} of partition {at} is committed, and {last} is not in `{name}` `{key}`"));
            }
        }
    }
    None
}

/// What a difference amounts to.
pub(super) fn judge(difference: &Difference) -> Verdict {
    if difference.first.is_none() {
        Verdict::Exact
    } else if difference.under > 0 {
        Verdict::Under(difference.under)
    } else if difference.over > 0 {
        Verdict::Over(difference.over)
    } else {
        Verdict::Corrupt(difference.first.clone().unwrap_or_default())
    }
}
