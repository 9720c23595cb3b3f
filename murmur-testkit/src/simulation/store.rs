use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use murmur::aggregate::{Column, Monoid, Number, envelope};
use murmur::engine::{PartitionRecord, Retirement};
use murmur::pipeline::Pipeline;
use murmur::source::{Offset, PartitionId, Record, RecordOutcome, Records, Shelf, Version};
use murmur::store::{Applied, Consistency, Item, MemoryStore, Outcome, Store, Table, TileId, Write, Writes};
use murmur::time::{Level, Slot, TimeRange, Timestamp};
use murmur::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::defect::Defect;
use super::log::{Shared, lock};
use crate::pipelines::{Balance, Balances, MonthBalances};

/// How much goes wrong, as chances between 0 and 1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// The request never arrives; its sender cannot know.
    pub(super) lost_request: f32,
    /// The request is carried out; its sender cannot know.
    pub(super) lost_reply: f32,
    /// A copy of the request is carried out once more, much later.
    pub(super) late_copy: f32,
    /// The request is refused: too busy.
    pub(super) throttled: f32,
    /// Longest way there and back, in milliseconds each.
    pub(super) latency: u64,
    /// Of some keys nothing can be written for some seconds, then of others; which ones follows from this.
    pub(super) hot: Option<u32>,
}

impl Faults {
    /// How long some keys are too hot.
    const TURN: Duration = Duration::from_secs(7);

    /// Whether a key is too hot, so long after the beginning.
    fn refuse(&self, key: &str, after: Duration) -> bool {
        let turn = (after.as_secs() / Self::TURN.as_secs()) as u32;
        self.hot.is_some_and(|salt| hash(salt ^ turn.wrapping_mul(0x9e37_79b9), key).is_multiple_of(4))
    }
}

/// FNV-1a: keys that differ in one letter are not to be chosen together.
fn hash(salt: u32, key: &str) -> u32 {
    let hash = key.bytes().fold(salt ^ 0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash >> 16
}

/// How much some tiles hold: those of every third key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Most numbers, or values, in an item of these.
    pub(super) places: usize,
    /// Decides which keys.
    pub(super) salt: u32,
}

impl Room {
    /// Most numbers or values of a tile of this key; `None` when there is no end to it.
    pub(super) fn of(&self, key: &str) -> Option<usize> {
        hash(self.salt, key).is_multiple_of(3).then_some(self.places)
    }

    /// Whether the item, as it stands, would take this write and has no room for it.
    fn is_exceeded(&self, write: &Write, item: &Item) -> bool {
        let Some(most) = self.of(&write.id().key) else { return false };
        match write {
            Write::Add { numbers, applied, .. } => {
                let is_next = |a: &Applied| item.offset(&a.partition).is_none_or(|stands| stands < a.first);
                let stand = item.numbers.iter().chain(numbers).map(|(place, _)| *place);
                applied.iter().all(is_next) && !numbers.is_empty() && stand.collect::<BTreeSet<_>>().len() > most
            }
            Write::Put { id, values, last, .. } => {
                let stands = id.part.as_ref().and_then(|part| item.offset(part));
                stands < Some(*last) && values.len() > most
            }
            Write::Roll { numbers, values, .. } => {
                let places: BTreeSet<_> = item.numbers.iter().chain(numbers).map(|(place, _)| place).collect();
                let slots: BTreeSet<_> = item.values.iter().chain(values).map(|(slot, _)| slot).collect();
                places.len() > most || slots.len() > most
            }
        }
    }
}

/// The memory store behind a bad network. What was sent arrives even when its sender is gone.
pub(super) struct FaultyStore {
    pub(super) inner: Arc<MemoryStore>,
    /// How everything was a moment ago, for `stale-base`.
    pub(super) stale: Arc<MemoryStore>,
    pub(super) rng: Shared<fastrand::Rng>,
    pub(super) faults: Shared<Faults>,
    pub(super) began: Instant,
    /// `None`: all tiles hold whatever comes.
    pub(super) room: Option<Room>,
    /// Tiles that are closed, for `closed-in-memory`.
    pub(super) closed: Shared<HashMap<(Table, TileId), Vec<Applied>>>,
    pub(super) defect: Option<Defect>,
    /// Writes that got no reply, for `retry-without-condition`.
    pub(super) unanswered: Shared<HashSet<String>>,
    /// Whether the end of the log was said, for `end-without-flush`.
    pub(super) at_end: Arc<AtomicBool>,
}

