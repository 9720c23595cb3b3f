//! The bytes of a sketch: `HLL_8`, compact, in the one spelling that a set of elements has.
//!
//! ```text
//!  0 preamble ints: 2 list, 3 set, 10 registers      list (up to 7 coupons):   8  coupons, u32 each
//!  1 serial version, 1                               set (up to 384):          8  u32 count, 12 coupons, u32 each
//!  2 family, 7                                       registers:                8  f64 HIP sum, 0
//!  3 lgK, 12                                                                  16  f64 sum of 2^-value, value < 32
//!  4 log2 of the capacity: 3 list, 5 to 9 set, else 0                         24  f64 the same, value >= 32
//!  5 flags: 4 empty, 8 compact, 16 out of order                               32  u32 registers that are 0
//!  6 list: number of coupons, else 0                                          36  u32 0
//!  7 mode: 0 list, 1 set, 2 registers; + 8 for HLL_8                          40  4,096 registers
//! ```
//!
//! All numbers are little-endian. Coupons are written in order. The HIP sum depends on the order of updates, so it is
//! left out, as merged sketches do (flag 16). Reading also takes what the other DataSketches write: the updatable
//! form with its free places (`0`), coupons in any order, and any HIP sum.

use std::ops::Range;

use smallvec::SmallVec;

use super::{K, LG_K, MAX_COUPONS, State};
use crate::aggregate::DecodeError;

const SERIAL_VERSION: u8 = 1;
const FAMILY: u8 = 7;
const EMPTY: u8 = 4;
const COMPACT: u8 = 8;
const OUT_OF_ORDER: u8 = 16;
const HLL_8: u8 = 2 << 2;
const LIST: u8 = 0;
const SET: u8 = 1;
const REGISTERS: u8 = 2;
/// A list of as many becomes a set.
const LIST_CAPACITY: usize = 8;
const REGISTERS_START: usize = 40;
/// The longest that is written: the registers.
pub(super) const MAX_BYTES: usize = REGISTERS_START + K;

pub(super) fn write(state: &State, out: &mut Vec<u8>) {
    let header = |ints, lg, flags, count, mode| [ints, SERIAL_VERSION, FAMILY, LG_K, lg, flags, count, mode | HLL_8];
    match state {
        State::Coupons(coupons) => {
            let count = coupons.len();
            if count < LIST_CAPACITY {
                let flags = if count == 0 { COMPACT | EMPTY } else { COMPACT };
                out.extend(header(2, 3, flags, count as u8, LIST));
            } else {
                // A set grows when it is more than three quarters full.
                let lg = (5..=9).find(|lg| 4 * count <= 3 << lg).unwrap_or(9);
                out.extend(header(3, lg, COMPACT, 0, SET));
                out.extend((count as u32).to_le_bytes());
            }
            out.extend(coupons.iter().flat_map(|coupon| coupon.to_le_bytes()));
        }
        State::Registers(registers) => {
            let mut counts = [0u32; 64];
            for &register in registers.iter() {
                counts[usize::from(register % 64)] += 1;
            }
            // Exact: 4,096 powers of two of 32 neighbouring magnitudes fit into an f64.
            let sum = |values: Range<usize>| -> f64 {
                values.map(|value| f64::from(counts[value]) / (1u64 << value) as f64).sum()
            };
            let (low, high, zeros) = (sum(0..32), sum(32..64), counts[0]);
            out.extend(header(10, 0, OUT_OF_ORDER, 0, REGISTERS));
            for number in [0.0, low, high] {
                out.extend(f64::to_le_bytes(number));
            }
            out.extend(zeros.to_le_bytes());
            out.extend(0u32.to_le_bytes());
            out.extend_from_slice(registers.as_slice());
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<State, DecodeError> {
    let bad = |why: String| DecodeError(format!("not a sketch of `Distinct`: {why}"));
    let Some((&[_, version, family, lg_k, lg, flags, list_count, mode], rest)) = bytes.split_first_chunk() else {
        return Err(bad(format!("it has {} bytes, fewer than a header", bytes.len())));
    };
    if (version, family) != (SERIAL_VERSION, FAMILY) {
        return Err(bad(format!("version {version} of family {family}, expected {SERIAL_VERSION} of {FAMILY} (HLL)")));
    }
    if lg_k != LG_K {
        return Err(bad(format!("its lgK is {lg_k}, that of `Distinct` is {LG_K}; sketches of both cannot be merged")));
    }
    if mode & 0b1100 != HLL_8 {
        return Err(bad(format!("it is an HLL_{}, expected HLL_8", [4, 6, 8, 0][usize::from(mode >> 2 & 3)])));
    }
    match mode & 0b11 {
        LIST => read_coupons(rest, usize::from(list_count), flags, 3),
        SET => {
            let (count, rest) = rest.split_first_chunk().ok_or_else(|| bad("it ends within its header".into()))?;
            read_coupons(rest, u32::from_le_bytes(*count) as usize, flags, lg)
        }
        REGISTERS => read_registers(bytes),
        mode => Err(format!("mode {mode} does not exist")),
    }
    .map_err(bad)
}

fn read_coupons(bytes: &[u8], count: usize, flags: u8, lg: u8) -> Result<State, String> {
    if (flags & EMPTY != 0) != (count == 0) {
        return Err(format!("it says to be empty and to have {count} coupons, or neither"));
    }
    if count > MAX_COUPONS || lg > 9 {
        return Err(format!("{count} coupons in a table of 2^{lg} are more than {MAX_COUPONS} in one of 2^9"));
    }
    let places = if flags & COMPACT != 0 { count } else { 1 << lg };
    // An empty updatable list is written with its places by some, without by others.
    if bytes.len() != 4 * places && !(count == 0 && bytes.is_empty()) {
        return Err(format!("{places} coupons have {} bytes, not {}", 4 * places, bytes.len()));
    }
    let (words, _) = bytes.as_chunks();
    let mut coupons: SmallVec<[u32; 4]> =
        words.iter().map(|word| u32::from_le_bytes(*word)).filter(|&c| c != 0).collect();
    coupons.sort_unstable();
    coupons.dedup();
    if coupons.len() != count {
        return Err(format!("it has {} different coupons where it says {count}", coupons.len()));
    }
    match coupons.iter().find(|&&coupon| coupon >> 26 == 0) {
        Some(coupon) => Err(format!("{coupon:#x} is not a coupon")),
        None => Ok(State::Coupons(coupons)),
    }
}

fn read_registers(bytes: &[u8]) -> Result<State, String> {
    let registers: Option<&[u8; K]> = bytes.get(REGISTERS_START..).and_then(|registers| registers.try_into().ok());
    let registers =
        registers.ok_or_else(|| format!("it has {} bytes where registers have {MAX_BYTES}", bytes.len()))?;
    // All at once, for speed: a value above 63 has a bit that none up to 63 has.
    if registers.iter().fold(0, |all, register| all | register) > 63 {
        return Err("a register holds more than 63".into());
    }
    Ok(State::Registers(Box::new(*registers)))
}
