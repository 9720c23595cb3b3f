//! What workers would have written.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use super::*;
use crate::engine::{Frontier, PartitionRecord};
use crate::store::Writes;
use crate::time::Slot;

/// Fills a table from events, as the workers of its partitions would.
pub(super) struct Filler<'a, P: Pipeline> {
    store: &'a dyn Store,
    table: Table,
    offset: u64,
    /// Form B: all slots of each item so far.
    folds: BTreeMap<TileId, BTreeMap<Slot, P::Aggregate>>,
    pipeline: PhantomData<P>,
}

impl<'a, P> Filler<'a, P>
where
    P: Pipeline<Event = Happening>,
    P::Aggregate: OfEvent,
{
    pub(super) fn new(store: &'a dyn Store, generation: u32) -> Self {
        Self {
            store,
            table: Table::new(P::SPEC.name, generation),
            offset: 0,
            folds: BTreeMap::new(),
            pipeline: PhantomData,
        }
    }

    /// Write these events, each partition in its order, and say in the records of the partitions that they are durable.
    /// For each event whether it was late.
    pub(super) async fn take(&mut self, events: &[Happening]) -> Vec<bool> {
        let mut fronts = BTreeMap::new();
        for partition in events.iter().map(|event| event.partition).collect::<BTreeSet<u8>>() {
            let id = PartitionId::new(format!("p{partition}"));
            let standing = PartitionRecord::load(self.store, &self.table, &id).await.unwrap();
            let standing = Frontier::settle(self.store, &self.table, &id, standing).await.unwrap();
            fronts.insert(partition, (id, standing.record.reached(), standing));
        }
        let tiling = P::tiling();
        let mut late = Vec::new();
        let mut placed = Vec::new();
        for event in events {
            let front = &mut fronts.get_mut(&event.partition).unwrap().1;
            let tile = tiling.locate(event.at).0;
            let is_late = tiling.closes(tile).is_some_and(|closes| *front >= Some(closes));
            *front = (*front).max(Some(event.at));
            late.push(is_late);
            placed.push((event, if is_late { tiling.late(tile) } else { tile }));
        }
        self.write(&placed).await;
        let commit = Some(Offset::from_u64(self.offset));
        for (id, front, standing) in fronts.into_values() {
            let record = PartitionRecord { commit, horizon: commit, front, ..PartitionRecord::default() };
            record.raise(self.store, &self.table, &id, standing).await.unwrap();
        }
        late
    }

    /// Write these events into these tiles.
    pub(super) async fn write(&mut self, events: &[(&Happening, crate::time::Tile)]) {
        let tiling = P::tiling();
        let form = P::Aggregate::FORM;
        let mut tiles = BTreeMap::<TileId, (BTreeMap<Slot, P::Aggregate>, Vec<Applied>)>::new();
        for &(event, tile) in events {
            let slot = tiling.slot_in(tile, event.at);
            let partition = PartitionId::new(format!("p{}", event.partition));
            let part = (form == Form::Put).then(|| partition.clone());
            let id = TileId { key: key_text(&event.id), tile, part };
            let before = self.folds.get(&id).filter(|_| form == Form::Put).cloned().unwrap_or_default();
            let (slots, applied) = tiles.entry(id).or_insert_with(|| (before, Vec::new()));
            slots.entry(slot).or_insert_with(P::Aggregate::identity).combine(OfEvent::of(event));
            self.offset += 1;
            let offset = Offset::from_u64(self.offset);
            match applied.iter_mut().find(|a: &&mut Applied| a.partition == partition) {
                Some(applied) => applied.last = offset,
                None => applied.push(Applied { partition, first: offset, last: offset }),
            }
        }
        let writes = tiles.into_iter().map(|(id, (slots, mut applied))| {
            let expires = tiling.expiry(id.tile, &P::SPEC.window);
            match form {
                Form::Put => {
                    let values = slots.iter().map(|(slot, value)| (*slot, envelope::seal(value).into())).collect();
                    self.folds.insert(id.clone(), slots);
                    Write::Put { id, values, first: applied[0].first, last: applied[0].last, expires }
                }
                Form::Add => {
                    let mut numbers = Vec::new();
                    for (slot, value) in &slots {
                        value.numbers(0, &mut |column, number| numbers.push(((*slot, column), number)));
                    }
                    applied.sort_by(|a, b| a.partition.cmp(&b.partition));
                    Write::Add { id, numbers, applied, expires }
                }
            }
        });
        let mut writes: Vec<Write> = writes.collect();
        // Again as they were, where a server that has much to do does not say what became of them.
        for again in [false, true, true] {
            let asked = Writes::from(writes);
            let outcomes = self.store.write(&self.table, asked.clone()).await;
            let is_in_doubt = |outcome: crate::Result<Outcome>| match outcome {
                Err(error) if error.kind() == crate::ErrorKind::Ambiguous => true,
                outcome => {
                    assert!(again || matches!(outcome, Ok(Outcome::Applied)), "{outcome:?}");
                    false
                }
            };
            let doubtful =
                asked.iter().zip(outcomes).filter_map(|(write, outcome)| is_in_doubt(outcome).then_some(write));
            writes = doubtful.cloned().collect();
            if writes.is_empty() {
                break;
            }
        }
        assert!(writes.is_empty(), "{} writes are in doubt", writes.len());
    }
}
