//! What is simulated: the pipelines, their events, and what must come out.

use std::marker::PhantomData;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use murmur::aggregate::Monoid;
use murmur::engine::{Clock, Decode, PartitionRecord, Worker, WorkerBuilder};
use murmur::pipeline::Pipeline;
use murmur::source::PartitionId;
use murmur::store::{Item, MemoryStore, Store, Table, TileId};
use murmur::time::{Level, Slot, TimeRange, Timestamp};

use super::answers::{self, Keeping};
use super::course::Course;
use super::log::{Broker, Entry, lock};
use super::store::Room;
use crate::oracle::{Truth, Verdict, closures, compare, read, scan};
use crate::pipelines::{
    Balance, Balances, Crowd, FILTERED, MonthBalances, MonthCrowds, MonthTallies, MonthTrails, PANICS_READING, REFUSED,
    Singles, Swing, Swings, Tallies, Tally, Tick, Trail, Trails, decode,
};

/// The pipelines of a simulation, over one kind of event.
pub(super) trait Subject {
    type Event: murmur::event::Event;

    /// How event time passes.
    fn course(&self) -> Course;

    fn decode(&self) -> Decode<Self::Event>;

    /// The next payload of the log, about something that happened at this time.
    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8>;

    /// Of all pipelines, or without those that join later.
    fn build(&self, builder: WorkerBuilder<Self::Event>, all: bool) -> Worker<Self::Event>;

    /// The names of all.
    fn pipelines(&self) -> Vec<&'static str>;

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

    /// Compare what is stored with what the log gives; the error says what is wrong.
    fn judge<'a>(&'a self, ended: &'a Ended<'a>) -> BoxFuture<'a, Result<Judged, String>>;
}

/// What is left of a schedule.
pub(super) struct Ended<'a> {
    pub(super) broker: &'a Broker,
    pub(super) store: &'a Arc<MemoryStore>,
    pub(super) keeping: Option<&'a Keeping>,
    pub(super) room: Option<Room>,
}

/// What was found in tables that are right.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Judged {
    /// Times that a tile was closed to a partition.
    pub(super) closed: u64,
    /// Slots of months and of several days that were rolled.
    pub(super) rolled_high: u64,
    /// Slots that were marked as unrolled.
    pub(super) unrolled: u64,
}

impl AddAssign for Judged {
    fn add_assign(&mut self, other: Self) {
        self.closed += other.closed;
        self.rolled_high += other.rolled_high;
        self.unrolled += other.unrolled;
    }
}

/// Four pipelines of the testkit.
pub(super) struct Own<A, B, C, D> {
    course: Course,
    pipelines: PhantomData<Makes<A, B, C, D>>,
}

/// It names pipelines, and has none.
type Makes<A, B, C, D> = fn() -> (A, B, C, D);

/// Those over hours.
pub(super) type Hours = Own<Tallies, Balances, Trails, Singles>;
/// Those over hours, with a value that comes back to what it was.
pub(super) type Swinging = Own<Tallies, Swings, Trails, Singles>;
/// Those over months.
pub(super) type Months = Own<MonthTallies, MonthBalances, MonthTrails, MonthCrowds>;

impl Hours {
    pub(super) const NEW: Self = Self { course: Course::Hours, pipelines: PhantomData };
}

impl Swinging {
    pub(super) const NEW: Self = Self { course: Course::Hours, pipelines: PhantomData };
}

impl Months {
    pub(super) const NEW: Self = Self { course: Course::Months, pipelines: PhantomData };
}

/// A value that says how many events are in it, where it can.
pub(super) trait Weigh {
    fn weigh(&self) -> Option<u64>;
}

impl Weigh for Tally {
    fn weigh(&self) -> Option<u64> {
        Some(self.count)
    }
}

impl Weigh for Trail {
    fn weigh(&self) -> Option<u64> {
        Some(self.count)
    }
}

impl Weigh for Crowd {
    fn weigh(&self) -> Option<u64> {
        self.trail.weigh()
    }
}

impl Weigh for Balance {
    fn weigh(&self) -> Option<u64> {
        None
    }
}

impl Weigh for Swing {
    fn weigh(&self) -> Option<u64> {
        None
    }
}

