//! What is simulated: the pipelines, their events, and what must come out.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use murmur::aggregate::Monoid;
use murmur::engine::{Clock, Decode, PartitionRecord, Worker, WorkerBuilder};
use murmur::pipeline::Pipeline;
use murmur::source::PartitionId;
use murmur::store::{MemoryStore, Store, Table};
use murmur::time::{TimeRange, Timestamp};

use super::answers::{self, Keeping};
use super::log::{Broker, Entry, lock};
use super::schedule::{BEGIN, StandingClock};
use super::store::Room;
use crate::oracle::{Truth, closures, compare, read, scan};
use crate::pipelines::{Balances, FILTERED, REFUSED, Singles, Tallies, Tick, Trails, decode};

/// The pipelines of a simulation, over one kind of event.
pub(super) trait Subject {
    type Event: murmur::event::Event;

    fn decode(&self) -> Decode<Self::Event>;

    /// The next payload of the log, about something that happened at this time.
    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8>;

    /// Of all pipelines, or without those that join later.
    fn build(&self, builder: WorkerBuilder<Self::Event>, all: bool) -> Worker<Self::Event>;

    /// The pipeline that has a flush interval of its own, now and then.
    fn slow(&self) -> &'static str;

    /// Roll something of one of the pipelines.
    fn roll<'a>(
        &'a self,
        store: Arc<dyn Store>,
        stored: &'a MemoryStore,
        range: TimeRange,
        rng: &'a Mutex<fastrand::Rng>,
    ) -> BoxFuture<'a, Option<BoxFuture<'static, murmur::Result<u64>>>>;

    /// Ask the readers that keep tiles; how many tiles they had.
    fn ask<'a>(&'a self, store: &'a Arc<MemoryStore>, keeping: &'a Keeping) -> BoxFuture<'a, murmur::Result<u64>>;

    /// Compare what is stored with what the log gives; how many times a tile was closed to a partition, or what is wrong.
    fn judge<'a>(
        &'a self,
        broker: &'a Broker,
        store: &'a Arc<MemoryStore>,
        keeping: Option<&'a Keeping>,
        room: Option<Room>,
    ) -> BoxFuture<'a, Result<u64, String>>;
}

/// The pipelines of the testkit.
pub(super) struct Own;

impl Subject for Own {
    type Event = Tick;

    fn decode(&self) -> Decode<Tick> {
        decode
    }

    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8> {
        let amount = match rng.u32(..40) {
            0 => return b"not a tick".to_vec(),
            1 => REFUSED,
            2 => FILTERED,
            _ => rng.u64(1..1_000),
        };
        Tick { key: rng.u64(..4).to_string(), at, amount }.to_payload()
    }

    fn build(&self, builder: WorkerBuilder<Tick>, all: bool) -> Worker<Tick> {
        let builder = builder.pipeline::<Tallies>().pipeline::<Balances>();
        let builder = if all { builder.pipeline::<Trails>().pipeline::<Singles>() } else { builder };
        builder.build()
    }

    fn slow(&self) -> &'static str {
        Trails::SPEC.name
    }

    fn roll<'a>(
        &'a self,
        store: Arc<dyn Store>,
        stored: &'a MemoryStore,
        range: TimeRange,
        rng: &'a Mutex<fastrand::Rng>,
    ) -> BoxFuture<'a, Option<BoxFuture<'static, murmur::Result<u64>>>> {
        let clock = Arc::new(StandingClock);
        let which = lock(rng).u8(..3);
        match which {
            0 => answers::roll::<Tallies>(store, stored, clock, range, rng).boxed(),
            1 => answers::roll::<Trails>(store, stored, clock, range, rng).boxed(),
            _ => answers::roll::<Singles>(store, stored, clock, range, rng).boxed(),
        }
    }

    fn ask<'a>(&'a self, store: &'a Arc<MemoryStore>, keeping: &'a Keeping) -> BoxFuture<'a, murmur::Result<u64>> {
        let (begin, clock) = (Timestamp::from_seconds(BEGIN), Arc::new(StandingClock));
        async move {
            Ok(keeping.ask::<Tallies>(store, begin, clock.clone()).await?
                + keeping.ask::<Trails>(store, begin, clock.clone()).await?
                + keeping.ask::<Singles>(store, begin, clock).await?)
        }
        .boxed()
    }

    fn judge<'a>(
        &'a self,
        broker: &'a Broker,
        store: &'a Arc<MemoryStore>,
        keeping: Option<&'a Keeping>,
        room: Option<Room>,
    ) -> BoxFuture<'a, Result<u64, String>> {
        async move {
            let tallies = judge_one::<Tallies>(broker, store, keeping, decode, room, |tally| Some(tally.count)).await?;
            let trails = judge_one::<Trails>(broker, store, keeping, decode, room, |trail| Some(trail.count)).await?;
            let singles = judge_one::<Singles>(broker, store, keeping, decode, room, |trail| Some(trail.count)).await?;
            let balances = judge_one::<Balances>(broker, store, keeping, decode, room, |_| None).await?;
            Ok(tallies + trails + singles + balances)
        }
        .boxed()
    }
}

