//! From the log and the store to a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use murmur::engine::{Clock, SystemClock};
use murmur::pipeline::Pipeline;
use murmur::source::{Offset, PartitionId, Ruler};
use murmur::store::{DynamoStore, Item, TileId};
use murmur::time::{Span, Tile, Timestamp};

use super::Failure;
use super::arrivals::Arrivals;
use super::feed::Log;
use super::kafka::Cluster;
use super::letters::{self, Judged, Lacking, Letter};
use crate::oracle::{Closures, Difference, Truth, closures, difference, number, partition, renamed, scan};
use crate::pipelines::{Edited, Kinds, Reals, Singles, Tallies, Tick, Trail, Trails, decode};

/// What workers keep beside tallies and trails.
#[derive(Debug, Clone, Copy)]
pub(super) struct More {
    pub(super) singles: bool,
    pub(super) kinds: bool,
    pub(super) reals: bool,
    pub(super) editions: bool,
}

/// Which messages there are to be read, by partition and offset.
type Readable = Arc<dyn Fn(i32, u64) -> bool + Send + Sync>;

/// What is known of what was sent, and where it must stand.
#[derive(Clone)]
struct Given {
    log: Arc<Log>,
    store: Arc<DynamoStore>,
    /// When the log was made: what has expired by then is not sent again to be judged.
    now: Timestamp,
    /// Whether nobody looks at what has expired by then, whatever stands there.
    is_later: bool,
    readable: Readable,
}

impl Given {
    /// What there is to be read, by partition and offset.
    fn messages(&self) -> impl Iterator<Item = (i32, u64, &Vec<u8>)> {
        (0..).zip(self.log.iter()).flat_map(|(at, payloads)| {
            let all = (0..).zip(payloads).map(move |(offset, payload)| (at, offset, payload));
            all.filter(|(at, offset, _)| (self.readable)(*at, *offset))
        })
    }

    fn has_expired(&self, item: &Item) -> bool {
        item.expires.is_some_and(|at| at <= self.now)
    }
}

/// What must stand in the tables and in the topic of dead letters.
pub(super) struct Oracle {
    given: Given,
    more: More,
    keeps: Vec<Box<dyn Keeps>>,
}

impl Oracle {
    /// Of workers that keep tallies and trails, and more where it is said.
    pub(super) fn new(log: Log, store: Arc<DynamoStore>, more: More) -> Self {
        let readable: Readable = Arc::new(|_, _| true);
        let given = Given { log: Arc::new(log), store, now: SystemClock.now(), is_later: false, readable };
        Self::from(given, more)
    }

    fn from(given: Given, more: More) -> Self {
        let trail = |trail: &Trail| Some(trail.count);
        let mut keeps: Vec<Box<dyn Keeps>> = vec![
            Box::new(Table::<Tallies>::new(&given, |tally| Some(tally.count))),
            Box::new(Table::<Trails>::new(&given, trail)),
        ];
        if more.singles {
            keeps.push(Box::new(Table::<Singles>::new(&given, trail)));
        }
        if more.kinds {
            keeps.push(Box::new(Table::<Kinds>::new(&given, |_| None)));
        }
        if more.reals {
            keeps.push(Box::new(Table::<Reals>::new(&given, |_| None)));
        }
        if more.editions {
            keeps.push(Box::new(Table::<Edited>::new(&given, |_| None)));
        }
        Self { given, more, keeps }
    }

    /// Where only these messages, by partition and offset, were there to be read.
    pub(super) fn of(&self, readable: impl Fn(i32, u64) -> bool + Send + Sync + 'static) -> Self {
        Self::from(Given { readable: Arc::new(readable), ..self.given.clone() }, self.more)
    }

    /// When it is later than that, and what has expired by then need not be right.
    pub(super) fn at(&self, now: Timestamp) -> Self {
        Self::from(Given { now, is_later: true, ..self.given.clone() }, self.more)
    }

