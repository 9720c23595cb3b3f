//! What follows from a log: a fold of it, event by event, and the comparison with what stands in the tiles.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use murmur::aggregate::{Form, Monoid, Number, envelope};
use murmur::engine::Decode;
use murmur::event::Event;
use murmur::pipeline::{Emissions, Identity, Pipeline};
use murmur::source::{Offset, PartitionId, Ruler};
use murmur::store::{Item, Store, Table, TileId};
use murmur::time::{Level, Slot, Tile, Timestamp};

use super::Verdict;

/// A slot of a tile; of one partition for Form B.
pub(crate) type Place = (String, Tile, Slot, Option<PartitionId>);

/// What a pipeline keeps, slot by slot.
pub(crate) type Kept<P> = BTreeMap<Place, <P as Pipeline>::Aggregate>;

/// From which offset on a tile is closed to a partition, as its item says.
pub(crate) type Closures = BTreeMap<(String, Tile, PartitionId), Offset>;

/// Which of these tiles are closed, and to whom. `rename` says which partition a name stands for.
pub(crate) fn closures(items: &[(TileId, Item)], rename: impl Fn(&PartitionId) -> PartitionId) -> Closures {
    let of = |(id, item): &(TileId, Item)| -> Vec<_> {
        let from = item.offsets.iter().filter_map(|(partition, at)| Some((partition, at.closed_from()?)));
        from.map(|(partition, from)| ((id.key.to_string(), id.tile, rename(partition)), from)).collect()
    };
    items.iter().flat_map(of).collect()
}

/// What follows from a log.
pub(crate) struct Truth<P: Pipeline> {
    pub(crate) kept: Kept<P>,
    /// What is to be a dead letter of this pipeline.
    pub(crate) refused: BTreeSet<(PartitionId, Offset)>,
    /// Emissions whose tile had expired.
    pub(crate) expired: u64,
    /// Emissions that came after their tile was closed to events in time.
    pub(crate) late: u64,
    /// The last event in each tile, by partition: how far it must be applied.
    pub(crate) reaches: BTreeMap<(String, Tile), BTreeMap<PartitionId, Vec<Offset>>>,
    /// The newest event time of each partition so far, or where it began: what comes after it may be late.
    fronts: BTreeMap<PartitionId, Option<Timestamp>>,
    /// Where the identities of each partition were met last, and how many payloads it has so far.
    met: BTreeMap<PartitionId, (HashMap<String, u64>, u64)>,
    ruler: Ruler,
    /// Events left out because they were sent before.
    pub(crate) repeated: u64,
    closed: Closures,
    decode: Decode<P::Event>,
    now: Timestamp,
}

impl<P: Pipeline> Truth<P> {
    /// Of an empty log, in which distances are measured by `ruler`; tiles that expire by `now` are left out. An event whose
    /// tile is closed to it, or refuses it, is to be a dead letter.
    pub(crate) fn new(decode: Decode<P::Event>, ruler: Ruler, now: Timestamp, closed: Closures) -> Self {
        let (kept, refused) = (BTreeMap::new(), BTreeSet::new());
        let (reaches, fronts, met) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { kept, refused, expired: 0, late: 0, reaches, fronts, met, ruler, repeated: 0, closed, decode, now }
    }

    /// Let the front of a partition begin here.
    pub(crate) fn begin(&mut self, partition: &PartitionId, floor: Option<Timestamp>) {
        self.fronts.insert(partition.clone(), floor);
    }

    /// Whether an event of this identity lies within the horizon.
    fn repeats(&mut self, event: Option<&P::Event>, partition: &PartitionId, offset: Offset) -> bool {
        let Some(dedup) = P::DEDUP else { return false };
        let (met, payloads) = self.met.entry(partition.clone()).or_default();
        *payloads += 1;
        let position = match self.ruler {
            Ruler::Payloads => *payloads,
            Ruler::Offsets => offset.words()[3],
        };
        let mut identity = Identity::default();
        let identity = event.and_then(|event| identity.of(event, dedup.identify));
        let before = identity.and_then(|identity| met.insert(identity.to_owned(), position));
        before.is_some_and(|before| position - before <= dedup.within)
    }

