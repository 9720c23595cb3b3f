//! The bytes of a sketch, with all levels sorted.
//!
//! ```text
//!  0 preamble ints: 2 up to one number, else 5         of several numbers:      8  u64 how many were given
//!  1 serial version: 2 of one number, else 1                                   16  u16 the smallest k merged, 200
//!  2 family, 15                                                                18  levels
//!  3 flags: 1 empty, 2 first level sorted, 4 one number                        19  0
//!  4 u16 k, 200                                                                20  u32 per level: where it begins
//!  6 m, 8                                                                          f64 smallest, f64 largest number
//!  7 0                            of one number: 8  f64 the number                 f64 numbers, level by level
//! ```
//!
//! All numbers are little-endian. Levels begin at places of an array that has room for all levels and is filled from
//! its end. Reading also takes a first level that is not sorted, as the other DataSketches write it.

use super::sketch::{K, M, MOST_LEVELS, OVERFLOWN, Sketch, rooms};

const FAMILY: u8 = 15;
const EMPTY: u8 = 1;
const SORTED: u8 = 2;
const SINGLE: u8 = 4;
const LEVELS_START: usize = 20;

/// The longest that is written.
pub(super) const MAX_BYTES: usize = LEVELS_START + 4 * MOST_LEVELS + 8 * (2 + rooms(MOST_LEVELS));

/// Sorts the first level: that changes nothing of the sketch.
pub(super) fn write(sketch: &mut Sketch, out: &mut Vec<u8>) {
    let header = |ints: u8, version: u8, flags: u8| {
        let [k_low, k_high] = K.to_le_bytes();
        [ints, version, FAMILY, flags, k_low, k_high, M, 0]
    };
    sketch.levels[0].sort_unstable_by(f64::total_cmp);
    let Sketch { count, min, max, ref levels, .. } = *sketch;
    match count {
        0 => return out.extend(header(2, 1, EMPTY | SORTED)),
        1 => {
            out.extend(header(2, 2, SORTED | SINGLE));
            return out.extend(min.to_le_bytes());
        }
        _ => {}
    }
    out.extend(header(5, 1, SORTED));
    out.extend(count.to_le_bytes());
    out.extend(K.to_le_bytes());
    out.extend([levels.len() as u8, 0]);
    let mut begins = rooms(levels.len()) - levels.iter().map(Vec::len).sum::<usize>();
    for level in levels {
        out.extend((begins as u32).to_le_bytes());
        begins += level.len();
    }
    out.extend([min, max].iter().chain(levels.iter().flatten()).flat_map(|number| number.to_le_bytes()));
}

pub(super) fn read(bytes: &[u8]) -> Result<Sketch, String> {
    let Some((&[ints, version, family, flags, k_low, k_high, m, _], rest)) = bytes.split_first_chunk() else {
        return Err(format!("it has {} bytes, fewer than a header", bytes.len()));
    };
    if family != FAMILY {
        return Err(format!("it is of family {family}, expected {FAMILY} (KLL)"));
    }
    let k = u16::from_le_bytes([k_low, k_high]);
    if (k, m) != (K, M) {
        return Err(format!("its k is {k} with m {m}, that of `Quantiles` is {K} with {M}; the two cannot be merged"));
    }
    match (ints, version, flags & (EMPTY | SINGLE)) {
        (2, 1, EMPTY) if rest.is_empty() => Ok(Sketch::default()),
        (2, 2, SINGLE) => {
            let number = f64::from_le_bytes(rest.try_into().map_err(|_| "one number has 8 bytes".to_owned())?);
            let mut sketch = Sketch::default();
            sketch.insert(if number.is_nan() { return Err("it holds a NaN".into()) } else { number });
            Ok(sketch)
        }
        (5, 1, 0) => read_levels(rest, flags & SORTED != 0),
        _ => Err(format!("{ints} preamble ints, version {version} and flags {flags:#x} do not belong together")),
    }
}

fn read_levels(bytes: &[u8], sorted: bool) -> Result<Sketch, String> {
    let short = || "it ends too early".to_owned();
    let (&count, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    let count = u64::from_le_bytes(count);
    let (&[least_low, least_high, levels, _], rest) = rest.split_first_chunk().ok_or_else(short)?;
    let least_k = u16::from_le_bytes([least_low, least_high]);
    if least_k != K {
        return Err(format!("a sketch of k {least_k} was merged into it, expected {K}; its error is larger"));
    }
    let levels = usize::from(levels);
    if !(1..=MOST_LEVELS).contains(&levels) {
        return Err(format!("{levels} levels, expected 1 to {MOST_LEVELS}"));
    }
    let (begins, rest) = rest.split_at_checked(4 * levels).ok_or_else(short)?;
    let (begins, _) = begins.as_chunks();
    let room = rooms(levels);
    let mut edges: Vec<usize> = begins.iter().map(|begin| u32::from_le_bytes(*begin) as usize).collect();
    edges.push(room);
    if !edges.is_sorted() {
        return Err(format!("its levels begin at {edges:?}, not one after the other"));
    }
    let (numbers, after) = rest.as_chunks();
    let held = room - edges[0];
    if numbers.len() != 2 + held || !after.is_empty() {
        return Err(format!("{held} numbers and the extremes have {} bytes, not {}", 8 * (2 + held), rest.len()));
    }
    // One zero, as they are taken in.
    let numbers: Vec<f64> = numbers.iter().map(|number| f64::from_le_bytes(*number) + 0.0).collect();
    let &[min, max, ref numbers @ ..] = numbers.as_slice() else { return Err(short()) };
    // A NaN lies between nothing.
    let within = min <= max && numbers.iter().all(|number| (min..=max).contains(number));
    if !within {
        return Err(format!("not all numbers lie between its smallest, {min}, and its largest, {max}"));
    }
    let of_level = |pair: &[usize]| numbers[pair[0] - edges[0]..pair[1] - edges[0]].to_vec();
    let mut levels: Vec<Vec<f64>> = edges.windows(2).map(of_level).collect();
    if !levels[usize::from(!sorted)..].iter().all(|level| level.is_sorted()) {
        return Err("a level is not sorted".into());
    }
    levels[0].sort_unstable_by(f64::total_cmp);
    if count < 2 || count == OVERFLOWN && held > 0 {
        return Err(format!("{count} numbers have another form"));
    }
    Sketch::of(count, min, max, levels).ok_or_else(|| format!("its levels do not stand for {count} numbers"))
}