    /// What stands in the tables of tiles that have expired.
    pub(super) async fn leftovers(&self) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for table in &self.keeps {
            all.append(&mut table.leftovers().await?);
        }
        Ok(all)
    }

    /// The pipelines that workers keep.
    pub(super) fn pipelines(&self) -> impl Iterator<Item = &'static str> {
        self.keeps.iter().map(|table| table.name())
    }

    /// The keys of tiles that are closed.
    pub(super) async fn closed(&self) -> Result<Vec<String>, Failure> {
        let mut closed = BTreeSet::new();
        for table in &self.keeps {
            closed.append(&mut table.closed().await?);
        }
        Ok(closed.into_iter().collect())
    }

    /// How the tables differ from what must stand there, once everything has been read.
    pub(super) async fn difference(&self) -> Result<Difference, Failure> {
        let mut all = Difference::default();
        for table in &self.keeps {
            all.add(table.difference().await?);
        }
        Ok(all)
    }

    /// Nothing is committed that is not in the tables: for every tile, the last event below the commit is applied. The
    /// commits must be older than the reading of the tables.
    pub(super) async fn gap(&self, commits: &BTreeMap<i32, i64>) -> Result<Option<String>, Failure> {
        for table in &self.keeps {
            if let Some(gap) = table.gap(commits).await? {
                return Ok(Some(gap));
            }
        }
        Ok(None)
    }

    /// Whether exactly what cannot be counted lies in the topic, as it was sent.
    pub(super) async fn letters(&self, cluster: &Cluster, topic: &str) -> Result<Judged, Failure> {
        let mut lacking = Lacking::new();
        for table in &self.keeps {
            let refused = table.refused().await?;
            let of = |(at, offset): (PartitionId, Offset)| (number(&at), offset.words()[3], table.name().to_owned());
            lacking.extend(refused.into_iter().map(of));
        }
        let sent = |at: i32, offset: u64| self.given.log.get(at as usize)?.get(offset as usize);
        Ok(letters::judge(&lacking, sent, cluster.messages(topic)?.iter().map(Letter::from)))
    }

    /// How many emissions had expired, in all pipelines.
    pub(super) fn expired(&self) -> u64 {
        self.keeps.iter().map(|table| table.expired()).sum()
    }

    /// How many emissions came after their tile was closed to events in time, in all pipelines.
    pub(super) fn late(&self) -> u64 {
        self.keeps.iter().map(|table| table.late()).sum()
    }

    /// How many events lie more than an hour ahead of the clock.
    pub(super) fn ahead(&self) -> u64 {
        let ahead = self.given.now.saturating_add(Span::from_seconds(3_600));
        let ticks = self.given.messages().filter_map(|(.., payload)| decode(payload).ok());
        ticks.filter(|tick| tick.at > ahead).count() as u64
    }

    /// When the counts of each key come to their table.
    pub(super) fn arrivals(&self) -> Arrivals {
        let truth = truth::<Tallies>(&self.given, Closures::new());
        Arrivals::new(self.given.store.clone(), truth.reaches)
    }

    /// How many events were sent before.
    pub(super) fn repeated(&self) -> u64 {
        self.keeps.iter().map(|table| table.repeated()).sum()
    }

    /// How many messages cannot be counted in at least one pipeline.
    pub(super) fn bad(&self) -> u64 {
        self.keeps.iter().flat_map(|table| table.bad()).collect::<BTreeSet<_>>().len() as u64
    }

    /// How many messages were sent, whether or not they can be read.
    pub(super) fn sent(&self) -> u64 {
        self.given.log.iter().map(|payloads| payloads.len() as u64).sum()
    }
}

/// What a pipeline must keep.
trait Keeps: Send + Sync {
    fn name(&self) -> &'static str;
    fn expired(&self) -> u64;
    fn late(&self) -> u64;
    fn repeated(&self) -> u64;
    /// What cannot be counted whatever tiles are full.
    fn bad(&self) -> BTreeSet<(PartitionId, Offset)>;
    /// What is to be a dead letter, with tiles closed as they say.
    fn refused(&self) -> BoxFuture<'_, Result<BTreeSet<(PartitionId, Offset)>, Failure>>;
    fn closed(&self) -> BoxFuture<'_, Result<BTreeSet<String>, Failure>>;
    fn leftovers(&self) -> BoxFuture<'_, Result<Vec<String>, Failure>>;
    fn difference(&self) -> BoxFuture<'_, Result<Difference, Failure>>;
    fn gap<'a>(&'a self, commits: &'a BTreeMap<i32, i64>) -> BoxFuture<'a, Result<Option<String>, Failure>>;
}