/// Whether a table has values that refuse events.
fn is_of_balances(table: &Table) -> bool {
    [Balances::SPEC.name, MonthBalances::SPEC.name].into_iter().any(|name| *table == Table::new(name, 1))
}

/// A stored value that says of no event that it is not in it.
fn without_refusals(stored: &[u8]) -> Result<Bytes> {
    let balance = envelope::unseal(stored).and_then(Balance::decode);
    let balance = balance.map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?;
    Ok(envelope::seal(&balance).into())
}

fn lost() -> Error {
    Error::new(ErrorKind::Ambiguous, "no reply")
}

/// A record of a partition that says nothing about its being retired.
fn without_retirement(record: Record) -> Result<Record> {
    let read = PartitionRecord::decode(&record.bytes)?;
    let bytes = PartitionRecord { retirement: Retirement::Active, ..read }.encode();
    Ok(Record { bytes, ..record })
}

/// Whether a write only marks what was rolled.
fn is_mark(numbers: &[((Slot, Column), Number)], applied: &[Applied]) -> bool {
    numbers.is_empty() && applied.iter().all(|applied| Item::is_mark(&applied.partition))
}

/// What happens to one request.
enum Fate {
    Answered,
    LostRequest,
    LostReply,
    Throttled,
}

impl FaultyStore {
    fn fate(&self) -> (Fate, Option<u64>) {
        let faults = *lock(&self.faults);
        let mut rng = lock(&self.rng);
        let late = (rng.f32() < faults.late_copy).then(|| rng.u64(100..20_000));
        let dice = rng.f32();
        let fate = if dice < faults.lost_request {
            Fate::LostRequest
        } else if dice < faults.lost_request + faults.lost_reply {
            Fate::LostReply
        } else if dice < faults.lost_request + faults.lost_reply + faults.throttled {
            Fate::Throttled
        } else {
            Fate::Answered
        };
        (fate, late)
    }

