//! The bytes of a sketch, compact and in order.
//!
//! ```text
//!  0 preamble longs: 1 up to one hash, 2 exact, 3 else      2 or 3 longs:  8  u32 hashes
//!  1 serial version, 3                                                    12  u32 0
//!  2 family, 3                                              3 longs:      16  u64 theta
//!  3 u16 0                                                                    u64 hashes
//!  5 flags: 2 read only, 4 empty, 8 compact, 16 in order
//!  6 u16 hash of the hash's seed; 0 when empty
//! ```
//!
//! All numbers are little-endian. Reading also takes hashes out of order, up to twice as many as are kept (as sketches
//! under construction have them), and the compressed form (version 4) of the other DataSketches.

use datasketches::theta::CompactThetaSketch;

use super::sketch::{K, MAX_THETA, Sketch};

const SERIAL_VERSION: u8 = 3;
const COMPRESSED: u8 = 4;
const FAMILY: u8 = 3;
const READ_ONLY: u8 = 2;
const EMPTY: u8 = 4;
const COMPACT: u8 = 8;
const ORDERED: u8 = 16;
/// The low 16 bits of the hash of the seed 9001, itself hashed with the seed 0.
const SEED_HASH: u16 = 0x93cc;
/// The most hashes that are read.
const MOST: usize = 2 * K;
/// The longest that is written.
pub(super) const MAX_BYTES: usize = 24 + 8 * K;

pub(super) fn write(sketch: &Sketch, out: &mut Vec<u8>) {
    let header = |longs, flags| [longs, SERIAL_VERSION, FAMILY, 0, 0, flags | READ_ONLY | COMPACT | ORDERED];
    let exact = sketch.theta == MAX_THETA;
    let longs = match sketch.hashes.len() {
        0 if exact => {
            out.extend(header(1, EMPTY));
            return out.extend([0, 0]);
        }
        1 if exact => 1,
        _ if exact => 2,
        _ => 3,
    };
    out.extend(header(longs, 0));
    out.extend(SEED_HASH.to_le_bytes());
    if longs > 1 {
        out.extend((sketch.hashes.len() as u64).to_le_bytes());
    }
    if !exact {
        out.extend(sketch.theta.to_le_bytes());
    }
    out.extend(sketch.hashes.iter().flat_map(|hash| hash.to_le_bytes()));
}

pub(super) fn read(bytes: &[u8]) -> Result<Sketch, String> {
    let Some((&[longs, version, family, _, count_bytes, flags, seed_low, seed_high], rest)) = bytes.split_first_chunk()
    else {
        return Err(format!("it has {} bytes, fewer than a header", bytes.len()));
    };
    if family != FAMILY || !(SERIAL_VERSION..=COMPRESSED).contains(&version) {
        return Err(format!(
            "version {version} of family {family}, expected {SERIAL_VERSION} of {FAMILY} (compact Theta)"
        ));
    }
    if flags & EMPTY != 0 {
        return if rest.is_empty() { Ok(Sketch::default()) } else { Err("bytes follow its end".into()) };
    }
    let seed = u16::from_le_bytes([seed_low, seed_high]);
    if seed != SEED_HASH {
        return Err(format!("its hashes were made with the seed of hash {seed:#x}, expected {SEED_HASH:#x} of 9001"));
    }
    let (theta, mut hashes) = match version {
        COMPRESSED => read_compressed(bytes, longs, usize::from(count_bytes))?,
        _ => read_plain(longs, rest)?,
    };
    hashes.sort_unstable();
    if !hashes.iter().all(|hash| (1..theta).contains(hash)) || !hashes.is_sorted_by(|a, b| a < b) {
        return Err("a hash is there twice, or does not lie below its theta".into());
    }
    Ok(Sketch::of(theta, hashes))
}

fn read_plain(longs: u8, rest: &[u8]) -> Result<(u64, Vec<u64>), String> {
    let (words, after) = rest.as_chunks();
    let words: Vec<u64> = words.iter().take(MOST + 3).map(|word| u64::from_le_bytes(*word)).collect();
    let (count, theta, hashes) = match (longs, words.as_slice()) {
        (1, hashes) => (1, MAX_THETA, hashes),
        (2, [count, hashes @ ..]) => (*count as u32 as usize, MAX_THETA, hashes),
        (3, [count, theta, hashes @ ..]) => (*count as u32 as usize, *theta, hashes),
        _ => return Err(format!("a header of {longs} longs and {} bytes after its first do not fit", rest.len())),
    };
    if count > MOST || !(1..=MAX_THETA).contains(&theta) {
        return Err(format!("{count} hashes below {theta}, expected at most {MOST} below 1 to {MAX_THETA}"));
    }
    if hashes.len() != count || !after.is_empty() {
        return Err(format!("{count} hashes have {} bytes, not {}", 8 * count, 8 * hashes.len() + after.len()));
    }
    Ok((theta, hashes.to_vec()))
}

fn read_compressed(bytes: &[u8], longs: u8, count_bytes: usize) -> Result<(u64, Vec<u64>), String> {
    // Looked at before anything is set aside for so many.
    let count = bytes.get(8 * usize::from(longs)..).and_then(|rest| rest.get(..count_bytes));
    let count = count.filter(|_| (1..=4).contains(&count_bytes)).ok_or("its number of hashes is cut off")?;
    let count = count.iter().rev().fold(0, |count, byte| count << 8 | usize::from(*byte));
    if count > MOST {
        return Err(format!("it has {count} hashes, expected at most {MOST}"));
    }
    let sketch = CompactThetaSketch::deserialize(bytes).map_err(|error| error.to_string())?;
    Ok((sketch.theta64(), sketch.iter().map(|entry| entry.hash()).collect()))
}