    /// The next message of a partition.
    pub(crate) fn take(&mut self, partition: &PartitionId, offset: Offset, payload: &[u8]) {
        let event = quietly(|| (self.decode)(payload)).and_then(Result::ok);
        let mut emissions = Emissions::default();
        let applied = event.as_ref().and_then(|event| quietly(|| P::apply(event, &mut emissions)));
        let is_refused = applied.is_none() || emissions.refusal().is_some();
        // What was refused was not counted, so nothing repeats it.
        let repeats = self.repeats(event.as_ref().filter(|_| !is_refused), partition, offset);
        let Some(event) = event else {
            self.refused.insert((partition.clone(), offset));
            return;
        };
        let entry = self.fronts.entry(partition.clone()).or_default();
        let front = *entry;
        *entry = front.max(event.time());
        if is_refused {
            self.refused.insert((partition.clone(), offset));
            return;
        }
        if repeats {
            self.repeated += 1;
            return;
        }
        let tiling = P::tiling();
        let (tile, slot) = tiling.locate(event.time().unwrap_or(Timestamp::EPOCH));
        let is_late = tiling.closes(tile).is_some_and(|closes| front >= Some(closes));
        let tile = if is_late { tiling.late(tile) } else { tile };
        if tiling.expiry(tile, &P::SPEC.window).is_some_and(|expiry| expiry <= self.now) {
            self.expired += emissions.len() as u64;
            return;
        }
        self.late += if is_late { emissions.len() as u64 } else { 0 };
        let part = (P::Aggregate::FORM == Form::Put).then(|| partition.clone());
        for (key, value) in emissions.drain() {
            let reach = self.reaches.entry((key.to_owned(), tile)).or_default();
            reach.entry(partition.clone()).or_default().push(offset);
            if self.closed.get(&(key.to_owned(), tile, partition.clone())).is_some_and(|from| offset >= *from) {
                self.refused.insert((partition.clone(), offset));
                continue;
            }
            let place = (key.to_owned(), tile, slot, part.clone());
            let kept = self.kept.entry(place).or_insert_with(P::Aggregate::identity);
            if P::Aggregate::FORM == Form::Put && kept.refuses(&value).is_some() {
                self.refused.insert((partition.clone(), offset));
                continue;
            }
            kept.combine(value);
        }
    }
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Call a function that may panic, without a word about it; `None` when it did.
fn quietly<T>(function: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                loud(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(function));
    IS_QUIET.set(false);
    result.ok()
}

/// All items of a pipeline's table.
pub(crate) async fn scan<P: Pipeline>(store: &dyn Store) -> murmur::Result<Vec<(TileId, Item)>> {
    let table = Table::new(P::SPEC.name, 1);
    let mut all: Vec<(TileId, Item)> = Vec::new();
    loop {
        let after = all.last().map(|(id, _)| id.clone());
        let page = store.scan(&table, after.as_ref(), 10_000).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// What stands in these items that was not rolled; the error names one that cannot be read. `rename` says which partition a name stands for.
pub(crate) fn read<P: Pipeline>(
    items: &[(TileId, Item)],
    rename: impl Fn(&PartitionId) -> PartitionId,
) -> Result<Kept<P>, String> {
    let mut kept = BTreeMap::new();
    let finest = P::tiling().finest();
    for (id, item) in items.iter().filter(|(id, _)| id.tile.level == finest || id.tile.level == Level::Late) {
        let part = id.part.as_ref().map(&rename);
        let place = |slot| (id.key.to_string(), id.tile, slot, part.clone());
        for ((slot, column), number) in &item.numbers {
            let value = kept.entry(place(*slot)).or_insert_with(P::Aggregate::identity);
            value.add_number(0, *column, *number).map_err(|error| format!("{id}: {error}"))?;
        }
        for (slot, bytes) in &item.values {
            let value = envelope::unseal(bytes).and_then(P::Aggregate::decode);
            kept.insert(place(*slot), value.map_err(|error| format!("{id}: {error}"))?);
        }
    }
    Ok(kept)
}

/// How what stands there differs from what must.
#[derive(Debug, Default, Clone)]
pub(crate) struct Difference {
    /// Events too many, where they can be counted.
    pub(crate) over: u64,
    /// Events missing.
    pub(crate) under: u64,
    /// Places whose value is another one, though as many events are in it; or how many cannot be said.
    pub(crate) other: u64,
    /// The first one.
    pub(crate) first: Option<String>,
}

impl Difference {
    /// This one and another together.
    pub(crate) fn add(&mut self, other: Self) {
        self.over += other.over;
        self.under += other.under;
        self.other += other.other;
        self.first = self.first.take().or(other.first);
    }

    /// What it amounts to.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self { first: None, .. } => Verdict::Exact,
            Self { under: 1.., .. } => Verdict::Under(self.under),
            Self { over: 1.., .. } => Verdict::Over(self.over),
            Self { first: Some(first), .. } => Verdict::Corrupt(first),
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(what);
    }
}

/// Compare; `weigh` counts the events in a value, where that can be said.
pub(crate) fn compare<P: Pipeline>(
    right: &Kept<P>,
    found: &Kept<P>,
    weigh: impl Fn(&P::Aggregate) -> Option<u64>,
) -> Difference {
    let mut difference = Difference::default();
    let places: BTreeSet<&Place> = right.keys().chain(found.keys()).collect();
    for place in places {
        let (right, found) = (right.get(place), found.get(place));
        let same = match (right, found) {
            (Some(right), Some(found)) => is_same(right, found),
            _ => false,
        };
        if same {
            continue;
        }
        let name = P::SPEC.name;
        difference.note(|| {
            let [found, right] = where_they_differ(format!("{found:?}"), format!("{right:?}"));
            format!("`{name}` at {}: {found} and not {right}", shown(place))
        });
        let weight = |value: Option<&P::Aggregate>| value.map_or(Some(0), &weigh);
        match (weight(right), weight(found)) {
            (Some(right), Some(found)) if right < found => difference.over += found - right,
            (Some(right), Some(found)) if right > found => difference.under += right - found,
            _ => difference.other += 1,
        }
    }
    difference
}

/// Of two long texts what lies about the first difference: an aggregate of each kind fills pages.
fn where_they_differ(a: String, b: String) -> [String; 2] {
    const BEFORE: usize = 80;
    const SHOWN: usize = 300;
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = if a.len().max(b.len()) > SHOWN { same.saturating_sub(BEFORE) } else { 0 };
    [a, b].map(|text| {
        let mut rest = text.chars().skip(from);
        let part: String = rest.by_ref().take(SHOWN).collect();
        let dots = |are: bool| if are { "..." } else { "" };
        format!("{}{part}{}", dots(from > 0), dots(rest.next().is_some()))
    })
}

fn shown((key, tile, slot, part): &Place) -> String {
    let mut out = format!("`{}` {}#{} slot {}", key.escape_debug(), tile.level.letter(), tile.start, slot.0);
    if let Some(part) = part {
        // Writing to a string cannot fail.
        let _ = write!(out, " of {part}");
    }
    out
}

/// Sums of floats depend on the order in which they are added, in the last digits.
fn is_same<A: Monoid>(a: &A, b: &A) -> bool {
    if A::FORM == Form::Put {
        let bytes = |value: &A| {
            let mut out = Vec::new();
            value.encode(&mut out);
            out
        };
        return bytes(a) == bytes(b);
    }
    let numbers = |value: &A| {
        let mut out = Vec::new();
        value.numbers(0, &mut |column, number| out.push((column, number)));
        out
    };
    let (a, b) = (numbers(a), numbers(b));
    a.len() == b.len()
        && a.iter().zip(&b).all(|((column, a), (other, b))| {
            column == other
                && match (a, b) {
                    (Number::Float { sum: a, .. }, Number::Float { sum: b, .. }) => {
                        (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-300)
                    }
                    (a, b) => a == b,
                }
        })
}