impl<A, B, C, D> Subject for Own<A, B, C, D>
where
    A: Pipeline<Event = Tick, Aggregate: Weigh>,
    B: Pipeline<Event = Tick, Aggregate: Weigh>,
    C: Pipeline<Event = Tick, Aggregate: Weigh>,
    D: Pipeline<Event = Tick, Aggregate: Weigh>,
{
    type Event = Tick;

    fn course(&self) -> Course {
        self.course
    }

    fn decode(&self) -> Decode<Tick> {
        decode
    }

    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8> {
        let amount = match rng.u32(..40) {
            0 => return b"not a tick".to_vec(),
            1 => REFUSED,
            2 => FILTERED,
            3 if rng.u8(..4) == 0 => PANICS_READING,
            _ => rng.u64(1..1_000),
        };
        Tick { key: rng.u64(..4).to_string(), at, amount }.to_payload()
    }

    fn build(&self, builder: WorkerBuilder<Tick>, all: bool) -> Worker<Tick> {
        let builder = builder.pipeline::<A>().pipeline::<B>();
        let builder = if all { builder.pipeline::<C>().pipeline::<D>() } else { builder };
        builder.build()
    }

    fn pipelines(&self) -> Vec<&'static str> {
        vec![A::SPEC.name, B::SPEC.name, C::SPEC.name, D::SPEC.name]
    }

    fn slow(&self) -> &'static str {
        C::SPEC.name
    }

    fn roll<'a>(
        &'a self,
        store: Arc<dyn Store>,
        stored: &'a MemoryStore,
        range: TimeRange,
        rng: &'a Mutex<fastrand::Rng>,
    ) -> BoxFuture<'a, Option<BoxFuture<'static, murmur::Result<u64>>>> {
        let course = self.course;
        let which = lock(rng).u8(..4);
        match which {
            0 => answers::roll::<A>(store, stored, course, range, rng).boxed(),
            1 => answers::roll::<B>(store, stored, course, range, rng).boxed(),
            2 => answers::roll::<C>(store, stored, course, range, rng).boxed(),
            _ => answers::roll::<D>(store, stored, course, range, rng).boxed(),
        }
    }

    fn ask<'a>(&'a self, store: &'a Arc<MemoryStore>, keeping: &'a Keeping) -> BoxFuture<'a, murmur::Result<u64>> {
        let course = self.course;
        async move {
            Ok(keeping.ask::<A>(store, course).await?
                + keeping.ask::<B>(store, course).await?
                + keeping.ask::<C>(store, course).await?
                + keeping.ask::<D>(store, course).await?)
        }
        .boxed()
    }

    fn judge<'a>(&'a self, ended: &'a Ended<'a>) -> BoxFuture<'a, Result<Judged, String>> {
        let course = self.course;
        async move {
            let mut judged = Judged::default();
            judged += judge_one::<A>(ended, course, decode, Weigh::weigh).await?;
            judged += judge_one::<B>(ended, course, decode, Weigh::weigh).await?;
            judged += judge_one::<C>(ended, course, decode, Weigh::weigh).await?;
            judged += judge_one::<D>(ended, course, decode, Weigh::weigh).await?;
            Ok(judged)
        }
        .boxed()
    }
}

/// A pipeline of the user.
pub(super) struct One<'f, P: Pipeline, F> {
    pub(super) course: Course,
    pub(super) decode: Decode<P::Event>,
    pub(super) payload: &'f F,
}

impl<P: Pipeline, F: Fn(&mut fastrand::Rng, Timestamp) -> Vec<u8> + Sync> Subject for One<'_, P, F> {
    type Event = P::Event;

    fn course(&self) -> Course {
        self.course
    }

    fn decode(&self) -> Decode<P::Event> {
        self.decode
    }

    fn payload(&self, rng: &mut fastrand::Rng, at: Timestamp) -> Vec<u8> {
        (self.payload)(rng, at)
    }

    fn build(&self, builder: WorkerBuilder<P::Event>, _: bool) -> Worker<P::Event> {
        builder.pipeline::<P>().build()
    }

    fn pipelines(&self) -> Vec<&'static str> {
        vec![P::SPEC.name]
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
        answers::roll::<P>(store, stored, self.course, range, rng).boxed()
    }

    fn ask<'a>(&'a self, store: &'a Arc<MemoryStore>, keeping: &'a Keeping) -> BoxFuture<'a, murmur::Result<u64>> {
        keeping.ask::<P>(store, self.course).boxed()
    }

    fn judge<'a>(&'a self, ended: &'a Ended<'a>) -> BoxFuture<'a, Result<Judged, String>> {
        judge_one::<P>(ended, self.course, self.decode, |_| None).boxed()
    }
}

async fn judge_one<P: Pipeline>(
    &Ended { broker, store, keeping, room }: &Ended<'_>,
    course: Course,
    decode: Decode<P::Event>,
    weigh: impl Fn(&P::Aggregate) -> Option<u64>,
) -> Result<Judged, String> {
    let name = P::SPEC.name;
    let items = scan::<P>(&**store).await.map_err(|error| error.to_string())?;
    let closed = closures(&items, PartitionId::clone);
    let judged =
        Judged { closed: closed.len() as u64, rolled_high: rolled_high(&items), unrolled: unrolled::<P>(&items) };
    if let Some((key, tile, partition)) = closed.keys().find(|(key, ..)| room.is_none_or(|room| room.of(key).is_none()))
    {
        return Err(format!("`{name}` `{key}` {tile:?} has room, and is closed to {partition}"));
    }
    let mut truth = Truth::<P>::new(decode, broker.ruler(), course.clock().now(), closed);
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
    if let Some(first) = difference.first.clone() {
        let form = P::Aggregate::FORM;
        return Err(match difference.verdict() {
            verdict @ (Verdict::Over(_) | Verdict::Under(_)) => format!("{form:?} {verdict}: {first}"),
            verdict => format!("{form:?} {verdict}"),
        });
    }
    answers::check::<P>(store, keeping, &found, course).await?;
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
    Ok(judged)
}

/// How many slots of months and of several days are rolled. What events are written to has none.
fn rolled_high(items: &[(TileId, Item)]) -> u64 {
    let is_high = |level| level >= Level::Month && level <= Level::Days32;
    let high = items.iter().filter(|(id, _)| is_high(id.tile.level));
    high.map(|(_, item)| item.rolled.len() as u64).sum()
}

/// How many slots are marked, whatever was rolled into them.
fn unrolled<P: Pipeline>(items: &[(TileId, Item)]) -> u64 {
    let parents = items.iter().filter(|(id, _)| P::tiling().parents().contains(&id.tile.level));
    let slots = parents.flat_map(|(_, item)| (0..60).map(move |slot| (item, Slot(slot))));
    slots.filter(|(item, slot)| item.is_unrolled(*slot)).count() as u64
}