/// The table of a pipeline, and what the log gives.
struct Table<P: Pipeline> {
    given: Given,
    /// With no tile closed.
    truth: Truth<P>,
    /// How many events are in a value, where that can be said.
    weigh: fn(&P::Aggregate) -> Option<u64>,
}

impl<P: Pipeline<Event = Tick>> Table<P> {
    fn new(given: &Given, weigh: fn(&P::Aggregate) -> Option<u64>) -> Self {
        Self { given: given.clone(), truth: truth(given, Closures::new()), weigh }
    }

    /// What stands there, and what must, where tiles are closed as they say.
    async fn read(&self) -> Result<(Vec<(TileId, Item)>, Truth<P>), Failure> {
        let mut items = scan::<P>(&*self.given.store).await?;
        items.retain(|(_, item)| !self.given.is_later || !self.given.has_expired(item));
        let closed = closures(&items, renamed);
        let truth = truth(&self.given, closed);
        Ok((items, truth))
    }
}

impl<P: Pipeline<Event = Tick>> Keeps for Table<P> {
    fn name(&self) -> &'static str {
        P::SPEC.name
    }

    fn expired(&self) -> u64 {
        self.truth.expired
    }

    fn late(&self) -> u64 {
        self.truth.late
    }

    fn repeated(&self) -> u64 {
        self.truth.repeated
    }

    fn bad(&self) -> BTreeSet<(PartitionId, Offset)> {
        self.truth.refused.clone()
    }

    fn refused(&self) -> BoxFuture<'_, Result<BTreeSet<(PartitionId, Offset)>, Failure>> {
        async move { Ok(self.read().await?.1.refused) }.boxed()
    }

    fn closed(&self) -> BoxFuture<'_, Result<BTreeSet<String>, Failure>> {
        async move {
            let closed = closures(&scan::<P>(&*self.given.store).await?, renamed);
            Ok(closed.into_keys().map(|(key, ..)| key).collect())
        }
        .boxed()
    }

    fn leftovers(&self) -> BoxFuture<'_, Result<Vec<String>, Failure>> {
        async move {
            let items = scan::<P>(&*self.given.store).await?;
            let expired = items.iter().filter(|(_, item)| self.given.has_expired(item));
            Ok(expired.map(|(id, item)| format!("{} {id} {item:?}", P::SPEC.name)).collect())
        }
        .boxed()
    }

    fn difference(&self) -> BoxFuture<'_, Result<Difference, Failure>> {
        async move {
            let (items, right) = self.read().await?;
            Ok(difference(&items, &right, self.weigh))
        }
        .boxed()
    }

    fn gap<'a>(&'a self, commits: &'a BTreeMap<i32, i64>) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        async move { Ok(gap_in(&self.truth, &scan::<P>(&*self.given.store).await?, commits)) }.boxed()
    }
}

/// What the log gives, with tiles closed as these are.
fn truth<P: Pipeline<Event = Tick>>(given: &Given, closed: Closures) -> Truth<P> {
    let mut truth = Truth::new(decode, Ruler::Offsets, given.now, closed);
    for (at, offset, payload) in given.messages() {
        truth.take(&partition(at), Offset::from_u64(offset), payload);
    }
    truth
}

/// Up to where each tile holds the events of a partition.
pub(super) fn applied(items: &[(TileId, Item)]) -> BTreeMap<(&str, Tile, i32), Offset> {
    let mut applied = BTreeMap::new();
    for (id, item) in items {
        for (partition, offset) in &item.offsets {
            applied.insert((&*id.key, id.tile, number(partition)), *offset);
        }
    }
    applied
}

fn gap_in<P: Pipeline>(truth: &Truth<P>, items: &[(TileId, Item)], commits: &BTreeMap<i32, i64>) -> Option<String> {
    let applied = applied(items);
    for ((key, tile), partitions) in &truth.reaches {
        for (at, offsets) in partitions {
            let commit = commits.get(&number(at)).copied().unwrap_or(0);
            let commit = Offset::from_u64(commit.cast_unsigned());
            let below = offsets.partition_point(|offset| *offset < commit);
            let Some(last) = below.checked_sub(1).map(|last| offsets[last]) else { continue };
            if applied.get(&(key.as_str(), *tile, number(at))).is_none_or(|applied| *applied < last) {
                let name = P::SPEC.name;
                return Some(format!("{commit} of partition {at} is committed, and {last} is not in `{name}` `{key}`"));
            }
        }
    }
    None
}