    fn way(&self) -> BoxFuture<'static, ()> {
        let latency = lock(&self.faults).latency;
        let pause = if latency == 0 { 0 } else { lock(&self.rng).u64(0..latency) };
        Box::pin(tokio::time::sleep(Duration::from_millis(pause)))
    }

    /// Send a request through the network: it may be lost, slow, answered into the void, or arrive once more later.
    async fn send<T, F>(&self, request: impl Fn() -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (fate, late) = self.fate();
        if matches!(fate, Fate::Throttled) {
            self.way().await;
            return Err(Error::new(ErrorKind::Unavailable, "throttled"));
        }
        let (reply, answer) = oneshot::channel();
        let there = self.way();
        let arrives = !matches!(fate, Fate::LostRequest);
        // Once sent it no longer depends on its sender, who may be killed meanwhile.
        tokio::spawn(async move {
            if arrives {
                there.await;
                let _ = reply.send(request().await);
            }
            if let Some(pause) = late {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let _ = request().await;
            }
        });
        self.way().await;
        if matches!(fate, Fate::Answered)
            && let Ok(outcome) = answer.await
        {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        Err(lost())
    }

    /// The same write, carried out whatever stands there: its only condition is on a partition that nobody has.
    fn without_condition(&self, write: &Write) -> Write {
        match write.clone() {
            Write::Add { id, numbers, expires, .. } => {
                let partition = PartitionId::new(format!("unconditional:{}", lock(&self.rng).u64(..)));
                let applied = vec![Applied { partition, first: Offset::ZERO, last: Offset::ZERO }];
                Write::Add { id, numbers, applied, expires }
            }
            other @ (Write::Put { .. } | Write::Roll { .. }) => other,
        }
    }

    async fn send_write(&self, table: &Table, write: Write) -> Result<Outcome> {
        if lock(&self.faults).refuse(&write.id().key, self.began.elapsed()) {
            self.way().await;
            return Err(Error::new(ErrorKind::Unavailable, "a key is written too often"));
        }
        let (inner, stale, table, room) = (self.inner.clone(), self.stale.clone(), table.clone(), self.room);
        let request = move || {
            let (inner, stale, table, write) = (inner.clone(), stale.clone(), table.clone(), write.clone());
            async move {
                // Nothing comes between these: both happen when they are first polled.
                if let Some(room) = room {
                    let items = inner.get(&table, std::slice::from_ref(write.id()), Consistency::Strong).await?;
                    let item = items.into_iter().next().flatten().unwrap_or_default();
                    if room.is_exceeded(&write, &item) {
                        return Err(Error::new(ErrorKind::Oversize, format!("{} is full", write.id())));
                    }
                }
                let outcome = inner.write(&table, write.clone().into()).await.into_iter().next();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(800)).await;
                    stale.write(&table, write.into()).await
                });
                outcome.unwrap_or_else(|| Err(lost()))
            }
        };
        self.send(request).await
    }

    async fn write_one(&self, table: &Table, write: &Write) -> Result<Outcome> {
        let name = format!("{table:?} {write:?}");
        match (self.defect, write) {
            (Some(Defect::ClosedInMemory), Write::Add { id, applied, .. }) if write.closing().is_none() => {
                lock(&self.closed).insert((table.clone(), id.clone()), applied.clone());
                Ok(Outcome::Applied)
            }
            (Some(Defect::RetiredUnmarked), Write::Add { numbers, applied, .. }) if is_mark(numbers, applied) => {
                Ok(Outcome::Applied)
            }
            (Some(Defect::ClaimBeforeApply), Write::Add { id, applied, numbers, expires }) => {
                let claim =
                    Write::Add { id: id.clone(), numbers: Vec::new(), applied: applied.clone(), expires: *expires };
                let claimed = self.send_write(table, claim).await?;
                if claimed == Outcome::Applied {
                    let add =
                        Write::Add { id: id.clone(), numbers: numbers.clone(), applied: Vec::new(), expires: *expires };
                    self.send_write(table, self.without_condition(&add)).await?;
                }
                Ok(claimed)
            }
            (Some(Defect::RefusalsInMemory), Write::Put { id, values, first, last, expires })
                if is_of_balances(table) =>
            {
                let values = values.iter().map(|(slot, bytes)| Ok((*slot, without_refusals(bytes)?)));
                let values = values.collect::<Result<_>>()?;
                let put = Write::Put { id: id.clone(), values, first: *first, last: *last, expires: *expires };
                self.send_write(table, put).await
            }
            (Some(Defect::Unconditional), _) => self.send_write(table, self.without_condition(write)).await,
            (Some(Defect::RetryWithoutCondition), _) if lock(&self.unanswered).contains(&name) => {
                self.send_write(table, self.without_condition(write)).await
            }
            (Some(Defect::AckBeforeDurable), _) => {
                let sent = self.send_write(table, write.clone()).await;
                if sent.is_err() {
                    let (inner, table, write) = (self.inner.clone(), table.clone(), write.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        inner.write(&table, write.into()).await
                    });
                    return Ok(Outcome::Applied);
                }
                sent
            }
            (Some(Defect::ConflictAsSuccess), _) => {
                self.send_write(table, write.clone()).await.map(|_| Outcome::Applied)
            }
            _ => {
                let outcome = self.send_write(table, write.clone()).await;
                if outcome.is_err() {
                    lock(&self.unanswered).insert(name);
                }
                outcome
            }
        }
    }
}

