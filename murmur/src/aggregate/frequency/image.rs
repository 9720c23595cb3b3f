//! The bytes of a sketch, in the one spelling that its counters have.
//!
//! ```text
//! few counters:                                     many, as the DataSketches write a Count-Min sketch:
//!  0 0, which no preamble of a DataSketch has        0 preamble longs, 2
//!  1 version, 1                                      1 serial version, 1
//!  2 u16 rows, 5                                     2 family, 18
//!  4 u32 columns, 272                                3 flags: 1 empty
//!  8 varints: for each counter that is not 0         4 u32 0
//!    the place's distance from the one before,       8 u32 columns, 272
//!    for the first one from 0; then its value       12 rows, 5
//!                                                   13 u16 hash of the seed
//!                                                   15 0
//!                                                   16 u64 total
//!                                                   24 u64 counters, row by row
//! ```
//!
//! All numbers are little-endian. Counters are few up to 340. Reading takes the right form for any number of them.

use smallvec::SmallVec;

use super::{COLUMNS, COUNTERS, MAX_FEW, ROWS, State};

const VERSION: u8 = 1;
const FAMILY: u8 = 18;
const EMPTY: u8 = 1;
/// The lower half of the first half of MurmurHash3 of the seed 9001, with the seed 0.
pub(super) const SEED_HASH: u16 = 0x93cc;
const HEADER: usize = 24;
/// The longest that is written: all counters. Few of them have up to 2 + 10 bytes each, less than half of it.
pub(super) const MAX_BYTES: usize = HEADER + 8 * COUNTERS;

pub(super) fn write(state: &State, out: &mut Vec<u8>) {
    match state {
        State::Few(counters) => {
            out.extend([0, VERSION]);
            out.extend((ROWS as u16).to_le_bytes());
            out.extend((COLUMNS as u32).to_le_bytes());
            let mut before = 0;
            for (place, count) in counters {
                prost::encoding::encode_varint(u64::from(place - before), out);
                prost::encoding::encode_varint(*count, out);
                before = *place;
            }
        }
        State::Many(counters) => {
            out.extend([2, VERSION, FAMILY, 0, 0, 0, 0, 0]);
            out.extend((COLUMNS as u32).to_le_bytes());
            out.push(ROWS as u8);
            out.extend(SEED_HASH.to_le_bytes());
            out.push(0);
            out.extend(state.total().to_le_bytes());
            out.extend(counters.iter().flat_map(|counter| counter.to_le_bytes()));
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<State, String> {
    let state = match bytes {
        [0, VERSION, r0, r1, c0, c1, c2, c3, counters @ ..] => {
            fits(u16::from_le_bytes([*r0, *r1]), u32::from_le_bytes([*c0, *c1, *c2, *c3]))?;
            read_few(counters)
        }
        [0, version, ..] => Err(format!("few counters in version {version}, expected {VERSION}")),
        _ => read_sketch(bytes),
    }?;
    let total = state.total();
    match (1..ROWS).map(|row| state.row(row)).find(|sum| *sum != total) {
        Some(sum) => Err(format!("a row has counted {total} elements and another one {sum}")),
        None => Ok(state),
    }
}

/// Sketches of other sizes cannot be merged.
fn fits(rows: u16, columns: u32) -> Result<(), String> {
    if (usize::from(rows), columns as usize) == (ROWS, COLUMNS) {
        return Ok(());
    }
    Err(format!("it has {rows} rows of {columns} counters, expected {ROWS} of {COLUMNS}; the two cannot be merged"))
}

fn read_few(mut bytes: &[u8]) -> Result<State, String> {
    let mut counters = SmallVec::new();
    let varint = |bytes: &mut &[u8]| prost::encoding::decode_varint(bytes).map_err(|_| "a counter is cut off");
    let mut next = 0u64;
    while !bytes.is_empty() {
        let (distance, count) = (varint(&mut bytes)?, varint(&mut bytes)?);
        if distance == 0 && !counters.is_empty() {
            return Err("it has a counter twice".into());
        }
        if count == 0 {
            return Err("it has a counter that is 0 among those that are not".into());
        }
        next = next.saturating_add(distance);
        match u16::try_from(next) {
            Ok(place) if usize::from(place) < COUNTERS => counters.push((place, count)),
            _ => return Err(format!("counter {next} lies outside of {COUNTERS}")),
        }
    }
    if counters.len() > MAX_FEW {
        return Err(format!("{} counters are not few, which are up to {MAX_FEW}", counters.len()));
    }
    Ok(State::Few(counters))
}

fn read_sketch(bytes: &[u8]) -> Result<State, String> {
    let too_short = || format!("it has {} bytes, fewer than a header", bytes.len());
    let (&[longs, version, family, flags, _, _, _, _], rest) = bytes.split_first_chunk().ok_or_else(too_short)?;
    let (&[c0, c1, c2, c3, rows, s0, s1, _], rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    if (version, family) != (VERSION, FAMILY) {
        return Err(format!("version {version} of family {family}, expected {VERSION} of {FAMILY} (Count-Min)"));
    }
    fits(rows.into(), u32::from_le_bytes([c0, c1, c2, c3]))?;
    let seed_hash = u16::from_le_bytes([s0, s1]);
    if seed_hash != SEED_HASH {
        return Err(format!(
            "the hash of its seed is {seed_hash:#x}, expected {SEED_HASH:#x}; the two cannot be merged"
        ));
    }
    match (longs, flags & EMPTY != 0) {
        (2, true) if rest.is_empty() => return Ok(State::Few(SmallVec::new())),
        (2, false) => {}
        _ => return Err(format!("a header of {longs} longs with flags {flags} and {} bytes behind", rest.len())),
    }
    let (said, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    if rest.len() != 8 * COUNTERS {
        return Err(format!("{COUNTERS} counters have {} bytes, not {}", 8 * COUNTERS, rest.len()));
    }
    let mut counters = Box::new([0; COUNTERS]);
    for (counter, bytes) in counters.iter_mut().zip(rest.as_chunks().0) {
        *counter = u64::from_le_bytes(*bytes);
    }
    let used = counters.iter().filter(|counter| **counter > 0).count();
    let state = State::Many(counters);
    let (said, total) = (u64::from_le_bytes(*said), state.total());
    if said != total {
        return Err(format!("a row has counted {total} elements where it says {said}"));
    }
    if used > MAX_FEW {
        return Ok(state);
    }
    // Few counters in the form of many, as others write them.
    let counters = (0..COUNTERS).map(|place| (place as u16, state.get(place)));
    Ok(State::Few(counters.filter(|counter| counter.1 > 0).collect()))
}
