//! Whether something was there: a Bloom filter, in the format of Apache DataSketches.

use smallvec::SmallVec;

use super::{DecodeError, Element, Form, Monoid, Probe, Question, xxhash};
use crate::Error;
use crate::wire::types;

mod image;
#[cfg(test)]
mod tests;

/// The seed that all DataSketches use unless told otherwise.
const SEED: u64 = 9001;
/// Bits per element, `log2(100) * log2(e) * ln(2)` of them, leave `7` as the best number of hashes.
const HASHES: u16 = 7;

/// Whether an element was among those counted: "certainly not", or "yes" with 1 % of false alarms.
///
/// A Bloom filter for `N` different elements, from 1 to 300,000: `N * -ln(0.01) / ln(2)^2` bits, rounded up to 64, and 7
/// hashes (Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", CACM 1970; the formulas are in Broder,
/// Mitzenmacher, "Network Applications of Bloom Filters: A Survey", Internet Mathematics 2004). That is 1.2 bytes per
/// element: 12 KB for 10,000, 360 KB for 300,000, which is as much as an item of the store may hold. Beyond `N` elements it goes on,
/// with more false alarms; the reply says how many. The elements to look up are those of the [`Question`].
///
/// The state depends on nothing but the set of the elements: bytes can be compared. What is stored are the places of
/// the bits while there are few of them, and the filter of the DataSketches from then on; Java, C++ and Python read
/// that. Elements are hashed as [`Element`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership<const N: u32>(State);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The places of the bits that are set, in order, none twice: up to one for each word of the filter, so that they
    /// take half of its bytes at most. One element needs no allocation.
    Few(SmallVec<[u32; HASHES as usize]>),
    /// All bits, the lowest of a word first.
    Many(Box<[u64]>),
}

/// The most elements that a `Membership` can be made for: its filter has to fit into one stored item.
pub const MOST_MEMBERS: u32 = 300_000;

/// Words of 64 bits of a filter for so many elements, at 1 %.
const fn words(elements: u32) -> usize {
    // -ln(0.01) / ln(2)^2 in 10^-15.
    let bits = (elements as u128 * 9_585_058_377_367_439).div_ceil(1_000_000_000_000_000);
    bits.div_ceil(64) as usize
}

impl<const N: u32> Membership<N> {
    const WORDS: usize = {
        assert!(N >= 1 && N <= MOST_MEMBERS, "`Membership<N>` is possible for N from 1 to 300,000 elements");
        words(N)
    };

    /// One element; nothing when it is `None` or an empty text.
    pub fn of(element: impl Element) -> Self {
        let mut places: SmallVec<_> = element.hashed(|bytes| Self::places(bytes).collect()).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        let mut one = State::Few(places);
        one.settle(Self::WORDS);
        Self(one)
    }

    /// The places of an element's bits, as the DataSketches choose them: Kirsch, Mitzenmacher, "Less Hashing, Same
    /// Performance" (2006), with the lowest bit left out.
    fn places(bytes: &[u8]) -> impl Iterator<Item = u32> + use<N> {
        let first = xxhash::hash(bytes, SEED);
        let second = xxhash::hash(bytes, first);
        let bits = 64 * Self::WORDS as u64;
        (1..=u64::from(HASHES)).map(move |n| ((first.wrapping_add(n.wrapping_mul(second)) >> 1) % bits) as u32)
    }

    /// Whether it was among the elements; `true` also for about 1 % of those that were not.
    pub fn contains(&self, element: impl Element) -> bool {
        element.hashed(|bytes| Self::places(bytes).all(|place| self.0.has(place))).unwrap_or(false)
    }
}

impl State {
    /// The bits that are set.
    fn count(&self) -> u64 {
        match self {
            Self::Few(places) => places.len() as u64,
            Self::Many(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
        }
    }

    fn has(&self, place: u32) -> bool {
        match self {
            Self::Few(places) => places.binary_search(&place).is_ok(),
            Self::Many(words) => words.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1),
        }
    }

    /// Make words of places that have become too many.
    fn settle(&mut self, words: usize) {
        if let Self::Few(places) = self
            && places.len() > words
        {
            let mut filter = vec![0; words].into_boxed_slice();
            raise(&mut filter, places);
            *self = Self::Many(filter);
        }
    }
}

/// Set bits, all of which the filter has.
fn raise(filter: &mut [u64], places: &[u32]) {
    for place in places {
        filter[*place as usize / 64] |= 1 << (place % 64);
    }
}

impl<const N: u32> Monoid for Membership<N> {
    const FORM: Form = Form::Put;
    const MAX_BYTES: usize = image::max_bytes(Self::WORDS);
    const COMMUTATIVE: bool = true;
    const IDEMPOTENT: bool = true;
    type Reply = types::Membership;

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
            (State::Many(filter), State::Many(later)) => {
                filter.iter_mut().zip(later).for_each(|(word, later)| *word |= later);
            }
            (State::Many(filter), State::Few(places)) => raise(filter, &places),
            (State::Few(places), State::Few(later)) => {
                let known = places.len();
                for place in later {
                    if places[..known].binary_search(&place).is_err() {
                        places.push(place);
                    }
                }
                // Two runs in order, which a stable sort merges in one pass.
                places.sort();
            }
            (State::Few(_), State::Many(_)) => unreachable!("they were swapped"),
        }
        self.0.settle(Self::WORDS);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        image::write(&self.0, Self::WORDS, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let state = image::read(bytes, Self::WORDS)
            .map_err(|why| DecodeError(format!("not a filter of `Membership<{N}>`: {why}")))?;
        Ok(Self(state))
    }

    fn kept(field: u32, visit: &mut dyn FnMut(u32, Option<String>)) {
        visit(field, Some(format!("Membership<{} bits>", 64 * Self::WORDS)));
    }

    fn reply(&self, question: &Question) -> Result<types::Membership, Error> {
        let (bits_set, bits) = (self.0.count(), 64 * Self::WORDS as u64);
        let members = question.elements.iter().map(|element| {
            let contained = self.contains(element);
            match element.clone() {
                Probe::Text(text) => types::Member { text: Some(text), integer: None, contained },
                Probe::Integer(number) => types::Member { text: None, integer: Some(number), contained },
            }
        });
        Ok(types::Membership {
            members: members.collect(),
            // Every one of the hashes meets a bit that is set.
            false_positive_rate: (bits_set as f64 / bits as f64).powi(HASHES.into()),
            bits_set,
            bits,
        })
    }
}
