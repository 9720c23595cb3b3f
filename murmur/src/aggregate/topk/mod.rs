//! The most frequent items: Frequent Items, in the format of Apache DataSketches.

use std::cmp::Reverse;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{DecodeError, Form, Monoid, Question};
use crate::wire::types::{TopItem, TopItems};
use crate::{Error, ErrorKind};

mod image;
mod item;
#[cfg(test)]
pub(super) mod tests;

pub use item::Item;

/// Longest item, in bytes.
pub const MAX_ITEM_BYTES: usize = 256;

/// The `N` most frequent texts, each with bounds that always hold.
///
/// A Frequent Items sketch (Anderson, Bevan, Lang, Liberty, Rhodes, Thaler, "A High-Performance Algorithm for Identifying
/// Frequent Items in Data Streams", IMC 2017, which takes the median of all counts from each where Misra and Gries take
/// the least) with a map of `8 N` places, rounded up to a power of two, of which three quarters are used.
/// While there are no more different items than that, every count is exact. Beyond, counts are too high by at most
/// [`maximum_error`](TopItems::maximum_error), which is never more than `3.5 / places` of the total; an item that is
/// more frequent than that is never missing. Items over 256 bytes are refused. What is stored is a sketch of Apache
/// DataSketches, which Spark (`approx_top_k_accumulate`) has in its states; `docs/spark.md` has the SQL.
///
/// Unlike the DataSketches' own, the state does not depend on places in a hash table: the same items in the same order
/// give the same bytes, also when it was stored and loaded again in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopK<const N: usize>(State);

type Text = SmallVec<[u8; 24]>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    None,
    /// One occurrence of one item, without allocation for a short one.
    One(Text),
    Many(Box<Sketch>),
}

/// Lower bounds of counts, and what they may lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sketch {
    /// The counts of the items that are tracked, all above 0.
    counts: HashMap<Box<[u8]>, u64>,
    /// How much has been taken from every count: the largest possible error.
    offset: u64,
    /// Occurrences of all items.
    total: u64,
}

impl<const N: usize> TopK<N> {
    /// log2 of the places of the map.
    const LG_PLACES: u8 = {
        assert!(N >= 1 && N <= 1000, "`TopK<N>` is possible for N from 1 to 1000");
        (8 * N).next_power_of_two().trailing_zeros() as u8
    };
    /// How many items are tracked.
    const CAPACITY: usize = capacity(Self::LG_PLACES);

    /// One item; nothing when it is `None`.
    pub fn of(item: impl Item) -> Self {
        Self(item.item().map_or(State::None, |item| State::One(Text::from_slice(item.as_bytes()))))
    }
}

/// How many items are tracked in a map of so many places.
const fn capacity(lg_places: u8) -> usize {
    (1 << lg_places) / 4 * 3
}

impl Sketch {
    fn add(&mut self, item: &[u8], count: u64) {
        self.total = self.total.saturating_add(count);
        match self.counts.get_mut(item) {
            Some(present) => *present = present.saturating_add(count),
            None => {
                self.counts.insert(item.into(), count);
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.offset = self.offset.saturating_add(later.offset);
        let total = self.total.saturating_add(later.total);
        for (item, count) in later.counts {
            let present = self.counts.entry(item).or_insert(0);
            *present = present.saturating_add(count);
        }
        self.total = total;
    }

    /// Take the median from every count, when there are more than `capacity`: at least half of the items go. Of more
    /// occurrences than can be counted nothing is known, not even which counts were too low.
    fn purge(&mut self, capacity: usize) {
        if self.total == u64::MAX {
            *self = Self { total: u64::MAX, ..Self::default() };
        }
        if self.counts.len() <= capacity {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let middle = counts.len() / 2;
        let median = *counts.select_nth_unstable(middle).1;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(median);
            *count > 0
        });
        self.offset = self.offset.saturating_add(median);
    }
}

impl State {
    /// As a sketch, to add to.
    fn sketch(&mut self) -> &mut Sketch {
        if !matches!(self, Self::Many(_)) {
            let mut sketch = Box::<Sketch>::default();
            if let Self::One(item) = self {
                sketch.add(item, 1);
            }
            *self = Self::Many(sketch);
        }
        match self {
            Self::Many(sketch) => sketch,
            Self::None | Self::One(_) => unreachable!("made above"),
        }
    }
}

impl<const N: usize> Monoid for TopK<N> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = image::max_bytes(Self::CAPACITY);
    /// The same items in another order have the same counts while nothing had to go; later, other bounds that hold.
    const COMMUTATIVE: bool = true;
    type Reply = TopItems;

    fn identity() -> Self {
        Self(State::None)
    }

    fn combine(&mut self, later: Self) {
        match (&mut self.0, later.0) {
            (_, State::None) => return,
            (present @ State::None, later) => {
                *present = later;
                return;
            }
            (present, State::One(item)) => present.sketch().add(&item, 1),
            (present, State::Many(later)) => present.sketch().merge(*later),
        }
        self.0.sketch().purge(Self::CAPACITY);
    }

    fn refusal(&self) -> Option<String> {
        match &self.0 {
            State::One(item) if item.len() > MAX_ITEM_BYTES => {
                Some(format!("an item of {} bytes is too long; at most {MAX_ITEM_BYTES} are kept", item.len()))
            }
            _ => None,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let empty = Sketch::default();
        match &self.0 {
            State::None => image::write(&empty, Self::LG_PLACES, out),
            State::One(item) => {
                let mut sketch = empty;
                sketch.add(item, 1);
                image::write(&sketch, Self::LG_PLACES, out);
            }
            State::Many(sketch) => image::write(sketch, Self::LG_PLACES, out),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let sketch = image::read(bytes, Self::LG_PLACES)
            .map_err(|why| DecodeError(format!("not a sketch of `TopK<{N}>`: {why}")))?;
        Ok(Self(if sketch.total == 0 { State::None } else { State::Many(Box::new(sketch)) }))
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("TopK<2^{} places>", Self::LG_PLACES)));
    }

    fn reply(&self, _: &Question) -> Result<TopItems, Error> {
        let mut sketch = self.clone();
        let Sketch { counts, offset, total } = sketch.0.sketch();
        if *total == u64::MAX {
            return Err(Error::new(ErrorKind::Overflow, "the items counted reached 2^64 - 1"));
        }
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_unstable_by_key(|(item, count)| (Reverse(**count), *item));
        let items = counts.into_iter().take(N).map(|(item, &lower)| TopItem {
            item: String::from_utf8_lossy(item).into_owned(),
            count: lower + *offset,
            lower,
            upper: lower + *offset,
        });
        Ok(TopItems { items: items.collect(), maximum_error: *offset, total: *total })
    }
}