impl Records for FaultyStore {
    fn record<'a>(&'a self, shelf: &'a Shelf, name: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        let (inner, shelf, name) = (self.inner.clone(), shelf.clone(), name.to_owned());
        let defect = self.defect;
        Box::pin(self.send(move || {
            let (inner, shelf, name) = (inner.clone(), shelf.clone(), name.clone());
            async move {
                let record = inner.record(&shelf, &name).await?;
                match defect {
                    Some(Defect::NewPartitionUnseen) if name == "rolled" => Ok(None),
                    Some(Defect::RetirementUnseen) if name.starts_with(PartitionRecord::PREFIX) => {
                        record.map(without_retirement).transpose()
                    }
                    _ => Ok(record),
                }
            }
        }))
    }

    fn put_record<'a>(
        &'a self,
        shelf: &'a Shelf,
        name: &'a str,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> BoxFuture<'a, Result<RecordOutcome>> {
        let (inner, shelf, name) = (self.inner.clone(), shelf.clone(), name.to_owned());
        let unseen = self.defect == Some(Defect::RetirementUnseen) && name.starts_with(PartitionRecord::PREFIX);
        Box::pin(self.send(move || {
            let (inner, shelf, name, bytes) = (inner.clone(), shelf.clone(), name.clone(), bytes.clone());
            async move {
                match inner.put_record(&shelf, &name, bytes, expected).await? {
                    RecordOutcome::Refused(Some(current)) if unseen => {
                        Ok(RecordOutcome::Refused(Some(without_retirement(current)?)))
                    }
                    outcome => Ok(outcome),
                }
            }
        }))
    }

    fn records<'a>(&'a self, shelf: &'a Shelf, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Record)>>> {
        let records = self.inner.records(shelf, prefix);
        if self.defect != Some(Defect::RolledTooEarly) {
            return records;
        }
        Box::pin(async move {
            let mut records = records.await?;
            for (_, record) in records.iter_mut().filter(|(name, _)| name.starts_with(PartitionRecord::PREFIX)) {
                let finished = Some(Timestamp::MAX);
                let read = PartitionRecord::decode(&record.bytes)?;
                record.bytes = PartitionRecord { front: finished, floor: finished, ..read }.encode();
            }
            Ok(records)
        })
    }
}

impl Store for FaultyStore {
    fn write<'a>(&'a self, table: &'a Table, writes: Writes) -> BoxFuture<'a, Vec<Result<Outcome>>> {
        if self.defect == Some(Defect::EndWithoutFlush) && self.at_end.load(Ordering::Relaxed) {
            return Box::pin(async move { writes.iter().map(|_| Ok(Outcome::Applied)).collect() });
        }
        Box::pin(async move {
            let answers = writes.iter().enumerate().map(|(at, write)| async move {
                // Its process died before it came to the others.
                if self.defect == Some(Defect::AckWithFirstTile) && at > 0 && lock(&self.rng).u8(..20) == 0 {
                    return Ok(Outcome::Applied);
                }
                self.write_one(table, write).await
            });
            join_all(answers).await
        })
    }

    fn get<'a>(
        &'a self,
        table: &'a Table,
        ids: &'a [TileId],
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<Option<Item>>>> {
        let stale = consistency == Consistency::Eventual || self.defect == Some(Defect::StaleBase);
        let store = if stale { self.stale.clone() } else { self.inner.clone() };
        let (table, ids, closed) = (table.clone(), ids.to_vec(), self.closed.clone());
        Box::pin(self.send(move || {
            let (store, table, ids, closed) = (store.clone(), table.clone(), ids.clone(), closed.clone());
            async move {
                let mut items = store.get(&table, &ids, Consistency::Strong).await?;
                for (id, item) in ids.iter().zip(&mut items) {
                    for Applied { partition, last, .. } in
                        lock(&closed).get(&(table.clone(), id.clone())).into_iter().flatten()
                    {
                        item.get_or_insert_default().set_offset(partition, *last);
                    }
                }
                Ok(items)
            }
        }))
    }

    fn range<'a>(
        &'a self,
        table: &'a Table,
        key: &'a str,
        level: Level,
        starts: TimeRange,
        limit: usize,
        consistency: Consistency,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        self.inner.range(table, key, level, starts, limit, consistency)
    }

    fn scan<'a>(
        &'a self,
        table: &'a Table,
        after: Option<&'a TileId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<(TileId, Item)>>> {
        self.inner.scan(table, after, limit)
    }

    fn remove_expired<'a>(&'a self, table: &'a Table, now: Timestamp, limit: usize) -> BoxFuture<'a, Result<usize>> {
        self.inner.remove_expired(table, now, limit)
    }
}