/// A pipeline of the user.
pub(super) struct One<P: Pipeline, F> {
    pub(super) decode: Decode<P::Event>,
    pub(super) payload: F,
}

impl<P: Pipeline, F: Fn(&mut fastrand::Rng, Timestamp) -> Vec<u8> + Sync> Subject for One<P, F> {
    type Event = P::Event;

    fn decode(&self) -> Decode<P::Event> {
        self.decode
    }

    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8> {
        (self.payload)(rng, at)
    }

    fn build(&self, builder: WorkerBuilder<P::Event>, _: bool) -> Worker<P::Event> {
        builder.pipeline::<P>().build()
    }

    fn slow(&self) -> &'static str {
        P::SPEC.name
    }

    fn roll<'a>(
        &'a self,
        store: Arc<dyn Store>,
        stored: &'a MemoryStore,
        range: TimeRange,
        rng: &'a Mutex<fastrand::Rng>,
    ) -> BoxFuture<'a, Option<BoxFuture<'static, murmur::Result<u64>>>> {
        answers::roll::<P>(store, stored, Arc::new(StandingClock), range, rng).boxed()
    }

    fn ask<'a>(&'a self, store: &'a Arc<MemoryStore>, keeping: &'a Keeping) -> BoxFuture<'a, murmur::Result<u64>> {
        keeping.ask::<P>(store, Timestamp::from_seconds(BEGIN), Arc::new(StandingClock)).boxed()
    }

    fn judge<'a>(
        &'a self,
        broker: &'a Broker,
        store: &'a Arc<MemoryStore>,
        keeping: Option<&'a Keeping>,
        room: Option<Room>,
    ) -> BoxFuture<'a, Result<u64, String>> {
        judge_one::<P>(broker, store, keeping, self.decode, room, |_| None).boxed()
    }
}

async fn judge_one<P: Pipeline>(
    broker: &Broker,
    store: &Arc<MemoryStore>,
    keeping: Option<&Keeping>,
    decode: Decode<P::Event>,
    room: Option<Room>,
    weigh: impl Fn(&P::Aggregate) -> Option<u64>,
) -> Result<u64, String> {
    let name = P::SPEC.name;
    let items = scan::<P>(&**store).await.map_err(|error| error.to_string())?;
    let closed = closures(&items, PartitionId::clone);
    let times = closed.len() as u64;
    if let Some((key, tile, partition)) = closed.keys().find(|(key, ..)| room.is_none_or(|room| room.of(key).is_none()))
    {
        return Err(format!("`{name}` `{key}` {tile:?} has room, and is closed to {partition}"));
    }
    let mut truth = Truth::<P>::new(decode, broker.ruler(), StandingClock.now(), closed);
    let table = Table::new(name, 1);
    for (partition, log) in &broker.partitions {
        let standing = PartitionRecord::load(&**store, &table, partition).await.map_err(|error| error.to_string())?;
        truth.begin(partition, standing.record.floor);
        for Entry { offset, payload } in log {
            truth.take(partition, *offset, payload);
            let at = (partition.clone(), *offset);
            let (times, right) = (broker.letters.count(partition, *offset, name), truth.refused.contains(&at));
            if times != usize::from(right) {
                return Err(format!("the dead letter {partition} {offset} of `{name}` is there {times} times"));
            }
        }
    }
    let found = read::<P>(&items, PartitionId::clone)?;
    let difference = compare::<P>(&truth.kept, &found, weigh);
    if let Some(first) = difference.first {
        let form = P::Aggregate::FORM;
        let verdict = match (difference.under, difference.over) {
            (0, 0) => "CORRUPT".to_owned(),
            (0, over) => format!("OVER({over})"),
            (under, _) => format!("UNDER({under})"),
        };
        return Err(format!("{form:?} {verdict}: {first}"));
    }
    answers::check::<P>(store, keeping, &found, Timestamp::from_seconds(BEGIN), Arc::new(StandingClock)).await?;
    for (partition, log) in &broker.partitions {
        let standing = PartitionRecord::load(&**store, &table, partition).await.map_err(|error| error.to_string())?;
        let end = log.last().map(|entry| entry.offset);
        if standing.record.commit < end {
            return Err(format!(
                "`{name}` has read {partition} to its end {end:?}, and its record says {:?}",
                standing.record.commit
            ));
        }
    }
    Ok(times)
}
