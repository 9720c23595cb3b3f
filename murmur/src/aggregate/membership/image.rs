//! The bytes of a filter, in the one spelling that a set of elements has.
//!
//! ```text
//! few bits:                                         many, as the DataSketches write a Bloom filter:
//!  0 0, which no preamble of a DataSketch has        0 preamble longs: 4, or 3 for an empty one
//!  1 version, 1                                      1 serial version, 1
//!  2 u16 hashes, 7                                   2 family, 21
//!  4 u32 words of 64 bits                            3 flags: 4 empty
//!  8 varints: the first place, then each             4 u16 hashes, 7
//!    place's distance from the one before            6 u16 0
//!                                                    8 u64 seed, 9001
//!                                                   16 u32 words of 64 bits
//!                                                   20 u32 0
//!                                                   24 u64 bits that are set, or 2^64 - 1 for "count them"
//!                                                   32 the words
//! ```
//!
//! All numbers are little-endian. Bits are few up to one for each word. Reading takes the right form for any number of
//! bits.

use smallvec::SmallVec;

use super::{HASHES, SEED, State};

const VERSION: u8 = 1;
const FAMILY: u8 = 21;
const EMPTY: u8 = 4;
const UNCOUNTED: u64 = u64::MAX;
const HEADER: usize = 32;

/// The longest that is written: all words. Few places have three bytes at most (there are less than 2^22), so all of
/// them together less than that.
pub(super) const fn max_bytes(words: usize) -> usize {
    HEADER + 8 * words
}

pub(super) fn write(state: &State, words: usize, out: &mut Vec<u8>) {
    match state {
        State::Few(places) => {
            out.extend([0, VERSION]);
            out.extend(HASHES.to_le_bytes());
            out.extend((words as u32).to_le_bytes());
            let mut before = 0;
            for place in places {
                prost::encoding::encode_varint(u64::from(place - before), out);
                before = *place;
            }
        }
        State::Many(filter) => {
            out.extend([4, VERSION, FAMILY, 0]);
            out.extend(HASHES.to_le_bytes());
            out.extend([0; 2]);
            out.extend(SEED.to_le_bytes());
            out.extend((words as u64).to_le_bytes());
            out.extend(state.count().to_le_bytes());
            out.extend(filter.iter().flat_map(|word| word.to_le_bytes()));
        }
    }
}

pub(super) fn read(bytes: &[u8], words: usize) -> Result<State, String> {
    match bytes {
        [0, VERSION, h0, h1, w0, w1, w2, w3, places @ ..] => {
            fits(u16::from_le_bytes([*h0, *h1]), u32::from_le_bytes([*w0, *w1, *w2, *w3]), words)?;
            read_few(places, words)
        }
        [0, version, ..] => Err(format!("few bits in version {version}, expected {VERSION}")),
        _ => read_filter(bytes, words),
    }
}

/// Filters of other sizes cannot be merged.
fn fits(hashes: u16, its_words: u32, words: usize) -> Result<(), String> {
    if (hashes, its_words as usize) == (HASHES, words) {
        return Ok(());
    }
    Err(format!(
        "it has {hashes} hashes and {its_words} words, expected {HASHES} and {words}; the two cannot be merged"
    ))
}

fn read_few(mut bytes: &[u8], words: usize) -> Result<State, String> {
    let mut places = SmallVec::new();
    let mut next = 0u64;
    while !bytes.is_empty() {
        let distance = prost::encoding::decode_varint(&mut bytes).map_err(|_| "a place is cut off")?;
        if distance == 0 && !places.is_empty() {
            return Err("it has a place twice".into());
        }
        next = next.saturating_add(distance);
        match u32::try_from(next) {
            Ok(place) if next < 64 * words as u64 => places.push(place),
            _ => return Err(format!("place {next} lies outside of {words} words")),
        }
    }
    if places.len() > words {
        return Err(format!("{} places are not few, which are up to {words}", places.len()));
    }
    Ok(State::Few(places))
}

fn read_filter(bytes: &[u8], words: usize) -> Result<State, String> {
    let too_short = || format!("it has {} bytes, fewer than a header", bytes.len());
    let (&[longs, version, family, flags, h0, h1, _, _], rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
    let (seed, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (&[w0, w1, w2, w3, _, _, _, _], rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    if (version, family) != (VERSION, FAMILY) {
        return Err(format!("version {version} of family {family}, expected {VERSION} of {FAMILY} (Bloom filter)"));
    }
    let seed = u64::from_le_bytes(*seed);
    if seed != SEED {
        return Err(format!("its seed is {seed}, expected {SEED}; the two cannot be merged"));
    }
    fits(u16::from_le_bytes([h0, h1]), u32::from_le_bytes([w0, w1, w2, w3]), words)?;
    match (longs, flags & EMPTY != 0) {
        (3, true) if rest.is_empty() => return Ok(State::Few(SmallVec::new())),
        (4, false) => {}
        _ => return Err(format!("a header of {longs} longs with flags {flags} and {} bytes behind", rest.len())),
    }
    let (count, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    if rest.len() != 8 * words {
        return Err(format!("{words} words have {} bytes, not {}", 8 * words, rest.len()));
    }
    let filter: Box<[u64]> = rest.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let (said, state) = (u64::from_le_bytes(*count), State::Many(filter));
    let count = state.count();
    if said != count && said != UNCOUNTED {
        return Err(format!("it has {count} bits where it says {said}"));
    }
    if count as usize > words {
        return Ok(state);
    }
    // Few bits in the form of many, as others write them.
    Ok(State::Few((0..64 * words as u32).filter(|place| state.has(*place)).collect()))
}
