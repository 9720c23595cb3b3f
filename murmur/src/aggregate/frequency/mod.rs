//! How often each element occurred: a Count-Min sketch, in the format of Apache DataSketches.

use std::f64::consts::E;
use std::sync::LazyLock;

use smallvec::SmallVec;

use super::{DecodeError, Element, Form, Monoid, Probe, Question, murmur3};
use crate::wire::types;
use crate::{Error, ErrorKind};

mod image;
#[cfg(test)]
mod tests;

/// Every element is counted once in each row; `ln(1 / 0.01)`, rounded up.
const ROWS: usize = 5;
/// Counters of a row; `e / 0.01`, rounded up.
const COLUMNS: usize = 272;
const COUNTERS: usize = ROWS * COLUMNS;
/// As many counters are kept with their places; one more, and all are kept. At 16 bytes each they take half of what all
/// take.
const MAX_FEW: usize = COUNTERS / 4;
/// One seed for each row.
static SEEDS: LazyLock<[u64; ROWS]> =
    LazyLock::new(|| std::array::from_fn(|row| murmur3::hash(&(row as u64).to_le_bytes(), murmur3::SEED).0));

/// How often any element occurred, for the elements that a [`Question`] asks for, as an estimate with bounds.
///
/// A Count-Min sketch of 5 rows with 272 counters each. A count is never too low; it is too high by at most 1 % of the
/// total of all elements (`e / 272` of it), with 99.3 % confidence for each element (`1 - e^-5`): Cormode,
/// Muthukrishnan, "An Improved Data Stream Summary: The Count-Min Sketch and its Applications" (Journal of Algorithms,
/// 2005), theorem 1. So it tells of elements that are frequent; for those whose names are not known beforehand there is
/// [`TopK`](super::TopK), whose bounds are harder.
///
/// The state depends on nothing but the elements and how often they occurred: bytes can be compared. What is stored are
/// the counters with their places while there are few, and the sketch of the DataSketches from then on (11 KB), which
/// Java, C++ and Python read. Elements are hashed as [`Element`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequency(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The counters that are not 0, with their places, in order of these. One element needs no allocation.
    Few(SmallVec<[(u16, u64); ROWS]>),
    /// All of them, row by row.
    Many(Box<[u64; COUNTERS]>),
}

impl Frequency {
    /// One element; nothing when it is `None` or an empty text.
    pub fn of(element: impl Element) -> Self {
        let places = element.hashed(Self::places);
        Self(State::Few(places.into_iter().flatten().map(|place| (place as u16, 1)).collect()))
    }

    /// Where an element is counted: one counter in each row.
    fn places(bytes: &[u8]) -> [usize; ROWS] {
        let mut places = [0; ROWS];
        for (row, (place, seed)) in places.iter_mut().zip(*SEEDS).enumerate() {
            *place = row * COLUMNS + (murmur3::hash(bytes, seed).0 % COLUMNS as u64) as usize;
        }
        places
    }
}

impl State {
    fn get(&self, place: usize) -> u64 {
        match self {
            Self::Few(counters) => {
                counters.binary_search_by_key(&place, |counter| counter.0.into()).map_or(0, |at| counters[at].1)
            }
            Self::Many(counters) => counters[place],
        }
    }

    /// The occurrences of all elements, which every row has counted.
    fn total(&self) -> u64 {
        self.row(0)
    }

    /// The sum of a row; at the end of the range it stays there.
    fn row(&self, row: usize) -> u64 {
        (row * COLUMNS..(row + 1) * COLUMNS).fold(0, |sum, place| sum.saturating_add(self.get(place)))
    }

    /// All counters, when there are too many to keep their places.
    fn settle(&mut self) {
        if let Self::Few(counters) = self
            && counters.len() > MAX_FEW
        {
            let mut all = Box::new([0; COUNTERS]);
            add(&mut all, counters);
            *self = Self::Many(all);
        }
    }
}

fn add(counters: &mut [u64; COUNTERS], few: &[(u16, u64)]) {
    for (place, count) in few {
        let counter = &mut counters[usize::from(*place)];
        *counter = counter.saturating_add(*count);
    }
}

impl Monoid for Frequency {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = image::MAX_BYTES;
    const COMMUTATIVE: bool = true;
    type Reply = types::Frequencies;

    fn identity() -> Self {
        Self(State::Few(SmallVec::new()))
    }

    fn combine(&mut self, later: Self) {
        let mut later = later.0;
        if matches!((&self.0, &later), (State::Few(_), State::Many(_))) {
            // The order does not matter: the smaller one is taken into the larger.
            std::mem::swap(&mut self.0, &mut later);
        }
        match (&mut self.0, later) {
            (State::Many(counters), State::Many(later)) => {
                for (counter, later) in counters.iter_mut().zip(*later) {
                    *counter = counter.saturating_add(later);
                }
            }
            (State::Many(counters), State::Few(later)) => add(counters, &later),
            (State::Few(counters), State::Few(later)) => {
                let known = counters.len();
                for (place, count) in later {
                    match counters[..known].binary_search_by_key(&place, |counter| counter.0) {
                        Ok(at) => counters[at].1 = counters[at].1.saturating_add(count),
                        Err(_) => counters.push((place, count)),
                    }
                }
                // Two runs in order, which a stable sort merges in one pass.
                counters.sort_by_key(|counter| counter.0);
            }
            (State::Few(_), State::Many(_)) => unreachable!("they were swapped"),
        }
        self.0.settle();
    }

    fn encode(&self, out: &mut Vec<u8>) {
        image::write(&self.0, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let state = image::read(bytes).map_err(|why| DecodeError(format!("not a sketch of `Frequency`: {why}")))?;
        Ok(Self(state))
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Frequency<{ROWS} x {COLUMNS}>")));
    }

    fn reply(&self, question: &Question) -> Result<types::Frequencies, Error> {
        let total = self.0.total();
        if total == u64::MAX {
            return Err(Error::new(ErrorKind::Overflow, "the elements counted reached 2^64 - 1"));
        }
        let maximum_error = (E / COLUMNS as f64 * total as f64).ceil() as u64;
        let frequencies = question.elements.iter().map(|element| {
            let places = element.hashed(Self::places);
            let count = places.into_iter().flatten().map(|place| self.0.get(place)).min().unwrap_or(0);
            let (text, integer) = match element.clone() {
                Probe::Text(text) => (Some(text), None),
                Probe::Integer(number) => (None, Some(number)),
            };
            types::Frequency { text, integer, count, lower: count.saturating_sub(maximum_error), upper: count }
        });
        Ok(types::Frequencies { frequencies: frequencies.collect(), maximum_error, total })
    }
}
